// SPDX-License-Identifier: Apache-2.0

package ipxetest

import (
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
)

// image is a file in the machine's memory.
type image struct {
	name, url, cmdline string
	body               []byte
	autofree           bool
}

// maxRequests is how often one thing is asked for before the machine is taken to loop. Ironic's scripts make eleven
// attempts where they count.
const maxRequests = 25

// maxRedirects bounds what iPXE does not.
const maxRedirects = 20

// request asks the world and writes down what came of it. details go with the request in the trace.
func (r *run) request(method, target, details string) (Response, bool) {
	for range maxRedirects {
		r.attempts[Request{Method: method, URL: target}]++
		attempt := r.attempts[Request{Method: method, URL: target}]
		if attempt > maxRequests {
			return Response{}, r.stop(Event{"loop", method + " " + target})
		}
		response := r.machine.Network.Fetch(Request{method, target, attempt})
		result := "failed"
		switch {
		case response.OK():
			result = "ok"
		case response.Status != 0:
			result = strconv.Itoa(response.Status)
		}
		text := target + " " + result
		if details != "" {
			text += " " + details
		}
		r.record(method, text)
		switch {
		case response.OK():
			return response, true
		case response.RetryAfter != "" && response.Status >= 400:
			r.record("wait", retrySeconds(response.RetryAfter))
		case response.Status >= 300 && response.Status < 400 && response.Location != "":
			target = resolve(target, response.Location)
		default:
			return response, r.fail(httpErrno(response.Status))
		}
	}
	return Response{}, r.stop(Event{"loop", method + " " + target})
}

// retrySeconds is how long iPXE waits: a number as it is, and five seconds for a date (net/tcp/httpcore.c).
func retrySeconds(value string) string {
	if n, err := strconv.ParseUint(value, 10, 32); err == nil {
		return strconv.FormatUint(n, 10)
	}
	return "5"
}

// httpErrno is what iPXE says of an answer.
func httpErrno(status int) string {
	switch {
	case status == 0:
		return "0x0f0a6039" // ECONNRESET
	case status == 404:
		return "0x2d0c613b"
	case status == 403:
		return "0x410c613c"
	case status >= 500:
		return "0x1d0c6539"
	}
	return "0x1d0c6439"
}

func resolve(base, ref string) string {
	b, err := url.Parse(base)
	if err != nil {
		return ref
	}
	u, err := b.Parse(ref)
	if err != nil {
		return ref
	}
	return u.String()
}

// fetch gets an image, or finds the one in memory when reuse is set and the name is that of one
// (usr/imgmgmt.c: imgacquire).
func (r *run) fetch(ref string, options map[string]string, reuse bool) (*image, bool) {
	if reuse {
		for _, i := range r.images {
			if i.name == ref {
				return i, true
			}
		}
	}
	target := resolve(r.cwuri, ref)
	details := ""
	if t := options["timeout"]; t != "" {
		details = "timeout=" + t
	}
	response, ok := r.request("GET", target, details)
	if !ok {
		return nil, false
	}
	i := &image{name: imageName(target), url: target, body: response.Body}
	r.images = append(r.images, i)
	return i, true
}

func imageName(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return path.Base(target)
	}
	return path.Base(u.Path)
}

// acquire is what the image commands have in common: the image, its name and its command line.
func (r *run) acquire(options map[string]string, args []string, reuse bool) (*image, bool) {
	i, ok := r.fetch(args[0], options, reuse)
	if !ok {
		return nil, false
	}
	if n := options["name"]; n != "" {
		i.name = n
	}
	if len(args) > 1 {
		i.cmdline = strings.Join(args[1:], " ")
	}
	if _, ok := options["autofree"]; ok {
		i.autofree = true
	}
	return i, true
}

func runImgfree(r *run, _ map[string]string, args []string) bool {
	if len(args) == 0 {
		r.images, r.selected = nil, nil
		return true
	}
	for _, name := range args {
		r.free(func(i *image) bool { return i.name == name })
	}
	return true
}

func (r *run) free(which func(*image) bool) {
	if r.selected != nil && which(r.selected) {
		r.selected = nil
	}
	r.images = slices.DeleteFunc(r.images, which)
}

func runImgfetch(r *run, options map[string]string, args []string) bool {
	_, ok := r.acquire(options, args, false)
	return ok
}

func runKernel(r *run, options map[string]string, args []string) bool {
	i, ok := r.acquire(options, args, true)
	if ok {
		r.selected = i
	}
	return ok
}

func runChain(r *run, options map[string]string, args []string) bool {
	i := r.selected
	if len(args) > 0 {
		var ok bool
		if i, ok = r.acquire(options, args, true); !ok {
			return false
		}
	}
	if i == nil {
		return r.fail("0x2d048095")
	}
	if isScript(i.body) {
		ok := r.chain(i)
		if _, replace := options["replace"]; replace && !r.ended {
			r.stopped = stopScript
		}
		return ok
	}
	var initrds []string
	for _, other := range r.images {
		if other != i {
			initrds = append(initrds, other.name+"="+other.url)
		}
	}
	text := i.url
	if i.cmdline != "" {
		text += " " + i.cmdline
	}
	if len(initrds) > 0 {
		text += " [" + strings.Join(initrds, " ") + "]"
	}
	return r.stop(Event{"boot", text})
}

// chain runs a script that was fetched. While it runs it is not among the images, and URLs are relative to its own.
func (r *run) chain(i *image) bool {
	saved := r.cwuri
	r.cwuri = i.url
	r.free(func(other *image) bool { return other == i })
	ok := r.script(i.body)
	r.cwuri = saved
	if !i.autofree {
		r.images = append(r.images, i)
	}
	return ok
}

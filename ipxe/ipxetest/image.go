// SPDX-License-Identifier: Apache-2.0

package ipxetest

import (
	"slices"
	"strconv"
	"strings"
)

// image is a file in the machine's memory.
type image struct {
	name, url, cmdline string
	body               []byte // nil: not described
	autofree           bool
}

// maxRequests is how often one thing is asked for before the machine is taken to loop. Ironic's scripts make eleven
// attempts where they count.
const maxRequests = 25

// maxRedirects bounds what iPXE does not.
const maxRedirects = 20

// request asks the world and writes down what came of it. details go with the request in the trace. It returns the URL
// that the answer is from, too.
func (r *run) request(method, target, details string) (Response, string, bool) {
	for range maxRedirects {
		r.attempts[Request{Method: method, URL: target}]++
		attempt := r.attempts[Request{Method: method, URL: target}]
		limit := maxRequests
		if method == "HEAD" {
			limit *= sanAttempts
		}
		if attempt > limit {
			return Response{}, target, r.stop(Event{"loop", method + " " + target})
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
			return response, target, true
		case response.RetryAfter != "" && response.Status >= 400:
			r.record("wait", retrySeconds(response.RetryAfter))
		case response.Status >= 300 && response.Status < 400 && response.Location != "":
			target = resolve(target, response.Location)
		default:
			return response, target, r.fail(httpErrno(response.Status))
		}
	}
	return Response{}, target, r.stop(Event{"loop", method + " " + target})
}

// retrySeconds is how long iPXE waits: a number as it is, and five seconds for a date (net/tcp/httpcore.c).
func retrySeconds(value string) string {
	if n, err := strconv.ParseUint(value, 10, 32); err == nil {
		return strconv.FormatUint(n, 10)
	}
	return "5"
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
	if !fetchable(target) {
		return nil, r.fail(errScheme)
	}
	details := ""
	if t := options["timeout"]; t != "" {
		details = "timeout=" + t
	}
	response, final, ok := r.request("GET", target, details)
	if !ok {
		return nil, false
	}
	i := &image{name: imageName(target), url: final, body: response.Body}
	r.images = append(r.images, i)
	return i, true
}

// acquire is what the image commands have in common: the image, its name and its command line.
func (r *run) acquire(options map[string]string, args []string, reuse bool) (*image, bool) {
	i, ok := r.fetch(args[0], options, reuse)
	if !ok {
		return nil, false
	}
	if n, ok := options["name"]; ok {
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
		r.images = nil
	}
	for _, name := range args {
		i := slices.IndexFunc(r.images, func(i *image) bool { return i.name == name })
		if i < 0 {
			return r.fail(errNoImage)
		}
		r.images = slices.Delete(r.images, i, i+1)
	}
	return true
}

func (r *run) forget(i *image) {
	r.images = slices.DeleteFunc(r.images, func(other *image) bool { return other == i })
}

func runImgfetch(r *run, options map[string]string, args []string) bool {
	_, ok := r.acquire(options, args, false)
	return ok
}

func runKernel(r *run, options map[string]string, args []string) bool {
	i, ok := r.acquire(options, args, true)
	if !ok {
		return false
	}
	if !r.executable(i) {
		r.selected = nil
		return r.fail(errNotExecutable)
	}
	r.selected = i
	return true
}

// executable reports whether an image is something to run. A BIOS takes anything for a network boot program
// (arch/x86/image/pxe_image.c).
func (r *run) executable(i *image) bool {
	return i.body == nil || isScript(i.body) || len(i.body) > 0 && r.machine.Settings["platform"] != UEFI
}

func runChain(r *run, options map[string]string, args []string) bool {
	i := r.selected
	if len(args) > 0 {
		var ok bool
		if i, ok = r.acquire(options, args, true); !ok {
			return false
		}
	} else if !slices.Contains(r.images, i) {
		return true // iPXE says that no image is selected, and takes it for a success
	}
	if _, replace := options["replace"]; replace {
		if !r.executable(i) {
			return r.fail(errNotExecutable)
		}
		r.replacement, r.stopped = i, stopScript
		return true
	}
	return r.execute(i)
}

// execute runs an image and what replaces it (core/image.c: image_exec). While a script runs it is not among the images,
// and URLs are relative to its own.
func (r *run) execute(i *image) bool {
	ok := false
	switch {
	case !r.executable(i):
		r.fail(errNotExecutable)
	case isScript(i.body):
		saved := r.cwuri
		r.cwuri = i.url
		r.forget(i)
		ok = r.script(i.body)
		r.cwuri = saved
		if r.replacement == nil {
			r.images = append(r.images, i)
		}
	default:
		return r.boot(i)
	}
	if i.autofree {
		r.forget(i)
	}
	if next := r.replacement; next != nil && !r.ended {
		r.replacement = nil
		return r.execute(next)
	}
	return ok
}

// boot starts a program, which ends the run.
func (r *run) boot(i *image) bool {
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

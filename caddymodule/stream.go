// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"github.com/ironic-edge/ironic-edge/cache"
	"github.com/ironic-edge/ironic-edge/cache/origin"
	"github.com/ironic-edge/ironic-edge/ipxe"
)

// passedRequest are the request's header fields that the origin sees, passedResponse those of its answer that the
// client sees.
var (
	passedRequest  = []string{"Range", "If-Range", "If-None-Match", "If-Modified-Since"}
	passedResponse = []string{"Content-Range", "Etag", "Last-Modified"}
)

// stream passes an image through from its origin. Nothing is kept. What arrives short ends the client's connection
// short, so that no client takes it for whole.
func (h *Handler) stream(w http.ResponseWriter, r *http.Request, target, label string, check func(*url.URL) error) error {
	ctx, step := startStep(r.Context(), "ironic-edge transfer", trace.SpanKindInternal)
	defer step.end()
	ctx, giveUp := context.WithCancel(ctx)
	defer giveUp()
	request, err := http.NewRequestWithContext(ctx, r.Method, target, nil)
	if err != nil {
		return h.refuse(w, r, refusal{http.StatusBadGateway, reasonReference, "the image's reference is not a URL"})
	}
	request.Header.Set("Accept-Encoding", "identity") // the bytes as they are: iPXE stores a compressed answer as it came
	request.Header.Set("User-Agent", userAgent)
	request.Header["Cdn-Loop"] = append(slices.Clone(r.Header["Cdn-Loop"]), loopWord)
	for _, name := range passedRequest {
		if v, ok := r.Header[name]; ok {
			request.Header[name] = v
		}
	}
	client := *h.origin
	client.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		if err := h.origin.CheckRedirect(r, via); err != nil {
			return err
		}
		return check(r.URL)
	}
	var response *http.Response
	if err = check(request.URL); err == nil {
		response, err = client.Do(request)
	}
	if err != nil {
		if r.Context().Err() != nil {
			return nil
		}
		step.fail()
		h.metrics.image(label, "failed", 0)
		var refused *cache.OriginError
		if errors.As(err, &refused) { // a redirect or an address that is not allowed
			return h.refuseOrigin(w, r, label, withoutURL(err))
		}
		h.logger.Warn("image origin does not answer", zap.String("label", label), zap.String("error", withoutURLs(err)))
		return h.refuse(w, r, refusal{http.StatusServiceUnavailable, reasonOrigin, "the image's origin does not answer"})
	}
	defer response.Body.Close()
	if bad := unusable(response, r); bad != nil {
		step.fail()
		h.metrics.image(label, "refused", 0)
		h.logger.Warn("image origin's answer cannot be used", zap.String("label", label), zap.Error(bad))
		return h.refuse(w, r, refusal{originStatus(response.StatusCode), reasonOrigin, "the image's origin answers with " + bad.Error()})
	}
	counted := &countingWriter{ResponseWriter: w}
	counted.transfer = h.imageAsked(r, label, &counted.n)
	whole := false
	defer func() {
		counted.transfer.End(whole)
		step.number(attributeBytes, counted.n.Load())
		if !whole {
			step.fail()
		}
	}()
	stalled := time.AfterFunc(maxStall, giveUp)
	defer stalled.Stop()
	response.Body = &moving{response.Body, stalled}
	err = h.copyImage(counted, r, response, label)
	whole = true // else it panics
	return err
}

// withoutURLs is what may be logged of an exchange that failed: a URL can hold the signature that it is good for. net/http
// names the one it asked for around the error, and in it, quoted, a Location that it cannot read.
func withoutURLs(err error) string {
	return quoted.ReplaceAllString(withoutURL(err).Error(), "(a value)")
}

func withoutURL(err error) error {
	var at *url.Error
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

var quoted = regexp.MustCompile(`"(\\.|[^"\\])*"`)

// maxStall is how long an origin may send nothing in the middle of an image. Most iPXE has no limit of its own,
// that of 2026 has two minutes.
const maxStall = time.Minute

// moving is the body of an origin's answer, which is given up when the origin stalls. What the client takes its time
// for does not count.
type moving struct {
	io.ReadCloser
	stalled *time.Timer
}

func (m *moving) Read(p []byte) (int, error) {
	m.stalled.Reset(maxStall)
	n, err := m.ReadCloser.Read(p)
	m.stalled.Stop()
	return n, err
}

// copyImage passes a usable answer on.
func (h *Handler) copyImage(w http.ResponseWriter, r *http.Request, response *http.Response, label string) error {
	header := w.Header()
	for _, name := range passedResponse {
		if v, ok := response.Header[name]; ok {
			header[name] = v
		}
	}
	if label == ipxe.Kickstart {
		header.Set("Cache-Control", noStore) // it holds the agent's token
	}
	header.Set("Content-Type", "application/octet-stream")
	if t := response.Header.Get("Content-Type"); response.StatusCode == http.StatusPartialContent && strings.HasPrefix(t, "multipart/byteranges") {
		header.Set("Content-Type", t) // it says what stands between the parts
	}
	if response.Header.Get("Accept-Ranges") == "bytes" || response.StatusCode == http.StatusPartialContent {
		header.Set("Accept-Ranges", "bytes")
	}
	length := bodyLength(response)
	if response.StatusCode != http.StatusNotModified && length >= 0 {
		header.Set("Content-Length", strconv.FormatInt(length, 10))
	}
	w.WriteHeader(response.StatusCode)
	if r.Method == http.MethodHead {
		h.metrics.image(label, "ok", 0)
		return nil
	}
	n, err := io.Copy(w, checkedBody(response))
	if err != nil || length >= 0 && n != length {
		h.metrics.image(label, "short", n)
		if r.Context().Err() == nil {
			h.logger.Warn("image ended short", zap.String("label", label), zap.Int64("bytes", n),
				zap.Int64("of", length), zap.Bool("wrong", errors.Is(err, cache.ErrDigest)))
		}
		panic(http.ErrAbortHandler) // net/http closes the connection, which is the only way to say that this was not all
	}
	h.metrics.image(label, "ok", n)
	return nil
}

// checkedBody is the body of an answer, whose end is withheld if it is not what the origin says all of it hashes to.
func checkedBody(response *http.Response) io.Reader {
	digests := origin.Digests(&cache.Part{Status: response.StatusCode, Header: response.Header})
	if response.StatusCode != http.StatusOK || len(digests) == 0 {
		return response.Body
	}
	return cache.NewChecked(response.Body, digests[0], nil)
}

// bodyLength is how long an answer must be: as it says itself, or as the range is that it says it holds. Negative: unknown.
func bodyLength(response *http.Response) int64 {
	if response.ContentLength < 0 && response.StatusCode == http.StatusPartialContent {
		span, _, _ := strings.Cut(strings.TrimPrefix(response.Header.Get("Content-Range"), "bytes "), "/")
		if first, last, ok := parseSpan(span); ok {
			return last - first + 1
		}
	}
	return response.ContentLength
}

// unusable says what is wrong with an origin's answer, nil when nothing is.
func unusable(response *http.Response, r *http.Request) error {
	asked := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return r.Header.Get(name) != "" })
	}
	switch status := response.StatusCode; {
	case status == http.StatusOK:
	case status == http.StatusNotModified && asked("If-None-Match", "If-Modified-Since"):
	case status == http.StatusRequestedRangeNotSatisfiable && asked("Range"):
	case status == http.StatusPartialContent:
		if !sameRange(r.Header.Get("Range"), response.Header.Get("Content-Range"), response.ContentLength) {
			return errors.New("another range than the one asked for")
		}
	default:
		return fmt.Errorf("status %d", response.StatusCode)
	}
	if e := response.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return errors.New("compressed content")
	}
	if t := response.Header.Get("Content-Type"); response.StatusCode == http.StatusOK && strings.HasPrefix(t, "text/html") {
		return errors.New("a web page")
	}
	return nil
}

// originStatus is what the client sees of an origin's refusal: what is not there is not there, anything else is ours to
// answer for.
func originStatus(status int) int {
	if status == http.StatusNotFound || status == http.StatusGone {
		return http.StatusNotFound
	}
	return http.StatusBadGateway
}

// sameRange reports whether a Content-Range is the answer to a single Range (RFC 9110 sections 14.1.2 and 14.4).
// Several ranges at once are left to the client to judge, as multipart content says itself what it holds.
func sameRange(asked, given string, length int64) bool {
	spec, ok := strings.CutPrefix(asked, "bytes=")
	if !ok || strings.Contains(spec, ",") {
		return ok
	}
	given, ok = strings.CutPrefix(given, "bytes ")
	if !ok {
		return false
	}
	span, of, _ := strings.Cut(given, "/")
	first, last, ok := parseSpan(span)
	if !ok || length >= 0 && last-first+1 != length {
		return false
	}
	total, err := strconv.ParseInt(of, 10, 64)
	if err != nil {
		total = math.MaxInt64 // "*": not known yet
	}
	from, to, _ := strings.Cut(strings.TrimSpace(spec), "-")
	start, errStart := strconv.ParseInt(from, 10, 64)
	end, errEnd := strconv.ParseInt(to, 10, 64)
	switch {
	case from == "" && errEnd == nil: // the last bytes
		return last == total-1 && first == max(0, total-end)
	case errStart != nil || start != first:
		return false
	case to == "":
		return last == total-1 || total == math.MaxInt64
	}
	return errEnd == nil && last == min(end, total-1)
}

func parseSpan(s string) (first, last int64, ok bool) {
	from, to, ok := strings.Cut(s, "-")
	if !ok {
		return 0, 0, false
	}
	first, err1 := strconv.ParseInt(from, 10, 64)
	last, err2 := strconv.ParseInt(to, 10, 64)
	return first, last, err1 == nil && err2 == nil && first <= last
}

// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ironic-edge/ironic-edge/cache/disk"
	"github.com/ironic-edge/ironic-edge/cache/rules"
)

// Failure is a request that could not be answered, of which nothing was written yet.
type Failure struct {
	Status     int
	Reason     string
	RetryAfter time.Duration // 0: not known
	Err        error
}

func (f *Failure) Error() string { return f.Reason }
func (f *Failure) Unwrap() error { return f.Err }

// headerPatience is how long a client waits for the length of an object. UEFI's HTTP Boot gives up after five seconds.
const headerPatience = 4500 * time.Millisecond

// answer gives out a kept answer, and releases its object.
func (c *Cache) answer(w http.ResponseWriter, r *http.Request, t *Target, o *disk.Object, k kept, s status) error {
	outcome := t.evaluate(r, k.Response)
	if outcome == rules.Ranges || r.Method == http.MethodHead {
		o, k = c.leases.hold(r, t.Key, o, k, outcome == rules.Ranges)
	}
	c.resume(t, o)
	now := time.Now()
	header := w.Header()
	if outcome == rules.NotModified {
		defer o.Release()
		maps.Copy(header, k.Response.NotModified(now))
		s.set(header)
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	size := o.Size()
	if size < 0 && (outcome == rules.Ranges || r.Method == http.MethodHead) {
		var err error
		if size, err = awaitSize(r.Context(), o); err != nil {
			o.Release()
			if r.Context().Err() != nil {
				return r.Context().Err()
			}
			return c.failure(err)
		}
	}
	reader := disk.NewReader(r.Context(), o)
	defer reader.Close()
	k.Response.Serve(header, now)
	if s.came != nil { // no-cache and private may name fields that are not kept, but are for this client
		for name, lines := range rules.Forward(s.came.Header) {
			if _, kept := header[name]; !kept {
				header[name] = lines
			}
		}
	}
	delete(header, "Content-Length")
	s.set(header)
	if _, ok := header["Content-Type"]; !ok {
		header["Content-Type"] = nil // so that nobody guesses
	}
	if k.Response.Status != http.StatusOK || size < 0 {
		return writeAll(w, r, k.Response.Status, size, reader)
	}
	if err := serveContent(w, r, outcome == rules.Ranges, size, reader); err != nil || reader.Err() != nil {
		panic(http.ErrAbortHandler) // the only way to say that this was not all
	}
	return nil
}

func awaitSize(ctx context.Context, o *disk.Object) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, headerPatience)
	defer cancel()
	return o.AwaitSize(ctx)
}

// serveContent gives out a representation, or the ranges of it that are asked for. Conditions were judged before. The
// error is the client's connection's.
func serveContent(w http.ResponseWriter, r *http.Request, ranges bool, size int64, from io.ReadSeeker) error {
	checked := &checkedWriter{ResponseWriter: w}
	if ranges {
		if first, n, ok := oneRange(r.Header["Range"][0], size); ok {
			return serveRange(checked, first, n, size, from)
		}
	}
	plain := new(http.Request)
	*plain = *r
	plain.Header = http.Header{}
	if ranges {
		plain.Header["Range"] = r.Header["Range"]
	} else {
		// ServeContent leaves it to its caller where there is a Content-Encoding: it cannot know that nothing encodes.
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	}
	http.ServeContent(checked, plain, "", time.Time{}, from)
	return checked.err
}

// oneRange reads what machines that boot over HTTP ask for, all day long: one range, within the representation. Any other
// is http.ServeContent's to judge.
func oneRange(field string, size int64) (first, n int64, ok bool) {
	from, to, _ := strings.Cut(strings.TrimPrefix(field, "bytes="), "-")
	begin, err1 := strconv.ParseUint(from, 10, 63)
	end, err2 := strconv.ParseUint(to, 10, 63)
	first, n = int64(begin), int64(end)-int64(begin)+1
	return first, n, err1 == nil && err2 == nil && n > 0 && int64(end) < size
}

// serveRange gives out one range, as http.ServeContent would.
func serveRange(w *checkedWriter, first, n, size int64, from io.ReadSeeker) error {
	if _, err := from.Seek(first, io.SeekStart); err != nil {
		return err
	}
	header := w.Header()
	var b [64]byte
	text := strconv.AppendInt(append(b[:0], "bytes "...), first, 10)
	text = strconv.AppendInt(append(text, '-'), first+n-1, 10)
	text = strconv.AppendInt(append(text, '/'), size, 10)
	values := []string{"bytes", string(text), strconv.FormatInt(n, 10)}
	header["Accept-Ranges"], header["Content-Range"], header["Content-Length"] = values[0:1:1], values[1:2:2], values[2:3:3]
	w.WriteHeader(http.StatusPartialContent)
	_, _ = io.CopyN(w, from, n) // w and from remember their errors
	return w.err
}

// resume goes on to fill an object that a restart or a long outage left incomplete.
func (c *Cache) resume(t *Target, o *disk.Object) {
	if filling, _ := o.Filling(); !filling && !o.Whole() {
		c.store.Resume(o, t.Upstream)
	}
}

// writeAll writes an answer that has no ranges.
func writeAll(w http.ResponseWriter, r *http.Request, status int, size int64, reader io.Reader) error {
	if size >= 0 {
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	}
	w.WriteHeader(status)
	if r.Method == http.MethodHead || !bodyAllowed(status) {
		return nil
	}
	if _, err := io.Copy(w, reader); err != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}

func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// checkedWriter remembers that a client could not be written to.
type checkedWriter struct {
	http.ResponseWriter
	err error
}

func (w *checkedWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.note(err)
	return n, err
}

// ReadFrom lets the connection below use sendfile.
func (w *checkedWriter) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(w.ResponseWriter, r)
	w.note(err)
	return n, err
}

// Unwrap is for http.ResponseController.
func (w *checkedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *checkedWriter) note(err error) {
	if err != nil && w.err == nil && !errors.Is(err, http.ErrBodyNotAllowed) {
		w.err = err
	}
}

// status is how a request was answered, for Cache-Status (RFC 9211).
type status struct {
	hit       bool
	stored    bool // it came for this request
	collapsed bool
	by        int             // the status of the answer that confirmed what was kept
	came      *rules.Response // the answer as it came for this request
	failed    bool            // the origin did not answer, or failed
	ttl       time.Duration
	reason    rules.Reason
}

func (s status) set(header http.Header) {
	var b strings.Builder
	b.Grow(len("ironic-edge; hit; ttl=-1234567890; detail=origin-failed"))
	b.WriteString("ironic-edge")
	switch {
	case s.hit:
		b.WriteString("; hit; ttl=" + strconv.FormatInt(int64(s.ttl/time.Second), 10))
	case s.failed:
		b.WriteString("; hit; ttl=" + strconv.FormatInt(int64(s.ttl/time.Second), 10) + "; detail=origin-failed")
	default:
		b.WriteString("; fwd=" + s.reason.Forwarded())
		if s.by != 0 {
			b.WriteString("; fwd-status=" + strconv.Itoa(s.by))
		}
		if s.stored {
			b.WriteString("; stored")
		}
		if s.collapsed {
			b.WriteString("; collapsed")
		}
	}
	header["Cache-Status"] = []string{b.String()}
}

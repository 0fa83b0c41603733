// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
)

// fault is what is wrong with one answer of an origin.
type fault byte

const (
	sound    fault = iota
	cut            // the body ends with an error
	short          // the body ends before its length, without an error
	fewer          // a whole answer to less than was asked for, but for a block at least
	fewerOdd       // the same, and it does not end with a block
	earlier        // it begins a block before what was asked for
	askew          // it begins some bytes before what was asked for
	unranged       // ranges are not served this time
	noSize         // the length of the whole is not said
	chunked        // nor is that of the body
	withEOF        // the body ends together with its last bytes
	busy           // temporary error
	busyLong       // temporary error with a time to come back
	broken         // the connection is not even made
	refused        // permanent error
	gone           // *ChangedError
	renamed        // the validator is another: the content changed between question and answer
	grown          // the length is another
	faults
)

// hostile is an origin that gives a fault with each answer until it has no more.
type hostile struct {
	mu        sync.Mutex
	content   []byte
	validator cache.Validator
	ranges    bool
	faults    []fault
	faulty    int   // answers that were not sound
	sent      int64 // bytes that were read from bodies
}

func (h *hostile) next() fault {
	if len(h.faults) == 0 {
		return sound
	}
	f := h.faults[0] % faults
	h.faults = h.faults[1:]
	if f != sound {
		h.faulty++
	}
	return f
}

func (h *hostile) Open(ctx context.Context, ask cache.Ask) (*cache.Part, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f := h.next()
	switch {
	case f == busy:
		return nil, &cache.OriginError{Status: 503, Reason: "busy", Temporary: true}
	case f == busyLong:
		return nil, &cache.OriginError{Status: 429, Reason: "busy", Temporary: true, RetryAfter: 3 * time.Minute}
	case f == broken:
		return nil, errors.New("connection refused")
	case f == refused:
		return nil, &cache.OriginError{Status: 403, Reason: "forbidden"}
	case f == gone, ask.Same.Strong() && !ask.Same.Same(h.validator):
		return nil, &cache.ChangedError{Part: &cache.Part{Body: io.NopCloser(bytes.NewReader(nil))}}
	}
	size := int64(len(h.content))
	first, last := ask.First, size
	if ask.Length > 0 {
		last = min(size, first+ask.Length)
	}
	ranges := h.ranges && f != unranged
	if !ranges {
		first, last = 0, size
	} else if first > size || first == size && size > 0 {
		return nil, &cache.OriginError{Status: 416, Reason: "range not satisfiable"}
	}
	switch f {
	case fewer:
		last = min(last, first+2*testBlock)
	case fewerOdd:
		last = min(last, first+testBlock+7)
	case earlier:
		first = max(0, first-testBlock)
	case askew:
		first = max(0, first-100)
	}
	part := &cache.Part{First: first, Length: last - first, Size: size, Validator: h.validator, Ranges: ranges, Status: 200, Header: http.Header{}}
	var body io.Reader = bytes.NewReader(h.content[first:last])
	switch f {
	case noSize:
		part.Size = -1
	case chunked:
		part.Length, part.Size = -1, -1
		if last < size { // an end that is not the object's must be told
			part.Size = size
		}
	case cut:
		body = io.MultiReader(io.LimitReader(body, (last-first)*2/3), iotest.ErrReader(errors.New("connection reset")))
	case short:
		body = io.LimitReader(body, (last-first)/2)
	case withEOF:
		body = iotest.DataErrReader(body)
	case renamed:
		part.Validator = cache.Validator{ETag: `"renamed"`}
	case grown:
		part.Size++
	}
	part.Body = &hostileBody{ctx: ctx, h: h, r: body}
	return part, nil
}

// change puts another content in the place of the origin's.
func (h *hostile) change(content []byte, v cache.Validator) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.content, h.validator = content, v
}

type hostileBody struct {
	ctx context.Context
	h   *hostile
	r   io.Reader
}

func (b *hostileBody) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := b.r.Read(p[:min(len(p), 1000)])
	b.h.mu.Lock()
	b.h.sent += int64(n)
	b.h.mu.Unlock()
	return n, err
}

func (b *hostileBody) Close() error { return nil }

// versions are the contents that an origin had. A reader may get bytes of one of them, and not of another as well.
type versions struct {
	contents [][]byte
	possible []bool
}

func newVersions(contents ...[]byte) *versions {
	v := &versions{contents: contents, possible: make([]bool, len(contents))}
	for i := range v.possible {
		v.possible[i] = true
	}
	return v
}

// fit takes note of bytes that were read. It reports whether they are of one version with all that were read before.
func (v *versions) fit(p []byte, offset int64) bool {
	if len(p) == 0 {
		return true
	}
	fits := false
	for i, content := range v.contents {
		end := offset + int64(len(p))
		v.possible[i] = v.possible[i] && end <= int64(len(content)) && bytes.Equal(content[offset:end], p)
		fits = fits || v.possible[i]
	}
	return fits
}

// ends reports whether an offset is an end of what was read.
func (v *versions) ends(offset int64) bool {
	for i, content := range v.contents {
		if v.possible[i] && offset >= int64(len(content)) {
			return true
		}
	}
	return false
}

const all = math.MaxInt64

// settle waits until a store whose clients have left does nothing.
func settle(s *Store) {
	s.fills.Wait()
	s.tasks.Wait()
}

// consistent compares what a store says of its objects with what it has. Nothing goes on in it.
func consistent(t *testing.T, s *Store) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	used := int64(0)
	for _, o := range s.objects {
		used += o.charged
		there := int64(0)
		for _, state := range o.state {
			if state == present {
				there++
			}
			if state == checking || state >= claimed {
				t.Errorf("a block is %d, and nobody is on the way to it", state)
			}
		}
		if !o.whole && there != o.present {
			t.Errorf("%d blocks are there, %d are counted", there, o.present)
		}
		if o.fill != nil || o.users != 0 {
			t.Errorf("an object has %d users when all have left, and a fill: %v", o.users, o.fill != nil)
		}
	}
	if used != s.used || len(s.filling) > 0 {
		t.Errorf("%d bytes are reserved, %d counted; %d objects are being filled", used, s.used, len(s.filling))
	}
}

// validators of all kinds.
var validators = []cache.Validator{
	{ETag: `"1"`},
	{ETag: `W/"1"`},
	{},
	{LastModified: "Mon, 01 Jan 2024 00:00:00 GMT", StrongDate: true},
	{LastModified: "Mon, 01 Jan 2024 00:00:00 GMT"},
}

// readSome reads a range through a Reader. It reports whether it could.
func readSome(t *testing.T, r *Reader, known *versions, offset, length int64) bool {
	p := make([]byte, 5000)
	for length > 0 {
		n, err := r.Read(p[:min(length, int64(len(p)))])
		if !known.fit(p[:n], offset) {
			t.Errorf("wrong bytes in %d at %d", n, offset)
		}
		offset += int64(n)
		length -= int64(n)
		if err == io.EOF && !known.ends(offset) {
			t.Errorf("io.EOF at %d", offset)
		}
		if err == nil && n == 0 {
			t.Error("neither bytes nor an error")
		}
		if err != nil {
			return err == io.EOF
		}
	}
	return true
}

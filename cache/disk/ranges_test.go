// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
)

// A story is what befalls a store, read from the bytes of a fuzzer.
type story struct {
	bytes []byte
}

func (s *story) next() byte {
	if len(s.bytes) == 0 {
		return 0
	}
	b := s.bytes[0]
	s.bytes = s.bytes[1:]
	return b
}

func (s *story) upTo(n int) int { return (int(s.next())<<8 | int(s.next())) % (n + 1) }

// The bits of a story's first byte.
const (
	noRanges = 1 << iota
	withDigest
	tightStore // a store in which the object has just not room
	silently   // the content changes, and the validator with it only if it is strong
	laterPart  // the first answer begins in the middle
	restarted  // the store is closed and opened again when all have read
)

// FuzzRanges lets clients read any ranges, leave at any time, and an origin have any faults. Whoever reads gets the bytes
// of one representation, an error, or io.EOF at the true end. In the order of the bytes: how the origin is (see the
// bits), its validator, the length, the number of faults, the faults, and what the clients do.
func FuzzRanges(f *testing.F) {
	for i := range byte(faults) { // each fault alone, at the first answer and at a later one
		for _, kind := range []byte{0, noRanges, withDigest, withDigest | noRanges, restarted} {
			f.Add([]byte{kind, i, 90, 7, 3, i, 0, i, 0, 0, 0, 0, 255, 1, 60, 0, 9, 0})
			f.Add([]byte{kind, 0, 70, 7, 1, i, 0, 0, 0, 0, 255, 1, 60, 0, 9, 0, 2, 9, 9, 9, 9})
		}
	}
	f.Add([]byte("\x04\x0090\x02\x01\x01 the store is full"))
	f.Add([]byte("\x0c\x0190\x02\x01\x01 the store is full, and the content changes"))
	f.Add([]byte("\x18\x0290\x01\x01 the content changes and nobody says so"))
	f.Fuzz(func(t *testing.T, input []byte) { synctest.Test(t, func(t *testing.T) { tell(t, input) }) })
}

// TestRanges tells random stories.
func TestRanges(t *testing.T) {
	t.Parallel()
	const stories = 1000
	r := rand.New(rand.NewPCG(1, 2))
	for range stories {
		input := make([]byte, 8+r.IntN(60))
		for i := range input {
			input[i] = byte(r.Uint32())
		}
		if r.IntN(2) == 0 {
			input[4] %= 4 // few faults, so that most of the object is read
		}
		synctest.Test(t, func(t *testing.T) {
			tell(t, input)
			if t.Failed() {
				t.Logf("in the story %q", input)
			}
		})
	}
}

func tell(t *testing.T, input []byte) {
	s := &story{input}
	kind := s.next()
	validator := validators[int(s.next())%len(validators)]
	size := s.upTo(30 * testBlock)
	content, other := pattern(size, 11), pattern(size, 12)
	h := &hostile{content: content, validator: validator, ranges: kind&noRanges == 0}
	contents := [][]byte{content}
	store := open(t, t.TempDir(), func(o *Options) {
		if kind&tightStore != 0 {
			o.MaxSize = max(testBlock, int64(size)-testBlock)
		}
	})
	ask := cache.Ask{Length: 8 * testBlock}
	if kind&laterPart != 0 {
		ask.First = int64(size/2/testBlock) * testBlock
	}
	h.faults = make([]fault, s.next()%12)
	for i := range h.faults {
		h.faults[i] = fault(s.next())
	}
	part, err := h.Open(store.ctx, ask)
	if err != nil || part.First%testBlock != 0 || part.Size > int64(size) { // what the first answer says is believed
		return
	}
	n := New{Key: "key", Origin: h, Part: part, Identity: "content"}
	if kind&withDigest != 0 {
		n.Digest = sha(content)
	}
	if part.Validator != validator {
		return
	}
	o, err := store.Create(n)
	if errors.Is(err, ErrNotStored) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if kind&silently != 0 {
		v := validator
		if v.Strong() {
			v = cache.Validator{ETag: `"2"`}
		}
		h.change(other, v)
		contents = append(contents, other)
	}

	var clients sync.WaitGroup
	for range 1 + s.next()%4 {
		part := &story{s.bytes[:min(len(s.bytes), 15)]}
		s.bytes = s.bytes[len(part.bytes):]
		if user, _ := store.Get("key"); user != nil {
			clients.Go(func() { readAlong(t, store, user, h, part, contents) })
		}
	}
	clients.Wait()
	o.Release()
	settle(store)
	consistent(t, store)
	h.mu.Lock()
	h.faults = nil
	h.mu.Unlock()
	if kind&restarted != 0 {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
		store = open(t, store.dir)
	}
	if o, _ = store.Get("key"); o != nil {
		store.Resume(o, h)
		readAlong(t, store, o, h, &story{[]byte{0}}, contents)
	}
	settle(store)
	consistent(t, store)
	store.RemoveKey("key")
	settle(store)
	if used := store.Stats().Bytes; used != 0 {
		t.Errorf("%d bytes are taken by nothing", used)
	}
}

// readAlong is a client. It reads some ranges, may leave in the middle of one, and releases the object.
func readAlong(t *testing.T, store *Store, o *Object, h *hostile, s *story, contents [][]byte) {
	known := newVersions(contents...)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if s.next()%4 == 3 {
		time.AfterFunc(time.Duration(s.next())*time.Second, cancel)
	}
	if s.next()%3 == 2 {
		defer o.Release()
		for len(s.bytes) > 0 {
			readAt(ctx, t, o, known, int64(s.upTo(len(contents[0])+10)), 1+s.upTo(3*testBlock))
		}
		return
	}
	if _, err := o.AwaitSize(ctx); err != nil {
		o.Release()
		return
	}
	r := NewReader(ctx, o)
	defer r.Close()
	for {
		offset, length := 0, int64(all)
		if len(s.bytes) > 0 {
			offset, length = s.upTo(len(contents[0])+10), 1+int64(s.upTo(8*testBlock))
		}
		if _, err := r.Seek(int64(offset), io.SeekStart); err != nil {
			t.Error(err)
		}
		if !readSome(t, r, known, int64(offset), length) {
			store.Resume(o, h)
		}
		if len(s.bytes) == 0 {
			return
		}
	}
}

func readAt(ctx context.Context, t *testing.T, o *Object, known *versions, offset int64, length int) {
	n, err := o.Await(ctx, offset, int64(length))
	if err == io.EOF && !known.ends(offset) {
		t.Errorf("io.EOF at %d", offset)
	}
	if err != nil {
		return
	}
	p := make([]byte, n)
	if m, err := o.ReadAt(p, offset); m < len(p) {
		t.Errorf("%d bytes at %d are said to be there, read %d: %v", n, offset, m, err)
	} else if !known.fit(p, offset) {
		t.Errorf("wrong bytes in %d at %d", n, offset)
	}
}

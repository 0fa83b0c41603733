// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
)

// createFrom makes an object of a hostile origin, whose first answer is sound if it is to be believed.
func createFrom(t testing.TB, s *Store, key string, h *hostile, ask cache.Ask, digest *cache.Digest) *Object {
	t.Helper()
	part, err := h.Open(s.ctx, ask)
	if err != nil {
		t.Fatal(err)
	}
	o, err := s.Create(New{Key: key, Origin: h, Part: part, Digest: digest})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func strongOrigin(content []byte, faults ...fault) *hostile {
	return &hostile{content: content, validator: validators[0], ranges: true, faults: faults}
}

// TestBodyEndsWithItsLastBytes has the origin that every HTTP client is: its bodies return io.EOF together with their
// last bytes. A block that came so was thrown away, asked for again, and thrown away again, for as long as a fill is
// patient.
func TestBodyEndsWithItsLastBytes(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, testBlock, 3*testBlock + 1, 20 * testBlock} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			content := pattern(size, 21)
			h := strongOrigin(content, slices.Repeat([]fault{withEOF}, 100)...)
			s := open(t, t.TempDir())
			wantContent(t, createFrom(t, s, "key", h, cache.Ask{Length: 8 * testBlock}, sha(content)), content)
			if took := time.Since(began); took > 0 || h.sent != int64(size) {
				t.Errorf("%d bytes took %v and came as %d", size, took, h.sent)
			}
		})
	}
}

// TestEmptyObject wants an object without bytes to be whole. One that had no blocks counted the one that was not there.
func TestEmptyObject(t *testing.T) {
	t.Parallel()
	for _, f := range []fault{sound, chunked, noSize, withEOF} {
		s := open(t, t.TempDir())
		createFrom(t, s, "key", strongOrigin(nil, f), cache.Ask{}, sha(nil)).Release()
		settle(s)
		o, _ := s.Get("key")
		if !o.Whole() || o.Stored() != 0 {
			t.Errorf("fault %d: an empty object is whole: %v, of %d bytes", f, o.Whole(), o.Stored())
		}
		o.Release()
	}
}

// TestLengthUnknown has an origin with ranges that does not say how long the whole is. It was taken for whole at the end
// of the first range, and asked by several streams for the same bytes, each of which counted the blocks as its own.
func TestLengthUnknown(t *testing.T) {
	t.Parallel()
	content := pattern(30*testBlock+9, 22)
	for _, faults := range [][]fault{
		{noSize},
		{noSize, noSize, cut, noSize},
		{noSize, chunked},
		{chunked, cut},
		{noSize, cut, cut, fewerOdd, noSize, earlier, askew},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := strongOrigin(content, faults...)
			s := open(t, t.TempDir())
			o := createFrom(t, s, "key", h, cache.Ask{Length: 8*testBlock + 100}, sha(content))
			wantContent(t, o, content)
			settle(s)
			consistent(t, s)
			if o, _ = s.Get("key"); !o.Whole() {
				t.Errorf("%v: the object is not whole", faults)
			}
			o.Release()
			if most := int64(len(content) + len(faults)*testBlock); h.sent > most {
				t.Errorf("%v: %d bytes came, want at most %d", faults, h.sent, most)
			}
		})
	}
}

// TestLastBlockOfUnknownLength wants the last block withheld until the digest is right, also when nothing says that it
// is the last, and no more bytes promised than there are in it.
func TestLastBlockOfUnknownLength(t *testing.T) {
	t.Parallel()
	for _, size := range []int{10, testBlock, 3 * testBlock, 3*testBlock + 10} {
		synctest.Test(t, func(t *testing.T) {
			content := pattern(size, 23)
			s := open(t, t.TempDir())
			origin := steady{newOrigin(content)}
			origin.noLength, origin.noRanges = true, true
			part, err := origin.Open(s.ctx, cache.Ask{})
			if err != nil {
				t.Fatal(err)
			}
			o, err := s.Create(New{Key: "key", Origin: origin, Part: part, Digest: sha([]byte("other"))})
			if err != nil {
				t.Fatal(err)
			}
			defer o.Release()
			got := make([]byte, 0, size)
			for {
				n, err := o.Await(t.Context(), int64(len(got)), all)
				if err != nil {
					if !errors.Is(err, ErrBad) {
						t.Error(err)
					}
					break
				}
				p := make([]byte, n)
				if _, err := o.ReadAt(p, int64(len(got))); err != nil {
					t.Error(err)
				}
				got = append(got, p...)
			}
			if last := (size - 1) / testBlock * testBlock; len(got) > last || !bytes.Equal(got, content[:len(got)]) {
				t.Errorf("%d bytes of %d are given out, want at most %d", len(got), size, last)
			}
		})
	}
}

// TestNoRangesAfterRestart wants an origin that serves no ranges to be read by one stream, though nobody knew.
func TestNoRangesAfterRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	content := pattern(50*testBlock, 24)
	s := open(t, dir)
	part, _ := strongOrigin(content).Open(t.Context(), cache.Ask{Length: 3 * testBlock})
	part.Body = io.NopCloser(io.MultiReader(io.LimitReader(part.Body, 2*testBlock), iotest.ErrReader(errors.New("reset"))))
	o, err := s.Create(New{Key: "key", Origin: strongOrigin(content, refused), Part: part})
	if err != nil {
		t.Fatal(err)
	}
	o.Release()
	settle(s)
	s.Close()
	s = open(t, dir)
	h := strongOrigin(content)
	h.ranges = false
	o, _ = s.Get("key")
	s.Resume(o, h)
	wantContent(t, o, content)
	settle(s)
	if h.sent > int64(len(content)) {
		t.Errorf("%d bytes came of an origin that has %d", h.sent, len(content))
	}
}

// TestWeakInPieces begins in the middle of an object that has no strong validator. What came before the middle was of
// the content that the origin had later.
func TestWeakInPieces(t *testing.T) {
	t.Parallel()
	content, other := pattern(20*testBlock, 25), pattern(20*testBlock, 26)
	s := open(t, t.TempDir())
	h := &hostile{content: content, validator: validators[1], ranges: true}
	o := createFrom(t, s, "key", h, cache.Ask{First: 10 * testBlock, Length: testBlock}, nil)
	h.change(other, validators[1])
	got, _ := readAll(t, o)
	if v := newVersions(content, other); !v.fit(got, 0) {
		t.Error("bytes of two contents in one")
	}
}

// TestBadBlockOfWeak has a disk that flipped a bit of an object without a strong validator, and an origin with other
// content from there on. The block was fetched again and stood between those of the old content.
func TestBadBlockOfWeak(t *testing.T) {
	t.Parallel()
	content := pattern(20*testBlock, 29)
	other := append(bytes.Clone(content[:testBlock]), pattern(19*testBlock, 30)...)
	s := open(t, t.TempDir())
	h := &hostile{content: content, validator: validators[1], ranges: true, faults: []fault{cut, refused}}
	o := createFrom(t, s, "key", h, cache.Ask{}, nil)
	o.Release()
	settle(s)
	s.Close()
	f, err := os.OpenFile(filepath.Join(s.dir, dataPath(o.id)), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{content[testBlock] ^ 1}, testBlock); err != nil {
		t.Fatal(err)
	}
	f.Close()
	h.change(other, validators[1])
	s = open(t, s.dir)
	o, _ = s.Get("key")
	defer o.Release()
	s.Resume(o, h)
	known := newVersions(content, other)
	for _, i := range []int64{2, 1, 0, 3} {
		readAt(t.Context(), t, o, known, i*testBlock, testBlock)
	}
}

// TestManyReaders wants each block to come once, whoever asks and whatever breaks: 64 readers at random offsets.
func TestManyReaders(t *testing.T) {
	t.Parallel()
	for _, faults := range [][]fault{nil, {sound, cut, cut, withEOF, fewer, fewerOdd, earlier, askew, short, broken, cut, cut, cut}} {
		content := pattern(200*testBlock+77, 27)
		h := strongOrigin(content, faults...)
		s := open(t, t.TempDir())
		o := createFrom(t, s, "key", h, cache.Ask{Length: testBlock}, sha(content))
		var readers sync.WaitGroup
		for i := range uint64(64) {
			o, _ := s.Get("key")
			readers.Go(func() {
				r := NewReader(t.Context(), o)
				defer r.Close()
				random := rand.New(rand.NewPCG(i, 1))
				known := newVersions(content)
				for range 20 {
					offset := random.Int64N(int64(len(content)))
					if _, err := r.Seek(offset, io.SeekStart); err != nil {
						t.Error(err)
					}
					if !readSome(t, r, known, offset, 2*testBlock) && offset < int64(len(content))-2*testBlock {
						t.Errorf("no bytes at %d", offset)
					}
				}
			})
		}
		wantContent(t, o, content)
		readers.Wait()
		settle(s)
		consistent(t, s)
		if most := int64(len(content) + h.faulty*testBlock); h.sent > most {
			t.Errorf("%d bytes came, want at most %d and a block for each of %d faults", h.sent, len(content), h.faulty)
		}
	}
}

// TestResumeOnce has many clients that find an idle object at once. One of them found a fill that had no object yet, and
// two fills could begin beside a Create.
func TestResumeOnce(t *testing.T) {
	t.Parallel()
	content := pattern(20*testBlock, 28)
	for range 20 {
		h := strongOrigin(content, sound, refused)
		s := open(t, t.TempDir())
		createFrom(t, s, "key", h, cache.Ask{Length: 4 * testBlock}, sha(content)).Release()
		var clients sync.WaitGroup
		for range 8 {
			clients.Go(func() {
				for range 3 { // one of them may meet the refusal
					o, _ := s.Get("key")
					s.Resume(o, h)
					if got, err := readAll(t, o); err == nil {
						if !bytes.Equal(got, content) {
							t.Error("wrong bytes")
						}
						return
					}
				}
			})
		}
		clients.Wait()
		settle(s)
		consistent(t, s)
		if most := int64(len(content) + testBlock); h.sent > most {
			t.Errorf("%d bytes came, want at most %d", h.sent, most)
		}
	}
}

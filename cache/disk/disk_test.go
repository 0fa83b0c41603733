// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"

	"github.com/ironic-edge/ironic-edge/cache"
)

const testBlock = 4096

// pattern is content in which every eight bytes differ from all others.
func pattern(size int, seed uint64) []byte {
	b := make([]byte, size)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 1})
	_, _ = r.Read(b)
	return b
}

// testOrigin serves content from memory, with faults.
type testOrigin struct {
	mu       sync.Mutex
	content  []byte
	tag      string
	noRanges bool
	noLength bool
	size     int64 // that is said, if not 0
	cutAfter int   // a body ends with an error after so many bytes; 0: never
	gate     chan struct{}
	asked    []cache.Ask
	sent     int64
	fail     error
}

func newOrigin(content []byte) *testOrigin { return &testOrigin{content: content, tag: `"1"`} }

func (t *testOrigin) Open(ctx context.Context, ask cache.Ask) (*cache.Part, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asked = append(t.asked, ask)
	if t.fail != nil {
		return nil, t.fail
	}
	now := cache.Validator{ETag: t.tag}
	if ask.Same != (cache.Validator{}) && ask.Same != now {
		return nil, &cache.ChangedError{}
	}
	size := int64(len(t.content))
	first, last := ask.First, size
	if ask.Length > 0 {
		last = min(size, first+ask.Length)
	}
	if t.noRanges {
		first, last = 0, size
	}
	part := &cache.Part{First: first, Length: last - first, Size: size, Validator: now, Ranges: !t.noRanges, Status: 200, Header: http.Header{}}
	if t.size != 0 {
		part.Size = t.size
	}
	if t.noLength {
		part.Length, part.Size = -1, -1
	}
	ctx, cancel := context.WithCancel(ctx)
	part.Body = &testBody{ctx: ctx, cancel: cancel, t: t, r: bytes.NewReader(t.content[first:last]), cut: t.cutAfter, gate: t.gate, of: int(last - first)}
	return part, nil
}

type testBody struct {
	ctx    context.Context
	cancel context.CancelFunc
	t      *testOrigin
	r      io.Reader
	cut    int
	n      int
	of     int
	gate   chan struct{}
}

func (b *testBody) Read(p []byte) (int, error) {
	if b.gate != nil {
		select {
		case <-b.gate:
		case <-b.ctx.Done():
			return 0, b.ctx.Err()
		}
	}
	if b.cut > 0 {
		if b.n >= b.cut {
			return 0, errors.New("connection reset")
		}
		p = p[:min(len(p), b.cut-b.n)]
	}
	n, err := b.r.Read(p[:min(len(p), 1000)])
	if b.n+n == b.of && err == nil && b.of%2 == 0 {
		err = io.EOF // with the last bytes, as net/http does
	}
	b.n += n
	b.t.mu.Lock()
	b.t.sent += int64(n)
	b.t.mu.Unlock()
	return n, err
}

func (b *testBody) Close() error {
	b.cancel()
	return nil
}

func open(t testing.TB, dir string, change ...func(*Options)) *Store {
	t.Helper()
	options := Options{MaxSize: 1 << 30, Block: testBlock, Log: slog.New(slog.DiscardHandler)}
	for _, c := range change {
		c(&options)
	}
	s, err := Open(dir, options)
	if err != nil {
		t.Fatal(err)
	}
	settle(s) // it looks at some objects: those could not be evicted meanwhile, and a bad one would go at any time
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// create makes an object of an origin, its first request being for n bytes from first.
func create(t testing.TB, s *Store, key string, origin *testOrigin, first, n int64, digest *cache.Digest) *Object {
	t.Helper()
	part, err := origin.Open(s.ctx, cache.Ask{First: first, Length: n})
	if err != nil {
		t.Fatal(err)
	}
	o, err := s.Create(New{Key: key, Origin: origin, Part: part, Digest: digest})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// readAll reads an object and releases it.
func readAll(t testing.TB, o *Object) ([]byte, error) {
	t.Helper()
	r := NewReader(t.Context(), o)
	defer r.Close()
	return io.ReadAll(r)
}

func wantContent(t testing.TB, o *Object, want []byte) {
	t.Helper()
	got, err := readAll(t, o)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %d bytes, %v; want the origin's %d", len(got), err, len(want))
	}
}

func TestFill(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, testBlock - 1, testBlock, testBlock + 1, 9*testBlock + 7, 40 * testBlock} {
		for name, change := range map[string]func(*testOrigin){
			"plain":     func(*testOrigin) {},
			"no ranges": func(o *testOrigin) { o.noRanges = true },
			"no length": func(o *testOrigin) { o.noLength, o.noRanges = true, true },
			"cut":       func(o *testOrigin) { o.cutAfter = 2*testBlock + 5 },
			"weak":      func(o *testOrigin) { o.tag = `W/"1"` },
		} {
			t.Run(fmt.Sprint(size, " ", name), func(t *testing.T) {
				t.Parallel()
				content := pattern(size, uint64(size))
				origin := newOrigin(content)
				change(origin)
				s := open(t, t.TempDir())
				for _, digest := range []*cache.Digest{nil, sha(content)} {
					o := create(t, s, fmt.Sprint(digest), origin, 0, 8*testBlock, digest)
					wantContent(t, o, content)
				}
			})
		}
	}
}

func sha(content []byte) *cache.Digest {
	sum := sha256.Sum256(content)
	d, err := cache.ParseDigest("sha256", hex.EncodeToString(sum[:]))
	if err != nil {
		panic(err)
	}
	return &d
}

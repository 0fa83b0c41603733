// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
)

// steady sends a block in four milliseconds, and says a millisecond later that it was the last.
type steady struct{ *testOrigin }

func (s steady) Open(ctx context.Context, ask cache.Ask) (*cache.Part, error) {
	part, err := s.testOrigin.Open(ctx, ask)
	if err == nil {
		part.Body = steadyBody{part.Body}
	}
	return part, err
}

type steadyBody struct{ io.ReadCloser }

func (b steadyBody) Read(p []byte) (int, error) {
	time.Sleep(time.Millisecond)
	n, err := b.ReadCloser.Read(p[:min(len(p), testBlock/4)])
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// TestWaitedForFirst has a client wait for a block far behind what comes: the next that begins is that one, and where
// several may come at once, the others do not have to end before.
func TestWaitedForFirst(t *testing.T) {
	t.Parallel()
	const blocks, far = 400, 300
	for name, tt := range map[string]struct {
		parallel int
		first    int64 // bytes of the first answer; 0: all
		within   time.Duration
	}{
		"one after the other":   {1, 8 * testBlock, 4 * 12 * time.Millisecond},
		"beside what is coming": {2, 0, 4 * 2 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := open(t, t.TempDir(), func(o *Options) { o.Parallel = tt.parallel })
				origin := steady{newOrigin(pattern(blocks*testBlock, 86))}
				part, err := origin.Open(s.ctx, cache.Ask{Length: tt.first})
				if err != nil {
					t.Fatal(err)
				}
				o, err := s.Create(New{Key: "key", Origin: origin, Part: part})
				if err != nil {
					t.Fatal(err)
				}
				defer o.Release()
				time.Sleep(4 * 3 * time.Millisecond)
				began := time.Now()
				if _, err := o.Await(t.Context(), far*testBlock, 1); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took > tt.within {
					t.Errorf("what is waited for takes %v, want %v at most", took, tt.within)
				}
			})
		})
	}
}

// TestFillGoesOn has the only client leave at the beginning. All of the object comes, once.
func TestFillGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, t.TempDir())
		content := pattern(4000*testBlock+7, 88)
		origin := steady{newOrigin(content)}
		ctx, leave := context.WithCancel(t.Context())
		part, err := origin.Open(s.ctx, cache.Ask{Length: 8 * testBlock})
		if err != nil {
			t.Fatal(err)
		}
		o, err := s.Create(New{Key: "key", Origin: origin, Part: part})
		if err != nil {
			t.Fatal(err)
		}
		r := NewReader(ctx, o)
		if _, err := r.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		leave()
		r.Close()
		settle(s)
		if o, _ = s.Get("key"); o == nil || !o.Whole() {
			t.Fatal("the object is not whole when its client has left")
		}
		wantContent(t, o, content)
		if origin.sent != int64(len(content)) {
			t.Errorf("%d bytes came for %d", origin.sent, len(content))
		}
	})
}

// TestBackoff has an origin that cannot be reached any more. It is asked again soon, and then more and more rarely, until
// nobody hopes for it any more.
func TestBackoff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, t.TempDir())
		origin := newOrigin(pattern(20*testBlock, 89))
		o := create(t, s, "key", origin, 0, 8*testBlock, nil)
		defer o.Release()
		asked := func() int {
			origin.mu.Lock()
			defer origin.mu.Unlock()
			return len(origin.asked)
		}
		origin.mu.Lock()
		origin.fail = &cache.OriginError{Status: 503, Reason: "busy", Temporary: true}
		before := len(origin.asked)
		origin.mu.Unlock()
		time.Sleep(time.Second)
		if n := asked() - before; n < 3 {
			t.Errorf("asked %d times in the first second", n)
		}
		settle(s)
		if _, err := o.Await(t.Context(), 15*testBlock, 1); err == nil || err == io.EOF {
			t.Errorf("Await = %v when the fill was given up", err)
		}
		if n := asked() - before; n > 4*int(2*patience/maxBackoff) { // of four streams, each of which may be the last to begin
			t.Errorf("asked %d times in %v", n, patience)
		}
	})
}

// TestAnotherFormat has sidecars of a later release. What they say is not known, so their objects are none.
func TestAnotherFormat(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	id := keep(t, s, "key", pattern(2*testBlock, 87))
	s.Close()
	name := filepath.Join(s.dir, sidecarPath(id))
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	later := strings.Replace(string(text[:len(text)-len(seal(nil))]), fmt.Sprintf(`"format":%d,`, format), fmt.Sprintf(`"format":%d,`, format+1), 1)
	if strings.HasPrefix(string(text), later) {
		t.Fatalf("the sidecar has no format: %s", text)
	}
	write(t, name, later+seal([]byte(later)))
	s = open(t, s.dir)
	if o, _ := s.Get("key"); o != nil {
		t.Error("an object of a later release is taken for one of this")
		o.Release()
	}
}

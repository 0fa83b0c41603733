// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
)

// reluctant is an origin that refuses every range but the first, and the bodies of which take a second to notice that
// nobody wants them any more.
type reluctant struct{ *testOrigin }

func (r reluctant) Open(ctx context.Context, ask cache.Ask) (*cache.Part, error) {
	if ask.First > 0 {
		return nil, &cache.OriginError{Status: 403, Reason: "forbidden"}
	}
	part, err := r.testOrigin.Open(ctx, ask)
	if err == nil {
		part.Body = &slowToEnd{from: bytes.NewReader(r.content[:testBlock]), closed: make(chan struct{})}
	}
	return part, err
}

// slowToEnd gives what it has, and takes a second to end when it is closed.
type slowToEnd struct {
	from   io.Reader
	closed chan struct{}
	once   sync.Once
}

func (b *slowToEnd) Read(p []byte) (int, error) {
	if n, err := b.from.Read(p); err == nil {
		return n, nil
	}
	<-b.closed
	time.Sleep(time.Second)
	return 0, errors.New("closed")
}

func (b *slowToEnd) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

// TestAskAgainAtOnce reads an object whose fill fails in one of its streams, and asks again as soon as it is told so. It
// was told while the fill was still there: nobody could begin another one, and it got the old error again.
func TestAskAgainAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		content := pattern(20*testBlock, 3)
		s := open(t, t.TempDir())
		h := reluctant{newOrigin(content)}
		part, err := h.Open(s.ctx, cache.Ask{Length: 8 * testBlock})
		if err != nil {
			t.Fatal(err)
		}
		o, err := s.Create(New{Key: "key", Origin: h, Part: part})
		if err != nil {
			t.Fatal(err)
		}
		defer o.Release()
		var answer *cache.OriginError
		if _, err := o.Await(t.Context(), 15*testBlock, 1); !errors.As(err, &answer) {
			t.Errorf("the error is %v, want the origin's", err)
		}
		if filling, _ := o.Filling(); filling {
			t.Error("an object whose fill has failed is being filled")
		}
		s.Resume(o, newOrigin(content))
		again, _ := s.Get("key")
		wantContent(t, again, content)
	})
}

// TestRoomAtOnce replaces an object by another as soon as its fill has ended. The fill still used it then, so that it could
// not be evicted, and there was no room.
func TestRoomAtOnce(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), func(o *Options) { o.MaxSize = testBlock })
	content := pattern(testBlock, 4)
	for range 100 {
		o := create(t, s, "a", newOrigin(content), 0, 0, nil)
		for {
			changed := o.Changed()
			if filling, _ := o.Filling(); !filling {
				break
			}
			<-changed
		}
		o.Release()
		part, err := newOrigin(content).Open(s.ctx, cache.Ask{})
		if err != nil {
			t.Fatal(err)
		}
		o, err = s.Create(New{Key: "b", Origin: newOrigin(content), Part: part})
		if err != nil {
			t.Fatal(err)
		}
		wantContent(t, o, content)
		awaitIdle(t, s, "b")
	}
}

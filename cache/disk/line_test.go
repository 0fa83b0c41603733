// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"bytes"
	"context"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
)

// farOrigin is an origin behind a line whose bytes all transfers share, piece by piece, and are late. A transfer may have
// as much under way as TCP would.
type farOrigin struct {
	content []byte
	rate    float64       // bytes per second
	delay   time.Duration // one way

	mu   sync.Mutex
	free time.Time // when the line has sent what it was given
	sent int64
}

const (
	farPiece  = 16 << 10
	farWindow = 4 << 20
)

type parcel struct {
	bytes []byte
	due   time.Time
}

// Open answers after a round trip. Connections are there.
func (f *farOrigin) Open(ctx context.Context, ask cache.Ask) (*cache.Part, error) {
	time.Sleep(f.delay)
	end := int64(len(f.content))
	if ask.Length > 0 {
		end = min(end, ask.First+ask.Length)
	}
	b := &farBody{line: f, pieces: make(chan parcel, farWindow/farPiece), gone: make(chan struct{})}
	content := f.content[ask.First:end]
	go func() { // ends when all is sent, or at Close
		defer close(b.pieces)
		for len(content) > 0 {
			n := min(farPiece, len(content))
			f.mu.Lock()
			if now := time.Now(); f.free.Before(now) {
				f.free = now
			}
			f.free = f.free.Add(time.Duration(float64(n) / f.rate * float64(time.Second)))
			free := f.free
			f.sent += int64(n)
			f.mu.Unlock()
			time.Sleep(time.Until(free))
			select {
			case b.pieces <- parcel{content[:n], free.Add(f.delay)}:
			case <-b.gone:
				return
			}
			content = content[n:]
		}
	}()
	time.Sleep(f.delay)
	return &cache.Part{Body: b, First: ask.First, Length: end - ask.First, Size: int64(len(f.content)), Ranges: true,
		Validator: validators[0], Status: 206}, nil
}

type farBody struct {
	line   *farOrigin
	pieces chan parcel
	rest   []byte
	gone   chan struct{}
	once   sync.Once
}

func (b *farBody) Read(p []byte) (int, error) {
	if len(b.rest) == 0 {
		piece, ok := <-b.pieces
		if !ok {
			return 0, io.EOF
		}
		time.Sleep(time.Until(piece.due))
		b.rest = piece.bytes
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

func (b *farBody) Close() error {
	b.once.Do(func() { close(b.gone) })
	return nil
}

// TestStormOnALine has clients read what comes over a line of 50 MB/s and 40 ms, in virtual time, in which only the line
// takes any. The fill was a sixth slower than the line when each stream let it rest for a round trip between two requests.
// A client also may not be far behind the line: what lies about must be sent to all of them at once in the end.
func TestStormOnALine(t *testing.T) {
	t.Parallel()
	const size, clients, most = 32 << 20, 4, 10 << 20
	content := pattern(size, 30)
	synctest.Test(t, func(t *testing.T) {
		f := &farOrigin{content: content, rate: 50e6, delay: 20 * time.Millisecond}
		s := open(t, t.TempDir(), func(o *Options) { o.Block, o.MaxSize = 0, 1<<30 })
		begin := time.Now()
		part, err := f.Open(t.Context(), cache.Ask{Length: 4 << 20})
		if err != nil {
			t.Fatal(err)
		}
		o, err := s.Create(New{Key: "key", Origin: f, Part: part})
		if err != nil {
			t.Fatal(err)
		}
		defer o.Release()
		time.Sleep(time.Millisecond) // clients come when the fill has begun
		var all sync.WaitGroup
		for range clients {
			if !o.Retain() {
				t.Fatal("the store is closed")
			}
			all.Go(func() {
				r := NewReader(t.Context(), o)
				defer r.Close()
				p := make([]byte, 1<<20)
				for got := int64(0); ; {
					n, err := r.Read(p)
					if !bytes.Equal(p[:n], content[got:got+int64(n)]) {
						t.Errorf("wrong bytes at %d", got)
					}
					got += int64(n)
					if err != nil {
						if err != io.EOF || got != size {
							t.Errorf("%d bytes: %v", got, err)
						}
						return
					}
					if ahead := o.Stored() - got; ahead > most {
						t.Errorf("%d bytes lie about at %d", ahead, got)
					}
				}
			})
		}
		all.Wait()
		line := time.Duration(size / f.rate * float64(time.Second))
		if took := time.Since(begin); took > line+4*f.delay {
			t.Errorf("%v, of which the line takes %v and two round trips %v", took, line, 4*f.delay)
		}
		if f.sent != size {
			t.Errorf("the origin sent %d bytes of %d", f.sent, size)
		}
	})
}

// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
)

// careless answers with one content at first and with another from then on, and does not look at what it is asked to be
// the same.
type careless struct {
	contents   [2][]byte
	validators [2]cache.Validator
	asked      atomic.Int64
}

func (c *careless) Open(_ context.Context, ask cache.Ask) (*cache.Part, error) {
	i := min(c.asked.Add(1)-1, 1)
	content := c.contents[i]
	first := min(ask.First, int64(len(content)))
	last := int64(len(content))
	if ask.Length > 0 {
		last = min(last, first+ask.Length)
	}
	return &cache.Part{Body: io.NopCloser(bytes.NewReader(content[first:last])), First: first, Length: last - first, Size: int64(len(content)),
		Validator: c.validators[i], Ranges: true, Status: 200, Header: http.Header{}}, nil
}

// TestAnswerOfAnother has an origin change its content in the middle of a fill, of which an answer tells by its validator or
// by its length. Nobody gets bytes of both, and nobody finds the object any more.
func TestAnswerOfAnother(t *testing.T) {
	t.Parallel()
	one, two := pattern(20*testBlock, 90), pattern(20*testBlock, 91)
	const monday, tuesday = "Mon, 01 Jan 2024 00:00:00 GMT", "Tue, 02 Jan 2024 00:00:00 GMT"
	for name, origin := range map[string]*careless{
		"tag":      {contents: [2][]byte{one, two}, validators: [2]cache.Validator{{ETag: `"1"`}, {ETag: `"2"`}}},
		"weak tag": {contents: [2][]byte{one, two}, validators: [2]cache.Validator{{ETag: `W/"1"`}, {ETag: `W/"2"`}}},
		"date": {contents: [2][]byte{one, two}, validators: [2]cache.Validator{{LastModified: monday, StrongDate: true},
			{LastModified: tuesday, StrongDate: true}}},
		"length": {contents: [2][]byte{one, append(two, 'x')}, validators: [2]cache.Validator{{ETag: `"1"`}, {ETag: `"1"`}}},
	} {
		s := open(t, t.TempDir())
		part, err := origin.Open(s.ctx, cache.Ask{Length: 8 * testBlock})
		if err != nil {
			t.Fatal(err)
		}
		o, err := s.Create(New{Key: "key", Origin: origin, Part: part})
		if err != nil {
			t.Fatal(err)
		}
		got, err := readAll(t, o)
		if !errors.Is(err, ErrChanged) || !bytes.HasPrefix(one, got) {
			t.Errorf("%s: %d bytes, %v; want those of the first content and ErrChanged", name, len(got), err)
		}
		settle(s)
		if o, _ := s.Get("key"); o != nil {
			t.Errorf("%s: the object is found, whole: %t", name, o.Whole())
			o.Release()
		}
	}
}

// TestRetryAfter has an origin that says when to come back.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		content := pattern(2*testBlock, 92)
		s := open(t, t.TempDir())
		began := time.Now()
		o := createFrom(t, s, "key", &hostile{content: content, validator: validators[0], faults: []fault{cut, busyLong}}, cache.Ask{}, nil)
		wantContent(t, o, content)
		if took := time.Since(began); took < 3*time.Minute || took > 4*time.Minute {
			t.Errorf("asked again after %v, want the origin's three minutes", took)
		}
	})
}

// later is an origin whose answers to what is asked after the first begin a block later.
type later struct{ *testOrigin }

func (l later) Open(ctx context.Context, ask cache.Ask) (*cache.Part, error) {
	if ask.First > 0 && ask.First+testBlock < int64(len(l.content)) {
		ask.First += testBlock
	}
	return l.testOrigin.Open(ctx, ask)
}

// TestLaterThanAsked wants nothing stored in a place for which it is not.
func TestLaterThanAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		content := pattern(20*testBlock, 93)
		s := open(t, t.TempDir())
		origin := later{newOrigin(content)}
		part, err := origin.Open(s.ctx, cache.Ask{Length: 8 * testBlock})
		if err != nil {
			t.Fatal(err)
		}
		o, err := s.Create(New{Key: "key", Origin: origin, Part: part})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := readAll(t, o); err == nil || !bytes.HasPrefix(content, got) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		settle(s)
	})
}

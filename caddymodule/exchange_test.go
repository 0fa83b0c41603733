// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func answerOf(text string) *heldAnswer {
	return &heldAnswer{header: http.Header{"Content-Type": {"application/json"}}, status: 200, body: []byte(text)}
}

// TestExchangeKeepsForAMinute wants an answer gone, and its bytes overwritten, when it has been given or is old.
func TestExchangeKeepsForAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var x exchanges
		e, first := x.join("a")
		if again, isFirst := x.join("a"); !first || isFirst || again != e {
			t.Fatal("two do the same lookup")
		}
		own := answerOf("token")
		x.finish("a", e, own, 2, keepAnswer)
		own.clear()
		kept := e.answer.body
		time.Sleep(keepAnswer - 1)
		got, ok := x.take("a", e)
		if !ok || string(got.body) != "token" || got.header.Get("Content-Type") != "application/json" || got.status != 200 {
			t.Fatalf("after almost a minute: %v %+v", ok, got)
		}
		time.Sleep(1)
		synctest.Wait()
		if _, ok := x.take("a", e); ok || !bytes.Equal(kept, make([]byte, 5)) || x.bytes != 0 || len(x.byKey) != 0 {
			t.Errorf("after a minute: %v, %q, %d bytes, %d exchanges", ok, kept, x.bytes, len(x.byKey))
		}

		e, _ = x.join("b")
		x.finish("b", e, answerOf("token"), 1, keepAnswer)
		kept = e.answer.body
		if _, ok := x.take("b", e); !ok || !bytes.Equal(kept, make([]byte, 5)) || x.bytes != 0 {
			t.Errorf("after the last time: %v, %q, %d bytes", ok, kept, x.bytes)
		}
		if next, first := x.join("b"); !first || next == e {
			t.Error("what was given up is not asked anew")
		}

		e, _ = x.join("c")
		x.finish("c", e, nil, 1, keepAnswer)
		<-e.done
		if _, ok := x.take("c", e); ok {
			t.Error("a call in vain has an answer")
		}

		e, _ = x.join("d")
		x.finish("d", e, answerOf("token"), 2, keepAnswer)
		kept = e.answer.body
		x.close()
		if !bytes.Equal(kept, make([]byte, 5)) || x.bytes != 0 {
			t.Errorf("when all ends: %q, %d bytes", kept, x.bytes)
		}
	})
}

func TestExchangesAreBounded(t *testing.T) {
	t.Parallel()
	var x exchanges
	large := answerOf(string(make([]byte, maxHeld)))
	for i := range 2 * maxKept / maxHeld {
		key := string(rune('a' + i))
		e, _ := x.join(key)
		x.finish(key, e, large, 2, keepAnswer)
	}
	if x.bytes > maxKept || len(x.byKey) != maxKept/maxHeld {
		t.Errorf("%d bytes of %d answers", x.bytes, len(x.byKey))
	}
	x.close()
}

// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Origin is where the bytes of one object come from. It may be used by many goroutines at once.
type Origin interface {
	// Open asks for bytes. It returns when the answer's header is there; its body ends with the context. The errors that
	// callers tell apart are *ChangedError and *OriginError; any other is a line that broke.
	Open(ctx context.Context, ask Ask) (*Part, error)
}

// Ask is what is asked of an origin.
type Ask struct {
	First  int64     // the first byte
	Length int64     // how many bytes; 0 or less: to the end
	Same   Validator // if not zero, bytes of that representation only
}

// Part is an origin's answer: what was asked, or the whole representation from an origin that serves no ranges.
type Part struct {
	Body      io.ReadCloser // to be closed by the caller; ends with an error if it ends before Length bytes
	First     int64         // where the body begins in the representation
	Length    int64         // bytes in the body; -1: until it ends
	Size      int64         // bytes of the whole representation; -1: not known
	Validator Validator
	Ranges    bool    // the origin serves ranges of this representation
	Digest    *Digest // of the whole representation, if the origin says it (RFC 9530); else nil

	// The answer itself, for who keeps what it says. A 206 for the whole of a representation counts as a 200.
	Status int
	Header http.Header
	// When the question was sent and when the answer's header had come (RFC 9111 section 4.2.3).
	Asked, Answered time.Time
}

// Validator tells whether two answers are of the same representation (RFC 9110 section 8.8). The zero Validator tells
// nothing.
type Validator struct {
	// ETag is the entity tag with its quotes, and its W/ if it is weak.
	ETag string `json:"etag,omitempty"`
	// LastModified is the field as the origin sent it.
	LastModified string `json:"last_modified,omitempty"`
	// StrongDate says that LastModified is a strong validator: the origin's clock was at least a minute past it when it
	// answered (RFC 9110 section 8.8.2.2).
	StrongDate bool `json:"strong_date,omitempty"`
}

// Strong reports whether equal validators mean equal bytes.
func (v Validator) Strong() bool {
	return v.ETag != "" && v.ETag[0] == '"' || v.ETag == "" && v.LastModified != "" && v.StrongDate
}

// Same reports whether both validators are strong and of the same representation (RFC 9110 section 8.8.3.2).
func (v Validator) Same(other Validator) bool {
	if !v.Strong() || !other.Strong() {
		return false
	}
	if v.ETag != "" || other.ETag != "" {
		return v.ETag == other.ETag
	}
	return v.LastModified == other.LastModified
}

// ChangedError is the answer of an origin that has another representation than the one that bytes were asked of. Its
// part, if there is one, is of the new representation, and to be closed.
type ChangedError struct{ Part *Part }

func (e *ChangedError) Error() string { return "the origin has another representation now" }

// OriginError is an answer of an origin that cannot be used.
type OriginError struct {
	// Status of the answer, or of what the client of the cache should see of it if the answer lies: 502.
	Status int
	// Reason is what is wrong with it, in words that hold no URL and no secret.
	Reason string
	// RetryAfter is how long the origin asks to be left alone; 0: it does not say.
	RetryAfter time.Duration
	// Temporary says that the same question may be answered later.
	Temporary bool
	// Header of the answer and the beginning of its body, for who passes them on. Nil if it lies.
	Header http.Header
	Body   []byte
}

func (e *OriginError) Error() string { return fmt.Sprintf("the origin answers with %s", e.Reason) }

// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync"

	"github.com/ironic-edge/ironic-edge/cache/rules"
)

// interim passes on what an origin says before its answer (RFC 9110 section 15.2), to the client whose question it was,
// for as long as that waits. Who asks for images gets none of it, nor does firmware: iPXE takes the first status line for
// the answer's, and 103 for an error (httpcore.c, http_parse_status).
type interim struct {
	mu sync.Mutex
	w  http.ResponseWriter // nil: the client does not wait, or must not get any
}

func newInterim(w http.ResponseWriter, r *http.Request, t *Target) *interim {
	if t.Private || !r.ProtoAtLeast(1, 1) || firmware(r) {
		w = nil
	}
	return &interim{w: w}
}

// end is called before anything else is written.
func (i *interim) end() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.w = nil
}

func (i *interim) context(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: func(status int, header textproto.MIMEHeader) error {
		i.pass(status, http.Header(header))
		return nil
	}})
}

// pass writes to the client while its handler waits. Nothing of it may be left for the answer.
func (i *interim) pass(status int, header http.Header) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.w == nil || status == http.StatusContinue {
		return
	}
	own := i.w.Header()
	before := own.Clone()
	maps.Copy(own, rules.Forward(header))
	i.w.WriteHeader(status)
	clear(own)
	maps.Copy(own, before)
}

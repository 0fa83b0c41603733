// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ironic-edge/ironic-edge/cache"
	"github.com/ironic-edge/ironic-edge/ipxe"
)

// knownNode is a node's facts and the script that was last made of them. It lives as long as the facts are fresh.
type knownNode struct {
	node     *ipxe.Node
	rendered atomic.Pointer[rendered]
}

// rendered is a script whose only variable part is the request id. It holds no secret.
type rendered struct {
	handler   *Handler // of the configuration that made it
	base, api string
	kind      string
	reason    string
	text      []byte
	agent     bool
	id        int                // where the request id stands in text, or -1
	hits      prometheus.Counter // those of them that were given from the cache
}

// fits reports whether a script can be given again.
func (t *rendered) fits(h *Handler, b *ipxe.Boot) bool {
	return t != nil && t.handler == h && t.base == b.BaseURL && t.api == b.APIURL
}

var scriptBuffers = sync.Pool{New: func() any { return new([]byte) }}

// writeRendered writes a script with another request id.
func (h *Handler) writeRendered(w http.ResponseWriter, r *http.Request, t *rendered, id string, status cache.Status) error {
	buffer := scriptBuffers.Get().(*[]byte)
	defer scriptBuffers.Put(buffer)
	text := append((*buffer)[:0], t.text...)
	*buffer = text
	if t.id >= 0 {
		copy(text[t.id:], id)
	}
	if status == cache.Hit {
		t.hits.Inc()
	} else {
		h.metrics.script(ipxe.Kind(t.kind), ipxe.Reason(t.reason), status).Inc()
	}
	return h.writeScript(w, r, text)
}

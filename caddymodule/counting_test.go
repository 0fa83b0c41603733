// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ironic-edge/ironic-edge/caddymodule/handover"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

func init() {
	caddy.RegisterModule(sendsProbe{})
	httpcaddyfile.RegisterHandlerDirective("sends_probe", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		h.Next()
		return sendsProbe{}, nil
	})
}

// sendsProbe answers with what a request's connection does with a file.
type sendsProbe struct{}

func (sendsProbe) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.sends_probe", New: func() caddy.Module { return new(sendsProbe) }}
}

type sendable struct{ bytes.Reader }

func (*sendable) SendFile(io.ReaderFrom, int64) (int64, error) { return 0, io.EOF }

func (sendsProbe) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	w.Header().Set("Sends", fmt.Sprint(handover.Sends(r.Context(), &io.LimitedReader{R: new(sendable), N: 1})))
	return nil
}

// TestConnectionOfARequest is about what largerPieces and writeAtOnce need: the connection below a request of Caddy's. In
// Caddy's own key for it there is none any more, and without it files went out in pieces of 64 KiB.
func TestConnectionOfARequest(t *testing.T) {
	api := ironictest.Start()
	defer api.Close()
	for _, wrapped := range []bool{true, false} {
		address, wrapper := freeAddress(t), ""
		if wrapped {
			wrapper = "\tservers {\n\t\tlistener_wrappers {\n\t\t\tironic_edge\n\t\t}\n\t}\n"
		}
		err := load(t, fmt.Sprintf("{\n\tadmin off\n\tpersist_config off\n%s}\nhttp://%s {\n\troute {\n\t\tironic_edge {\n\t\t\tironic %s\n\t\t}\n\t\tsends_probe\n\t}\n}\n",
			wrapper, address, api.URL))
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.Get("http://" + address + "/elsewhere")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if got := response.Header.Get("Sends"); got != fmt.Sprint(wrapped) {
			t.Errorf("with the listener wrapper %v: a connection sends files: %q", wrapped, got)
		}
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package page

import (
	"net/http"
	"net/url"

	"github.com/ironic-edge/ironic-edge/caddymodule/api"
)

// asked is what Ironic says of a node that is not known here, or where to ask for it. While somebody types, or the page
// fetches itself, nobody is asked: only who follows the link wants that.
type asked struct {
	Path        string // of the link
	Explanation *api.Explanation
	Error       string // why there is none, for people
}

// ask looks for a node beyond those that are known here, if nothing here matches. Nil: something does, or nothing is looked
// for. What it finds is shown without its script: who may read the page need not know the node.
func (p *Page) ask(r *http.Request, v *view, nodes int) *asked {
	if v.Query == "" || len(v.Boots)+len(v.Silent)+nodes > 0 {
		return nil
	}
	a := &asked{Path: "?" + url.Values{"q": {v.Query}, "ask": {"ironic"}}.Encode()}
	if r.URL.Query().Get("ask") == "ironic" {
		var err error
		if a.Explanation, err = p.Source.Explain(r.Context(), v.Query); err != nil {
			a.Error = "Ironic was asked for “" + v.Query + "”: " + err.Error() + "."
		}
	}
	return a
}

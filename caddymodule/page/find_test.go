// SPDX-License-Identifier: Apache-2.0

package page

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/ironic-edge/ironic-edge/caddymodule/api"
)

// searched is a rack of which it is seen what is asked for.
type searched struct {
	rack
	asked []string
}

func (s *searched) Explain(_ context.Context, node string) (*api.Explanation, error) {
	s.asked = append(s.asked, node)
	if node != "elsewhere" {
		return nil, errors.New("no node is <called> that")
	}
	return &api.Explanation{Node: api.Node{UUID: "6cb6b1a1-8a2c-4e6e-a1f5-000000009999", Name: node, State: "clean wait"}, Kind: "deploy", Reason: "state",
		Why: []string{"Its provision state is clean wait."}, Script: "#!ipxe\necho <hello>\n"}, nil
}

// TestAskIronic searches for what is known here, and for what is not.
func TestAskIronic(t *testing.T) {
	t.Parallel()
	for query, c := range map[string]struct {
		asked string
		want  []string
		not   string
	}{
		"":                        {"", nil, "Ask Ironic"},
		"?q=r17-u0007":            {"", nil, "Ask Ironic"},
		"?q=r17-u0007&ask=ironic": {"", nil, "Asked of Ironic"},
		"?q=r17-u09":              {"", nil, "Ask Ironic"}, // which is silent
		"?q=elsewhere":            {"", []string{`href="?ask=ironic&amp;q=elsewhere"`}, "000000009999"},
		"?q=<else where>&":        {"", []string{`href="?ask=ironic&amp;q=%3Celse`, "&lt;else where&gt;"}, ""},
		"?q=elsewhere&ask=ironic": {"elsewhere", []string{"000000009999", "Its provision state is clean wait.", "because of state"}, "echo"},
		"?q=nowhere&ask=ironic":   {"nowhere", []string{"no node is &lt;called&gt; that."}, "000000009999"},
		"?ask=ironic":             {"", nil, "Asked of Ironic"},
	} {
		source := &searched{rack: rack{nodes: 10}}
		s := serve(t, &Page{Source: source})
		status, _, text := get(t, s.URL+"/edge/"+strings.ReplaceAll(query, " ", "+"))
		if status != 200 || strings.Join(source.asked, " ") != c.asked {
			t.Errorf("%s: status %d, Ironic was asked for %q, want %q", query, status, source.asked, c.asked)
		}
		for _, want := range c.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s: the page lacks %q: %s", query, want, text)
			}
		}
		if c.not != "" && strings.Contains(text, c.not) {
			t.Errorf("%s: the page has %q", query, c.not)
		}
	}
}

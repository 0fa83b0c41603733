// SPDX-License-Identifier: Apache-2.0

package page

import (
	"cmp"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/ironic-edge/ironic-edge/caddymodule/api"
	"github.com/ironic-edge/ironic-edge/caddymodule/boots"
)

// view is what the template shows.
type view struct {
	Title, Base, Here, Query string
	Pages                    []link
	Style                    template.CSS
	Script                   template.JS
	Now                      time.Time
	Status                   api.Status
	Actions                  bool

	Boots      []boots.Boot
	BootsTotal int
	Silent     []boots.Silent
	Nodes      []api.Node
	NodesTotal int
	More       string // where the next nodes are
	Asked      *asked

	Boot        *boots.Boot
	Steps       []step
	Explanation *api.Explanation

	Images      []api.Image
	ImagesTotal int
	Strays      []boots.Stray
}

type link struct{ Path, Name string }

// How much is on a page, so that it is light with any number of nodes.
const (
	bootsShown = 100
	nodesShown = 200
)

// view makes what a path shows. Nil: there is no such page.
func (p *Page) view(r *http.Request, base, path string) *view {
	here, id, _ := strings.Cut(path, "/")
	v := &view{Base: base, Here: here, Query: strings.TrimSpace(r.URL.Query().Get("q")), Now: time.Now(),
		Style: template.CSS(styleText), Script: template.JS(scriptText), Status: p.Source.Status(), Actions: p.Actions,
		Pages: []link{{"", "Rack"}, {"images", "Images"}, {"unknown", "Unknown machines"}}}
	switch {
	case here == "boot" && id != "":
		if !p.viewBoot(r, v, id) {
			return nil
		}
	case id != "":
		return nil
	case here == "":
		v.Title = "Rack"
		p.viewRack(r, v)
	case here == "images":
		v.Title = "Images"
		images := p.Source.Images()
		v.ImagesTotal = len(images)
		v.Images = slices.DeleteFunc(images, func(i api.Image) bool { return !matches(v.Query, append(i.Keys, i.ID)...) })
		v.Images = v.Images[:min(len(v.Images), nodesShown)]
	case here == "unknown":
		v.Title = "Unknown machines"
		v.Strays = slices.DeleteFunc(p.Source.Strays(), func(s boots.Stray) bool { return !matches(v.Query, s.MAC, s.Client.String()) })
	default:
		return nil
	}
	return v
}

func (p *Page) viewRack(r *http.Request, v *view) {
	nodes := p.Source.Nodes()
	v.NodesTotal = len(nodes)
	assets := make(map[string]string)
	for i := range nodes {
		if nodes[i].Asset != "" {
			assets[nodes[i].UUID] = nodes[i].Asset
		}
	}
	nodes = slices.DeleteFunc(nodes, func(n api.Node) bool { return !matches(v.Query, append(n.MACs, n.UUID, n.Name, n.Asset, n.State)...) })
	all := p.Source.Boots()
	v.BootsTotal = len(all)
	all = slices.DeleteFunc(all, func(b boots.Boot) bool {
		return !matches(v.Query, append(b.MACs, b.Node, b.Name, assets[b.Node], b.State, b.Kind)...)
	})
	slices.SortStableFunc(all, func(a, b boots.Boot) int { return cmp.Compare(urgency(&a), urgency(&b)) })
	v.Boots = all[:min(len(all), bootsShown)]
	v.Silent = slices.DeleteFunc(p.Source.Silent(), func(s boots.Silent) bool { return !matches(v.Query, s.Node, s.Name, s.State) })
	v.Silent = v.Silent[:min(len(v.Silent), bootsShown)]
	v.Asked = p.ask(r, v, len(nodes))
	from, _ := strconv.Atoi(r.URL.Query().Get("from")) // anything else is the first page
	from = min(max(from, 0), len(nodes))
	v.Nodes = nodes[from:min(len(nodes), from+nodesShown)]
	if next := from + len(v.Nodes); next < len(nodes) {
		v.More = "?" + url.Values{"q": {v.Query}, "from": {strconv.Itoa(next)}}.Encode()
	}
}

// urgency sorts boots: those that somebody has to look at, those under way, the others.
func urgency(b *boots.Boot) int {
	switch {
	case b.Outcome == boots.Stuck && !b.Over():
		return 0
	case !b.Over() && len(b.Diagnoses) > 0:
		return 1
	case !b.Over():
		return 2
	}
	return 3
}

// matches reports whether any of the words has the query in it. MAC addresses match with dashes, too.
func matches(query string, words ...string) bool {
	query = strings.ToLower(query)
	dashed := strings.ReplaceAll(query, "-", ":")
	return slices.ContainsFunc(words, func(word string) bool {
		word = strings.ToLower(word)
		return strings.Contains(word, query) || strings.Contains(word, dashed)
	})
}

// step is a stage of a boot, as a line of steps shows it.
type step struct {
	Name, Class, Took string
	Here              bool
}

func (p *Page) viewBoot(r *http.Request, v *view, id string) bool {
	all := p.Source.Boots()
	i := slices.IndexFunc(all, func(b boots.Boot) bool { return b.ID == id })
	if i < 0 {
		return false
	}
	b := &all[i]
	v.Boot, v.Title = b, cmp.Or(b.Name, b.Node)
	v.BootsTotal = len(all)
	v.addSteps(b)
	if b.Node != "" {
		if e, err := p.Source.Explain(r.Context(), b.Node); err == nil { // what is there is shown all the same
			v.Explanation = e
		}
	}
	return true
}

// addSteps has the stages of a boot, and how long those took that are over.
func (v *view) addSteps(b *boots.Boot) {
	for _, s := range boots.Stages {
		one := step{Name: stageNames[s], Here: s == b.Stage}
		past := slices.ContainsFunc(b.Stages, func(p boots.Phase) bool { return p.Stage == s && !p.Ended.IsZero() })
		if past {
			one.Class, one.Took = "past", api.Ago(b.Took(s))
		}
		if past || one.Here || s != boots.StageISO { // few boot from one
			v.Steps = append(v.Steps, one)
		}
	}
}

var stageNames = map[boots.Stage]string{
	boots.StageScript: "script", boots.StageKernel: "kernel", boots.StageRamdisk: "ramdisk", boots.StageISO: "ISO",
	boots.StageStart: "kernel starts", boots.StageLookup: "lookup", boots.StageAgent: "agent reports", boots.StageDone: "done",
}

// functions are what the template calls.
var functions = template.FuncMap{
	"ago": func(now, then any) string {
		from, ok := then.(time.Time)
		if p, is := then.(*time.Time); is {
			from, ok = *p, true
		}
		if !ok {
			return ""
		}
		return api.Ago(now.(time.Time).Sub(from))
	},
	"seconds": func(s any) string {
		switch s := s.(type) {
		case float64:
			return api.Ago(time.Duration(s * float64(time.Second)))
		case int:
			return api.Ago(time.Duration(s) * time.Second)
		}
		return ""
	},
	"bytes": func(n int64) string {
		if n < 0 {
			return "?"
		}
		return humanize.IBytes(uint64(n))
	},
	"saved": func(s *api.Store) string {
		if s.Sent <= s.Fetched {
			return "nothing"
		}
		return humanize.IBytes(uint64(s.Sent - s.Fetched))
	},
	"hits": func(s *api.Store) int64 { // by bytes
		if s.Sent <= s.Fetched {
			return 0
		}
		return 100 * (s.Sent - s.Fetched) / s.Sent
	},
	"share": func(part, of int64) int64 {
		if of <= 0 {
			return 0
		}
		return 100 * part / of
	},
	"stamp": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
	"clock": func(t time.Time) string { return t.UTC().Format("15:04:05") },
	"stage": func(s any) string { // that of a boot, or the word of a node
		word := fmt.Sprint(s)
		return cmp.Or(stageNames[boots.Stage(word)], word)
	},
	"words": func(kind boots.EventKind) string { return strings.ReplaceAll(string(kind), "_", " ") },
	"first": func(list []string) string { return strings.Join(list[:min(1, len(list))], "") },
	"firstOf": func(list []boots.Diagnosis) *boots.Diagnosis {
		if len(list) == 0 {
			return nil
		}
		return &list[0]
	},
	"moving": func(b boots.Boot) *boots.Image { // the image that the boot is at
		if len(b.Images) == 0 || b.Over() {
			return nil
		}
		return &b.Images[len(b.Images)-1]
	},
	"grave": func(s boots.Severity) string {
		return map[boots.Severity]string{boots.Error: "bad", boots.Warning: "warning", boots.Note: "soft"}[s]
	},
	"tone": func(o boots.Outcome) string {
		switch o {
		case boots.Finished:
			return "good"
		case boots.Stuck, boots.Failed:
			return "bad"
		case boots.Refused:
			return "warning"
		}
		return ""
	},
	"counts": api.Counts,
	"stages": func(n map[string]int) string {
		named := make(map[string]int, len(n))
		for stage, n := range n {
			named[stageNames[boots.Stage(stage)]] += n
		}
		return api.Counts(named)
	},
}

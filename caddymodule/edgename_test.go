// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ironic-edge/ironic-edge/caddymodule/api"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// TestEdgeNamesOutliveAReload reorders the sites of a configuration: each edge keeps its name, in the admin API, on the page
// and in the metrics.
func TestEdgeNamesOutliveAReload(t *testing.T) {
	ironics := []*ironictest.Server{ironictest.Start(ironictest.DemoFleet("http://images.test")...), ironictest.Start(ironictest.DemoFleet("http://images.test")...)}
	for _, i := range ironics {
		defer i.Close()
	}
	one, two, three := freeAddress(t), freeAddress(t), freeAddress(t)
	port := two[strings.LastIndexByte(two, ':')+1:]
	edge := func(ironic int, options string) string {
		return "ironic_edge {\n\t\tironic " + ironics[ironic].URL + "\n\t\t" + options + "\n\t}\n"
	}
	blocks := []string{
		"http://" + one + " {\n\tironic_edge_status\n\t" + edge(0, "public_url http://edge.test:8080") + "}\n",      // named by its URL
		"http://:" + port + " {\n\t" + edge(0, "") + "}\n",                                                          // by its port
		"http://rack.test:" + port + " {\n\t" + edge(0, "") + "}\n",                                                 // by its host
		"http://" + three + " {\n\thandle /a/* {\n" + edge(0, "") + "}\n\thandle /b/* {\n" + edge(1, "") + "}\n}\n", // by their Ironics
	}
	names := func(i int) string { return "http://" + three + " " + ironics[i].URL }
	want := []string{"http://:" + port, "http://edge.test:8080", "http://rack.test:" + port, names(0), names(1)}
	slices.Sort(want)

	global := "{\n\tadmin off\n\tpersist_config off\n}\n"
	a := administer(t, global+strings.Join(blocks, ""))
	for _, order := range []string{"first", "reversed"} {
		if order == "reversed" {
			slices.Reverse(blocks)
			a.reload(t, global+strings.Join(blocks, ""))
		}
		status := tell[api.Status](t, a, "GET status")
		var names []string
		for _, e := range status.Edges {
			names = append(names, e.Name)
			if strings.Contains(e.Name, " ") && !strings.HasSuffix(e.Name, e.Ironic.URLs[0]) {
				t.Errorf("%s: %s is of %v", order, e.Name, e.Ironic.URLs)
			}
			if one := tell[api.Status](t, a, "GET status?edge="+url.QueryEscape(e.Name)); len(one.Edges) != 1 || one.Edges[0].Name != e.Name {
				t.Errorf("%s: the edge of the name %q is %+v", order, e.Name, one.Edges)
			}
		}
		slices.Sort(names)
		if !slices.Equal(names, want) {
			t.Errorf("%s: the edges are called\n%s\nwant\n%s", order, strings.Join(names, "\n"), strings.Join(want, "\n"))
		}
		response, err := http.Get("http://" + one + "/edge/")
		if err != nil {
			t.Fatal(err)
		}
		page, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		var told []string
		for _, labels := range gathered(t, "ironic_edge_info") {
			told = append(told, labels["edge"])
		}
		for _, name := range want {
			if !strings.Contains(string(page), name) || !slices.Contains(told, name) {
				t.Errorf("%s: %q is not on the page, or not in the metrics: %q", order, name, told)
			}
		}
		if len(told) != len(want) {
			t.Errorf("%s: the metrics have the edges %q", order, told)
		}
	}
}

// TestEdgesThatDifferInNothing are told apart all the same.
func TestEdgesThatDifferInNothing(t *testing.T) {
	ironic := ironictest.Start()
	defer ironic.Close()
	address := freeAddress(t)
	edge := "ironic_edge {\n\t\tironic " + ironic.URL + "\n\t\tpublic_url http://edge.test\n\t}\n"
	a := administer(t, "{\n\tadmin off\n\tpersist_config off\n}\nhttp://"+address+" {\n\thandle /a/* {\n"+edge+"}\n\thandle /b/* {\n"+edge+"}\n}\n")
	edges := tell[api.Status](t, a, "GET status").Edges
	if len(edges) != 2 || edges[0].Name == edges[1].Name || !strings.HasPrefix(edges[0].Name, "http://edge.test http://"+address) {
		t.Errorf("the edges are %+v", edges)
	}
}

// gathered are the labels of a metric's series.
func gathered(t *testing.T, name string) (series []map[string]string) {
	t.Helper()
	registry := prometheus.NewRegistry()
	if _, err := registerMetrics(registry); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := make(map[string]string)
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if f.GetName() == name {
				series = append(series, labels)
			}
		}
	}
	return series
}

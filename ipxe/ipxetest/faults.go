// SPDX-License-Identifier: Apache-2.0

package ipxetest

import (
	"slices"
	"strconv"
	"strings"
)

// Case is a trace and what went wrong in it.
type Case struct {
	Name  string
	Trace Trace
}

// Cases runs a script on a machine as it is, and then once for each request that any of the runs makes with that request
// failing the first time, and once with it failing for ever. The traces are canonical.
func Cases(script []byte, m Machine) []Case {
	whole, asked := observe(script, m, func(Request) bool { return false })
	cases := []Case{{"all goes well", whole}}
	for i := 0; i < len(asked); i++ { // failing requests lead to others
		for _, fault := range []struct {
			name string
			hits func(attempt int) bool
		}{
			{" fails once", func(attempt int) bool { return attempt == 1 }},
			{" fails for ever", func(int) bool { return true }},
		} {
			r := asked[i]
			trace, more := observe(script, m, func(got Request) bool {
				return got.Method == r.Method && got.URL == r.URL && fault.hits(got.Attempt)
			})
			cases = append(cases, Case{r.Method + " " + r.URL + fault.name, trace})
			for _, other := range more {
				if !slices.Contains(asked, other) {
					asked = append(asked, other)
				}
			}
		}
	}
	return cases
}

// observe runs a script with some requests failing, and returns the requests that were made, each once.
func observe(script []byte, m Machine, fails func(Request) bool) (Trace, []Request) {
	var asked []Request
	network := m.Network
	m.Network = NetworkFunc(func(r Request) Response {
		first := Request{Method: r.Method, URL: r.URL}
		if !slices.Contains(asked, first) {
			asked = append(asked, first)
		}
		if fails(r) {
			return Response{}
		}
		return network.Fetch(r)
	})
	return Run(script, m).Canonical(), asked
}

// Format writes cases as text, for files that a person compares. A line that comes again and again stands once, with how
// often.
func Format(cases []Case) string {
	var b strings.Builder
	for i, c := range cases {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString("# " + c.Name + "\n")
		for events := c.Trace.Events; len(events) > 0; {
			n := 1
			for n < len(events) && events[n] == events[0] {
				n++
			}
			b.WriteString(events[0].String())
			if n > 1 {
				b.WriteString(" (" + strconv.Itoa(n) + " times)")
			}
			b.WriteByte('\n')
			events = events[n:]
		}
	}
	return b.String()
}

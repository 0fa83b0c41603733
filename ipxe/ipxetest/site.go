// SPDX-License-Identifier: Apache-2.0

package ipxetest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Site is the web server of examples, for this package and for real iPXE. Its driver is a script that runs one example
// after the other. Before each it asks for /begin/ and the example's name, and after it for /end with "ok" or the error
// number of the example's script. It is not safe for concurrent use.
type Site struct {
	examples []Example
	platform string
	base     string
	current  Example
	attempts map[string]int
}

// NewSite makes a site of the examples that are for a platform. base is its URL up to the host, such as http://edge,
// which the scripts find in ${base}.
func NewSite(examples []Example, platform, base string) *Site {
	s := &Site{platform: platform, base: base}
	for _, e := range examples {
		if _, ok := e.Trace(platform); ok {
			s.examples = append(s.examples, e)
		}
	}
	return s
}

var assigned = regexp.MustCompile(`\b(?:set|inc) ([A-Za-z][A-Za-z0-9/-]*)`)

// Driver is the script that runs the examples. It forgets what an example has set and fetched, so that none depends on
// the one before it.
func (s *Site) Driver() []byte {
	var b strings.Builder
	b.WriteString("#!ipxe\nset base " + s.base + "\n")
	for _, e := range s.examples {
		b.WriteString("imgfetch /begin/" + e.Name + "\nimgfree\n")
		b.WriteString("chain --autofree " + Script + " && imgfetch /end?ok || imgfetch /end?${errno}\nimgfree\n")
		var names []string
		for _, answers := range e.Answers {
			for _, a := range answers {
				for _, m := range assigned.FindAllStringSubmatch(string(a.Body), -1) {
					names = append(names, m[1])
				}
			}
		}
		slices.Sort(names)
		for _, name := range slices.Compact(names) {
			b.WriteString("clear " + name + "\n")
		}
	}
	b.WriteString("imgfetch /finished\n")
	return []byte(b.String())
}

// Answer is the answer to a request of a path with its query.
func (s *Site) Answer(target string) Response {
	path, _, _ := strings.Cut(target, "?")
	if name, ok := strings.CutPrefix(path, "/begin/"); ok {
		for _, e := range s.examples {
			if e.Name == name {
				s.current, s.attempts = e, make(map[string]int)
				return Response{Status: 200, Body: []byte("ok\n")}
			}
		}
	}
	switch path {
	case "/driver.ipxe":
		return Response{Status: 200, Body: s.Driver()}
	case "/report", "/end", "/finished":
		return Response{Status: 200, Body: []byte("ok\n")}
	}
	answers := s.current.Answers[path]
	if len(answers) == 0 {
		return Response{Status: 404, Body: []byte("not found\n")}
	}
	n := min(s.attempts[path], len(answers)-1)
	s.attempts[path]++
	return answers[n]
}

// Want is what the interpreter does in an example, from the request for its script to that for /end. The example runs
// alone, since here nothing is repeated often before it is taken for a loop.
func Want(e Example, platform, base string) (Trace, error) {
	s := NewSite([]Example{e}, platform, base)
	all := Run(s.Driver(), Machine{
		NICs:       []string{SiteMAC},
		Settings:   map[string]string{"platform": platform},
		Base:       base + "/driver.ipxe",
		NoPoweroff: true,
		Network: NetworkFunc(func(r Request) Response {
			if target, ok := strings.CutPrefix(r.URL, base); ok {
				return s.Answer(target)
			}
			return Response{} // nobody else is there
		}),
	}).Events
	begin := slices.IndexFunc(all, func(e Event) bool { return strings.HasPrefix(e.Text, base+"/begin/") })
	end := slices.IndexFunc(all, func(e Event) bool { return strings.HasPrefix(e.Text, base+"/end?") })
	if begin < 0 || end < 0 {
		return Trace{all}, fmt.Errorf("example %s does not come to its end: %s", e.Name, all[len(all)-1])
	}
	return Trace{all[begin+1 : end+1]}, nil
}

// SiteMAC is the address of the machine that runs the examples.
const SiteMAC = "52:54:00:12:34:56"

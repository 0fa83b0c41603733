// SPDX-License-Identifier: Apache-2.0

package ipxe

import (
	"slices"
	"strings"
	"testing"
)

func TestParseArgs(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		in, want string
		words    int
	}{
		"none":             {"", "", 0},
		"one":              {"nofb", "nofb", 1},
		"two":              {"nofb vga=normal", "nofb vga=normal", 2},
		"blanks collapse":  {"  nofb \t vga=normal ", "nofb vga=normal", 2},
		"tab":              {"a\tb", "a b", 2},
		"quotes":           {`dyndbg="file drivers/usb/*"`, `dyndbg="file drivers/usb/*"`, 2},
		"operators inside": {"a||b a;b a&&b a#b", "a||b a;b a&&b a#b", 4},
		"pipe":             {"a | b", "a | b", 3},
		"braces":           {"console=${", "", -1},
		"dollar":           {"price=5$", "", -1},
		"expansion":        {"x=${mac}", "", -1},
		"operator or":      {"a || b", "", -1},
		"operator and":     {"a && b", "", -1},
		"operator next":    {"a ; b", "", -1},
		"comment":          {"a #b", "", -1},
		"backslash":        {`a\`, "", -1},
		"line feed":        {"a\nchain http://evil/", "", -1},
		"carriage return":  {"a\rb", "", -1},
		"vertical tab":     {"a\vb", "", -1},
		"NUL":              {"a\x00b", "", -1},
		"no-break space":   {"a\u00a0b", "", -1},
		"DEL":              {"a\x7f", "", -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseArgs(tt.in)
			if (err != nil) != (tt.words < 0) {
				t.Fatalf("ParseArgs(%q) error = %v", tt.in, err)
			}
			if err == nil && (got.String() != tt.want || got.Len() != tt.words) {
				t.Errorf("ParseArgs(%q) = %q, %d words; want %q, %d", tt.in, got, got.Len(), tt.want, tt.words)
			}
		})
	}
}

// line is what iPXE makes of one line: words before the first operator, without what a comment swallows, and whether
// anything would be expanded. A model of image/script.c and core/exec.c (split_command, command_terminator,
// expand_command), made by reading them.
func line(s string) (words []string, rest bool, expands bool) {
	s, _, cut := strings.Cut(s, "\x00")
	fields := strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || '\t' <= r && r <= '\r' })
	for i, w := range fields {
		if w == "||" || w == "&&" || w == ";" {
			return words, true, expands
		}
		if w[0] == '#' {
			return words, cut || i < len(fields), expands
		}
		if i := strings.Index(w, "${"); i >= 0 && strings.Contains(w[i:], "}") {
			expands = true
		}
		words = append(words, w)
	}
	return words, cut || strings.HasSuffix(s, "\\") || strings.ContainsAny(s, "\n\r"), expands
}

// FuzzToken renders words into a line, splits it as iPXE does and wants the same words back.
func FuzzToken(f *testing.F) {
	for _, s := range []string{"nofb vga=normal", "a || b", "a #b", "${mac}", `x\`, "a\nb", "a\x00b", "\"a b\"", "a ; b", "|| && ;", "$ {", "é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		args, err := ParseArgs(s)
		if err == nil {
			got, rest, expands := line("kernel http://edge/k " + args.String())
			if rest || expands || !slices.Equal(got[2:], strings.Fields(s)) {
				t.Errorf("ParseArgs(%q) = %q, which iPXE reads as %q (rest %v, expands %v)", s, args, got, rest, expands)
			}
		}
		token, err := ParseToken(s)
		if err == nil {
			got, rest, expands := line("set password " + token.String())
			if rest || expands || len(got) != 3 || got[2] != s {
				t.Errorf("ParseToken(%q) is read by iPXE as %q (rest %v, expands %v)", s, got, rest, expands)
			}
		}
		script := Explain("test", &Node{UUID: s, Name: s, ProvisionState: State(s)}, s)
		text, _ := script.AppendText(nil)
		for l := range strings.Lines(string(text)) {
			got, rest, expands := line(strings.TrimSuffix(l, "\n"))
			if l != "#!ipxe\n" && (rest || expands || len(got) == 0 || !slices.Contains([]string{"echo", "sleep", "reboot"}, got[0])) {
				t.Errorf("Explain(%q) writes a line that iPXE reads as %q (rest %v, expands %v)", s, got, rest, expands)
			}
		}
	})
}

func TestParseURL(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"http://edge:8080":         "http://edge:8080",
		"http://edge:8080/":        "http://edge:8080",
		"https://[fd00::1]:8443/b": "https://[fd00::1]:8443/b",
		"edge:8080":                "",
		"ftp://edge":               "",
		"http://":                  "",
		"http://user@edge":         "",
		"http://edge/?a=b":         "",
		"http://edge/#a":           "",
		"http://edge/a b":          "",
		"http://edge/${mac}":       "",
		"http://edge\n":            "",
	} {
		got, err := ParseURL(in)
		if got.String() != want || (err == nil) != (want != "") {
			t.Errorf("ParseURL(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
}

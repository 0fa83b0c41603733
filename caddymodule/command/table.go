// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
	"golang.org/x/term"

	"github.com/ironic-edge/ironic-edge/caddymodule/api"
)

// screen is where a command writes. On a terminal its tables fit the width and words have colours.
type screen struct {
	io.Writer
	width  int // of the terminal; 0: it is none
	colour bool
}

// usualWidth is that of a terminal that does not say, as behind a serial line.
const usualWidth = 80

func screenOf(out io.Writer) *screen {
	s := &screen{Writer: out}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		if s.width, _, _ = term.GetSize(int(f.Fd())); s.width <= 0 {
			s.width = usualWidth
		}
		s.colour = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	}
	return s
}

// tones are the colours of words that tell good from bad, as SGR codes (ECMA-48 8.3.117).
var tones = map[string]string{
	"good": "32", "up": "32", "finished": "32", "same": "32",
	"warning": "33", "filling": "33", "partial": "33", "skipped": "2",
	"bad": "31", "down": "31", "stuck": "31", "failed": "31", "error": "31", "differs": "31",
}

// table writes rows below a head, with columns as wide as they need. One column may be cut, so that a row fits the screen.
func (s *screen) table(cut int, head []string, rows [][]string) {
	widths := make([]int, len(head))
	for _, row := range rows {
		for i, cell := range row {
			row[i] = plain(cell)
		}
	}
	for _, row := range append([][]string{head}, rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	total := 2 * (len(head) - 1)
	for _, w := range widths {
		total += w
	}
	if s.width > 0 && total > s.width {
		widths[cut] = max(8, widths[cut]-(total-s.width))
	}
	for i, row := range append([][]string{head}, rows...) {
		var line strings.Builder
		for j, cell := range row {
			if n := utf8.RuneCountInString(cell); n > widths[j] {
				cell = string([]rune(cell)[:widths[j]-1]) + "…"
			}
			pad := strings.Repeat(" ", widths[j]-utf8.RuneCountInString(cell)+2)
			if tone := tones[cell]; tone != "" && s.colour && i > 0 {
				cell = "\x1b[" + tone + "m" + cell + "\x1b[0m"
			}
			line.WriteString(cell + pad)
		}
		fmt.Fprintln(s, strings.TrimRight(line.String(), " "))
	}
}

// plain is text without what a terminal would obey: names and paths come from others.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

// bar writes how far a work is over the line where it wrote before, until unbar; on anything but a terminal only the end is
// told.
func (s *screen) bar(done, of int64, unit string) {
	if s.width == 0 {
		return
	}
	amount := func(n int64) string {
		if unit == "bytes" {
			return humanize.IBytes(uint64(max(n, 0)))
		}
		return fmt.Sprintf("%d %s", n, unit)
	}
	if of <= 0 {
		fmt.Fprintf(s, "\r\x1b[K%s", amount(done))
		return
	}
	const width = 30
	done = min(max(done, 0), of)
	full := int(width * done / of)
	fmt.Fprintf(s, "\r\x1b[K[%s%s] %3d %%  %s of %s", strings.Repeat("#", full), strings.Repeat(".", width-full), 100*done/of, amount(done), amount(of))
}

// unbar takes the bar away.
func (s *screen) unbar() {
	if s.width > 0 {
		fmt.Fprint(s, "\r\x1b[K")
	}
}

func seconds(s float64) string { return api.Ago(time.Duration(s * float64(time.Second))) }

func size(n int64) string {
	if n < 0 {
		return "?"
	}
	return humanize.IBytes(uint64(n))
}

// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"net/http"
	"strings"
	"testing"

	"github.com/ironic-edge/ironic-edge/cache"
)

const (
	monday  = "Mon, 02 Mar 2026 10:00:00 GMT"
	tuesday = "Tue, 03 Mar 2026 10:00:00 GMT"
)

var (
	tagA  = cache.Validator{ETag: `"a"`}
	weakA = cache.Validator{ETag: `W/"a"`}
	dated = cache.Validator{LastModified: monday, StrongDate: true}
	loose = cache.Validator{LastModified: monday}
)

// TestOpen has an answer to a question per row, honest ones first, and what must become of it.
func TestOpen(t *testing.T) {
	t.Parallel()
	const (
		ok      = "HTTP/1.1 200 OK\n"
		partial = "HTTP/1.1 206 Partial Content\n"
		unsat   = "HTTP/1.1 416 Range Not Satisfiable\n"
	)
	piece := cache.Ask{First: 2, Length: 3}
	rest := cache.Ask{First: 2}
	same := func(a cache.Ask, v cache.Validator) cache.Ask { a.Same = v; return a }
	for name, tt := range map[string]struct {
		ask          cache.Ask
		answer, want string
	}{
		"whole":                        {cache.Ask{}, ok + "Content-Length: 5\n\n01234", "200, 0+5 of 5: 01234"},
		"whole, ranges":                {cache.Ask{}, ok + "Accept-Ranges: none, Bytes\nContent-Length: 5\n\n01234", "200, 0+5 of 5: 01234, ranges"},
		"whole, chunked":               {cache.Ask{}, ok + "Transfer-Encoding: chunked\n\n" + chunked("012", "34"), "200, 0+-1 of -1: 01234"},
		"whole, empty":                 {cache.Ask{}, ok + "Content-Length: 0\n\n", "200, 0+0 of 0: "},
		"whole, identity":              {cache.Ask{}, ok + "Content-Encoding: identity\nContent-Length: 1\n\n0", "200, 0+1 of 1: 0"},
		"whole, same":                  {same(cache.Ask{}, tagA), ok + "ETag: \"a\"\nContent-Length: 1\n\n0", "200, 0+1 of 1: 0"},
		"whole, another":               {same(cache.Ask{}, tagA), ok + "ETag: \"b\"\nContent-Length: 1\n\n0", "changed: 200, 0+1 of 1: 0"},
		"piece":                        {piece, partial + "Content-Range: bytes 2-4/9\nContent-Length: 3\n\n234", "206, 2+3 of 9: 234, ranges"},
		"piece, size unknown":          {piece, partial + "Content-Range: bytes 2-4/*\nContent-Length: 3\n\n234", "206, 2+3 of -1: 234, ranges"},
		"piece, chunked":               {piece, partial + "Content-Range: bytes 2-4/9\nTransfer-Encoding: chunked\n\n" + chunked("2", "34"), "206, 2+3 of 9: 234, ranges"},
		"piece, until the end":         {piece, partial + "Content-Range: bytes 2-4/9\n\n234", "206, 2+3 of 9: 234, ranges"},
		"piece, short at the end":      {piece, partial + "Content-Range: bytes 2-3/4\nContent-Length: 2\n\n23", "206, 2+2 of 4: 23, ranges"},
		"rest":                         {rest, partial + "Content-Range: bytes 2-4/5\nContent-Length: 3\n\n234", "206, 2+3 of 5: 234, ranges"},
		"rest beyond all numbers":      {cache.Ask{First: 2, Length: 1<<63 - 1}, partial + "Content-Range: bytes 2-4/5\nContent-Length: 3\n\n234", "206, 2+3 of 5: 234, ranges"},
		"a piece that is the whole":    {cache.Ask{Length: 9}, partial + "Content-Range: bytes 0-4/5\nContent-Length: 5\n\n01234", "200, 0+5 of 5: 01234, ranges"},
		"no ranges":                    {piece, ok + "Content-Length: 5\n\n01234", "200, 0+5 of 5: 01234"},
		"no ranges, whatever it says":  {piece, ok + "Accept-Ranges: bytes\nContent-Length: 5\n\n01234", "200, 0+5 of 5: 01234"},
		"no ranges, same":              {same(piece, tagA), ok + "ETag: \"a\"\nAccept-Ranges: bytes\nContent-Length: 5\n\n01234", "200, 0+5 of 5: 01234"},
		"same piece":                   {same(piece, tagA), partial + "ETag: \"a\"\nContent-Range: bytes 2-4/9\nContent-Length: 3\n\n234", "206, 2+3 of 9: 234, ranges"},
		"same by date":                 {same(piece, dated), partial + "Last-Modified: " + monday + "\nContent-Range: bytes 2-4/9\nContent-Length: 3\n\n234", "206, 2+3 of 9: 234, ranges"},
		"same by If-Range":             {same(piece, dated), partial + "Content-Range: bytes 2-4/9\nContent-Length: 3\n\n234", "206, 2+3 of 9: 234, ranges"},
		"same, weak":                   {same(piece, weakA), partial + "ETag: \"a\"\nContent-Range: bytes 2-4/9\nContent-Length: 3\n\n234", "206, 2+3 of 9: 234, ranges"},
		"same, weak date":              {same(piece, loose), partial + "Last-Modified: " + monday + "\nContent-Range: bytes 2-4/9\nContent-Length: 3\n\n234", "206, 2+3 of 9: 234, ranges"},
		"changed":                      {same(piece, tagA), ok + "ETag: \"b\"\nAccept-Ranges: bytes\nContent-Length: 5\n\n01234", "changed: 200, 0+5 of 5: 01234, ranges"},
		"changed, no validator":        {same(piece, tagA), ok + "Content-Length: 5\n\n01234", "changed: 200, 0+5 of 5: 01234"},
		"changed, no validator now":    {same(piece, dated), ok + "Content-Length: 5\n\n01234", "changed: 200, 0+5 of 5: 01234"},
		"changed, weak":                {same(piece, weakA), partial + "ETag: W/\"b\"\nContent-Range: bytes 2-4/9\nContent-Length: 3\n\n234", "changed: 206, 2+3 of 9: 234, ranges"},
		"changed, weak date":           {same(piece, loose), partial + "Last-Modified: " + tuesday + "\nContent-Range: bytes 2-4/9\nContent-Length: 3\n\n234", "changed: 206, 2+3 of 9: 234, ranges"},
		"changed, no date":             {same(piece, loose), partial + "Content-Range: bytes 2-4/9\nContent-Length: 3\n\n234", "changed"},
		"changed from date to tag":     {same(piece, dated), partial + "ETag: \"a\"\nContent-Range: bytes 2-4/9\nContent-Length: 3\n\n234", "changed: 206, 2+3 of 9: 234, ranges"},
		"If-Range disregarded":         {same(piece, tagA), partial + "ETag: \"b\"\nContent-Range: bytes 2-4/9\nContent-Length: 3\n\n234", "changed: 206, 2+3 of 9: 234, ranges"},
		"strong became weak":           {same(piece, tagA), partial + "ETag: W/\"a\"\nContent-Range: bytes 2-4/9\nContent-Length: 3\n\n234", "changed: 206, 2+3 of 9: 234, ranges"},
		"a part without its tag":       {same(piece, tagA), partial + "Content-Range: bytes 2-4/9\nContent-Length: 3\n\n234", "changed"},
		"fewer bytes than known":       {same(piece, tagA), unsat + "Content-Range: bytes */2\nContent-Length: 0\n\n", "changed"},
		"beyond the end":               {piece, unsat + "Content-Range: bytes */2\nContent-Length: 0\n\n", "refused 416: status 416"},
		"beyond the end, but is not":   {piece, unsat + "Content-Range: bytes */3\nContent-Length: 0\n\n", "refused 502: status 416 for bytes that it says it has"},
		"cut short":                    {cache.Ask{}, ok + "Content-Length: 5\n\n012", "200, 0+5 of 5: 012, then unexpected EOF"},
		"cut short, chunked":           {cache.Ask{}, ok + "Transfer-Encoding: chunked\n\n5\r\n012", "200, 0+-1 of -1: 012, then unexpected EOF"},
		"no last chunk":                {cache.Ask{}, ok + "Transfer-Encoding: chunked\n\n3\r\n012\r\n", "200, 0+-1 of -1: 012, then unexpected EOF"},
		"piece cut short":              {piece, partial + "Content-Range: bytes 2-4/9\nContent-Length: 3\n\n23", "206, 2+3 of 9: 23, ranges, then unexpected EOF"},
		"piece too short, chunked":     {piece, partial + "Content-Range: bytes 2-4/9\nTransfer-Encoding: chunked\n\n" + chunked("23"), "206, 2+3 of 9: 23, ranges, then unexpected EOF"},
		"piece too short, until end":   {piece, partial + "Content-Range: bytes 2-4/9\n\n23", "206, 2+3 of 9: 23, ranges, then unexpected EOF"},
		"piece too long, chunked":      {piece, partial + "Content-Range: bytes 2-4/9\nTransfer-Encoding: chunked\n\n" + chunked("2345"), "206, 2+3 of 9: 234, ranges, then the body is longer than its part"},
		"piece too long, until end":    {piece, partial + "Content-Range: bytes 2-4/9\n\n2345", "206, 2+3 of 9: 234, ranges, then the body is longer than its part"},
		"piece longer than said":       {piece, partial + "Content-Range: bytes 2-4/9\nContent-Length: 4\n\n2345", "refused 502: a part of another length than it says"},
		"piece shorter than said":      {piece, partial + "Content-Range: bytes 2-4/9\nContent-Length: 2\n\n23", "refused 502: a part of another length than it says"},
		"no length, no end":            {cache.Ask{}, ok + "\n01234", "refused 502: a body whose end is that of its connection"},
		"another first byte":           {piece, partial + "Content-Range: bytes 1-4/9\nContent-Length: 4\n\n1234", "refused 502: another part than the one asked for"},
		"more bytes":                   {piece, partial + "Content-Range: bytes 2-5/9\nContent-Length: 4\n\n2345", "refused 502: another part than the one asked for"},
		"fewer bytes":                  {piece, partial + "Content-Range: bytes 2-3/9\nContent-Length: 2\n\n23", "refused 502: another part than the one asked for"},
		"fewer bytes, size unknown":    {piece, partial + "Content-Range: bytes 2-3/*\nContent-Length: 2\n\n23", "refused 502: another part than the one asked for"},
		"not all of the rest":          {rest, partial + "Content-Range: bytes 2-4/9\nContent-Length: 3\n\n234", "refused 502: another part than the one asked for"},
		"rest, size unknown":           {rest, partial + "Content-Range: bytes 2-4/*\nContent-Length: 3\n\n234", "refused 502: another part than the one asked for"},
		"beyond its size":              {piece, partial + "Content-Range: bytes 2-4/4\nContent-Length: 3\n\n234", "refused 502: a part that does not say of what"},
		"no Content-Range":             {piece, partial + "Content-Length: 3\n\n234", "refused 502: a part that does not say of what"},
		"two Content-Ranges":           {piece, partial + "Content-Range: bytes 2-4/9\nContent-Range: bytes 5-7/9\nContent-Length: 3\n\n234", "refused 502: a part that does not say of what"},
		"206 that says unsatisfied":    {piece, partial + "Content-Range: bytes */9\nContent-Length: 3\n\n234", "refused 502: a part that does not say of what"},
		"other unit":                   {piece, partial + "Content-Range: blocks 2-4/9\nContent-Length: 3\n\n234", "refused 502: a part that does not say of what"},
		"multipart":                    {piece, partial + "Content-Type: Multipart/ByteRanges; boundary=x\nContent-Range: bytes 2-4/9\nContent-Length: 3\n\n234", "refused 502: a part that does not say of what"},
		"a part unasked":               {cache.Ask{}, partial + "Content-Range: bytes 0-4/5\nContent-Length: 5\n\n01234", "refused 502: a part of what was asked for"},
		"compressed":                   {cache.Ask{}, ok + "Content-Encoding: gzip\nContent-Length: 5\n\n01234", "refused 502: encoded content"},
		"compressed, second field":     {cache.Ask{}, ok + "Content-Encoding: identity\nContent-Encoding: br\nContent-Length: 5\n\n01234", "refused 502: encoded content"},
		"compressed piece":             {piece, partial + "Content-Encoding: gzip\nContent-Range: bytes 2-4/9\nContent-Length: 3\n\n234", "refused 502: encoded content"},
		"web page":                     {cache.Ask{}, ok + "Content-Type: Text/HTML;charset=utf-8\nContent-Length: 5\n\n<html", "refused 502: a web page"},
		"web page for a piece":         {piece, ok + "Content-Type: text/html\nContent-Length: 5\n\n<html", "refused 502: a web page"},
		"no content":                   {cache.Ask{}, "HTTP/1.1 204 No Content\n\n", "refused 502: status 204"},
		"transformed":                  {cache.Ask{}, "HTTP/1.1 203 Non-Authoritative\nContent-Length: 1\n\n0", "refused 502: status 203"},
		"not modified, though unasked": {cache.Ask{}, "HTTP/1.1 304 Not Modified\n\n", "refused 502: status 304"},
		"other protocol":               {cache.Ask{}, "HTTP/1.1 101 Switching Protocols\nConnection: upgrade\nUpgrade: x\n\n", "refused 502: status 101"},
		"not found":                    {cache.Ask{}, "HTTP/1.1 404 Not Found\nContent-Length: 2\n\nno", "refused 404: status 404"},
		"expired signature":            {cache.Ask{}, "HTTP/1.1 401 Unauthorized\nContent-Length: 2\n\nno", "refused 401: status 401"},
		"too slow for it":              {cache.Ask{}, "HTTP/1.1 408 Request Timeout\nContent-Length: 0\n\n", "refused 408: status 408, temporary"},
		"too early":                    {cache.Ask{}, "HTTP/1.1 425 Too Early\nContent-Length: 0\n\n", "refused 425: status 425, temporary"},
		"too many":                     {piece, "HTTP/1.1 429 Too Many Requests\nRetry-After: 7\nContent-Length: 0\n\n", "refused 429: status 429, temporary, after 7s"},
		"error cut short":              {cache.Ask{}, "HTTP/1.1 500 Internal Server Error\nContent-Length: 9\n\nno", "refused 500: status 500, temporary"},
		"overloaded": {cache.Ask{}, "HTTP/1.1 503 Service Unavailable\nDate: " + monday + "\nRetry-After: Mon, 02 Mar 2026 10:00:30 GMT\nContent-Length: 0\n\n",
			"refused 503: status 503, temporary, after 30s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := startRaw(t, func(*http.Request) string { return tt.answer })
			s := source(t, newClient(t, func(c *Config) { c.RefuseHTML = true }), o.url+"/image", nil)
			p, err := s.Open(t.Context(), tt.ask)
			if got := outcome(t, p, err); got != tt.want {
				t.Errorf("Open = %s\nwant   %s", got, tt.want)
			}
		})
	}
}

// TestQuestion checks what is sent for what is asked.
func TestQuestion(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		ask           cache.Ask
		span, ifRange string
	}{
		"everything":              {cache.Ask{}, "", ""},
		"everything, the same":    {cache.Ask{Same: tagA}, "", ""}, // If-Range needs a Range (RFC 9110 section 13.1.5)
		"negative length":         {cache.Ask{Length: -1}, "", ""},
		"the beginning":           {cache.Ask{Length: 16}, "bytes=0-15", ""},
		"the middle":              {cache.Ask{First: 16, Length: 16}, "bytes=16-31", ""},
		"the end":                 {cache.Ask{First: 16}, "bytes=16-", ""},
		"up to the last number":   {cache.Ask{First: 1, Length: 1<<63 - 1}, "bytes=1-", ""},
		"by tag":                  {cache.Ask{First: 16, Same: tagA}, "bytes=16-", `"a"`},
		"by date":                 {cache.Ask{First: 16, Same: dated}, "bytes=16-", monday},
		"by tag, not by date":     {cache.Ask{First: 16, Same: cache.Validator{ETag: `"a"`, LastModified: monday, StrongDate: true}}, "bytes=16-", `"a"`},
		"not by weak tag":         {cache.Ask{First: 16, Same: weakA}, "bytes=16-", ""},
		"not by weak date":        {cache.Ask{First: 16, Same: loose}, "bytes=16-", ""},
		"not by a weak tag's day": {cache.Ask{First: 16, Same: cache.Validator{ETag: `W/"a"`, LastModified: monday, StrongDate: true}}, "bytes=16-", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := startRaw(t, func(*http.Request) string { return "HTTP/1.1 404 Not Found\nContent-Length: 0\n\n" })
			own := http.Header{"range": {"bytes=7-"}, "If-Match": {`"x"`}, "Accept-Encoding": {"gzip"}, "X-Auth-Token": {"t"}}
			s := source(t, newClient(t, nil), o.url+"/image", own)
			s.Open(t.Context(), tt.ask)
			want := map[string]string{
				"Range": tt.span, "If-Range": tt.ifRange, "If-Match": "", "Accept-Encoding": "identity", "X-Auth-Token": "t",
				"User-Agent": "ironic-edge",
			}
			for field, value := range want {
				if got := o.requests()[0].Header.Get(field); got != value {
					t.Errorf("%s: %q, want %q", field, got, value)
				}
			}
		})
	}
	s := source(t, newClient(t, nil), "http://127.0.0.1:1/image?sig=s3cret", nil)
	if _, err := s.Open(t.Context(), cache.Ask{First: -1}); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("Open of byte -1 = %v, want an error without a secret", err)
	}
}

// TestEmpty asks for a range of an empty representation, which a server can only refuse.
func TestEmpty(t *testing.T) {
	t.Parallel()
	for name, field := range map[string]string{"said": "Content-Range: bytes */0\n", "not said": "", "nonsense": "Content-Range: 0\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := startRaw(t, func(r *http.Request) string {
				if r.Header.Get("Range") != "" {
					return "HTTP/1.1 416 Range Not Satisfiable\n" + field + "Content-Length: 0\n\n"
				}
				return "HTTP/1.1 200 OK\nContent-Length: 0\n\n"
			})
			p, err := source(t, newClient(t, nil), o.url, nil).Open(t.Context(), cache.Ask{Length: 16})
			if got, want := outcome(t, p, err), "200, 0+0 of 0: "; got != want {
				t.Errorf("Open = %s, want %s", got, want)
			}
		})
	}
	stubborn := startRaw(t, func(*http.Request) string { return "HTTP/1.1 416 Range Not Satisfiable\nContent-Length: 0\n\n" })
	p, err := source(t, newClient(t, nil), stubborn.url, nil).Open(t.Context(), cache.Ask{Length: 16})
	if got, want := outcome(t, p, err), "refused 416: status 416"; got != want || len(stubborn.requests()) != 2 {
		t.Errorf("Open = %s after %d questions, want %s after 2", got, len(stubborn.requests()), want)
	}
}

func TestWebPages(t *testing.T) {
	t.Parallel()
	page := func(*http.Request) string {
		return "HTTP/1.1 200 OK\nContent-Type: text/html\nContent-Length: 4\n\n<!do"
	}
	for name, tt := range map[string]struct {
		refuse bool
		path   string
		want   string
	}{
		"image":   {true, "/image", "refused 502: a web page"},
		"page":    {true, "/index.HTML?x=1", "200, 0+4 of 4: <!do"},
		"htm":     {true, "/a/index.htm", "200, 0+4 of 4: <!do"},
		"allowed": {false, "/image", "200, 0+4 of 4: <!do"},
		"query":   {true, "/image?x=.html", "refused 502: a web page"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, func(c *Config) { c.RefuseHTML = tt.refuse })
			p, err := source(t, c, startRaw(t, page).url+tt.path, nil).Open(t.Context(), cache.Ask{})
			if got := outcome(t, p, err); got != tt.want {
				t.Errorf("Open = %s, want %s", got, tt.want)
			}
		})
	}
}

// TestPart checks what a part has besides its bytes.
func TestPart(t *testing.T) {
	t.Parallel()
	o := startRaw(t, func(r *http.Request) string {
		return "HTTP/1.1 206 Partial Content\nDate: " + tuesday + "\nLast-Modified: " + monday + "\nETag: \"a\"\nX-Kept: 1\n" +
			"Content-Range: bytes 0-4/5\nTransfer-Encoding: chunked\n\n" + chunked("01234")
	})
	p, err := source(t, newClient(t, nil), o.url, nil).Open(t.Context(), cache.Ask{Length: 5})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Body.Close()
	if want := (cache.Validator{ETag: `"a"`, LastModified: monday, StrongDate: true}); p.Validator != want {
		t.Errorf("validator %v, want %v", p.Validator, want)
	}
	for field, want := range map[string]string{"Content-Range": "", "Content-Length": "5", "X-Kept": "1"} {
		if got := p.Header.Get(field); got != want {
			t.Errorf("%s: %q, want %q", field, got, want)
		}
	}
}

// TestRefusalsBody keeps the beginning of what an origin says to its refusal.
func TestRefusalsBody(t *testing.T) {
	t.Parallel()
	o := startRaw(t, func(r *http.Request) string {
		return "HTTP/1.1 502 Bad Gateway\nX-Why: line\nTransfer-Encoding: chunked\n\n" + chunked(strings.Repeat("x", maxRefusal+9))
	})
	_, err := source(t, newClient(t, nil), o.url, nil).Open(t.Context(), cache.Ask{})
	refused, ok := err.(*cache.OriginError) //nolint:errorlint // it is the error itself
	if !ok || len(refused.Body) != maxRefusal || refused.Header.Get("X-Why") != "line" {
		t.Errorf("Open = %v, want a refusal with its header and %d bytes", err, maxRefusal)
	}
}

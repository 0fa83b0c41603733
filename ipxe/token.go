// SPDX-License-Identifier: Apache-2.0

package ipxe

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// iPXE splits a line at white space first, then looks for tokens that are operators or begin a comment, then expands
// ${settings} in each token again and again, and never splits the result (core/exec.c: split_command, expand_command;
// image/script.c joins lines that end in a backslash). It knows no quoting, so nothing foreign can be made harmless:
// it either already is, or it is refused. What is refused:
//
//   - white space, control characters and NUL: they end a token, a line, or silently the rest of the line
//   - bytes outside ASCII: iPXE takes them as they are, but what a console or a kernel makes of them is anyone's guess
//   - '$': "${" begins an expansion, which iPXE repeats on its own results
//   - '\': at the end of a line it joins the next one to it
//   - '#' as the first character: the rest of the line is a comment
//   - the tokens || && and ; in full: they end the command
//
// The quotes " and ' are ordinary characters to iPXE and pass, as they pass in Ironic's scripts.

// masked is what the API writes in place of secrets, inside of longer values, too (oslo_utils.strutils.mask_password). A
// script with it would not do what the conductor's does.
const masked = "******"

// Token is one word that means the same wherever it stands in a line. The zero Token is no word and renders as nothing.
type Token struct{ word string }

// These explain a refusal in one phrase, without the word itself: that may be a secret.
var (
	errEmpty     = errors.New("is empty")
	errCharacter = errors.New("holds a character that iPXE cannot quote")
	errOperator  = errors.New("is an operator of iPXE's scripts")
	errComment   = errors.New("begins a comment")
	errOption    = errors.New("begins like an option")
	errMasked    = errors.New("holds what Ironic's API masks; name it without password, token or secret")
)

// ParseToken checks that s is one word which iPXE takes literally.
func ParseToken(s string) (Token, error) {
	if err := checkToken(s); err != nil {
		return Token{}, err
	}
	return Token{s}, nil
}

func checkToken(s string) error {
	if s == "" {
		return errEmpty
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '$' || c == '\\' {
			return errCharacter
		}
	}
	if strings.Contains(s, masked) {
		return errMasked
	}
	switch {
	case s == "||" || s == "&&" || s == ";":
		return errOperator
	case s[0] == '#':
		return errComment
	}
	return nil
}

// String returns the word.
func (t Token) String() string { return t.word }

// Args is any number of words, separated by single blanks. The zero Args is no word at all.
type Args struct {
	text  string
	words int
}

// ParseArgs splits s at blanks, as iPXE would, and checks each word. Line ends are no blanks here: Ironic drops them
// (ironic/common/kernel_parameters.py: sanitize_kernel_command_line), so a value that holds one never meant what it says.
func ParseArgs(s string) (Args, error) {
	if strings.ContainsAny(s, "\n\r\v\f\x00") {
		return Args{}, errCharacter
	}
	a := Args{text: s}
	clean := true // single blanks only, none at the ends: s can be used as it is
	for i := 0; i < len(s); {
		if s[i] == ' ' || s[i] == '\t' {
			clean = clean && s[i] == ' ' && i > 0 && i+1 < len(s) && s[i+1] != ' '
			i++
			continue
		}
		end := i
		for end < len(s) && s[end] != ' ' && s[end] != '\t' {
			end++
		}
		if err := checkToken(s[i:end]); err != nil {
			return Args{}, err
		}
		a.words++
		i = end
	}
	if !clean {
		a.text = strings.Join(strings.Fields(s), " ")
	}
	return a, nil
}

// String returns the words with single blanks between them.
func (a Args) String() string { return a.text }

// Len is the number of words.
func (a Args) Len() int { return a.words }

// ParseURL checks that s is an absolute http or https URL with a host, without user information, query or fragment,
// and one token: what may be the base of the URLs in a script. A trailing slash is dropped.
func ParseURL(s string) (Token, error) {
	if err := checkToken(s); err != nil {
		return Token{}, err
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return Token{}, errors.New("is not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return Token{}, errors.New("is not an http or https URL")
	case u.Hostname() == "":
		return Token{}, errors.New("has no host")
	case u.User != nil:
		return Token{}, errors.New("holds user information")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return Token{}, errors.New("has a query or a fragment")
	}
	return Token{strings.TrimRight(s, "/")}, nil
}

// ParseURLs checks a comma-separated list of URLs, the form that the agent takes as ipa-api-url.
func ParseURLs(s string) (Token, error) {
	urls := strings.Split(s, ",")
	for i, one := range urls {
		t, err := ParseURL(strings.TrimSpace(one))
		if err != nil {
			return Token{}, fmt.Errorf("entry %d %w", i+1, err)
		}
		urls[i] = t.word
	}
	return Token{strings.Join(urls, ",")}, nil
}

// ParseUUID checks that s is a UUID in the canonical form, in which Ironic writes its own.
func ParseUUID(s string) (Token, error) {
	if len(s) != 36 {
		return Token{}, errors.New("is not a UUID")
	}
	for i := range len(s) {
		c := s[i]
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (c == '-') || !dash && !isHex(c) {
			return Token{}, errors.New("is not a UUID")
		}
	}
	return Token{s}, nil
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

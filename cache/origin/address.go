// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"cmp"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// address is who answers for a URL: its scheme, host and port (RFC 9110 section 4.3.1), spelled in one way only so that
// equal ones are the same origin.
type address struct{ scheme, host, port string }

// Why a URL or an entry of the allow list is no address.
var (
	errScheme = errors.New("is neither http nor https")
	errHost   = errors.New("has no host name that DNS takes; write one in other letters as xn--")
	errPort   = errors.New("has a port that is none")
)

// hostName is what a name may be made of. Others are refused and not translated: two rules of translation, ours and
// net/http's, could disagree on who is allowed.
var hostName = regexp.MustCompile(`^[a-z0-9_]([a-z0-9._-]*[a-z0-9_-])?$`)

func addressOf(u *url.URL) (address, error) {
	a := address{scheme: u.Scheme, host: strings.ToLower(u.Hostname()), port: u.Port()}
	if a.scheme != "http" && a.scheme != "https" { // url.Parse has put it into lower case
		return address{}, errScheme
	}
	if ip, err := netip.ParseAddr(a.host); err == nil {
		a.host = ip.String()
	} else if !hostName.MatchString(a.host) {
		return address{}, errHost
	}
	if a.port == "" {
		a.port = usualPort(a.scheme)
	}
	n, err := strconv.ParseUint(a.port, 10, 16)
	if err != nil || n == 0 {
		return address{}, errPort
	}
	a.port = strconv.FormatUint(n, 10)
	return a, nil
}

func usualPort(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}

// hostPort is the address as it stands in a URL and in the Host field, which has no port if it is the usual one.
func (a address) hostPort() string {
	if a.port != usualPort(a.scheme) {
		return net.JoinHostPort(a.host, a.port)
	}
	if strings.Contains(a.host, ":") {
		return "[" + a.host + "]"
	}
	return a.host
}

func (a address) String() string { return a.scheme + "://" + a.hostPort() }

// Same reports whether two URLs have one origin: scheme, host and port, however they are spelled.
func Same(a, b *url.URL) bool {
	one, err := addressOf(a)
	other, errOther := addressOf(b)
	return err == nil && errOther == nil && one == other
}

// pattern is an entry of the allow list.
type pattern struct {
	scheme string // empty: http and https
	host   string
	below  bool   // any host below that one, but not that one
	port   string // empty: the scheme's usual one
}

func parsePattern(entry string) (pattern, error) {
	scheme, host, found := strings.Cut(entry, "://")
	if !found {
		scheme, host = "", entry
	}
	host, below := strings.CutPrefix(host, "*.")
	u, err := url.Parse(cmp.Or(scheme, "http") + "://" + host)
	if err != nil {
		return pattern{}, errHost
	}
	if u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return pattern{}, errors.New("has more to it than a scheme, a host and a port")
	}
	a, err := addressOf(u)
	if err != nil {
		return pattern{}, err
	}
	if _, err := netip.ParseAddr(a.host); err == nil && below {
		return pattern{}, errors.New("has a wildcard before an IP address")
	}
	p := pattern{host: a.host, below: below}
	if found {
		p.scheme = a.scheme
	}
	if u.Port() != "" {
		p.port = a.port
	}
	return p, nil
}

func (p pattern) matches(a address) bool {
	if p.scheme != "" && p.scheme != a.scheme {
		return false
	}
	if p.port != a.port && (p.port != "" || a.port != usualPort(a.scheme)) {
		return false
	}
	if p.below {
		return strings.HasSuffix(a.host, "."+p.host)
	}
	return a.host == p.host
}

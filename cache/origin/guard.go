// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"syscall"

	"github.com/ironic-edge/ironic-edge/cache"
)

// AddressError says that an origin that the configuration does not name is at an address where only what it names may be:
// one of this machine, or one that no web server has. It is a *cache.OriginError, too.
type AddressError struct {
	Address netip.Addr
	Why     string // what kind of address it is, in words
}

func (e *AddressError) Error() string {
	return fmt.Sprintf("leads to %s, %s, where only an origin that the configuration names may be", e.Address, e.Why)
}

// Unwrap returns the error as that of an origin's answer: it will be the same the next time.
func (e *AddressError) Unwrap() error {
	return &cache.OriginError{Status: http.StatusBadGateway, Reason: "an address where only an origin that the configuration names may be"}
}

// The addresses that a name may lead to, but that need no name.
var (
	thisNetwork = netip.MustParsePrefix("0.0.0.0/8") // RFC 1122 section 3.2.1.3; to Linux the first of them is this machine
	broadcast   = netip.MustParseAddr("255.255.255.255")
	nat64       = netip.MustParsePrefix("64:ff9b::/96") // an IPv4 address is in its last four bytes (RFC 6052)
)

// machine is an address in the one spelling that leads to its machine: without what wraps an IPv4 address.
func machine(a netip.Addr) netip.Addr {
	a = a.WithZone("").Unmap()
	if nat64.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	return a
}

// special says what is special about an address, by itself. Empty: nothing. Private networks are where images are.
func special(a netip.Addr) string {
	switch a = machine(a); {
	case a.IsLoopback():
		return "a loopback address"
	case a.IsUnspecified(), thisNetwork.Contains(a):
		return "an address of no machine"
	case a.IsLinkLocalUnicast():
		return "a link-local address"
	case a.IsMulticast(), a == broadcast:
		return "an address of many machines"
	}
	return ""
}

// checkLiteral refuses an address that is spelled as such in a URL.
func checkLiteral(at address) error {
	if a, err := netip.ParseAddr(at.host); err == nil {
		if why := special(a); why != "" {
			return &AddressError{a, why}
		}
	}
	return nil
}

// checkDial is a net.Dialer's ControlContext. It sees the address that is connected to, whatever a name meant a moment before.
func (c *Client) checkDial(ctx context.Context, _, dialed string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(dialed)
	if err != nil {
		return err
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return fmt.Errorf("which addresses are this machine's: %w", err)
	}
	if err := checkAddress(to.Addr(), own); err != nil {
		return err
	}
	return c.checkApart(ctx, to)
}

// checkApart refuses a connection to a server that is to be asked by its own name only. Where that name cannot be looked up
// nobody knows, and the next time may tell.
func (c *Client) checkApart(ctx context.Context, to netip.AddrPort) error {
	for _, at := range c.apart {
		if at.port != strconv.Itoa(int(to.Port())) {
			continue
		}
		addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", at.host)
		if err != nil {
			return fmt.Errorf("which addresses are %s's: %w", at.host, err)
		}
		for _, a := range addresses {
			if machine(a) == machine(to.Addr()) {
				return &AddressError{to.Addr(), "a server of the configuration's under another name"}
			}
		}
	}
	return nil
}

func checkAddress(a netip.Addr, own []net.Addr) error {
	a = machine(a)
	if why := special(a); why != "" {
		return &AddressError{a, why}
	}
	for _, o := range own {
		if prefix, err := netip.ParsePrefix(o.String()); err == nil && prefix.Addr().Unmap() == a {
			return &AddressError{a, "an address of this machine"} // to which a packet filter lets pass what comes from here
		}
	}
	return nil
}

// via is the way to ask an address. What the configuration does not name is asked over connections of its own, of which
// each was looked at when it was made: one to the same address that was not must not be used. Where a proxy is between, it
// is the proxy that looks names up, and who runs it decides what it may reach.
func (c *Client) via(r *http.Request, at address, named bool) (http.RoundTripper, error) {
	if named || c.allowed(at) {
		return c.transport, nil
	}
	if c.proxy != nil {
		switch proxy, err := c.proxy(r); {
		case err != nil:
			return nil, withoutURL(err)
		case proxy != nil:
			return c.transport, checkLiteral(at)
		}
	}
	return c.guarded, nil
}

// HTTPClient returns a client of net/http that asks whom this one may ask, and follows redirects by the same rule. It has no
// part in the limits of bodies.
func (c *Client) HTTPClient() *http.Client {
	return &http.Client{Transport: plainTransport{c}, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) > c.cfg.MaxRedirects {
			return unusable("more than %d redirects", c.cfg.MaxRedirects)
		}
		at, err := addressOf(via[len(via)-1].URL)
		if err != nil {
			return err
		}
		r.Header.Del("Referer") // the URL that net/http puts there can hold a signature
		r.URL.User = nil        // the other server's idea of who we are
		_, err = c.hop(at, r.URL)
		return err
	}}
}

type plainTransport struct{ c *Client }

// RoundTrip does one exchange.
func (t plainTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	at, err := addressOf(r.URL)
	if err != nil {
		return nil, fmt.Errorf("the URL %w", err)
	}
	if err := t.c.checkFirst(at); err != nil {
		return nil, err
	}
	transport, err := t.c.via(r, at, false)
	if err != nil {
		return nil, err
	}
	return transport.RoundTrip(r)
}

// checkFirst reports why an origin may not be asked, as far as can be told without looking up its name.
func (c *Client) checkFirst(at address) error {
	switch {
	case c.allowed(at):
		return nil
	case !c.cfg.AnyFirst:
		return &NotAllowedError{at.String()}
	}
	return checkLiteral(at)
}

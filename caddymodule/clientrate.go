// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"hash/maphash"
	"strconv"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"golang.org/x/time/rate"

	"github.com/ironic-edge/ironic-edge/ironic"
)

const (
	defaultClientRate = 20
	// clientBurst is how many seconds' worth a client may ask for at once.
	clientBurst = 5
)

// clientRates bounds for each client's address the questions that Ironic has to be asked. Addresses share a fixed number of
// places, so that nobody's many addresses take memory; who shares a place with a busy one waits with it.
type clientRates struct {
	places [4096]atomic.Pointer[rate.Limiter]
}

var clientSeed = maphash.MakeSeed()

// admit reports whether the client may ask Ironic once more.
func (c *clientRates) admit(client string, perSecond int) bool {
	place := &c.places[maphash.String(clientSeed, client)%uint64(len(c.places))]
	limiter := place.Load()
	if limiter == nil {
		place.CompareAndSwap(nil, rate.NewLimiter(rate.Limit(perSecond), perSecond*clientBurst))
		limiter = place.Load()
	}
	if limiter.Limit() != rate.Limit(perSecond) { // another configuration
		limiter.SetLimit(rate.Limit(perSecond))
		limiter.SetBurst(perSecond * clientBurst)
	}
	return limiter.Allow()
}

// clientOf is the address that a request comes from, as Caddy's trusted_proxies has it; empty for none.
func clientOf(ctx context.Context) string {
	address, _ := caddyhttp.GetVar(ctx, caddyhttp.ClientIPVarKey).(string)
	return address
}

// errClientRate is the answer to a client that asks for too many nodes.
var errClientRate = &ironic.Error{Kind: ironic.ErrUnavailable, Op: "ask Ironic", Reason: "client_rate", Err: errors.New("the client asks too often")}

func (h *Handler) resolveClientRate() error {
	if h.ClientRate < 0 || h.ClientRate > 1_000_000 {
		return optionError("client_rate", strconv.Itoa(h.ClientRate), errors.New("is not from 1 to 1000000"), "give a number of nodes per second, such as 20")
	}
	return nil
}

func (h *Handler) unmarshalClientRate(d *caddyfile.Dispenser) error {
	var value string
	if err := one(d, &value, "<number>"); err != nil {
		return err
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 {
		return d.Errf("option client_rate: %q is not a number of nodes per second; write: client_rate 20", value)
	}
	h.ClientRate = n
	return nil
}

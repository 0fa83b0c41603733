// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strings"

	"go.uber.org/zap"

	"github.com/ironic-edge/ironic-edge/caddymodule/api"
	"github.com/ironic-edge/ironic-edge/ipxe"
	"github.com/ironic-edge/ironic-edge/ipxe/ipxetest"
)

// shadowSlots bounds the comparisons under way at once; what comes beyond is not compared.
const shadowSlots = 2

// resolveShadow checks shadow and serve.
func (h *Handler) resolveShadow(*config) error {
	var errs []error
	if h.Shadow < 0 || h.Shadow > 100 {
		errs = append(errs, optionError("shadow", fmt.Sprint(h.Shadow), errors.New("is no share in percent"), "give a number from 0 to 100"))
	}
	errs = append(errs, oneOf("serve", h.Serve, "edge", "conductor"))
	for option, set := range map[string]bool{"shadow": h.Shadow > 0, "serve": h.Serve == "conductor"} {
		if set && h.ConductorHTTP == "" {
			errs = append(errs, fmt.Errorf("%s: option %s needs the conductor's scripts; give conductor_http", directive, option))
		}
	}
	return errors.Join(errs...)
}

// shadow compares the conductor's script with ours in the background, for as many nodes as the operator wants.
func (h *Handler) shadow(node *ipxe.Node) {
	if h.Shadow == 0 || rand.N(100) >= h.Shadow {
		return
	}
	select {
	case h.shadows <- struct{}{}:
	default:
		return
	}
	h.requests.Add(1) // what it uses stays until it has ended
	go func() {       // ends with its own deadline
		defer h.requestEnds()
		defer func() { <-h.shadows }()
		ctx, cancel := context.WithTimeout(context.Background(), 4*defaultTimeout)
		defer cancel()
		h.compareTwice(ctx, node)
	}()
}

// compareTwice tells of a difference only if it is there again with facts that are new: a node may have changed its state
// between its facts and the conductor's file.
func (h *Handler) compareTwice(ctx context.Context, node *ipxe.Node) {
	diff, err := h.compare(ctx, node)
	if err == nil && !diff.Same {
		var fresh *ipxe.Node
		if fresh, err = h.client.NodeByUUID(ctx, node.UUID); err == nil {
			diff, err = h.compare(ctx, fresh)
		}
	}
	switch {
	case err != nil:
		h.metrics.shadows.WithLabelValues("failed").Inc()
		h.logger.Debug("the conductor's script cannot be compared", nodeField(node), zap.Error(err))
	case diff.Same:
		h.metrics.shadows.WithLabelValues("same").Inc()
	default:
		h.metrics.shadows.WithLabelValues("differs").Inc()
		h.logger.Warn("our script for a node does not do what the conductor's does; see `ironic-edge diff`", nodeField(node),
			zap.String("provision_state", string(node.ProvisionState)), zap.String("case", diff.Case))
	}
}

// Values that the edge puts in on purpose: our script is made with those of theirs.
var (
	theirAPI      = regexp.MustCompile(`\bipa-api-url=(\S+)`)
	theirCallback = regexp.MustCompile(`\bipa-inspection-callback-url=(\S+)`)
)

// compare runs the conductor's script and the one that we would give in its place, when all goes well and with each fetch
// failing once and for ever, and compares what they do.
func (h *Handler) compare(ctx context.Context, node *ipxe.Node) (*api.Diff, error) {
	theirs, err := h.conductorScript(ctx, node.UUID)
	if err != nil {
		return nil, err
	}
	n := *node
	n.Port.PXEDisabled = false // it is the port's link that Ironic leaves out, not the node's file
	o, secrets, base := h.options, ipxe.ReadSecrets(theirs), h.conductor
	o.Beacons = false
	if m := theirAPI.FindSubmatch(theirs); m != nil {
		o.APIURL = string(m[1])
	}
	if m := theirCallback.FindSubmatch(theirs); m != nil {
		o.InspectionCallbackURL = string(m[1])
	}
	if m := regexp.MustCompile(`(https?://\S+)/` + regexp.QuoteMeta(n.UUID) + `/`).FindSubmatch(theirs); m != nil {
		base = string(m[1]) // its own name for itself
	}
	diff := &api.Diff{Node: nodeView(&n)}
	script, err := ipxe.Select(&n, ipxe.Boot{BaseURL: base, APIURL: o.APIURL, RequestID: "req-1", Secrets: secrets}, &o)
	var nothing *ipxe.NotBootable
	switch {
	case errors.As(err, &nothing):
		diff.Same = theirs == nil
	case err != nil:
		return nil, err
	case theirs == nil:
		// On purpose: a conductor with default options leaves such a node to its firmware.
		diff.Same = script.Kind == ipxe.KindWholeDisk
	}
	if theirs == nil || nothing != nil {
		diff.Case, diff.Ours, diff.Theirs = "there is a script", []string{yes(nothing == nil)}, []string{yes(theirs != nil)}
		return diff, nil
	}
	ours, err := script.AppendText(nil)
	if err != nil {
		return nil, err
	}
	machine := ipxetest.Machine{NICs: []string{n.Port.Address}, Network: wellNetwork, Base: base + "/boot.ipxe"}
	our, their := ipxetest.Cases(ours, machine), ipxetest.Cases(theirs, machine)
	diff.Same = ipxetest.Format(our) == ipxetest.Format(their)
	for i := range min(len(our), len(their)) {
		if diff.Case, diff.Ours, diff.Theirs = our[i].Name, steps(our[i], secrets), steps(their[i], secrets); our[i].Trace.String() != their[i].Trace.String() {
			break
		}
		if diff.Same {
			break // what they do when all goes well
		}
	}
	return diff, nil
}

var wellNetwork = ipxetest.NetworkFunc(func(ipxetest.Request) ipxetest.Response { return ipxetest.Response{Status: http.StatusOK} })

// steps are the lines of a trace, without passwords.
func steps(c ipxetest.Case, secrets *ipxe.Secrets) []string {
	return strings.Split(strings.TrimRight(secrets.Hide(c.Trace.String()), "\n"), "\n")
}

func yes(there bool) string {
	if there {
		return "yes"
	}
	return "no"
}

// nodeView is a node as the admin API shows it.
func nodeView(n *ipxe.Node) api.Node {
	v := api.Node{UUID: n.UUID, Name: n.Name, MACs: []string{}, State: string(n.ProvisionState)}
	if n.Port.Address != "" {
		v.MACs = []string{n.Port.Address}
	}
	return v
}

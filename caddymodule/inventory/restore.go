// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"errors"
	"io/fs"
	"regexp"
	"strings"
	"time"

	"github.com/ironic-edge/ironic-edge/ipxe"
)

// save writes down what is known, if anything of it has changed.
func (inv *Inventory) save() error {
	if inv.file.name == "" {
		return nil
	}
	inv.file.begin()
	inv.mu.Lock()
	if !inv.changed {
		inv.mu.Unlock()
		inv.file.end()
		return nil
	}
	inv.changed = false
	now := time.Now()
	records := make([]record, 0, len(inv.nodes))
	for _, k := range inv.nodes {
		r := k.record(now)
		if inv.config.Answers.Forgotten(k.uuid, k.began) {
			r.Facts = nil
		}
		records = append(records, r)
	}
	inv.mu.Unlock()
	err := inv.file.write(header{Identity: inv.config.Identity, Saved: now}, records)
	if err != nil {
		inv.mu.Lock()
		inv.changed = true
		inv.mu.Unlock()
	}
	return err
}

func (k *known) record(now time.Time) record {
	r := record{UUID: k.uuid, Name: k.name, Asset: k.asset, State: k.state, StateUpdated: k.stateUpdated, Age: now.Sub(k.asked)}
	if k.node != nil && !secret(k.node) {
		r.Facts = k.node
	}
	for _, p := range k.ports {
		r.Ports = append(r.Ports, portRecord{p.Port, now.Sub(p.asked)})
	}
	return r
}

func (r *record) known(now time.Time) *known {
	k := &known{node: r.Facts, uuid: r.UUID, name: r.Name, asset: r.Asset, state: r.State, stateUpdated: r.StateUpdated,
		asked: now.Add(-r.Age), restored: true, ports: make(map[string]port)}
	for _, p := range r.Ports {
		k.ports[p.Address] = port{p.Port, now.Add(-p.Age)}
	}
	return k
}

// Restore takes in what another process wrote down, if Ironic has not told of the nodes yet. It returns how many nodes
// that are, and why none are, which is no error where there is no file.
func (inv *Inventory) Restore() (int, error) {
	select {
	case <-inv.told:
		return 0, nil
	default:
	}
	if inv.config.File == "" {
		return 0, nil
	}
	h, records, err := read(inv.config.File, time.Now(), inv.settings.Load().Longest)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, nil
	case err != nil:
		return 0, err
	case h.Identity != inv.config.Identity:
		return 0, errors.New("it is of another site, or of the same with another API, account or scope")
	}
	inv.mu.Lock()
	defer inv.mu.Unlock()
	now, open := time.Now(), make(map[string]bool)
	for _, r := range records[:min(len(records), inv.config.MaxNodes)] {
		k := r.known(now)
		for address := range k.ports {
			if inv.owners[address] != nil {
				delete(k.ports, address)
			} else {
				inv.owners[address] = k
			}
		}
		inv.nodes[k.uuid], open[k.uuid] = k, k.node != nil
		inv.holdLocked(k)
	}
	inv.tellLocked()
	inv.file.mu.Lock()
	inv.file.open = open
	inv.file.mu.Unlock()
	return len(inv.nodes), nil
}

// secretWord is how words of a kernel's command line begin whose value may be a secret that Ironic does not mask.
var secretWord = regexp.MustCompile(`(?i)(^|\s)[^\s=]*(pass|pwd|secret|token|credential|key|auth)[^\s=]*=`)

// secret reports whether anything of a node may be a secret: an image reference with a query, which is how signatures come,
// or with a user; a kernel parameter that is called like one; a volume, for which there are credentials.
func secret(n *ipxe.Node) bool {
	for _, ref := range []string{n.Deploy.Kernel, n.Deploy.Ramdisk, n.Rescue.Kernel, n.Rescue.Ramdisk, n.Instance.Kernel,
		n.Instance.Ramdisk, n.BootISO, n.Stage2, n.RepositoryURL} {
		if scheme, rest, ok := strings.Cut(ref, "://"); strings.Contains(ref, "?") || ok && !strings.EqualFold(scheme, "oci") && strings.Contains(rest, "@") {
			return true
		}
	}
	params := n.RamdiskKernelArguments
	if n.KernelAppendParams != nil {
		params += " " + *n.KernelAppendParams
	}
	return n.BootVolume != "" || len(n.Volumes) > 0 || n.Initiator != "" || secretWord.MatchString(params) || strings.Contains(params, "://") && strings.ContainsAny(params, "?@")
}

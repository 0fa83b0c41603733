// SPDX-License-Identifier: Apache-2.0

package ironictest

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
)

var macForm = regexp.MustCompile(`(?i)^([0-9a-f]{2}:){5}[0-9a-f]{2}$`)

// addressFilter returns the address that a call filters by; on false the call has been answered.
func addressFilter(w http.ResponseWriter, c call) (string, bool) {
	address := c.query.Get("address")
	if c.query.Has("address") && !macForm.MatchString(address) {
		clientError(w, http.StatusBadRequest, "Expected valid MAC address for address: "+address)
		return "", false
	}
	return address, true
}

// nodeFilter returns the nodes whose resources a call asks for; on false the call has been answered.
func (s *Server) nodeFilter(w http.ResponseWriter, c call) ([]Node, bool) {
	ident := c.ident
	for _, name := range []string{"node", "node_uuid"} {
		if c.query.Has(name) {
			ident = c.query.Get(name)
		}
	}
	if ident != "" {
		n, ok := s.find(ident, c.minor)
		if !ok {
			nodeNotFound(w, ident)
		}
		return []Node{n}, ok
	}
	nodes := s.Nodes()
	if c.query.Has("shard") {
		shards := strings.Split(c.query.Get("shard"), ",")
		nodes = slices.DeleteFunc(nodes, func(n Node) bool { return !slices.Contains(shards, n.Shard) })
	}
	if c.query.Has("conductor_groups") {
		groups := strings.Split(c.query.Get("conductor_groups"), ",")
		nodes = slices.DeleteFunc(nodes, func(n Node) bool { return !slices.Contains(groups, n.ConductorGroup) })
	}
	return nodes, true
}

// siteFilters are the filters by parts of all nodes that a release has for ports or portgroups, besides a port's shard
// (ironic/api/controllers/v1/port.py and portgroup.py: get_all). Conductor groups are looked for in every version then.
func (s *Server) siteFilters(more ...string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.maxMinor >= 99 {
		more = append(more, "conductor_groups")
	}
	if s.maxMinor >= 106 {
		more = append(more, "shard")
	}
	return more
}

func (s *Server) servePorts(w http.ResponseWriter, c call) {
	if !knownQuery(w, c, s.siteFilters("address", "node", "node_uuid", "shard", "limit", "marker", "fields", "detail")...) {
		return
	}
	if c.query.Has("shard") && c.minor < since["shard"] {
		tooOld(w, since["shard"])
		return
	}
	address, ok := addressFilter(w, c)
	if !ok {
		return
	}
	nodes, ok := s.nodeFilter(w, c)
	if !ok {
		return
	}
	var elements []object
	for _, n := range nodes {
		for _, p := range n.Ports {
			if address == "" || strings.EqualFold(address, p.Address) {
				elements = append(elements, object{"uuid": p.UUID, "address": p.Address, "node_uuid": n.UUID,
					"pxe_enabled": !p.PXEDisabled, "portgroup_uuid": orNull(p.PortgroupUUID), "extra": orEmpty(p.Extra)})
			}
		}
	}
	portCollection.serve(w, c, elements)
}

func (s *Server) servePortgroups(w http.ResponseWriter, c call) {
	if !knownQuery(w, c, s.siteFilters("address", "node", "limit", "marker", "fields", "detail")...) {
		return
	}
	if c.query.Has("shard") && c.minor < 106 {
		tooOld(w, 106)
		return
	}
	address, ok := addressFilter(w, c)
	if !ok {
		return
	}
	nodes, ok := s.nodeFilter(w, c)
	if !ok {
		return
	}
	var elements []object
	for _, n := range nodes {
		for _, p := range n.Portgroups {
			if address == "" || address == p.Address { // upper case finds none in newer releases
				elements = append(elements, object{"uuid": p.UUID, "name": orNull(p.Name), "address": p.Address, "node_uuid": n.UUID})
			}
		}
	}
	portgroupCollection.serve(w, c, elements)
}

func (s *Server) serveTargets(w http.ResponseWriter, c call) {
	if !knownQuery(w, c, "node", "limit", "marker", "fields", "detail") {
		return
	}
	nodes, ok := s.nodeFilter(w, c)
	if !ok {
		return
	}
	var elements []object
	for _, n := range nodes {
		for _, v := range n.Volumes {
			elements = append(elements, object{"uuid": v.UUID, "node_uuid": n.UUID, "volume_type": v.Type,
				"boot_index": v.BootIndex, "volume_id": v.VolumeID, "properties": masked(v.Properties)})
		}
	}
	targetCollection.serve(w, c, elements)
}

func (s *Server) serveConnectors(w http.ResponseWriter, c call) {
	if !knownQuery(w, c, "node", "limit", "marker", "fields", "detail") {
		return
	}
	nodes, ok := s.nodeFilter(w, c)
	if !ok {
		return
	}
	var elements []object
	for _, n := range nodes {
		for _, v := range n.Connectors {
			elements = append(elements, object{"uuid": v.UUID, "node_uuid": n.UUID, "type": v.Type, "connector_id": v.ConnectorID})
		}
	}
	connectorCollection.serve(w, c, elements)
}

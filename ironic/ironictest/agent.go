// SPDX-License-Identifier: Apache-2.0

package ironictest

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// The agent's endpoints are public, and behave as ironic/api/controllers/v1/ramdisk.py.

// lookupAllowed names the states in which an agent may be running (ironic/common/states.py: LOOKUP_ALLOWED_STATES).
func lookupAllowed(state string) bool {
	switch state {
	case "deploying", "wait call-back", "cleaning", "clean wait", "inspecting", "inspect wait", "rescuing", "rescue wait", "service wait":
		return true
	}
	return false
}

// serveLookup answers the agent who it is. An unknown node and one in another state get the same answer. The first lookup
// makes the agent's token; nobody sees it again.
func (s *Server) serveLookup(w http.ResponseWriter, c call) {
	if !knownQuery(w, c, "addresses", "node_uuid") {
		return
	}
	var addresses []string
	for a := range strings.SplitSeq(strings.ToLower(c.query.Get("addresses")), ",") {
		if macForm.MatchString(a) {
			addresses = append(addresses, a)
		}
	}
	uuid := c.query.Get("node_uuid")
	if len(addresses) == 0 && uuid == "" {
		clientError(w, http.StatusBadRequest, "At least one of 'addresses' and 'node_uuid' parameters is required")
		return
	}
	s.mu.Lock()
	i := s.indexLocked(uuid)
	if uuid == "" {
		i = slices.IndexFunc(s.nodes, func(n *Node) bool { return n.hasPort(addresses) })
	}
	if i < 0 || !lookupAllowed(s.nodes[i].ProvisionState) {
		s.mu.Unlock()
		notFound(w)
		return
	}
	token := s.nodes[i].issue(c.minor)
	n := s.nodes[i].clone()
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, n.lookup(c, token))
}

func (n *Node) hasPort(addresses []string) bool {
	return slices.ContainsFunc(n.Ports, func(p Port) bool { return slices.Contains(addresses, p.Address) })
}

// issue makes a token the first time. Clients from before 1.62 know of none.
func (n *Node) issue(minor int) any {
	switch {
	case minor < 62 && n.token == "":
		return nil
	case n.token != "":
		return mask
	}
	n.token = rand.Text()
	return n.token
}

func (n *Node) lookup(c call, token any) object {
	node := nodeCollection.show(c, n.document(), []string{"uuid", "properties", "instance_info", "driver_internal_info"})
	return object{"node": node, "config": object{
		"heartbeat_timeout": 300, "agent_token": token, "agent_token_required": true, "agent_md5_checksum_enable": false,
		"metrics": object{"backend": "noop"}, "metrics_statsd": object{},
	}}
}

// maxReport is the largest body that is read of an agent.
const maxReport = 1 << 20

func readReport(w http.ResponseWriter, c call, into any) bool {
	if err := json.NewDecoder(http.MaxBytesReader(w, c.Body, maxReport)).Decode(into); err != nil {
		clientError(w, http.StatusBadRequest, "The body is not the expected JSON")
		return false
	}
	return true
}

func (s *Server) serveHeartbeat(w http.ResponseWriter, c call) {
	var report struct {
		Callback *string `json:"callback_url"`
		Token    *string `json:"agent_token"`
	}
	if !readReport(w, c, &report) {
		return
	}
	if report.Callback == nil {
		clientError(w, http.StatusBadRequest, "Missing mandatory parameter: callback_url")
		return
	}
	n, ok := s.find(c.ident, c.minor)
	if !ok {
		nodeNotFound(w, c.ident)
		return
	}
	if report.Token == nil {
		clientError(w, http.StatusBadRequest, "Agent token is required for heartbeat processing.")
		return
	}
	s.mu.Lock()
	i := s.indexLocked(n.UUID)
	valid := i >= 0 && s.nodes[i].token != "" && s.nodes[i].token == *report.Token
	if valid {
		s.nodes[i].heartbeats++
	}
	s.mu.Unlock()
	if !valid {
		clientError(w, http.StatusBadRequest, "Invalid or missing agent token received.")
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// serveInspection takes what an agent has found. Only 1.1, as a request without a version has it, and 1.84 on have it.
func (s *Server) serveInspection(w http.ResponseWriter, c call) {
	if c.minor < 84 && c.minor != 1 {
		clientError(w, http.StatusNotFound, "API version 1.84 or newer is required")
		return
	}
	var report struct {
		Inventory *struct {
			Interfaces []struct {
				Address string `json:"mac_address"`
			} `json:"interfaces"`
		} `json:"inventory"`
	}
	if !readReport(w, c, &report) {
		return
	}
	if report.Inventory == nil || len(report.Inventory.Interfaces) == 0 {
		clientError(w, http.StatusBadRequest, "Schema error for data: 'inventory' with 'interfaces' is required")
		return
	}
	var addresses []string
	for _, i := range report.Inventory.Interfaces {
		addresses = append(addresses, strings.ToLower(i.Address))
	}
	s.mu.Lock()
	i := slices.IndexFunc(s.nodes, func(n *Node) bool { return n.ProvisionState == "inspect wait" && n.hasPort(addresses) })
	if i < 0 {
		s.mu.Unlock()
		notFound(w)
		return
	}
	uuid, token := s.nodes[i].UUID, any(nil)
	if c.minor >= 84 {
		token = s.nodes[i].issue(c.minor)
	}
	n := s.nodes[i].clone()
	s.mu.Unlock()
	if c.minor >= 84 {
		writeJSON(w, http.StatusAccepted, n.lookup(c, token))
		return
	}
	writeJSON(w, http.StatusAccepted, object{"uuid": uuid})
}

// SPDX-License-Identifier: Apache-2.0

package ironictest

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The agent's endpoints are public, and behave as ironic/api/controllers/v1/ramdisk.py.

var uuidForm = regexp.MustCompile(`(?i)^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// lookupAllowed names the states in which an agent may be running (ironic/common/states.py: LOOKUP_ALLOWED_STATES).
func lookupAllowed(state string) bool {
	switch state {
	case "deploying", "wait call-back", "cleaning", "clean wait", "inspecting", "inspect wait", "rescuing", "rescue wait", "service wait":
		return true
	}
	return false
}

// serveLookup answers the agent who it is. An unknown node and one in another state get the same answer. The first lookup
// makes the agent's token, which later ones do not see, but for those in a version from before tokens.
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
	if uuid != "" && !uuidForm.MatchString(uuid) {
		clientError(w, http.StatusBadRequest, "Expected UUID for node_uuid: "+uuid)
		return
	}
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

// issue makes a token the first time, and masks it later. Versions before 1.62 make none, but show what there is, unmasked
// (LookupController.get_all: only get_node_with_token masks).
func (n *Node) issue(minor int) any {
	switch {
	case minor < 62:
		return orNull(n.token)
	case n.token != "":
		return mask
	}
	n.token, n.changed = rand.Text(), time.Now()
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

// heartbeatFields are the parameters that a heartbeat may have.
var heartbeatFields = []string{"callback_url", "agent_token", "agent_version", "agent_verify_ca", "agent_status", "agent_status_message"}

func (s *Server) serveHeartbeat(w http.ResponseWriter, c call) {
	var body object
	if !readReport(w, c, &body) {
		return
	}
	report := map[string]*string{}
	for name, value := range body {
		if !slices.Contains(heartbeatFields, name) {
			clientError(w, http.StatusBadRequest, "Unexpected arguments: "+name)
			return
		}
		if text, ok := value.(string); ok {
			report[name] = &text
		}
	}
	if report["callback_url"] == nil {
		clientError(w, http.StatusBadRequest, "Missing mandatory parameter: callback_url")
		return
	}
	n, ok := s.find(c.ident, c.minor)
	if !ok {
		nodeNotFound(w, c.ident)
		return
	}
	if report["agent_token"] == nil {
		clientError(w, http.StatusBadRequest, "Agent token is required for heartbeat processing.")
		return
	}
	// From here on it is the conductor that refuses (ironic/conductor/manager.py: heartbeat).
	if report["agent_version"] == nil {
		clientError(w, http.StatusBadRequest, "Agent did not transmit a version, and a version is required. Please update the agent being used.")
		return
	}
	s.mu.Lock()
	i := s.indexLocked(n.UUID)
	valid := i >= 0 && s.nodes[i].token != "" && s.nodes[i].token == *report["agent_token"]
	if valid {
		s.nodes[i].heartbeats++
		s.nodes[i].changed = time.Now()
	}
	s.mu.Unlock()
	if !valid {
		clientError(w, http.StatusBadRequest, "Invalid or missing agent token received.")
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// serveInspection takes what an agent has found.
func (s *Server) serveInspection(w http.ResponseWriter, c call) {
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

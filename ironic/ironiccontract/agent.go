// SPDX-License-Identifier: Apache-2.0

package ironiccontract

import (
	"net/http"
	"strings"
	"testing"
)

// The agent's endpoints (ironic/api/controllers/v1/ramdisk.py) ask for no credentials, and get none here.

// agent asks as an agent does.
func (c *contract) agent(t *testing.T, method, path, version string, body any) answer {
	t.Helper()
	r := c.request(t, method, path, body)
	if version != noVersion {
		r.Header.Set(headerVersion, version)
	}
	return send(t, r)
}

func (c *contract) lookup(t *testing.T, query, version string) answer {
	t.Helper()
	return c.agent(t, http.MethodGet, "/v1/lookup?"+query, version, nil)
}

func (c *contract) testLookup(t *testing.T) {
	t.Run("not found", func(t *testing.T) {
		// Nobody is to learn from the answer which nodes there are.
		unknown := c.lookup(t, "addresses="+nobodyMAC, latest)
		unknown.refused(t, http.StatusNotFound, "could not be found")
		for _, query := range []string{"addresses=" + enrolledMAC, "node_uuid=" + enrolledUUID, "addresses=" + memberMAC,
			"node_uuid=" + nobodyUUID, "addresses=" + agentMAC + "&node_uuid=" + enrolledUUID, "addresses=" + portgroupMAC} {
			a := c.lookup(t, query, latest)
			if a.status != unknown.status || a.body != unknown.body {
				t.Errorf("%s: %d %s, want the answer for an unknown node", a.asked, a.status, a.body)
			}
		}
	})
	t.Run("no question", func(t *testing.T) {
		for _, query := range []string{"", "addresses=", "addresses=rubbish", "addresses=" + strings.ReplaceAll(agentMAC, ":", "-")} {
			c.lookup(t, query, latest).refused(t, http.StatusBadRequest, "addresses")
		}
		c.lookup(t, "addresses="+agentMAC+"&node_uuid=rubbish", latest).refused(t, http.StatusBadRequest, "rubbish")
		c.lookup(t, "addresses="+agentMAC+"&nonsense=1", latest).refused(t, http.StatusBadRequest, "nonsense")
	})
	t.Run("too old", func(t *testing.T) {
		for _, v := range []string{noVersion, "1.21"} {
			c.lookup(t, "addresses="+agentMAC, v).refused(t, http.StatusNotFound, "could not be found")
		}
	})
	token := func(t *testing.T, query, version string) any {
		t.Helper()
		o := c.lookup(t, query, version).object(t, http.StatusOK)
		wantValue(t, child(t, o, "node"), "uuid", agentUUID)
		return child(t, o, "config")["agent_token"]
	}
	t.Run("token", func(t *testing.T) {
		// An agent that knows of no tokens takes none away.
		if got := token(t, "addresses="+agentMAC, "1.61"); got != nil {
			t.Errorf("version 1.61 gets the token %v", got)
		}
		first := c.lookup(t, "addresses="+nobodyMAC+","+strings.ToUpper(agentMAC), latest).object(t, http.StatusOK)
		node, config := child(t, first, "node"), child(t, first, "config")
		wantFields(t, node, "uuid,properties,instance_info,driver_internal_info")
		wantValue(t, child(t, node, "properties"), "cpu_arch", "x86_64")
		wantValue(t, config, "agent_token_required", true)
		if timeout, ok := config["heartbeat_timeout"].(float64); !ok || timeout <= 0 {
			t.Errorf("heartbeat_timeout %v", config["heartbeat_timeout"])
		}
		made, _ := config["agent_token"].(string)
		if len(made) < 20 {
			t.Fatalf("token %q", made)
		}
		for _, query := range []string{"addresses=" + agentMAC, "node_uuid=" + agentUUID, "addresses=" + agentMAC + "&node_uuid=" + agentUUID} {
			for _, v := range []string{"1.62", latest} {
				if got := token(t, query, v); got != mask {
					t.Errorf("?%s in version %s gets %v, want the mask", query, v, got)
				}
			}
		}
		// Before 1.62 there was no token to mask. It is not masked there to this day, so that whoever may call lookup
		// can have it; the relay must not take it for harmless.
		if got := token(t, "addresses="+agentMAC, "1.61"); got != made {
			t.Errorf("version 1.61 gets %v, want the token", got)
		}
		a := c.get(t, "/v1/nodes/"+agentUUID, latest)
		wantValue(t, child(t, a.object(t, http.StatusOK), "driver_internal_info"), "agent_secret_token", mask)
		if strings.Contains(a.body, made) {
			t.Error("the node shows its token")
		}
		c.heartbeats(t, made)
	})
}

// callback is where the agent says it listens.
const callback = "http://127.0.0.1:9"

func (c *contract) heartbeat(t *testing.T, uuid, version string, pairs ...any) answer {
	t.Helper()
	body := object{"callback_url": callback, "agent_version": "9.0.0"}
	for i := 0; i+1 < len(pairs); i += 2 {
		body[pairs[i].(string)] = pairs[i+1]
		if pairs[i+1] == nil {
			delete(body, pairs[i].(string))
		}
	}
	return c.agent(t, http.MethodPost, "/v1/heartbeat/"+uuid, version, body)
}

// heartbeats is the rest of an agent's first minute: with the wrong token, and the right one.
func (c *contract) heartbeats(t *testing.T, token string) {
	t.Helper()
	c.heartbeat(t, agentUUID, latest, "agent_token", "guessed").refused(t, http.StatusBadRequest, "agent token")
	c.heartbeat(t, agentUUID, latest, "agent_token", mask).refused(t, http.StatusBadRequest, "agent token")
	c.heartbeat(t, plainUUID, latest, "agent_token", token).refused(t, http.StatusBadRequest, "agent token")
	a := c.heartbeat(t, agentUUID, latest, "agent_token", token)
	if a.status != http.StatusAccepted || a.body != "" {
		t.Errorf("%s with the token: status %d: %s", a.asked, a.status, a.body)
	}
}

func (c *contract) testHeartbeat(t *testing.T) {
	c.heartbeat(t, plainUUID, latest).refused(t, http.StatusBadRequest, "token is required")
	c.heartbeat(t, plainUUID, latest, "agent_token", "guessed", "agent_version", nil).refused(t, http.StatusBadRequest, "version")
	c.heartbeat(t, plainUUID, latest, "agent_token", "guessed", "callback_url", nil).refused(t, http.StatusBadRequest, "callback_url")
	c.heartbeat(t, plainUUID, latest, "agent_token", "guessed", "nonsense", 1).refused(t, http.StatusBadRequest, "nonsense")
	c.heartbeat(t, plainUUID, latest, "agent_token", "guessed").refused(t, http.StatusBadRequest, "agent token")
	c.heartbeat(t, nobodyUUID, latest, "agent_token", "guessed").refused(t, http.StatusNotFound, nobodyUUID)
	for _, v := range []string{noVersion, "1.21"} {
		c.heartbeat(t, plainUUID, v, "agent_token", "guessed").refused(t, http.StatusNotFound, "could not be found")
	}
}

// inspectionMinor is the first version in which agents report to Ironic itself.
const inspectionMinor = 84

func (c *contract) testInspection(t *testing.T) {
	inventory := func(mac string) object {
		return object{"inventory": object{"interfaces": []object{{"mac_address": mac}}}}
	}
	report := func(t *testing.T, version string, body object) answer {
		t.Helper()
		return c.agent(t, http.MethodPost, "/v1/continue_inspection", version, body)
	}
	if c.newest < inspectionMinor {
		a := report(t, latest, inventory(inspectMAC))
		if c.Auth.Kind != basic && c.Auth.Kind != cloud {
			a.aborted(t, http.StatusNotFound)
		} else if a.status != http.StatusUnauthorized { // as for every path that Ironic does not have
			t.Errorf("%s: status %d: %s", a.asked, a.status, a.body)
		}
		return
	}
	report(t, latest, object{}).refused(t, http.StatusBadRequest, "inventory")
	report(t, latest, object{"inventory": object{"interfaces": []object{}}}).refused(t, http.StatusBadRequest, "")
	report(t, "1.83", inventory(inspectMAC)).refused(t, http.StatusNotFound, "1.84")
	for _, mac := range []string{nobodyMAC, plainMAC} {
		report(t, latest, inventory(mac)).refused(t, http.StatusNotFound, "could not be found")
		report(t, noVersion, inventory(mac)).refused(t, http.StatusNotFound, "could not be found")
	}
	o := report(t, latest, inventory(strings.ToUpper(inspectMAC))).object(t, http.StatusAccepted)
	wantValue(t, child(t, o, "node"), "uuid", inspectUUID)
	if token, _ := child(t, o, "config")["agent_token"].(string); len(token) < 20 {
		t.Errorf("token %q", token)
	}
}

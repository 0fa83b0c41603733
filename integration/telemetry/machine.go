// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"

	"github.com/ironic-edge/ironic-edge/ipxe/ipxetest"
)

// machine is a simulated one, with one NIC.
type machine struct {
	ctx       context.Context
	edge, mac string

	uuid, token string // of the agent's lookup
	requestID   string // from the kernel's command line
}

// Fetch gets what a script asks for. Drives are said to be there.
func (m *machine) Fetch(asked ipxetest.Request) ipxetest.Response {
	if asked.Method == ipxetest.Attach || asked.Method == ipxetest.Disk {
		return ipxetest.Response{Status: http.StatusOK}
	}
	status, header, body, err := m.ask(asked.Method, asked.URL, nil, "User-Agent", "iPXE/1.21.1 (simulated)")
	if err != nil {
		return ipxetest.Response{}
	}
	answer := ipxetest.Response{Status: status, RetryAfter: header.Get("Retry-After")}
	if strings.HasPrefix(header.Get("Content-Type"), "text/") {
		answer.Body = body
	}
	return answer
}

func (m *machine) ask(method, url string, body []byte, fields ...string) (int, http.Header, []byte, error) {
	r, err := http.NewRequestWithContext(m.ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, response.Header, answer, err
}

var requestIDForm = regexp.MustCompile(`ipa-global-request-id=(req-[-0-9a-f]{36})`)

// switchOn runs the firmware up to where it leaves iPXE, and returns how that is.
func (m *machine) switchOn() (ipxetest.Event, error) {
	start := m.edge + "/boot.ipxe"
	script := m.Fetch(ipxetest.Request{Method: http.MethodGet, URL: start})
	if !script.OK() {
		return ipxetest.Event{}, fmt.Errorf("boot.ipxe: status %d", script.Status)
	}
	end := ipxetest.Run(script.Body, ipxetest.Machine{NICs: []string{m.mac}, Network: m, Base: start}).End()
	if found := requestIDForm.FindStringSubmatch(end.Text); found != nil {
		m.requestID = found[1]
	}
	return end, nil
}

// call is a call of the agent.
func (m *machine) call(method, path string, body []byte) (int, []byte, error) {
	status, _, answer, err := m.ask(method, m.edge+path, body, "X-OpenStack-Ironic-API-Version", "1.68",
		"Content-Type", "application/json", "X-OpenStack-Request-ID", m.requestID)
	return status, answer, err
}

// runAgent has the agent look itself up and report.
func (m *machine) runAgent() error {
	status, body, err := m.call(http.MethodGet, "/v1/lookup?addresses="+m.mac, nil)
	if err != nil || status != http.StatusOK {
		return fmt.Errorf("lookup: status %d, %w", status, errors.Join(err))
	}
	var found struct {
		Node   struct{ UUID string }
		Config struct {
			Token string `json:"agent_token"`
		}
	}
	if err := json.Unmarshal(body, &found); err != nil {
		return err
	}
	m.uuid, m.token = found.Node.UUID, found.Config.Token
	report, err := json.Marshal(map[string]string{"callback_url": "https://192.0.2.7:9999", "agent_token": m.token, "agent_version": "11.0.0"})
	if err != nil {
		return err
	}
	if status, _, err = m.call(http.MethodPost, "/v1/heartbeat/"+m.uuid, report); err != nil || status != http.StatusAccepted {
		return fmt.Errorf("heartbeat: status %d, %w", status, errors.Join(err))
	}
	return nil
}

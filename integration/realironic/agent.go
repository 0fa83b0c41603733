// SPDX-License-Identifier: Apache-2.0

package realironic

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// agent answers for the ramdisk on one node: the command API of ironic-python-agent, in which every command succeeds
// at once unless it is named below. A command's name is that of its extension and method, e.g. standby.power_off.
type agent struct {
	mu       sync.Mutex
	token    string
	fails    string // this command fails
	runs     string // this command stays in status RUNNING
	hangs    string // this command is never answered
	hanging  chan struct{}
	commands []command // everything asked so far
}

type command struct {
	Name   string         `json:"command_name"`
	Params map[string]any `json:"command_params"`
	Status string         `json:"command_status"`
	Error  any            `json:"command_error"`
	Result map[string]any `json:"command_result"`
}

// agent returns the agent of a node, made on first use.
func (s *Stubs) agent(uuid string) *agent {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.agents[uuid]
	if a == nil {
		a = &agent{hanging: make(chan struct{})}
		s.agents[uuid] = a
	}
	return a
}

// forget ends what is known of a node's agent.
func (s *Stubs) forget(uuid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.agents, uuid)
}

func (s *Stubs) agentURL(uuid string) string { return s.server.URL + "/agent/" + uuid }

func (s *Stubs) serveAgent(w http.ResponseWriter, r *http.Request) {
	a := s.agent(r.PathValue("node"))
	w.Header().Set("Content-Type", "application/json")
	if r.Method == http.MethodGet {
		a.mu.Lock()
		defer a.mu.Unlock()
		_ = json.NewEncoder(w).Encode(map[string]any{"commands": append([]command{}, a.commands...)})
		return
	}
	var asked struct {
		Name   string
		Params map[string]any
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer, hang := a.execute(asked.Name, asked.Params)
	if hang {
		select {
		case <-s.held.Done():
		case <-r.Context().Done():
		}
		return
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (a *agent) execute(name string, params map[string]any) (answer command, hang bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, method, _ := strings.Cut(name, ".")
	answer = command{Name: method, Params: params, Status: "SUCCEEDED", Result: map[string]any{}}
	switch {
	case name == a.hangs:
		select {
		case <-a.hanging:
		default:
			close(a.hanging)
		}
		hang = true
	case name == a.fails:
		answer.Status = "FAILED"
		answer.Error = map[string]any{"type": "CommandExecutionError", "message": "refused by the stub", "details": "refused by the stub"}
	case name == a.runs:
		answer.Status = "RUNNING"
	}
	// What the steps' callers look for in a result.
	kind, step, isSteps := strings.Cut(name, ".")
	switch {
	case isSteps && strings.HasPrefix(step, "get_") && strings.HasSuffix(step, "_steps"):
		answer.Result[kind+"_steps"] = map[string]any{"GenericHardwareManager": inBandSteps(kind)}
		answer.Result["hardware_manager_version"] = map[string]any{"generic": "1"}
	case isSteps && strings.HasPrefix(step, "execute_"):
		answer.Result[kind+"_step"] = params["step"]
		answer.Result[kind+"_result"] = "done"
	default:
		answer.Result["result"] = "done"
	}
	// A conductor that has found no steps asks for them with each heartbeat, and takes the last command for the step's.
	if !strings.HasPrefix(method, "get_") {
		a.commands = append(a.commands, answer)
	}
	return answer, hang
}

// inBandSteps is what this agent can do besides deploying: one step for cleaning and one for service.
func inBandSteps(kind string) []map[string]any {
	if kind == "deploy" {
		return []map[string]any{}
	}
	return []map[string]any{{"step": "burnin_cpu", "priority": 0, "interface": "deploy", "reboot_requested": false,
		"abortable": true}}
}

// lookup is the agent's first call. It learns its token, once.
func (n *Node) lookup(ctx context.Context) error {
	var answer struct {
		Config struct {
			Token string `json:"agent_token"`
		}
	}
	if err := n.api.get(ctx, "/v1/lookup?addresses="+n.MACs[0]+"&node_uuid="+n.UUID, &answer); err != nil {
		return fmt.Errorf("lookup: %w", err)
	}
	a := n.stubs.agent(n.UUID)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.token = answer.Config.Token
	a.commands = nil // it has just booted
	return nil
}

// heartbeat is one heartbeat of the node's agent; status is what anaconda reports and empty for the agent.
func (n *Node) heartbeat(ctx context.Context, status string) error {
	a := n.stubs.agent(n.UUID)
	a.mu.Lock()
	body := map[string]any{"callback_url": n.stubs.agentURL(n.UUID), "agent_token": a.token}
	a.mu.Unlock()
	if status != "" {
		body["agent_status"], body["agent_status_message"] = status, "said by the stub"
	} else {
		body["agent_version"] = "9.0.0"
	}
	if err := n.api.do(ctx, http.MethodPost, "/v1/heartbeat/"+n.UUID, body, nil); err != nil {
		return fmt.Errorf("heartbeat: %w", err)
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package realironic

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/ironic-edge/ironic-edge/integration/daemon"
)

// step is one move of a node on its way. The steps of a case read from top to bottom like an operator's session.
type step func(ctx context.Context, n *Node) error

const (
	stepTimeout  = 45 * time.Second
	pollInterval = 400 * time.Millisecond
)

// request asks for a provision state transition by its verb, with further fields of the request as pairs.
func request(verb string, fields ...any) step {
	return func(ctx context.Context, n *Node) error {
		body := map[string]any{"target": verb}
		for i := 0; i+1 < len(fields); i += 2 {
			body[fields[i].(string)] = fields[i+1]
		}
		return n.api.do(ctx, http.MethodPut, "/v1/nodes/"+n.UUID+"/states/provision", body, nil)
	}
}

// until waits for a state that the conductor is done with: nothing holds the node's lock.
func until(want string) step {
	return func(ctx context.Context, n *Node) error {
		return n.wait(ctx, want, nil, func(s state) bool { return s.Reservation == nil })
	}
}

// held waits for a state in which the conductor downloads the endless image of this name.
func held(want, image string) step {
	return func(ctx context.Context, n *Node) error {
		return n.wait(ctx, want, nil, func(state) bool { return n.stubs.downloading(n.Case + "/" + image) })
	}
}

// wait polls until the node is in the state and done says so. A failure that is not wanted ends it at once.
func (n *Node) wait(ctx context.Context, want string, each func(context.Context) error, done func(state) bool) error {
	var last state
	err := daemon.Poll(ctx, pollInterval, func() (bool, error) {
		var err error
		if last, err = n.state(ctx); err != nil {
			return false, err
		}
		if last.Provision == want && done(last) {
			return true, nil
		}
		if last.Provision != want && (strings.HasSuffix(last.Provision, " failed") || last.Provision == "error") {
			return false, errUnexpected
		}
		if each != nil {
			return false, each(ctx)
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("wait for state %q: %w: %s", want, err, last)
	}
	return nil
}

// agentUntil boots the agent and sends its heartbeats until the node is in the state.
func agentUntil(want string) step {
	return func(ctx context.Context, n *Node) error {
		if err := n.lookup(ctx); err != nil {
			return err
		}
		return n.wait(ctx, want, n.beat(""), func(s state) bool { return s.Reservation == nil })
	}
}

// agentStuck boots the agent and sends its heartbeats until it has the command that it never answers.
func agentStuck(want, command string) step {
	return func(ctx context.Context, n *Node) error {
		a := n.stubs.agent(n.UUID)
		a.set(func() { a.hangs = command })
		if err := n.lookup(ctx); err != nil {
			return err
		}
		return n.wait(ctx, want, n.beat(""), func(state) bool {
			select {
			case <-a.hanging:
				return true
			default:
				return false
			}
		})
	}
}

// agentRunning boots the agent and sends its heartbeats until the command that stays in status RUNNING was given.
func agentRunning(want, command string) step {
	return func(ctx context.Context, n *Node) error {
		a := n.stubs.agent(n.UUID)
		a.set(func() { a.runs = command })
		if err := n.lookup(ctx); err != nil {
			return err
		}
		return n.wait(ctx, want, n.beat(""), func(s state) bool { return s.Reservation == nil && a.runsNow() })
	}
}

// agentFails makes one command of the agent fail; it takes effect when the agent gets it.
func agentFails(command string) step {
	return func(_ context.Context, n *Node) error {
		a := n.stubs.agent(n.UUID)
		a.set(func() { a.fails = command })
		return nil
	}
}

func (a *agent) set(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

func (a *agent) runsNow() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.commands) > 0 && a.commands[len(a.commands)-1].Status == "RUNNING"
}

// beat is one heartbeat; a node that is busy is asked again by the next. A conductor that is just done with the agent
// refuses its token, which is no failure of the case: if the state does not come, the wait for it says so.
func (n *Node) beat(status string) func(context.Context) error {
	return func(ctx context.Context) error {
		err := n.heartbeat(ctx, status)
		if err != nil && strings.Contains(err.Error(), "Invalid or missing agent token") {
			return nil
		}
		return err
	}
}

// anacondaUntil sends the installer's reports until the node is in the state. The token is in the kickstart file.
func anacondaUntil(want string, reports ...string) step {
	return func(ctx context.Context, n *Node) error {
		b, err := os.ReadFile(filepath.Join(n.ironic.HTTPRoot, n.UUID, "ks.cfg"))
		if err != nil {
			return err
		}
		token := kickstartToken.FindSubmatch(b)
		if token == nil {
			return fmt.Errorf("no agent token in %s", b)
		}
		a := n.stubs.agent(n.UUID)
		a.set(func() { a.token = string(token[1]) })
		last := len(reports) - 1
		for _, r := range reports[:last] {
			if err := n.heartbeat(ctx, r); err != nil {
				return err
			}
		}
		// A conductor that still works on one report only takes note of the next.
		return n.wait(ctx, want, n.beat(reports[last]), func(s state) bool { return s.Reservation == nil })
	}
}

var kickstartToken = regexp.MustCompile(`agent_token\\?"?: ?\\?"([^"\\]+)`)

// change patches the node; values may use the abbreviations of Spec.
func change(paths map[string]any) step {
	return func(ctx context.Context, n *Node) error {
		return n.api.do(ctx, http.MethodPatch, "/v1/nodes/"+n.UUID, patch(n.expand(paths)), nil)
	}
}

// maintenance sets the node's maintenance flag.
func maintenance(ctx context.Context, n *Node) error {
	return n.api.do(ctx, http.MethodPut, "/v1/nodes/"+n.UUID+"/maintenance", map[string]any{"reason": "test"}, nil)
}

// inspected is the agent's report at the end of an inspection (releases with inspection by agent), with an error if there
// is one. It names the node's own address, by which Ironic looks for the node.
func inspected(failure string) step {
	return func(ctx context.Context, n *Node) error {
		body := map[string]any{"inventory": inventory(n.MACs[0])}
		if failure != "" {
			body["error"] = failure
		}
		return n.api.do(ctx, http.MethodPost, "/v1/continue_inspection?node_uuid="+n.UUID, body, nil)
	}
}

// database writes a state that no request can hold a node in. The agent's column is left alone.
func database(provisionState string) step {
	return func(ctx context.Context, n *Node) error {
		const program = `import sqlite3,sys
db = sqlite3.connect(sys.argv[1], timeout=60)
with db: db.execute("update nodes set provision_state=? where uuid=?", (sys.argv[2], sys.argv[3]))
`
		out, err := exec.CommandContext(ctx, "/usr/bin/python3", "-c", program,
			filepath.Join(n.ironic.dir, "ironic.sqlite"), provisionState, n.UUID).CombinedOutput()
		if err != nil {
			return fmt.Errorf("set state %q in the database: %w: %s", provisionState, err, out)
		}
		return nil
	}
}

// SPDX-License-Identifier: Apache-2.0

// Package daemon runs the servers that the tests need: each in a process group of its own, which ends as a whole.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"
)

const stopTimeout = 20 * time.Second

// Daemon is a started process with its children.
type Daemon struct {
	cmd    *exec.Cmd
	exited chan struct{}
	killed bool // the number of its group may be another's by now
}

// Start starts cmd in its own process group and appends what it prints to the file output.
func Start(cmd *exec.Cmd, output string) (*Daemon, error) {
	out, err := os.OpenFile(output, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	d := &Daemon{cmd: cmd, exited: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(d.exited)
	}()
	return d, nil
}

// WaitUntil asks ready until it says yes. A process that ends before is an error.
func (d *Daemon) WaitUntil(ctx context.Context, ready func() bool) error {
	return Poll(ctx, 100*time.Millisecond, func() (bool, error) {
		select {
		case <-d.exited:
			return false, errors.New("the process ended")
		default:
		}
		return ready(), nil
	})
}

// Kill ends the process group, and returns when its first process is gone. It may be called more than once; a nil Daemon
// is one that was never started.
func (d *Daemon) Kill() error {
	if d == nil || d.killed {
		return nil
	}
	d.killed = true
	select {
	case <-d.exited:
	default:
		if err := syscall.Kill(-d.cmd.Process.Pid, syscall.SIGTERM); err != nil {
			return fmt.Errorf("stop: %w", err)
		}
		select {
		case <-d.exited:
		case <-time.After(stopTimeout):
		}
	}
	// What holds a download or ignored the first signal.
	if err := syscall.Kill(-d.cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill: %w", err)
	}
	<-d.exited
	return nil
}

// FreePort is a port of loopback on which nothing listens.
func FreePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// Poll calls done every interval until it says so, fails, or ctx ends.
func Poll(ctx context.Context, interval time.Duration, done func() (bool, error)) error {
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Tail is the end of a text, for a failure's message.
func Tail(s string) string {
	const most = 4000
	if len(s) > most {
		s = s[len(s)-most:]
	}
	return s
}

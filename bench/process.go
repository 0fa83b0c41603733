// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// packages are Debian's names of what is run.
var packages = map[string]string{"nginx": "nginx-light", "varnishd": "varnish", "wrk": "wrk", "ab": "apache2-utils"}

// need is an error for each program that is not there.
func need(programs ...string) error {
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("%s is not installed; it is in Debian's package %s", name, packages[name])
		}
	}
	return nil
}

// process is a server under test.
type process struct {
	cmd *exec.Cmd
	out bytes.Buffer // what it says goes into errors only
}

func start(ctx context.Context, sign syscall.Signal, command ...string) (*process, error) {
	p := &process{cmd: exec.CommandContext(ctx, command[0], command[1:]...)}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(sign) }
	return p, p.cmd.Start()
}

func (p *process) stop() {
	_ = p.cmd.Cancel()
	_ = p.cmd.Wait()
}

// ticks is Linux's USER_HZ, which is the same everywhere that Go runs.
const ticks = 100

// cpu returns the processor seconds that a process and those that it has started have used.
func cpu(pid int) (float64, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(after) // from the third on (proc(5))
	total := 0.0
	for _, field := range fields[11:15] { // utime, stime and those of children that have ended
		n, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return 0, err
		}
		total += n / ticks
	}
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return 0, err
	}
	for _, task := range tasks {
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
		if err != nil {
			continue // a thread that has just ended
		}
		for child := range strings.FieldsSeq(string(children)) {
			n, err := strconv.Atoi(child)
			if err != nil {
				return 0, err
			}
			more, err := cpu(n)
			if err != nil {
				return 0, err
			}
			total += more
		}
	}
	return total, nil
}

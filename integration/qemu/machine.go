// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Host is where a guest finds the host's loopback address.
const Host = "10.0.2.2"

// Machine is a virtual machine to boot.
type Machine struct {
	UEFI bool
	MAC  string
	// BootURL is what the DHCP server names as the boot file.
	BootURL string
	// Dir is a directory for its files.
	Dir string
	// Memory in MiB. Default: 768.
	Memory int
	// Tap is the device of the host that the NIC is connected to. The firmware's own network stack boots then, not iPXE's
	// ROM. Default: QEMU's user network, with BootURL from its DHCP server.
	Tap string
	// Disk is the file of a raw disk that the machine has. Empty: none.
	Disk string
	// Resets lets the machine start over when it resets itself. Without, that switches it off.
	Resets bool
}

// VM is a machine that runs.
type VM struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when QEMU has ended

	mu      sync.Mutex
	console []byte
	changed chan struct{} // closed and made anew when console grows
}

// Start switches a machine on. Stop ends it.
func Start(ctx context.Context, m Machine) (*VM, error) {
	args := []string{"-machine", "q35,graphics=off", "-accel", "tcg", "-cpu", "max", "-m", strconv.Itoa(cmp.Or(m.Memory, 768)), "-nodefaults", "-display", "none",
		"-serial", "stdio", "-device", "virtio-rng-pci"}
	if !m.Resets {
		args = append(args, "-no-reboot")
	}
	if m.Tap != "" {
		args = append(args, "-netdev", "tap,id=n0,script=no,downscript=no,ifname="+m.Tap,
			"-device", "virtio-net-pci,netdev=n0,bootindex=0,romfile=,mac="+m.MAC)
	} else {
		args = append(args, "-netdev", "user,id=n0,bootfile="+m.BootURL, "-device", "virtio-net-pci,netdev=n0,bootindex=0,mac="+m.MAC)
	}
	if m.Disk != "" {
		args = append(args, "-drive", "if=none,id=d0,format=raw,file="+m.Disk, "-device", "virtio-blk-pci,drive=d0")
	}
	if m.UEFI {
		vars, err := os.ReadFile("/usr/share/OVMF/OVMF_VARS_4M.fd")
		if err != nil {
			return nil, err
		}
		file := filepath.Join(m.Dir, "vars.fd")
		if err := os.WriteFile(file, vars, 0o600); err != nil {
			return nil, err
		}
		args = append(args, "-drive", "if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd",
			"-drive", "if=pflash,format=raw,file="+file)
	}
	vm := &VM{cmd: exec.CommandContext(ctx, "qemu-system-x86_64", args...), done: make(chan struct{}), changed: make(chan struct{})}
	vm.cmd.Stderr = vm
	out, err := vm.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := vm.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { // ends with QEMU, which closes its output
		_, _ = io.Copy(vm, out)
		_ = vm.cmd.Wait()
		close(vm.done)
	}()
	return vm, nil
}

// Write takes what the console shows.
func (vm *VM) Write(b []byte) (int, error) {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	vm.console = append(vm.console, b...)
	close(vm.changed)
	vm.changed = make(chan struct{})
	return len(b), nil
}

// Console is what the console has shown, without control sequences of terminals.
func (vm *VM) Console() string {
	text, _ := vm.shown()
	return text
}

func (vm *VM) shown() (string, <-chan struct{}) {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	return plain(vm.console), vm.changed
}

// WaitFor waits until the console has shown a text. The error has the end of the console in it.
func (vm *VM) WaitFor(ctx context.Context, text string) error {
	for {
		console, changed := vm.shown()
		if strings.Contains(console, text) {
			return nil
		}
		var err error
		select {
		case <-changed:
			continue
		case <-vm.done:
			if console, _ = vm.shown(); strings.Contains(console, text) {
				return nil
			}
			err = errors.New("the machine is off")
		case <-ctx.Done():
			err = ctx.Err()
		}
		return fmt.Errorf("%q is not on the console: %w; its end:\n%s", text, err, console[max(0, len(console)-4000):])
	}
}

// Pause has the machine do nothing any more, not even wait. Its connections stay.
func (vm *VM) Pause() error { return vm.cmd.Process.Signal(syscall.SIGSTOP) }

// Stop switches the machine off.
func (vm *VM) Stop() {
	_ = vm.cmd.Process.Kill()
	<-vm.done
}

// plain takes the escape sequences out that firmware draws its menus with.
func plain(b []byte) string {
	var out strings.Builder
	for i := 0; i < len(b); i++ {
		if b[i] == 0x1b && i+1 < len(b) && b[i+1] == '[' {
			for i += 2; i < len(b) && (b[i] < '@' || b[i] > '~'); i++ {
			}
			continue
		}
		if b[i] == '\n' || b[i] >= ' ' && b[i] < 0x7f {
			out.WriteByte(b[i])
		}
	}
	return out.String()
}

// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Guest is what a machine can boot, as files.
type Guest struct{ Kernel, Ramdisk, ISO string }

// agent is the init of the ramdisk. It shows its kernel command line, brings the NIC up, and looks its node up as Ironic's
// agent does, up to five times in the same words; the token in the answer stays off the console. Without ipa-api-url it is an instance. With test-fate=idle on
// its command line it does nothing at all, with test-fate=heartbeat it reports once after its lookup.
const agent = `#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
exec >/dev/ttyS0 2>&1
echo "AGENT cmdline $(cat /proc/cmdline)"
value() { for w in $(cat /proc/cmdline); do case $w in $1=*) echo "${w#*=}";; esac; done; }
api=$(value ipa-api-url); mac=$(value BOOTIF); id=$(value ipa-global-request-id)
fate=$(value test-fate)
if [ "$fate" = idle ]; then echo "AGENT idles"; while :; do sleep 3600; done; fi
if [ -z "$api" ]; then echo "AGENT instance is up"; poweroff -f; fi
for m in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci failover net_failover virtio_net; do
	[ -f /modules/$m.ko ] && insmod /modules/$m.ko
done
n=0
while [ ! -e /sys/class/net/eth0 ] && [ $n -lt 50 ]; do n=$((n+1)); usleep 100000; done
ip link set eth0 up
udhcpc -i eth0 -n -q -s /dhcp
n=0
while :; do
	timeout 30 wget -q -O /tmp/lookup --header 'X-OpenStack-Ironic-API-Version: 1.68' --header "X-OpenStack-Request-ID: $id" "$api/v1/lookup?addresses=$mac"
	code=$?; n=$((n+1))
	[ $code = 0 ] || [ $n = 5 ] && break
	echo "AGENT lookup failed with $code"
	sleep 1
done
echo "AGENT lookup ended with $code"
grep -o '"uuid": *"[^"]*"' /tmp/lookup | head -n 1 | sed 's/^/AGENT node /'
grep -q '"agent_token": *"[A-Za-z0-9_-]' /tmp/lookup && echo "AGENT has a token"
if [ "$fate" = heartbeat ]; then
	token=$(grep -o '"agent_token": *"[^"]*"' /tmp/lookup | cut -d '"' -f 4)
	node=$(grep -o '"uuid": *"[^"]*"' /tmp/lookup | head -n 1 | cut -d '"' -f 4)
	timeout 30 wget -q -O /dev/null --header 'X-OpenStack-Ironic-API-Version: 1.68' --header "X-OpenStack-Request-ID: $id" \
		--header 'Content-Type: application/json' \
		--post-data '{"callback_url": "http://127.0.0.1:9999", "agent_version": "9.0.0", "agent_token": "'$token'"}' "$api/v1/heartbeat/$node"
	echo "AGENT heartbeat ended with $?"
fi
[ -f /big ] && echo "AGENT big $(sha256sum /big | cut -c1-64)"
echo "AGENT done"
poweroff -f
`

const dhcp = `#!/bin/busybox sh
[ "$1" = bound ] && ip addr add $ip/24 dev $interface && ip route add default via $router
exit 0
`

const grub = `set timeout=0
serial --unit=0 --speed=115200
terminal_output serial
menuentry instance {
	linux /vmlinuz console=ttyS0
	initrd /initramfs
}
`

// Build makes a guest in dir out of the kernel that integration/install has unpacked.
func Build(ctx context.Context, dir string) (*Guest, error) {
	source := filepath.Join(testDir(), "guest")
	root := filepath.Join(dir, "root")
	for _, d := range []string{"bin", "modules"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			return nil, err
		}
	}
	g := &Guest{Kernel: filepath.Join(dir, "vmlinuz"), Ramdisk: filepath.Join(dir, "initramfs"), ISO: filepath.Join(dir, "instance.iso")}
	modules, err := filepath.Glob(filepath.Join(source, "modules", "*.ko"))
	if err != nil {
		return nil, err
	}
	copies := map[string]string{"/bin/busybox": filepath.Join(root, "bin/busybox"), filepath.Join(source, "vmlinuz"): g.Kernel}
	for _, m := range modules {
		copies[m] = filepath.Join(root, "modules", filepath.Base(m))
	}
	for from, to := range copies {
		b, err := os.ReadFile(from)
		if err != nil {
			return nil, fmt.Errorf("%w; run integration/install", err)
		}
		if err := os.WriteFile(to, b, 0o755); err != nil {
			return nil, err
		}
	}
	for name, text := range map[string]string{"init": agent, "dhcp": dhcp} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o755); err != nil {
			return nil, err
		}
	}
	if err := run(ctx, root, "sh", "-c", "find . | cpio -o -H newc --quiet | gzip -1 > "+g.Ramdisk); err != nil {
		return nil, err
	}
	iso := filepath.Join(dir, "iso")
	if err := os.MkdirAll(filepath.Join(iso, "boot/grub"), 0o755); err != nil {
		return nil, err
	}
	for from, to := range map[string]string{g.Kernel: "vmlinuz", g.Ramdisk: "initramfs"} {
		if err := os.Link(from, filepath.Join(iso, to)); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(filepath.Join(iso, "boot/grub/grub.cfg"), []byte(grub), 0o644); err != nil {
		return nil, err
	}
	return g, run(ctx, dir, "grub-mkrescue", "-o", g.ISO, iso)
}

func run(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

// testDir is where integration/install puts what is no package.
func testDir() string {
	if d := os.Getenv("IRONIC_EDGE_TEST_DIR"); d != "" {
		return d
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ".cache"
	}
	return filepath.Join(home, ".cache", "ironic-edge-test")
}

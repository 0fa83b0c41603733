#!/usr/bin/env bash
# QEMU with iPXE's ROMs, firmware for BIOS and UEFI, and a kernel for the guests, unpacked and not installed.
set -euo pipefail
dir=${IRONIC_EDGE_TEST_DIR:-$HOME/.cache/ironic-edge-test}/guest
apt-get install -y -q --no-install-recommends qemu-system-x86 ipxe-qemu ovmf seabios busybox-static cpio \
	ipxe dnsmasq-base kea-dhcp4-server isc-dhcp-server xorriso grub-common grub-pc-bin grub-efi-amd64-bin mtools nginx-light wrk apache2-utils iproute2 kmod
if [ ! -f "$dir/vmlinuz" ]; then
	package=$(apt-cache depends --important linux-image-cloud-amd64 | awk '/Depends: linux-image/ {print $2; exit}')
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	chmod 755 "$work"
	(cd "$work" && apt-get download -q "$package" && dpkg -x ./*.deb root)
	mkdir -p "$dir/modules"
	find "$work/root/lib/modules" \( -name virtio_net.ko -o -name net_failover.ko -o -name failover.ko \
		-o -name virtio_pci.ko -o -name virtio_pci_modern_dev.ko -o -name virtio_pci_legacy_dev.ko -o -name virtio.ko -o -name virtio_ring.ko \
		-o -name af_packet.ko \) -exec cp {} "$dir/modules/" \;
	cp "$work"/root/boot/vmlinuz-* "$dir/vmlinuz"
fi

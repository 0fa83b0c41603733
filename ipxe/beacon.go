// SPDX-License-Identifier: Apache-2.0

package ipxe

import (
	"slices"
	"strconv"
)

// BeaconPath is where a script reports what failed, below the base URL of the boot. The query has node (a UUID), mac (of
// the NIC in use, with hyphens), label, errno (iPXE's number of the error, such as 0x4c072035) and attempt (from 1).
const BeaconPath = "/edge/beacon"

// BeaconVolume is the label of a report about iSCSI volumes. The others are those of images.
const BeaconVolume = "volume"

// BeaconLabels are all labels that a report can have.
var BeaconLabels = []string{DeployKernel, DeployRamdisk, RescueKernel, RescueRamdisk, Kernel, Ramdisk, BootISO, BeaconVolume}

// IsBeaconLabel reports whether a report can have the label.
func IsBeaconLabel(label string) bool { return slices.Contains(BeaconLabels, label) }

// MaxBeacons is how many reports a script makes at most: one for each attempt that Ironic's deploy script makes. A script
// that tries without end goes on without them.
const MaxBeacons = 11

// beaconTimeout is for how many milliseconds a report may make no progress. It is all that a report can cost where
// nobody answers.
const beaconTimeout = 3000

// beaconURL is the beginning of the URL of a node's reports.
func beaconURL(n *Node, b Boot, o *Options) (string, error) {
	if !o.Beacons {
		return "", nil
	}
	base, err := ParseURL(b.BaseURL)
	if err != nil {
		return "", refuse("the base URL", err)
	}
	uuid, err := ParseUUID(n.UUID)
	if err != nil {
		return "", refuse("the node's uuid", err)
	}
	return base.word + BeaconPath + "?node=" + uuid.word + "&mac=${mac:hexhyp}&label=", nil
}

// appendBeaconCount begins to count reports, since a setting of the script before may still be there.
func (s *Script) appendBeaconCount(b []byte) []byte {
	if s.beacon == "" {
		return b
	}
	return append(b, "set beacons:int32 0\n"...)
}

// appendBeacon reports the failure whose number is in ${error}. Each of its lines goes on whatever comes of it, and what
// was fetched is freed again: a kernel takes all images that there are for ramdisks.
func (s *Script) appendBeacon(b []byte, label string) []byte {
	if s.beacon == "" {
		return b
	}
	b = append(b, "iseq ${beacons} "...)
	b = strconv.AppendInt(b, MaxBeacons, 10)
	b = append(b, " && goto reported ||\ninc beacons ||\nimgfetch --timeout "...)
	b = strconv.AppendInt(b, beaconTimeout, 10)
	b = append(append(append(b, " --name beacon "...), s.beacon...), label...)
	return append(b, "&errno=${error}&attempt=${beacons} ||\nimgfree beacon ||\n:reported\n"...)
}

// SPDX-License-Identifier: Apache-2.0

package ipxe

import (
	"strconv"
	"strings"
	"time"
)

// Kind is what a script does, named after the label of Ironic's template that does the same.
type Kind string

// The kinds of script.
const (
	KindDeploy    Kind = "deploy"          // the agent ramdisk: deployment, cleaning, inspection, service, rescue
	KindRamdisk   Kind = "boot_ramdisk"    // the instance is a kernel and ramdisk, or an ISO
	KindAnaconda  Kind = "boot_anaconda"   // the installer with its kickstart file
	KindISCSI     Kind = "boot_iscsi"      // the instance is on iSCSI volumes
	KindWholeDisk Kind = "boot_whole_disk" // the instance is on the local disk
	KindExplain   Kind = "explain"         // nothing is booted: the console says why
	KindHold      Kind = "hold"            // nothing is booted for now: the machine waits and asks again
)

// Kinds are all kinds of script, in a fixed order.
var Kinds = []Kind{KindDeploy, KindRamdisk, KindAnaconda, KindISCSI, KindWholeDisk, KindExplain, KindHold}

// Script is a boot script, checked and ready to be written. It refers to the node that it was made for.
type Script struct {
	Kind   Kind
	Reason Reason
	// ImageLabels are the path elements below the node's UUID that the script fetches, kernel first.
	ImageLabels []string

	node    *Node
	message []string // explain, hold
	again   string   // hold: where the node's script is

	// The kernel line and its ramdisk, or the ISO.
	kernel, ramdisk, iso string
	args                 string
	initrd               string
	timeout              int64 // milliseconds without progress, 0 for none

	drives    []drive
	initiator string

	beacon string // beginning of the URL of its reports, empty for none

	stale string // how old the facts are that it was made of, if that is to be said
}

// Stale returns the script with a line for the console that says how old the facts are that it was made of, because
// Ironic cannot be asked.
func (s Script) Stale(age time.Duration) Script {
	s.stale = strconv.FormatInt(int64(age/time.Second), 10)
	return s
}

// IsStale reports whether the script says how old its facts are.
func (s *Script) IsStale() bool { return s.stale != "" }

// drive is one SAN drive with the CHAP credential that its target wants.
type drive struct {
	urls       string
	credential Credential
}

// AppendText appends the script's bytes to b. It never fails for a Script that Select or Explain returned; the error
// is there for encoding.TextAppender.
func (s *Script) AppendText(b []byte) ([]byte, error) {
	b = append(b, "#!ipxe\n"...)
	b = s.appendTitle(b)
	switch s.Kind {
	case KindDeploy:
		b = s.appendDeploy(b)
	case KindRamdisk:
		b = s.appendRamdisk(b)
	case KindAnaconda:
		b = s.appendAnaconda(b)
	case KindISCSI:
		b = s.appendISCSI(b)
	case KindWholeDisk:
		b = append(b, "sanboot --no-describe || exit 0\n"...)
	case KindExplain:
		b = s.appendExplanation(b)
	case KindHold:
		b = s.appendHold(b)
	}
	return b, nil
}

// appendTitle tells whoever reads the console whose script this is, and why it was chosen.
func (s *Script) appendTitle(b []byte) []byte {
	if s.node == nil {
		return b
	}
	b = append(b, "echo ironic-edge: node "...)
	b = appendPlain(b, s.node.UUID)
	if s.node.Name != "" {
		b = append(b, " ("...)
		b = appendPlain(b, s.node.Name)
		b = append(b, ')')
	}
	b = append(b, " is in state "...)
	b = appendPlain(b, string(s.node.ProvisionState))
	b = append(append(append(b, ": "...), s.Kind...), '\n')
	if s.stale != "" {
		b = append(append(append(b, "echo Ironic does not answer, this is what it said "...), s.stale...), " s ago\n"...)
	}
	return b
}

// appendDeploy has the retry policy of Ironic's deploy label: eleven attempts, the n-th wait n seconds long, then off.
func (s *Script) appendDeploy(b []byte) []byte {
	b = append(b, "set failures:int32 0\nset limit:int32 10\n"...)
	b = s.appendBeaconCount(b)
	b = append(b, ":attempt\nimgfree\n"...)
	b = s.appendImages(b, "failed")
	return append(b, `iseq ${failures} ${limit} && goto give_up ||
inc failures
echo Kernel or ramdisk did not arrive (${error}), attempt ${failures} of ${limit}, next in ${failures} s
sleep ${failures}
goto attempt
:give_up
echo Kernel and ramdisk did not arrive in ${limit} attempts, power off in 30 s
sleep 30
poweroff
`...)
}

// appendRamdisk tries kernel and ramdisk again at once and without end, as Ironic's label does, but an ISO only once.
func (s *Script) appendRamdisk(b []byte) []byte {
	b = s.appendBeaconCount(b)
	b = append(b, ":attempt\nimgfree\n"...)
	if s.iso == "" {
		return s.appendRetried(b)
	}
	b = append(append(b, "sanboot "...), s.iso...)
	if s.beacon == "" {
		return append(b, '\n')
	}
	b = append(b, " && exit 0 ||\nset error ${errno}\n"...)
	b = s.appendBeacon(b, BootISO)
	return append(b, "exit ${error}\n"...)
}

func (s *Script) appendAnaconda(b []byte) []byte {
	b = s.appendBeaconCount(b)
	return s.appendRetried(append(b, ":attempt\nimgfree\n"...))
}

// appendRetried fetches and boots what it is to, again and again.
func (s *Script) appendRetried(b []byte) []byte {
	if s.beacon != "" {
		return append(s.appendImages(b, "failed"), "goto attempt\n"...)
	}
	return s.appendImages(b, "attempt")
}

// appendImages fetches kernel and ramdisk and boots them. A failure leads to a label: the one of the retry itself, or
// "failed", which follows here with the error's number in ${error}, since the next command that fails takes its place.
func (s *Script) appendImages(b []byte, onFailure string) []byte {
	noKernel, noRamdisk := onFailure, onFailure
	if s.beacon != "" {
		noKernel, noRamdisk = "no_kernel", "no_ramdisk"
	}
	b = s.appendFetch(b, "kernel ", s.kernel)
	b = append(b, ' ')
	b = append(b, s.args...)
	b = append(b, " initrd="...)
	b = append(b, s.initrd...)
	b = append(append(append(b, " || goto "...), noKernel...), '\n')
	b = s.appendFetch(b, "initrd ", s.ramdisk)
	b = append(append(append(b, " || goto "...), noRamdisk...), "\nboot\n"...)
	switch {
	case s.beacon != "":
		b = append(append(b, ":no_kernel\nset error ${errno}\nset missing "...), s.ImageLabels[0]...)
		b = append(append(b, "\ngoto failed\n:no_ramdisk\nset error ${errno}\nset missing "...), s.ImageLabels[1]...)
		return s.appendBeacon(append(b, "\n:failed\n"...), "${missing}")
	case onFailure == "failed":
		return append(b, ":failed\nset error ${errno}\n"...)
	}
	return b
}

func (s *Script) appendFetch(b []byte, command, url string) []byte {
	b = append(b, command...)
	if s.timeout > 0 {
		b = append(b, "--timeout "...)
		b = strconv.AppendInt(b, s.timeout, 10)
		b = append(b, ' ')
	}
	return append(b, url...)
}

// firstDrive is the BIOS number of the boot drive; the others follow.
const firstDrive = 0x80

func (s *Script) appendISCSI(b []byte) []byte {
	b = append(s.appendBeaconCount(b), ":attach\nimgfree\n"...)
	boot := s.drives[0]
	if boot.credential != (Credential{}) {
		b = appendCredential(b, boot.credential)
	}
	if s.initiator != "" {
		b = append(append(append(b, "set initiator-iqn "...), s.initiator...), '\n')
	}
	for i, d := range s.drives {
		if i > 0 {
			b = appendCredential(b, d.credential)
		}
		b = append(b, "sanhook --drive 0x"...)
		b = strconv.AppendInt(b, int64(firstDrive+i), 16)
		b = append(append(b, ' '), d.urls...)
		b = append(b, " || goto failed\n"...)
	}
	if len(s.drives) > 1 {
		b = appendCredential(b, boot.credential) // the boot firmware table takes them from the settings
	}
	b = append(b, "sanboot --no-describe || goto failed\n:failed\nset error ${errno}\n"...)
	b = s.appendBeacon(b, BeaconVolume)
	return append(b, `echo The iSCSI volumes could not be attached (${error}), next attempt in 10 s
sleep 10
goto attach
`...)
}

// appendCredential sets the credential for the drives attached next. One that is empty clears what the drive before it
// needed.
func appendCredential(b []byte, c Credential) []byte {
	b = appendSetting(b, "username", c.Username)
	return appendSetting(b, "password", c.password)
}

func appendSetting(b []byte, name, value string) []byte {
	if value == "" {
		return append(append(append(b, "clear "...), name...), '\n')
	}
	b = append(append(b, "set "...), name...)
	return append(append(append(b, ' '), value...), '\n')
}

// holdSeconds is how long a node that is told why it does not boot waits before it starts over.
const holdSeconds = "60"

// Explain returns a script that boots nothing: it shows the sentences on the console, waits and starts the machine
// over, so that a node whose trouble has been mended boots by itself. Node may be nil. What the sentences hold is made
// harmless rather than refused.
func Explain(reason Reason, node *Node, sentences ...string) Script {
	return Script{Kind: KindExplain, Reason: reason, node: node, message: sentences}
}

func (s *Script) appendMessage(b []byte) []byte {
	for _, sentence := range s.message {
		b = append(b, "echo ironic-edge: "...)
		b = appendPlain(b, sentence)
		b = append(b, '\n')
	}
	return b
}

func (s *Script) appendExplanation(b []byte) []byte {
	b = s.appendMessage(b)
	b = append(b, "echo ironic-edge: nothing is booted; reason code "...)
	b = appendPlain(b, string(s.Reason))
	return append(b, ", next attempt in "+holdSeconds+" s\nsleep "+holdSeconds+"\nreboot\n"...)
}

// appendPlain appends text for the console, with a question mark for each word or character that would not be text.
func appendPlain(b []byte, text string) []byte {
	first := true
	for word := range strings.FieldsSeq(text) {
		if !first {
			b = append(b, ' ')
		}
		first = false
		start := len(b)
		for i := range len(word) {
			if c := word[i]; c > ' ' && c <= '~' && c != '$' && c != '\\' {
				b = append(b, c)
			} else {
				b = append(b, '?')
			}
		}
		if checkToken(string(b[start:])) != nil || b[start] == '-' {
			b[start] = '?'
			if w := b[start:]; len(w) == 2 && (w[1] == '|' || w[1] == '&') {
				w[1] = '?'
			}
		}
	}
	return b
}

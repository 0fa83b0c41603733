// SPDX-License-Identifier: Apache-2.0

package ipxe

// Reason is the stable code of why a node gets what it gets. Codes are API: they stand in logs, headers and metrics.
type Reason string

// Why a script was chosen, or why there is none.
const (
	ReasonState           Reason = "state"            // the provision state alone decides
	ReasonUnknownState    Reason = "unknown_state"    // a provision state that this release does not know
	ReasonBootInterface   Reason = "boot_interface"   // the boot interface does not use iPXE
	ReasonPortDisabled    Reason = "port_disabled"    // the port has pxe_enabled off
	ReasonRamdiskDisabled Reason = "ramdisk_disabled" // the steps at hand need no agent
	ReasonInspection      Reason = "inspection"       // an inspection that Ironic does not manage
	ReasonLocalBoot       Reason = "local_boot_off"   // a local disk node while local_boot is off
	ReasonNoImage         Reason = "no_image"         // nobody names the image
	ReasonNoVolume        Reason = "no_volume"        // the API hides or lacks what a volume needs
	ReasonSecret          Reason = "secret"           // the script needs what the API masks
	ReasonValue           Reason = "value"            // a value that no script line can hold
	ReasonTooLong         Reason = "too_long"         // a line or kernel command line over firmware's limits
	ReasonUnknownMAC      Reason = "no_node"          // no node has the MAC
)

// NotBootable is the error of Select for a node that Ironic, too, would leave without a script.
type NotBootable struct {
	Reason Reason
	Text   string // one clause, without secrets
}

func (e *NotBootable) Error() string { return "nothing to boot: " + e.Text }

// Refused is the error of Select and Script.AppendText for a node that should boot but cannot be given a script.
type Refused struct {
	Reason Reason
	Text   string // one sentence and its remedy, without secrets
}

func (e *Refused) Error() string { return "no script: " + e.Text }

func refuse(field string, err error) *Refused {
	return &Refused{ReasonValue, field + " " + err.Error() + "."}
}

// SPDX-License-Identifier: Apache-2.0

package ipxe

import (
	"errors"
	"fmt"
	"time"
)

// Options are what Ironic's API does not tell: the conductor's configuration, and the operator's choices for this edge.
// The zero Options follow the newest Ironic's defaults, but for KernelAppendParams, which has no useful zero value.
type Options struct {
	// Compat is the release whose behaviour is followed where releases differ; zero is the newest.
	Compat Release `json:"compat,omitzero"`

	// KernelAppendParams is what [pxe]kernel_append_params is for the conductor.
	KernelAppendParams string `json:"kernel_append_params,omitempty"`
	// AgentDebug adds ipa-debug=1 where the parameters do not speak of it yet, as a conductor with [DEFAULT]debug does.
	AgentDebug bool `json:"agent_debug,omitempty"`
	// Timeout is [pxe]ipxe_timeout: how long kernel and ramdisk may make no progress. Zero is no limit.
	Timeout time.Duration `json:"timeout,omitempty"`

	// APIURL is the value of ipa-api-url: one URL or several with commas between them. Empty means the base URL of the boot.
	APIURL string `json:"api_url,omitempty"`
	// InspectionCallbackURL is the value of ipa-inspection-callback-url; empty means /v1/continue_inspection at the
	// first of the API's URLs.
	InspectionCallbackURL string `json:"inspection_callback_url,omitempty"`
	// InspectionParams are [inspector]extra_kernel_params.
	InspectionParams string `json:"inspection_params,omitempty"`

	// Deploy and Rescue are the images by CPU architecture ([conductor]deploy_kernel_by_arch and its kin), those under
	// the empty name the default ([conductor]deploy_kernel).
	Deploy map[string]Images `json:"deploy,omitempty"`
	Rescue map[string]Images `json:"rescue,omitempty"`
	// ConductorFiles says that an image nobody names can still be had from the conductor's own web server.
	ConductorFiles bool `json:"conductor_files,omitempty"`

	// NoLocalBoot leaves nodes that boot from their own disk without a script, as a conductor with default options does.
	NoLocalBoot bool `json:"no_local_boot,omitempty"`
	// Beacons has scripts report what failed to BeaconPath of the boot's base URL, before they try again. Ironic's own do not.
	Beacons bool `json:"beacons,omitempty"`
}

// Boot is what belongs to one answer rather than to the configuration.
type Boot struct {
	// BaseURL is where the node reaches this edge; every URL in the script begins with it.
	BaseURL string
	// APIURL, when it is not empty, takes the place of Options.APIURL.
	APIURL string
	// RequestID is the value of ipa-global-request-id, which the agent sends back with each of its calls. Empty: none.
	RequestID string
	// Secrets are what the API hides; nil when they have not been asked for.
	Secrets *Secrets
}

// Release is an Ironic release, in the numbering of its package: {21, 4} is that of OpenStack 2023.1. Zero is the newest.
type Release struct{ Major, Minor int }

// ParseRelease reads "21.4" or "39.0".
func ParseRelease(s string) (Release, error) {
	var r Release
	var rest string
	if n, _ := fmt.Sscanf(s+" ", "%d.%d%s", &r.Major, &r.Minor, &rest); n != 2 || r.Major <= 0 || r.Minor < 0 {
		return Release{}, errors.New("is not a release number such as 21.4")
	}
	return r, nil
}

// before reports whether r is a release older than major.0.
func (r Release) before(major int) bool { return r.Major != 0 && r.Major < major }

// DefaultKernelAppendParams is the default of [pxe]kernel_append_params in release r.
func DefaultKernelAppendParams(r Release) string {
	if r.before(22) {
		return "nofb nomodeset vga=normal"
	}
	return "nofb vga=normal"
}

// images picks the pair for an architecture out of a by-architecture table.
func images(byArch map[string]Images, arch string) Images {
	if i, ok := byArch[arch]; ok && arch != "" && i.Complete() {
		return i
	}
	return byArch[""]
}

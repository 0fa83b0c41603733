// SPDX-License-Identifier: Apache-2.0

package ipxe

import (
	"cmp"
	"errors"
	"net"
	"strconv"
	"strings"
)

// The limits of firmware, measured on the iPXE of 2019: a command takes at most 255 arguments (a thousand hang it), and
// a BIOS kernel's command line is cut at 2047 bytes without a word.
const (
	maxArguments   = 255
	maxCommandLine = 2047
)

// deployScript is the agent for a deployment, cleaning or service (ironic/drivers/modules/deploy_utils.py:
// prepare_agent_boot).
func deployScript(n *Node, b Boot, o *Options) (Script, error) {
	api, err := apiURLs(b, o)
	if err != nil {
		return Script{}, err
	}
	return agentScript(n, b, o, DeployKernel, DeployRamdisk, "ipa-api-url="+api)
}

// rescueScript is the same with the rescue images (deploy_utils.rescue_or_deploy_mode).
func rescueScript(n *Node, b Boot, o *Options) (Script, error) {
	api, err := apiURLs(b, o)
	if err != nil {
		return Script{}, err
	}
	return agentScript(n, b, o, RescueKernel, RescueRamdisk, "ipa-api-url="+api)
}

// inspectScript is the agent for an inspection (ironic/drivers/modules/inspector/interface.py:
// prepare_managed_inspection), which learns where to report instead of where Ironic is.
func inspectScript(n *Node, b Boot, o *Options) (Script, error) {
	callback := o.InspectionCallbackURL
	if callback == "" {
		api, err := apiURLs(b, o)
		if err != nil {
			return Script{}, err
		}
		first, _, _ := strings.Cut(api, ",")
		callback = first + "/v1/continue_inspection"
	}
	if _, err := ParseURL(callback); err != nil {
		return Script{}, refuse("the inspection callback URL", err)
	}
	return agentScript(n, b, o, DeployKernel, DeployRamdisk, o.InspectionParams, "ipa-inspection-callback-url="+callback)
}

func apiURLs(b Boot, o *Options) (string, error) {
	api := cmp.Or(b.APIURL, o.APIURL)
	if api == "" {
		base, err := ParseURL(b.BaseURL)
		if err != nil {
			return "", refuse("the base URL", err)
		}
		return base.word, nil
	}
	t, err := ParseURLs(api)
	if err != nil {
		return "", refuse("the API URL", err)
	}
	return t.word, nil
}

func agentScript(n *Node, b Boot, o *Options, kernel, ramdisk string, params ...string) (Script, error) {
	if _, err := ImageRef(n, o, kernel); err != nil {
		return Script{}, err
	}
	appended, err := appendParams(n, b, o, params...)
	if err != nil {
		return Script{}, err
	}
	return kernelScript(n, b, o, KindDeploy, kernel, ramdisk,
		"selinux=0 troubleshoot=0 text"+appended+" BOOTIF=${mac}", ramdisk)
}

// ramdiskScript is a ramdisk deployment's instance.
func ramdiskScript(n *Node, b Boot, o *Options) (Script, error) {
	if n.BootISO != "" {
		iso, err := imageURL(n, b, BootISO)
		if err != nil {
			return Script{}, err
		}
		beacon, err := beaconURL(n, b, o)
		return Script{Kind: KindRamdisk, Reason: ReasonState, node: n, iso: iso, beacon: beacon, ImageLabels: []string{BootISO}}, err
	}
	if _, err := ImageRef(n, o, Kernel); err != nil {
		return Script{}, err
	}
	appended, err := appendParams(n, b, o)
	if err != nil {
		return Script{}, err
	}
	// Ironic copies the argument unchecked; a line end in it would begin a line of the script.
	extra, err := ParseArgs(n.RamdiskKernelArguments)
	if err != nil {
		return Script{}, refuse("instance_info.ramdisk_kernel_arguments", err)
	}
	return kernelScript(n, b, o, KindRamdisk, Kernel, Ramdisk,
		"root=/dev/ram0 text"+appended+prefixed(extra.text), Ramdisk)
}

// anacondaScript is the installer, which finds its kickstart file and its second stage by URL.
func anacondaScript(n *Node, b Boot, o *Options) (Script, error) {
	if _, err := ImageRef(n, o, Kernel); err != nil {
		return Script{}, err
	}
	appended, err := appendParams(n, b, o)
	if err != nil {
		return Script{}, err
	}
	kickstart, err := imageURL(n, b, Kickstart)
	if err != nil {
		return Script{}, err
	}
	source := " inst.stage2=" + strings.TrimSuffix(kickstart, "/"+Kickstart)
	if n.RepositoryURL != "" && n.Stage2 == "" {
		repository, err := ParseToken(n.RepositoryURL)
		if err != nil {
			return Script{}, refuse("instance_info.image_source", err)
		}
		source = " inst.repo=" + repository.word
	}
	return kernelScript(n, b, o, KindAnaconda, Kernel, Ramdisk,
		"text"+appended+" inst.ks="+kickstart+source, Ramdisk)
}

func kernelScript(n *Node, b Boot, o *Options, kind Kind, kernel, ramdisk, args, initrd string) (Script, error) {
	// ${mac} is ours and becomes 17 characters; whether the rest fits is firmware's business only below the limits.
	if length := len(args) + len(" initrd=") + len(initrd) + 17 - len("${mac}"); length > maxCommandLine {
		return Script{}, &Refused{ReasonTooLong, "the kernel command line has " + strconv.Itoa(length) +
			" bytes, and a BIOS kernel sees the first " + strconv.Itoa(maxCommandLine) + " only; shorten kernel_append_params."}
	}
	if words := strings.Count(args, " ") + 5; words > maxArguments {
		return Script{}, &Refused{ReasonTooLong, "the kernel command line has " + strconv.Itoa(words) +
			" words, and iPXE takes " + strconv.Itoa(maxArguments) + "; shorten kernel_append_params."}
	}
	s := Script{Kind: kind, Reason: ReasonState, node: n, args: args, initrd: initrd,
		timeout: o.Timeout.Milliseconds(), ImageLabels: []string{kernel, ramdisk}}
	var err error
	if s.kernel, err = imageURL(n, b, kernel); err != nil {
		return Script{}, err
	}
	if s.ramdisk, err = imageURL(n, b, ramdisk); err != nil {
		return Script{}, err
	}
	s.beacon, err = beaconURL(n, b, o)
	return s, err
}

// appendParams assembles pxe_append_params in Ironic's order (pxe_utils.build_extra_pxe_options): the node's own or the
// configured ones, the agent's debug flag, what the ramdisk at hand needs, the request id. The result begins with a
// blank unless it is empty.
func appendParams(n *Node, b Boot, o *Options, params ...string) (string, error) {
	own := o.KernelAppendParams
	if n.KernelAppendParams != nil {
		own = strings.ReplaceAll(*n.KernelAppendParams, "%default%", o.KernelAppendParams)
	}
	args, err := ParseArgs(own)
	if err != nil {
		return "", refuse("kernel_append_params", err)
	}
	text := prefixed(args.text)
	if o.AgentDebug && !strings.Contains(text, "ipa-debug") {
		text += " ipa-debug=1"
	}
	for _, p := range params {
		args, err := ParseArgs(p)
		if err != nil {
			return "", refuse("the agent's parameters", err)
		}
		text += prefixed(args.text)
	}
	if b.RequestID != "" {
		id, err := ParseToken(b.RequestID)
		if err != nil {
			return "", refuse("the request id", err)
		}
		text += " ipa-global-request-id=" + id.word
	}
	return text, nil
}

func prefixed(s string) string {
	if s == "" {
		return ""
	}
	return " " + s
}

// iscsiScript attaches the boot volume and the other iSCSI volumes (pxe_utils.get_volume_pxe_options).
func iscsiScript(n *Node, b Boot, o *Options) (Script, error) {
	boot, _ := n.bootVolume()
	s := Script{Kind: KindISCSI, Reason: ReasonState, node: n}
	var err error
	if s.beacon, err = beaconURL(n, b, o); err != nil {
		return Script{}, err
	}
	if n.Initiator != "" {
		t, err := ParseToken(n.Initiator)
		if err != nil {
			return Script{}, refuse("the volume connector's iqn", err)
		}
		s.initiator = t.word
	}
	volumes := []Volume{boot}
	for _, v := range n.Volumes {
		if v.BootIndex != 0 && strings.Contains(v.Type, "iscsi") {
			volumes = append(volumes, v)
		}
	}
	for i, v := range volumes {
		urls, err := volumeURLs(v, o)
		if err != nil {
			return Script{}, err
		}
		d := drive{urls: urls}
		if v.Username != "" {
			if d.credential, err = b.Secrets.credential(i, v.Username); err != nil {
				return Script{}, err
			}
		}
		s.drives = append(s.drives, d)
	}
	return s, nil
}

// volumeURLs are a volume's paths as iPXE's SAN URIs (RFC 4173 section 5), with blanks between them. Releases before
// 22 write the LUN in decimal, which is the same below ten.
func volumeURLs(v Volume, o *Options) (string, error) {
	if v.Redacted {
		return "", &Refused{ReasonNoVolume, "Ironic hides the properties of volume target " + plainUUID(v.UUID) +
			" from this edge; give its user a role that may read them."}
	}
	if v.IQN == "" || len(v.Portals) == 0 {
		return "", &Refused{ReasonNoVolume, "volume target " + plainUUID(v.UUID) + " has no target_iqn or no target_portal."}
	}
	base := 16
	if o.Compat.before(22) {
		base = 10
	}
	urls := make([]string, 0, len(v.Portals))
	for _, portal := range v.Portals {
		host, port, err := splitPortal(portal)
		if err != nil {
			return "", refuse("target_portal of volume target "+plainUUID(v.UUID), err)
		}
		url, err := ParseToken("iscsi:" + host + "::" + port + ":" + strconv.FormatInt(int64(v.LUN), base) + ":" + v.IQN)
		if err != nil {
			return "", refuse("volume target "+plainUUID(v.UUID), err)
		}
		urls = append(urls, url.word)
	}
	return strings.Join(urls, " "), nil
}

// splitPortal takes host:port apart; the port may be missing. An IPv6 address keeps its brackets, without which iPXE
// could not tell it from the fields around it.
func splitPortal(portal string) (host, port string, err error) {
	if strings.HasPrefix(portal, "[") && strings.HasSuffix(portal, "]") || !strings.Contains(portal, ":") {
		return portal, "", nil
	}
	host, port, err = net.SplitHostPort(portal)
	if err != nil || host == "" {
		return "", "", errors.New("is not host:port")
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host, port, nil
}

// plainUUID is an identifier for a message: as it is when it is one, hidden when it is something else.
func plainUUID(s string) string {
	if _, err := ParseUUID(s); err != nil {
		return "(no UUID)"
	}
	return s
}

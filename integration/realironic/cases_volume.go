// SPDX-License-Identifier: Apache-2.0

package realironic

import "fmt"

var initiator = []map[string]any{{"type": "iqn", "connector_id": "iqn.2024-01.org.example:initiator"}}

// volume is an iSCSI volume target; its volume id is unique in an Ironic.
func volume(id string, index int, properties map[string]any) map[string]any {
	return map[string]any{"volume_type": "iscsi", "boot_index": index, "volume_id": id, "properties": properties}
}

func portal(address string, lun any, more ...any) map[string]any {
	return with(map[string]any{"target_portal": address, "target_lun": lun, "target_iqn": "iqn.2024-01.org.example:target"}, more...)
}

func chap(user string) []any {
	return []any{"auth_method", "CHAP", "auth_username", user, "auth_password", "secret-of-" + user}
}

func fromVolume(targets ...map[string]any) Spec {
	for i, t := range targets {
		t["volume_id"] = fmt.Sprint(t["volume_id"], "-", i)
	}
	return Spec{Storage: "external", Capabilities: "iscsi_boot:true", Connectors: initiator, Targets: targets}
}

// volumeCases boot from a volume by iSCSI.
var volumeCases = []Case{
	{Name: "active-iscsi", State: "active", Tuned: true, Steps: toActive,
		Spec: fromVolume(volume("plain", 0, portal("192.0.2.7:3260", 1)))},
	{Name: "active-iscsi-chap", State: "active", Steps: toActive,
		Spec: fromVolume(volume("chap", 0, portal("192.0.2.7:3260", 1, chap("alice")...)))},
	{Name: "active-iscsi-multipath", State: "active", Steps: toActive,
		Spec: fromVolume(volume("multipath", 0, map[string]any{"target_portals": []string{"192.0.2.7:3260", "192.0.2.8:3260"},
			"target_luns": []int{1, 1}, "target_iqns": []string{"iqn.2024-01.org.example:a", "iqn.2024-01.org.example:b"}}))},
	{Name: "active-iscsi-extra", State: "active", Steps: toActive,
		Spec: fromVolume(volume("extra", 0, portal("192.0.2.7:3260", 0, chap("alice")...)),
			volume("extra", 1, portal("192.0.2.7:3260", 1, chap("bob")...)), volume("extra", 2, portal("192.0.2.9:3260", 2, chap("carol")...)))},
	{Name: "active-iscsi-lun-12", State: "active", Steps: toActive,
		Spec: fromVolume(volume("lun", 0, portal("192.0.2.7:3260", 12)))},
	{Name: "active-iscsi-ipv6", Only: Release39, State: "active", Steps: toActive,
		Spec: fromVolume(volume("ipv6", 0, portal("[2001:db8::7]:3260", 1)))},
	{Name: "active-iscsi-no-port", Only: Release39, State: "active", Steps: toActive,
		Spec: fromVolume(volume("noport", 0, portal("192.0.2.7", 1)))},
	{Name: "active-iscsi-two-ports", State: "active", Steps: toActive,
		Spec: ports(fromVolume(volume("ports", 0, portal("192.0.2.7:3260", 1))), Port{}, Port{PXEDisabled: true})},
	{Name: "active-adopted-iscsi", State: "active", Steps: toAdopted,
		Spec: fromVolume(volume("adopted", 0, portal("192.0.2.7:3260", 1)))},
	{Name: "active-disk-with-volume", State: "active", Steps: toActiveByAgent,
		Spec: instance(diskImage, fromVolume(volume("data", 1, portal("192.0.2.7:3260", 1, chap("alice")...))))},
	{Name: "clean-wait-iscsi", State: "clean wait", Steps: steps(toActive, []step{change(map[string]any{"/automated_clean": true}), request("deleted"), until("clean wait")}),
		Spec: fromVolume(volume("cleaned", 0, portal("192.0.2.7:3260", 1)))},
	{Name: "deploy-failed-iscsi-extra", State: "deploy failed", Steps: steps(toAvailable, []step{request("active"), until("deploy failed")}),
		Spec: fromVolume(volume("nochap", 0, portal("192.0.2.7:3260", 0)), volume("nochap", 1, portal("192.0.2.7:3260", 1)))},
	{Name: "active-unrescued-iscsi", State: "active",
		Steps: steps(toActive, toRescue, []step{request("unrescue"), until("active")}),
		Spec:  fromVolume(volume("unrescued", 0, portal("192.0.2.7:3260", 1)))},
	{Name: "rescue-wait-iscsi", State: "rescue wait",
		Steps: steps(toActive, []step{request("rescue", "rescue_password", "secret"), until("rescue wait")}),
		Spec:  fromVolume(volume("rescued", 0, portal("192.0.2.7:3260", 1)))},
}

func ports(s Spec, p ...Port) Spec {
	s.Ports = p
	return s
}

func instance(info map[string]any, s Spec) Spec {
	s.InstanceInfo = info
	return s
}

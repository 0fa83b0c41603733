// SPDX-License-Identifier: Apache-2.0

package realironic

var (
	endlessAgent = map[string]any{"deploy_kernel": "endless:kernel", "deploy_ramdisk": "image:ramdisk",
		"rescue_kernel": "endless:kernel", "rescue_ramdisk": "image:ramdisk"}
	missingAgent = map[string]any{"deploy_kernel": "missing:kernel", "deploy_ramdisk": "image:ramdisk",
		"rescue_kernel": "missing:kernel", "rescue_ramdisk": "image:ramdisk"}
	inBand   = []map[string]any{{"interface": "deploy", "step": "burnin_cpu"}}
	coreWait = []map[string]any{{"interface": "deploy", "step": "wait"}}

	toCleanWait  = steps(toManageable, []step{request("provide"), until("clean wait")})
	toManualWait = steps(toManageable, []step{request("clean", "clean_steps", inBand), until("clean wait")})
)

// cleanCases are in cleaning or failed in it.
var cleanCases = []Case{
	{Name: "clean-wait", State: "clean wait", Tuned: true, Spec: Spec{Clean: true}, Steps: toCleanWait},
	{Name: "clean-wait-maintenance", State: "clean wait", Spec: Spec{Clean: true}, Steps: steps(toCleanWait, []step{maintenance})},
	{Name: "clean-wait-manual", State: "clean wait", Steps: toManualWait},
	{Name: "clean-wait-step", State: "clean wait", Steps: steps(toManualWait, []step{agentRunning("clean wait", "clean.execute_clean_step")})},
	{Name: "clean-wait-ramdisk", State: "clean wait", Spec: Spec{Clean: true, Deploy: "ramdisk"}, Steps: toCleanWait},
	{Name: "clean-wait-anaconda", State: "clean wait", Spec: Spec{Clean: true, Deploy: "anaconda"}, Steps: toCleanWait},
	{Name: "clean-wait-http-ipxe", Only: Release39, State: "clean wait", Spec: Spec{Clean: true, Boot: "http-ipxe"}, Steps: toCleanWait},
	{Name: "clean-wait-deleted", State: "clean wait", Spec: Spec{InstanceInfo: diskImage},
		Steps: steps(toActiveByAgent, []step{change(map[string]any{"/automated_clean": true}), request("deleted"), until("clean wait")})},
	{Name: "cleaning", State: "cleaning", Spec: Spec{Clean: true, DriverInfo: endlessAgent},
		Steps: steps(toManageable, []step{request("provide"), held("cleaning", "kernel")})},
	{Name: "cleaning-step", State: "cleaning", Steps: steps(toManualWait, []step{agentStuck("cleaning", "clean.execute_clean_step")})},
	{Name: "clean-hold", Only: Release39, State: "clean hold",
		Steps: steps(toManualWait, []step{database("clean hold")})},
	{Name: "clean-failed-step", State: "clean failed",
		Steps: steps(toManualWait, []step{agentFails("clean.execute_clean_step"), agentUntil("clean failed")})},
	{Name: "clean-failed-aborted", State: "clean failed", Spec: Spec{Clean: true}, Steps: steps(toCleanWait, []step{request("abort"), until("clean failed")})},
	{Name: "clean-failed-image", State: "clean failed", Spec: Spec{Clean: true, DriverInfo: missingAgent},
		Steps: steps(toManageable, []step{request("provide"), until("clean failed")})},
}

// inspectCases are in inspection or failed in it.
var inspectCases = []Case{
	{Name: "inspect-wait", State: "inspect wait", Tuned: true, Steps: steps(toManageable, []step{request("inspect"), until("inspect wait")})},
	{Name: "inspect-wait-no-ports", State: "inspect wait", Spec: Spec{Ports: noPorts}, Steps: steps(toManageable, []step{request("inspect"), until("inspect wait")})},
	{Name: "inspect-wait-boot-fake", State: "inspect wait", Spec: Spec{Boot: "fake"}, Steps: steps(toManageable, []step{request("inspect"), until("inspect wait")})},
	{Name: "inspect-wait-append", State: "inspect wait", Spec: Spec{DriverInfo: map[string]any{"kernel_append_params": "console=ttyS0"}},
		Steps: steps(toManageable, []step{request("inspect"), until("inspect wait")})},
	{Name: "inspecting", State: "inspecting", Spec: Spec{DriverInfo: endlessAgent},
		Steps: steps(toManageable, []step{request("inspect"), held("inspecting", "kernel")})},
	{Name: "inspect-failed-aborted", State: "inspect failed",
		Steps: steps(toManageable, []step{request("inspect"), until("inspect wait"), request("abort"), until("inspect failed")})},
	{Name: "inspect-failed-image", State: "inspect failed", Spec: Spec{DriverInfo: missingAgent},
		Steps: steps(toManageable, []step{request("inspect"), until("inspect failed")})},
	{Name: "inspect-failed-hook", Only: Release39, State: "inspect failed",
		Steps: steps(toManageable, []step{request("inspect"), until("inspect wait"),
			inspected("the ramdisk says so"), until("inspect failed")})},
	{Name: "manageable-inspected", Only: Release39, State: "manageable",
		Steps: steps(toManageable, []step{request("inspect"), until("inspect wait"),
			inspected(""), until("manageable")})},
}

// inventory is the least that the default inspection hooks want.
func inventory(mac string) map[string]any {
	return map[string]any{
		"interfaces": []map[string]any{{"name": "eth0", "mac_address": mac, "ipv4_address": "192.0.2.2", "has_carrier": true}},
		"cpu":        map[string]any{"count": 1, "architecture": "x86_64"}, "memory": map[string]any{"physical_mb": 1024},
		"disks": []map[string]any{}, "boot": map[string]any{"current_boot_mode": "bios", "pxe_interface": mac},
	}
}

var toRescue = []step{request("rescue", "rescue_password", "secret"), until("rescue wait"), agentUntil("rescue")}

// rescueCases are in rescue, on the way there or back.
var rescueCases = []Case{
	{Name: "rescue-wait-direct", State: "rescue wait", Tuned: true, Spec: Spec{InstanceInfo: diskImage},
		Steps: steps(toActiveByAgent, []step{request("rescue", "rescue_password", "secret"), until("rescue wait")})},
	{Name: "rescue-wait-ramdisk", State: "rescue wait", Spec: Spec{Deploy: "ramdisk", InstanceInfo: ramdiskImage},
		Steps: steps(toActive, []step{request("rescue", "rescue_password", "secret"), until("rescue wait")})},
	{Name: "rescue-wait-aarch64", State: "rescue wait", Spec: Spec{Arch: "aarch64", InstanceInfo: diskImage},
		Steps: steps(toActiveByAgent, []step{request("rescue", "rescue_password", "secret"), until("rescue wait")})},
	{Name: "rescuing-direct", State: "rescuing",
		Spec:  Spec{InstanceInfo: diskImage, DriverInfo: with(nil, "rescue_kernel", "endless:kernel", "rescue_ramdisk", "image:ramdisk")},
		Steps: steps(toActiveByAgent, []step{request("rescue", "rescue_password", "secret"), held("rescuing", "kernel")})},
	{Name: "rescue-direct", State: "rescue", Tuned: true, Spec: Spec{InstanceInfo: diskImage}, Steps: steps(toActiveByAgent, toRescue)},
	{Name: "rescue-ramdisk", State: "rescue", Spec: Spec{Deploy: "ramdisk", InstanceInfo: ramdiskImage}, Steps: steps(toActive, toRescue)},
	{Name: "rescue-failed-aborted", State: "rescue failed", Spec: Spec{InstanceInfo: diskImage},
		Steps: steps(toActiveByAgent, []step{request("rescue", "rescue_password", "secret"), until("rescue wait"), request("abort"), until("rescue failed")})},
	{Name: "rescue-failed-command", State: "rescue failed", Spec: Spec{InstanceInfo: diskImage},
		Steps: steps(toActiveByAgent, []step{request("rescue", "rescue_password", "secret"), until("rescue wait"),
			agentFails("rescue.finalize_rescue"), agentUntil("rescue failed")})},
	{Name: "rescue-failed-image", State: "rescue failed",
		Spec:  Spec{InstanceInfo: diskImage, DriverInfo: with(nil, "rescue_kernel", "missing:kernel", "rescue_ramdisk", "image:ramdisk")},
		Steps: steps(toActiveByAgent, []step{request("rescue", "rescue_password", "secret"), until("rescue failed")})},
	{Name: "rescue-failed-ramdisk-aborted", State: "rescue failed", Spec: Spec{Deploy: "ramdisk", InstanceInfo: ramdiskImage},
		Steps: steps(toActive, []step{request("rescue", "rescue_password", "secret"), until("rescue wait"), request("abort"), until("rescue failed")})},
	{Name: "active-unrescued-direct", State: "active", Tuned: true, Spec: Spec{InstanceInfo: diskImage},
		Steps: steps(toActiveByAgent, toRescue, []step{request("unrescue"), until("active")})},
	{Name: "active-unrescued-ramdisk", State: "active", Spec: Spec{Deploy: "ramdisk", InstanceInfo: ramdiskImage},
		Steps: steps(toActive, toRescue, []step{request("unrescue"), until("active")})},
	{Name: "unrescuing-ramdisk", State: "unrescuing", Spec: Spec{Deploy: "ramdisk", InstanceInfo: ramdiskImage},
		Steps: steps(toActive, toRescue, []step{change(map[string]any{"/instance_info/kernel": "endless:kernel"}),
			request("unrescue"), held("unrescuing", "kernel")})},
	{Name: "unrescue-failed-ramdisk", State: "unrescue failed", Spec: Spec{Deploy: "ramdisk", InstanceInfo: ramdiskImage},
		Steps: steps(toActive, toRescue, []step{change(map[string]any{"/instance_info/kernel": "missing:kernel"}),
			request("unrescue"), until("unrescue failed")})},
	{Name: "unrescuing-direct", State: "unrescuing", Spec: Spec{InstanceInfo: diskImage},
		Steps: steps(toActiveByAgent, toRescue, []step{database("unrescuing")})},
	{Name: "unrescue-failed-direct", State: "unrescue failed", Spec: Spec{InstanceInfo: diskImage},
		Steps: steps(toActiveByAgent, toRescue, []step{database("unrescue failed")})},
}

// toServiceWait asks for service by one step in the agent.
var toServiceWait = []step{request("service", "service_steps", inBand), until("service wait")}

// serviceCases are in service, which only the newest release has.
var serviceCases = []Case{
	{Name: "service-wait-direct", Only: Release39, State: "service wait", Tuned: true, Spec: Spec{InstanceInfo: diskImage},
		Steps: steps(toActiveByAgent, toServiceWait)},
	{Name: "service-wait-step", Only: Release39, State: "service wait", Spec: Spec{InstanceInfo: diskImage},
		Steps: steps(toActiveByAgent, toServiceWait, []step{agentRunning("service wait", "service.execute_service_step")})},
	{Name: "service-wait-iscsi", Only: Release39, State: "service wait", Steps: steps(toActive, toServiceWait),
		Spec: fromVolume(volume("serviced", 0, portal("192.0.2.7:3260", 1)))},
	{Name: "servicing-direct", Only: Release39, State: "servicing",
		Spec: Spec{InstanceInfo: diskImage},
		Steps: steps(toActiveByAgent, []step{change(map[string]any{"/driver_info/deploy_kernel": "endless:kernel"}),
			change(map[string]any{"/driver_info/deploy_ramdisk": "image:ramdisk"}),
			request("service", "service_steps", inBand), held("servicing", "kernel")})},
	{Name: "servicing-step", Only: Release39, State: "servicing", Spec: Spec{InstanceInfo: diskImage},
		Steps: steps(toActiveByAgent, toServiceWait, []step{agentStuck("servicing", "service.execute_service_step")})},
	{Name: "service-hold", Only: Release39, State: "service hold", Spec: Spec{InstanceInfo: diskImage},
		Steps: steps(toActiveByAgent, toServiceWait, []step{database("service hold")})},
	{Name: "service-failed-step", Only: Release39, State: "service failed", Spec: Spec{InstanceInfo: diskImage},
		Steps: steps(toActiveByAgent, toServiceWait, []step{agentFails("service.execute_service_step"), agentUntil("service failed")})},
	// The newest release cannot boot the agent for a node whose instance is a ramdisk (KeyError: deploy_kernel).
	{Name: "service-failed-ramdisk", Only: Release39, State: "service failed", Spec: Spec{Deploy: "ramdisk", InstanceInfo: ramdiskImage},
		Steps: steps(toActive, []step{request("service", "service_steps", inBand), until("service failed")})},
	{Name: "active-serviced-direct", Only: Release39, State: "active", Spec: Spec{InstanceInfo: diskImage},
		Steps: steps(toActiveByAgent, toServiceWait, []step{agentUntil("active")})},
}

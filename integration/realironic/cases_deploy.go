// SPDX-License-Identifier: Apache-2.0

package realironic

// infiniBand is a port's extra that makes it one of InfiniBand.
var infiniBand = map[string]any{"client-id": "20:00:55:04:01:fe:80:00:00:00:00:00:00:00:02:c9:02:00:23:13:92"}

// deployCases are on their way to an instance, or failed on it.
var deployCases = []Case{
	{Name: "wait-call-back-direct", State: "wait call-back", Tuned: true, Spec: Spec{InstanceInfo: diskImage}, Steps: toDeployWait},
	{Name: "wait-call-back-partition", State: "wait call-back", Spec: Spec{InstanceInfo: partitionImage}, Steps: toDeployWait},
	{Name: "wait-call-back-custom-agent", State: "wait call-back", Spec: Spec{Deploy: "custom-agent", InstanceInfo: diskImage}, Steps: toDeployWait},
	{Name: "wait-call-back-maintenance", State: "wait call-back", Spec: Spec{InstanceInfo: diskImage}, Steps: steps(toDeployWait, []step{maintenance})},
	{Name: "wait-call-back-own-images", State: "wait call-back", Tuned: true, Steps: toDeployWait,
		Spec: Spec{InstanceInfo: diskImage, DriverInfo: map[string]any{"deploy_kernel": "image:own_kernel", "deploy_ramdisk": "image:own_ramdisk"}}},
	{Name: "wait-call-back-aarch64", State: "wait call-back", Spec: Spec{Arch: "aarch64", InstanceInfo: diskImage}, Steps: toDeployWait},
	{Name: "wait-call-back-uefi", State: "wait call-back", Steps: toDeployWait,
		Spec: Spec{InstanceInfo: diskImage, Capabilities: "boot_mode:uefi"}},
	{Name: "wait-call-back-two-ports", State: "wait call-back", Steps: toDeployWait,
		Spec: Spec{InstanceInfo: diskImage, Ports: []Port{{}, {}}}},
	{Name: "wait-call-back-port-disabled", State: "wait call-back", Steps: toDeployWait,
		Spec: Spec{InstanceInfo: diskImage, Ports: []Port{{}, {PXEDisabled: true}}}},
	{Name: "wait-call-back-bond", State: "wait call-back", Steps: toDeployWait,
		Spec: Spec{InstanceInfo: diskImage, Ports: []Port{{}, {}}, Portgroup: true}},
	{Name: "wait-call-back-infiniband", State: "wait call-back", Steps: toDeployWait,
		Spec: Spec{InstanceInfo: diskImage, Ports: []Port{{Extra: infiniBand}}}},
	{Name: "wait-call-back-append-instance", State: "wait call-back", Tuned: true, Steps: toDeployWait,
		Spec: Spec{InstanceInfo: with(diskImage, "kernel_append_params", "console=ttyS0 %default% panic=1"),
			DriverInfo: map[string]any{"kernel_append_params": "console=ttyS1"}}},
	{Name: "wait-call-back-append-driver", State: "wait call-back", Tuned: true, Steps: toDeployWait,
		Spec: Spec{InstanceInfo: diskImage, DriverInfo: map[string]any{"kernel_append_params": "console=ttyS1,115200n8 ipa-insecure=1"}}},
	{Name: "wait-call-back-http-ipxe", Only: Release39, State: "wait call-back", Spec: Spec{Boot: "http-ipxe", InstanceInfo: diskImage}, Steps: toDeployWait},
	{Name: "wait-call-back-boot-pxe", State: "wait call-back", Spec: Spec{Boot: "pxe", InstanceInfo: diskImage}, Steps: toDeployWait},
	{Name: "wait-call-back-anaconda", State: "wait call-back", Tuned: true, Spec: Spec{Deploy: "anaconda", InstanceInfo: stage2Image}, Steps: toDeployWait},
	{Name: "wait-call-back-anaconda-tree", State: "wait call-back", Spec: Spec{Deploy: "anaconda", InstanceInfo: treeImage}, Steps: toDeployWait},
	{Name: "wait-call-back-anaconda-append", State: "wait call-back", Steps: toDeployWait,
		Spec: Spec{Deploy: "anaconda", InstanceInfo: with(stage2Image, "kernel_append_params", "console=ttyS0 %default%")}},
	{Name: "wait-call-back-rebuild", State: "wait call-back", Spec: Spec{InstanceInfo: diskImage},
		Steps: steps(toActiveByAgent, []step{request("rebuild"), until("wait call-back")})},
	{Name: "wait-call-back-wait-step", Only: Release39, State: "wait call-back", Spec: Spec{InstanceInfo: diskImage},
		Steps: steps(toAvailable, []step{request("active", "deploy_steps", coreStep("wait", 150)), until("wait call-back")})},
	{Name: "deploy-hold", Only: Release39, State: "deploy hold", Spec: Spec{InstanceInfo: diskImage},
		Steps: steps(toDeployWait, []step{database("deploy hold")})},

	{Name: "deploying-direct", State: "deploying", Steps: steps(toAvailable, []step{request("active"), held("deploying", "kernel")}),
		Spec: Spec{InstanceInfo: diskImage, DriverInfo: map[string]any{"deploy_kernel": "endless:kernel", "deploy_ramdisk": "image:ramdisk"}}},
	{Name: "deploying-ramdisk", State: "deploying", Steps: steps(toAvailable, []step{request("active"), held("deploying", "kernel")}),
		Spec: Spec{Deploy: "ramdisk", InstanceInfo: with(ramdiskImage, "kernel", "endless:kernel")}},
	{Name: "deploying-anaconda", State: "deploying", Steps: steps(toAvailable, []step{request("active"), held("deploying", "kernel")}),
		Spec: Spec{Deploy: "anaconda", InstanceInfo: with(stage2Image, "kernel", "endless:kernel")}},
	{Name: "deploying-prepare-instance-boot", State: "deploying", Spec: Spec{InstanceInfo: diskImage},
		Steps: steps(toDeployWait, []step{agentStuck("deploying", "image.install_bootloader")})},
	{Name: "deploying-tear-down-agent", State: "deploying", Tuned: true, Spec: Spec{InstanceInfo: diskImage},
		Steps: steps(toDeployWait, []step{agentStuck("deploying", "standby.power_off")})},

	{Name: "deploy-failed-image", State: "deploy failed", Steps: steps(toAvailable, []step{request("active"), until("deploy failed")}),
		Spec: Spec{InstanceInfo: diskImage, DriverInfo: map[string]any{"deploy_kernel": "missing:kernel", "deploy_ramdisk": "image:ramdisk"}}},
	{Name: "deploy-failed-ramdisk-image", State: "deploy failed", Steps: steps(toAvailable, []step{request("active"), until("deploy failed")}),
		Spec: Spec{Deploy: "ramdisk", InstanceInfo: with(ramdiskImage, "kernel", "missing:kernel")}},
	{Name: "deploy-failed-anaconda", State: "deploy failed", Spec: Spec{Deploy: "anaconda", InstanceInfo: stage2Image},
		Steps: steps(toDeployWait, []step{anacondaUntil("deploy failed", "start", "error")})},
	{Name: "deploy-failed-hold-aborted", Only: Release39, State: "deploy failed", Spec: Spec{InstanceInfo: diskImage},
		Steps: steps(toDeployWait, []step{database("deploy hold"), request("abort"), until("deploy failed")})},
}

// coreStep is one of the steps that the conductor itself knows (hold, wait).
func coreStep(name string, priority int) []map[string]any {
	return []map[string]any{{"interface": "deploy", "step": name, "priority": priority, "args": map[string]any{}}}
}

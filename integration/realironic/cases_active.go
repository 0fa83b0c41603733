// SPDX-License-Identifier: Apache-2.0

package realironic

// toAdopted makes a node active without a deployment.
var toAdopted = steps(toManageable, []step{request("adopt"), until("active")})

// activeCases have an instance that is no volume.
var activeCases = []Case{
	{Name: "active-direct", State: "active", Tuned: true, Spec: Spec{InstanceInfo: diskImage}, Steps: toActiveByAgent},
	{Name: "active-direct-uefi", State: "active", Spec: Spec{InstanceInfo: diskImage, Capabilities: "boot_mode:uefi"}, Steps: toActiveByAgent},
	{Name: "active-partition", State: "active", Spec: Spec{InstanceInfo: partitionImage}, Steps: toActiveByAgent},
	{Name: "active-maintenance", State: "active", Spec: Spec{InstanceInfo: diskImage}, Steps: steps(toActiveByAgent, []step{maintenance})},
	{Name: "active-ramdisk", State: "active", Tuned: true, Spec: Spec{Deploy: "ramdisk", InstanceInfo: ramdiskImage}, Steps: toActive},
	{Name: "active-ramdisk-append", State: "active", Tuned: true, Steps: toActive,
		Spec: Spec{Deploy: "ramdisk", InstanceInfo: with(ramdiskImage, "kernel_append_params", "console=ttyS0 %default%",
			"ramdisk_kernel_arguments", "rd.break quiet")}},
	{Name: "active-ramdisk-iso", State: "active", Tuned: true, Spec: Spec{Deploy: "ramdisk", InstanceInfo: isoImage}, Steps: toActive},
	{Name: "active-ramdisk-http-ipxe", Only: Release39, State: "active", Spec: Spec{Boot: "http-ipxe", Deploy: "ramdisk", InstanceInfo: ramdiskImage}, Steps: toActive},
	{Name: "active-ramdisk-port-disabled", State: "active", Steps: toActive,
		Spec: Spec{Deploy: "ramdisk", InstanceInfo: ramdiskImage, Ports: []Port{{PXEDisabled: true}, {}}}},
	{Name: "active-anaconda", State: "active", Tuned: true, Spec: Spec{Deploy: "anaconda", InstanceInfo: stage2Image},
		Steps: steps(toDeployWait, []step{anacondaUntil("active", "start", "end")})},
	{Name: "active-adopted-direct", State: "active", Tuned: true, Spec: Spec{InstanceInfo: diskImage}, Steps: toAdopted},
	{Name: "active-adopted-ramdisk", State: "active", Spec: Spec{Deploy: "ramdisk", InstanceInfo: ramdiskImage}, Steps: toAdopted},
	{Name: "active-adopted-iso", State: "active", Spec: Spec{Deploy: "ramdisk", InstanceInfo: isoImage}, Steps: toAdopted},
	{Name: "adopting-direct", State: "adopting", Spec: Spec{InstanceInfo: diskImage}, Steps: steps(toManageable, []step{database("adopting")})},
	{Name: "adopting-ramdisk", State: "adopting", Spec: Spec{Deploy: "ramdisk", InstanceInfo: ramdiskImage},
		Steps: steps(toManageable, []step{database("adopting")})},
}

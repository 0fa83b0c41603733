// SPDX-License-Identifier: Apache-2.0

package realironic

import "slices"

// What the nodes' instances are made of.
var (
	diskImage = map[string]any{"image_source": "image:disk.raw", "image_os_hash_algo": "sha256",
		"image_os_hash_value": ImageSHA256, "image_disk_format": "raw", "image_type": "whole-disk", "root_gb": 10}
	partitionImage = map[string]any{"image_source": "image:root.raw", "image_os_hash_algo": "sha256",
		"image_os_hash_value": ImageSHA256, "image_disk_format": "raw", "image_type": "partition", "root_gb": 10,
		"kernel": "image:kernel", "ramdisk": "image:ramdisk"}
	ramdiskImage = map[string]any{"kernel": "image:kernel", "ramdisk": "image:ramdisk"}
	isoImage     = map[string]any{"boot_iso": "image:boot.iso"}
	stage2Image  = map[string]any{"image_source": "image:root.tar", "image_os_hash_algo": "sha256",
		"image_os_hash_value": ImageSHA256, "kernel": "image:kernel", "ramdisk": "image:ramdisk", "stage2": "image:squashfs.img", "root_gb": 10}
	treeImage = map[string]any{"image_source": "image:tree/", "kernel": "image:kernel", "ramdisk": "image:ramdisk", "root_gb": 10}
)

// with returns a copy of info with further pairs.
func with(info map[string]any, pairs ...any) map[string]any {
	out := map[string]any{}
	for k, v := range info {
		out[k] = v
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		out[pairs[i].(string)] = pairs[i+1]
	}
	return out
}

// steps joins single steps and lists of them.
func steps(parts ...any) []step {
	var all []step
	for _, p := range parts {
		switch p := p.(type) {
		case []step:
			all = append(all, p...)
		case step:
			all = append(all, p)
		}
	}
	return slices.Clip(all)
}

var (
	toManageable = []step{request("manage"), until("manageable")}
	toAvailable  = steps(toManageable, []step{request("provide"), until("available")})
	// toDeployWait ends when the agent's ramdisk (or the installer) is to be booted.
	toDeployWait = steps(toAvailable, []step{request("active"), until("wait call-back")})
	// toActive deploys a node whose instance needs no agent.
	toActive = steps(toAvailable, []step{request("active"), until("active")})
	// toActiveByAgent lets the agent write the image.
	toActiveByAgent = steps(toDeployWait, []step{agentUntil("active")})
)

// idleCases have nothing to do with an instance.
var idleCases = []Case{
	{Name: "enroll", State: "enroll"},
	{Name: "verifying", State: "verifying", Steps: []step{database("verifying")}},
	{Name: "manageable", State: "manageable", Steps: toManageable},
	{Name: "available", State: "available", Tuned: true, Steps: toAvailable},
	{Name: "available-maintenance", State: "available", Steps: steps(toAvailable, []step{maintenance})},
	{Name: "adopt-failed", State: "adopt failed", Spec: Spec{InstanceInfo: diskImage},
		Steps: steps(toManageable, []step{database("adopt failed")})},
	{Name: "deleting-direct", State: "deleting", Spec: Spec{InstanceInfo: diskImage},
		Steps: steps(toActiveByAgent, []step{database("deleting")})},
	{Name: "deleting-ramdisk", State: "deleting", Spec: Spec{Deploy: "ramdisk", InstanceInfo: ramdiskImage},
		Steps: steps(toActive, []step{database("deleting")})},
	{Name: "error-direct", State: "error", Spec: Spec{InstanceInfo: diskImage},
		Steps: steps(toActiveByAgent, []step{database("error")})},
	{Name: "error-ramdisk", State: "error", Spec: Spec{Deploy: "ramdisk", InstanceInfo: ramdiskImage},
		Steps: steps(toActive, []step{database("error")})},
}

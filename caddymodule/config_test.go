// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"strings"
	"testing"
)

// TestErrorsShowNoSecret has mistakes beside values that come from outside of the configuration. What stands in the
// configuration may be shown, what stands behind a placeholder may not.
func TestErrorsShowNoSecret(t *testing.T) {
	t.Setenv("EDGE_TEST_SECRET", "s3cret")
	for name, change := range map[string]func(*Handler){
		"ironic":                  func(h *Handler) { h.Ironic.URL = "http://edge:{env.EDGE_TEST_SECRET}@ironic" },
		"public_url":              func(h *Handler) { h.PublicURL = "http://edge:{env.EDGE_TEST_SECRET}@edge" },
		"api_url":                 func(h *Handler) { h.APIURL = "http://edge:{env.EDGE_TEST_SECRET}@edge" },
		"inspection_callback_url": func(h *Handler) { h.InspectionCallbackURL = "http://edge:{env.EDGE_TEST_SECRET}@edge" },
		"conductor_http":          func(h *Handler) { h.ConductorHTTP = "http://edge:{env.EDGE_TEST_SECRET}@conductor" },
		"kernel_append_params":    func(h *Handler) { s := "rootpwd={env.EDGE_TEST_SECRET} $x"; h.KernelAppendParams = &s },
		"inspection_params":       func(h *Handler) { h.InspectionParams = "rootpwd={env.EDGE_TEST_SECRET} $x" },
		"fallback_script":         func(h *Handler) { h.FallbackScript = "http://a/{env.EDGE_TEST_SECRET} $x" },
		"image_map":               func(h *Handler) { h.ImageMap = map[string]string{"file:///": "http://edge:{env.EDGE_TEST_SECRET}@i/"} },
		"deploy_kernel": func(h *Handler) {
			h.DeployKernel = map[string]string{"": "ftp://edge:{env.EDGE_TEST_SECRET}@i/k"}
			h.DeployRamdisk = map[string]string{"": "http://i/r"}
		},
	} {
		h := &Handler{Ironic: Ironic{URL: "http://127.0.0.1:6385"}}
		change(h)
		err := provision(t, h)
		if err == nil || strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), "option "+name) {
			t.Errorf("%s: %v; want an error that names the option and shows no secret", name, err)
		}
	}
}

// TestUnknownMachinesNeedAnAgent is about the agent for machines without a node: the conductor has images for the nodes that
// it is about to boot, and none for these.
func TestUnknownMachinesNeedAnAgent(t *testing.T) {
	t.Parallel()
	for _, kernel := range []string{"", someUUID, "file:///shared/html/k"} {
		h := &Handler{Ironic: Ironic{URL: "http://127.0.0.1:6385"}, UnknownMAC: "inspect", ConductorHTTP: "http://conductor"}
		if kernel != "" {
			h.DeployKernel, h.DeployRamdisk = map[string]string{"": kernel}, map[string]string{"": "http://i/r"}
		}
		if err := provision(t, h); err == nil || !strings.Contains(err.Error(), "deploy_kernel") {
			t.Errorf("unknown_mac inspect with the deploy_kernel %q is taken: %v", kernel, err)
		}
	}
}

// TestImageMapPrefixHasPlaceholders reads both sides of image_map alike.
func TestImageMapPrefixHasPlaceholders(t *testing.T) {
	t.Setenv("EDGE_TEST_DIR", "/shared/html")
	h := &Handler{Ironic: Ironic{URL: "http://127.0.0.1:6385"}, ImageMap: map[string]string{"file://{env.EDGE_TEST_DIR}/": "http://images/"}}
	if err := provision(t, h); err != nil {
		t.Fatal(err)
	}
	if got, err := h.follow("file:///shared/html/k"); got != "http://images/k" || err != nil {
		t.Errorf("follow = %q, %v", got, err)
	}
}

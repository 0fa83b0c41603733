// SPDX-License-Identifier: Apache-2.0

package realironic

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Release is an Ironic release that install.d/ironic.sh installs.
type Release string

// Releases, oldest first.
const (
	Release21 Release = "21.4" // Debian 12
	Release39 Release = "39.0" // newest
)

// Options are the settings of a conductor that change what a node boots. The zero value is Ironic's default for each,
// except that the deploy and rescue images are always configured.
type Options struct {
	NetbootFallback    bool   `json:"netboot_fallback,omitempty"`     // [pxe]enable_netboot_fallback
	Timeout            int    `json:"ipxe_timeout,omitempty"`         // [pxe]ipxe_timeout, seconds
	KernelAppendParams string `json:"kernel_append_params,omitempty"` // [pxe]kernel_append_params; empty: the release's default
	Debug              bool   `json:"debug,omitempty"`                // [DEFAULT]debug, which the agent inherits
	FallbackScript     string `json:"fallback_script,omitempty"`      // [pxe]ipxe_fallback_script
	InspectionParams   string `json:"inspection_params,omitempty"`    // [inspector]extra_kernel_params
	HTTPBasic          bool   `json:"http_basic,omitempty"`           // [DEFAULT]auth_strategy: http_basic instead of noauth
	ConductorGroup     string `json:"conductor_group,omitempty"`      // [conductor]conductor_group, which all nodes must name

	Notifications *Notifications `json:"-"` // nil: it publishes none

	Keystone *Keystone `json:"-"` // [DEFAULT]auth_strategy: keystone instead of noauth
}

// Notifications is where an Ironic publishes what changes.
type Notifications struct {
	URL    string // [oslo_messaging_notifications]transport_url
	Driver string // [oslo_messaging_notifications]driver: messagingv2 or messaging, which differ in the envelope
}

// Keystone is what an Ironic must know to check tokens, and those who ask it to get past.
type Keystone struct {
	URL            string
	User, Password string // of an account with the role service in the project service, by which Ironic checks tokens
	AdminToken     string // with every right on the system
}

// User and Password are the one account of an Ironic that runs with Options.HTTPBasic.
const (
	User     = "edge"
	Password = "edge-password"
)

// passwordFile is `edge-password`, hashed by bcrypt with its lowest cost: it is checked with every request.
const passwordFile = User + ":$2b$04$RcCnVilGoIA.Vf34GcsSpuD5CyLyMe8EEH3ebmWjiuJKZdP.9kCUW\n"

// writeConf writes dir/ironic.conf and what it refers to.
func writeConf(r Release, program, dir, apiURL, httpURL, port string, s *Stubs, o Options) (string, error) {
	for _, d := range []string{"http", "tftp", "images", "lock", "state", "tftp_master", "instance_master"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return "", err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "htpasswd"), []byte(passwordFile), 0o600); err != nil {
		return "", err
	}
	var b strings.Builder
	section := func(name string, lines ...string) {
		fmt.Fprintf(&b, "[%s]\n%s\n", name, strings.Join(lines, "\n"))
	}
	auth := "noauth"
	switch {
	case o.HTTPBasic:
		auth = "http_basic"
	case o.Keystone != nil:
		auth = "keystone"
	}
	boot, inspect := "ipxe,pxe,fake", "inspector,no-inspect"
	if r != Release21 {
		boot, inspect = "ipxe,http-ipxe,pxe,fake", "agent,no-inspect"
	}
	section("DEFAULT",
		"auth_strategy = "+auth,
		"http_basic_auth_user_file = "+dir+"/htpasswd",
		fmt.Sprintf("rbac_service_role_elevated_access = %t", o.Keystone != nil),
		"rpc_transport = none",
		"host = 127.0.0.1",
		"state_path = "+dir+"/state",
		"log_file = "+dir+"/ironic.log",
		fmt.Sprintf("debug = %t", o.Debug),
		// Images are served as they are: there is no qemu-img.
		"force_raw_images = false",
		"minimum_memory_warning_only = true",
		"enabled_hardware_types = fake-hardware",
		"enabled_boot_interfaces = "+boot,
		"default_boot_interface = ipxe",
		"enabled_deploy_interfaces = direct,ramdisk,anaconda,custom-agent,fake",
		"default_deploy_interface = direct",
		"enabled_inspect_interfaces = "+inspect,
		// The fake management interface cannot set the boot device to disk; noop can.
		"enabled_management_interfaces = noop,fake",
		"default_management_interface = noop",
		"enabled_network_interfaces = noop",
		"enabled_power_interfaces = fake",
		"enabled_rescue_interfaces = agent,no-rescue",
		"enabled_storage_interfaces = noop,external",
	)
	section("api", "host_ip = 127.0.0.1", "port = "+port, "public_endpoint = "+apiURL, "api_workers = 1")
	if k := o.Keystone; k != nil {
		section("keystone_authtoken", "auth_type = password", "auth_url = "+k.URL, "www_authenticate_uri = "+k.URL,
			"username = "+k.User, "password = "+k.Password, "project_name = service",
			"user_domain_name = Default", "project_domain_name = Default",
			"http_request_max_retries = 0", // without Keystone the answer is 503 in any case
			"token_cache_time = 1")         // seconds; after that a revoked token is refused
	}
	section("service_catalog", "auth_type = none", "endpoint_override = "+apiURL)
	section("database", "connection = sqlite:///"+dir+"/ironic.sqlite?timeout=60")
	section("oslo_concurrency", "lock_path = "+dir+"/lock")
	section("json_rpc", "auth_strategy = noauth")
	section("dhcp", "dhcp_provider = none")
	section("deploy", "http_root = "+dir+"/http", "http_url = "+httpURL, "fast_track = false")
	pxe := []string{
		"tftp_root = " + dir + "/tftp",
		"images_path = " + dir + "/images",
		"tftp_master_path = " + dir + "/tftp_master",
		"instance_master_path = " + dir + "/instance_master",
		fmt.Sprintf("enable_netboot_fallback = %t", o.NetbootFallback),
		fmt.Sprintf("ipxe_timeout = %d", o.Timeout),
	}
	if o.KernelAppendParams != "" {
		pxe = append(pxe, "kernel_append_params = "+o.KernelAppendParams)
	}
	if o.FallbackScript != "" {
		pxe = append(pxe, "ipxe_fallback_script = "+o.FallbackScript)
	}
	section("pxe", pxe...)
	conductor := []string{
		"deploy_kernel = " + s.Image("default/deploy_kernel"), "deploy_ramdisk = " + s.Image("default/deploy_ramdisk"),
		"rescue_kernel = " + s.Image("default/rescue_kernel"), "rescue_ramdisk = " + s.Image("default/rescue_ramdisk"),
		"automated_clean = true", // nodes opt out
		// Nothing ends by itself while the fleet is looked at.
		"deploy_callback_timeout = 0", "clean_callback_timeout = 0", "rescue_callback_timeout = 0", "inspect_wait_timeout = 0",
		"sync_power_state_interval = 0", "force_power_state_during_sync = false", "power_failure_recovery_interval = 0",
		"workers_pool_size = 300",
		// The kickstart template that comes with Ironic is below its own package.
		"file_url_allowed_paths = /usr/lib/python3," + filepath.Dir(filepath.Dir(program)),
	}
	if r != Release21 {
		conductor = append(conductor, "service_callback_timeout = 0",
			"deploy_kernel_by_arch = aarch64:"+s.Image("aarch64/deploy_kernel"),
			"deploy_ramdisk_by_arch = aarch64:"+s.Image("aarch64/deploy_ramdisk"),
			"rescue_kernel_by_arch = aarch64:"+s.Image("aarch64/rescue_kernel"),
			"rescue_ramdisk_by_arch = aarch64:"+s.Image("aarch64/rescue_ramdisk"))
	}
	if o.ConductorGroup != "" {
		conductor = append(conductor, "conductor_group = "+o.ConductorGroup)
	}
	section("conductor", conductor...)
	section("agent",
		"require_tls = false",    // of the agent's own API, which a stub plays
		"command_timeout = 3600", // an agent that does not answer holds its node
		"max_command_attempts = 1", "command_wait_interval = 1",
		"post_deploy_get_power_state_retries = 0", "post_deploy_get_power_state_retry_interval = 1",
		"deploy_logs_collect = never")
	section("inspector",
		"auth_type = none", "endpoint_override = "+s.InspectorURL(), "extra_kernel_params = "+o.InspectionParams,
		"callback_endpoint_override = "+InspectorCallbackRoot, "status_check_period = 1",
		"require_managed_boot = false")
	if n := o.Notifications; n != nil {
		section("DEFAULT", "notification_level = info")
		section("oslo_messaging_notifications", "driver = "+n.Driver, "transport_url = "+n.URL,
			"retry = 1") // by default Ironic's own work stands still for as long as the broker does
		section("oslo_messaging_rabbit", "rabbit_retry_interval = 1", "rabbit_retry_backoff = 0", "kombu_reconnect_delay = 0.1")
	}
	conf := filepath.Join(dir, "ironic.conf")
	return conf, os.WriteFile(conf, []byte(b.String()), 0o600)
}

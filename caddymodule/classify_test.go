// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/url"
	"path"
	"strings"
	"testing"
)

const someUUID = "8c3c2f8e-9c0d-4d52-a1f3-000000000001"

func TestClassify(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]route{
		"/":                                    {way: wayVersion},
		"/v1":                                  {way: wayVersion},
		"/v1/":                                 {way: wayVersion},
		"/boot.ipxe":                           {way: wayBootstrap},
		"/pxelinux.cfg/52-54-00-00-00-01":      {way: wayMAC, subject: "52-54-00-00-00-01"},
		"/v1/boot/52:54:00:00:00:01/boot.ipxe": {way: wayMAC, subject: "52:54:00:00:00:01"},
		"/v1/boot/52%3A54%3a00:00:00:01/boot.ipxe":                 {way: wayMAC, subject: "52:54:00:00:00:01"},
		"/v1/drivers/ipmi/vendor_passthru/ipxe_config?node_uuid=x": {way: wayPassthru, subject: "ipmi"},
		"/" + someUUID + "/config":                                 {way: wayUUID, subject: someUUID},
		"/" + someUUID + "/deploy_kernel":                          {way: wayImage, subject: someUUID, label: "deploy_kernel"},
		"/" + someUUID + "/LiveOS/squashfs.img":                    {way: wayImage, subject: someUUID, label: "LiveOS/squashfs.img"},
		"/" + someUUID + "/ks.cfg":                                 {way: wayImage, subject: someUUID, label: "ks.cfg"},
		"/" + someUUID + "/configdrive":                            {way: wayNext},
		"/v1/lookup?addresses=52:54:00:00:00:01":                   {way: wayLookup},
		"/v1/heartbeat/" + someUUID:                                {way: wayHeartbeat, subject: someUUID},
		"/v1/continue_inspection":                                  {way: wayInspection},
		"/v1/heartbeat/name":                                       {way: wayRefused},
		"/v1/heartbeat/" + someUUID + "/x":                         {way: wayRefused},
		"/v1/lookup/":                                              {way: wayRefused},
		"/v1/nodes":                                                {way: wayRefused},
		"/v1/nodes/" + someUUID + "/states/provision":              {way: wayRefused},
		"/v1/drivers/ipmi/vendor_passthru/methods":                 {way: wayRefused},
		"/v1/drivers/ipmi/vendor_passthru?method=ipxe_config":      {way: wayRefused},
		"/v1/drivers/a/b/vendor_passthru/ipxe_config":              {way: wayRefused},
		"/V1/nodes":                         {way: wayRefused},
		"/v1.json":                          {way: wayRefused},
		"/v2/nodes":                         {way: wayRefused},
		"//v1/nodes":                        {way: wayRefused},
		"/x/../v1/nodes":                    {way: wayRefused},
		"/./v1/nodes":                       {way: wayRefused},
		`/\v1/nodes`:                        {way: wayRefused},
		"/%76%31/nodes":                     {way: wayBadPath},
		"/v1/%6eodes":                       {way: wayBadPath},
		"/v1/lookup/..%2fnodes":             {way: wayBadPath},
		"/v1/lookup/../nodes":               {way: wayBadPath},
		"/v1//nodes":                        {way: wayBadPath},
		"/v1/lookup;x":                      {way: wayBadPath},
		"/v1/heartbeat/..%2fnodes":          {way: wayBadPath},
		"/" + someUUID + "/../v1/nodes":     {way: wayRefused},
		"/" + someUUID + "/%2e%2e/v1/nodes": {way: wayRefused},
		"/" + someUUID + "/kernel/../../V1/nodes":      {way: wayRefused},
		"/" + someUUID + `/..\v1\nodes`:                {way: wayRefused},
		"/" + someUUID + "/../" + someUUID + "/config": {way: wayNext},
		"/pxelinux.cfg/":                               {way: wayNext},
		"/nodes":                                       {way: wayRefused},
		"/Nodes/x":                                     {way: wayRefused},
		"//nodes":                                      {way: wayRefused},
		"/x/../nodes":                                  {way: wayRefused},
		"/%6eodes":                                     {way: wayRefused},
		"/nodes.json":                                  {way: wayRefused},
		"/nodes;x":                                     {way: wayRefused},
		"/lookup?addresses=52:54:00:00:00:01":          {way: wayRefused},
		"/" + someUUID + "/../heartbeat/x":             {way: wayRefused},
		"/nodes2":                                      {way: wayNext},
		"/images/nodes":                                {way: wayNext},
		"/images/ipa.kernel":                           {way: wayNext},
		"/vmlinuz":                                     {way: wayNext},
	} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			u, err := url.ParseRequestURI(target)
			if err != nil {
				t.Fatal(err)
			}
			if got := classify(u.Path, u.EscapedPath()); got != want {
				t.Errorf("classify(%q) = %v %q %q, want %v %q %q", target, got.way, got.subject, got.label, want.way, want.subject, want.label)
			}
		})
	}
}

// FuzzClassify wants no spelling of a path to reach the next handler as an API call that the edge would refuse in its
// plain spelling.
func FuzzClassify(f *testing.F) {
	for _, s := range []string{"/v1/nodes", "/%761/nodes", "/v1/lookup", "/a/../v1", "//v1", "/V1", "/v1;a/nodes", "/" + someUUID + "/../v1/nodes"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || u.IsAbs() {
			return
		}
		got := classify(u.Path, u.EscapedPath())
		if clean := path.Clean(strings.ToLower(u.Path)) + "/"; got.way == wayNext && strings.HasPrefix(strings.TrimLeft(clean, "/"), "v1/") {
			t.Errorf("classify(%q) lets it pass", target)
		}
		if (got.way == wayLookup || got.way == wayHeartbeat || got.way == wayInspection) && u.Path != u.EscapedPath() {
			t.Errorf("classify(%q) = %v for a path with two spellings", target, got.way)
		}
	})
}

func TestSameRange(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		asked, given string
		length       int64
		want         bool
	}{
		"the one asked for":  {"bytes=0-99", "bytes 0-99/200", 100, true},
		"to the end":         {"bytes=100-", "bytes 100-199/200", 100, true},
		"cut by the end":     {"bytes=150-999", "bytes 150-199/200", 50, true},
		"suffix":             {"bytes=-50", "bytes 150-199/200", 50, true},
		"other start":        {"bytes=10-99", "bytes 0-89/200", 90, false},
		"longer":             {"bytes=0-9", "bytes 0-99/200", 100, false},
		"shorter":            {"bytes=0-99", "bytes 0-49/200", 50, false},
		"shorter to the end": {"bytes=100-", "bytes 100-149/200", 50, false},
		"short suffix":       {"bytes=-50", "bytes 190-199/200", 10, false},
		"length lies":        {"bytes=0-99", "bytes 0-99/200", 90, false},
		"no content range":   {"bytes=0-99", "", 100, false},
		"nothing asked":      {"", "bytes 0-99/200", 100, false},
		"unknown total":      {"bytes=0-99", "bytes 0-99/*", 100, true},
		"several":            {"bytes=0-1,4-5", "", -1, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := sameRange(tt.asked, tt.given, tt.length); got != tt.want {
				t.Errorf("sameRange(%q, %q, %d) = %v, want %v", tt.asked, tt.given, tt.length, got, tt.want)
			}
		})
	}
}

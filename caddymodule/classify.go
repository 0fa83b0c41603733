// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"path"
	"strings"

	"github.com/ironic-edge/ironic-edge/ipxe"
)

// way is what the edge does with a request.
type way uint8

const (
	wayNext       way = iota // not the edge's business: the next handler
	wayBootstrap             // boot.ipxe
	wayMAC                   // the script of the node with a MAC
	wayUUID                  // the script of the node with a UUID
	wayPassthru              // the script of the node that the query names
	wayImage                 // an image of a node
	wayLookup                // the agent asks who it is
	wayHeartbeat             // the agent reports that it is there
	wayInspection            // the agent reports what it has found
	wayVersion               // a version document of the API
	wayBeacon                // a script reports what failed
	wayRefused               // Ironic's API, but nothing for a rack
	wayBadPath               // a path that two servers could read in two ways
)

func (w way) String() string {
	return [...]string{"next", "bootstrap", "mac", "uuid", "passthru", "image", "lookup", "heartbeat", "inspection",
		"version", "beacon", "refused", "bad_path"}[w]
}

// route is a request's way and what its path names.
type route struct {
	way     way
	subject string // MAC, UUID or driver, as it stood in the path
	label   string // of an image
}

// classify decides by a request's path alone. The path of a request for Ironic's API must be spelled plainly: the
// handler behind the edge must not see another API call in it than the edge did.
func classify(p, escaped string) route {
	if !strings.HasPrefix(p, "/") {
		return route{way: wayBadPath}
	}
	segment, rest, more := strings.Cut(p[1:], "/")
	switch {
	case p == "/":
		return route{way: wayVersion}
	case p == ipxe.BeaconPath:
		return route{way: wayBeacon}
	case p == "/boot.ipxe":
		return route{way: wayBootstrap}
	case segment == "pxelinux.cfg" && more && rest != "":
		return route{way: wayMAC, subject: rest}
	case more && isUUID(segment):
		if node := classifyNode(segment, rest); node.way != wayNext {
			return node
		}
	case segment == "v1":
		return classifyAPI(rest, plain(p, escaped))
	}
	if looksLikeAPI(p) {
		return route{way: wayRefused}
	}
	return route{way: wayNext}
}

// classifyNode handles /<node uuid>/..., where Ironic keeps a node's files.
func classifyNode(uuid, rest string) route {
	switch rest {
	case "config":
		return route{way: wayUUID, subject: uuid}
	case ipxe.DeployKernel, ipxe.DeployRamdisk, ipxe.RescueKernel, ipxe.RescueRamdisk,
		ipxe.Kernel, ipxe.Ramdisk, ipxe.BootISO, ipxe.Kickstart, ipxe.Stage2:
		return route{way: wayImage, subject: uuid, label: rest}
	}
	return route{way: wayNext}
}

// classifyAPI handles what stands below /v1/.
func classifyAPI(rest string, plain bool) route {
	if mac, ok := cutAround(rest, "boot/", "/boot.ipxe"); ok && !strings.Contains(mac, "/") {
		return route{way: wayMAC, subject: mac}
	}
	if driver, ok := cutAround(rest, "drivers/", "/vendor_passthru/ipxe_config"); ok && !strings.Contains(driver, "/") {
		return route{way: wayPassthru, subject: driver}
	}
	if !plain {
		return route{way: wayBadPath}
	}
	if uuid, ok := strings.CutPrefix(rest, "heartbeat/"); ok && isUUID(uuid) {
		return route{way: wayHeartbeat, subject: uuid}
	}
	switch rest {
	case "":
		return route{way: wayVersion}
	case "lookup":
		return route{way: wayLookup}
	case "continue_inspection":
		return route{way: wayInspection}
	}
	return route{way: wayRefused}
}

// plain reports whether a path has one reading only.
func plain(p, escaped string) bool {
	return p == escaped && (path.Clean(p) == p || path.Clean(p)+"/" == p) && !strings.ContainsAny(p, `\;`)
}

// looksLikeAPI reports whether a server that cleans paths, ignores case or takes extensions could read p as a path of
// Ironic's API (/V1/nodes, //v1/nodes, /x/../v1/nodes, /v1.json), which may also leave out the version (/nodes).
func looksLikeAPI(p string) bool {
	segment, _, _ := strings.Cut(strings.TrimLeft(path.Clean(strings.ReplaceAll(p, `\`, "/")), "/"), "/")
	segment = strings.TrimLeft(segment, " .;")
	if len(segment) >= 2 && (segment[0] == 'v' || segment[0] == 'V') && '0' <= segment[1] && segment[1] <= '9' {
		return true
	}
	if end := strings.IndexAny(segment, " .;"); end >= 0 {
		segment = segment[:end]
	}
	return isResource(strings.ToLower(segment))
}

// isResource reports whether a name is that of a resource of Ironic's, which are found without /v1, too
// (ironic/api/controllers/root.py: RootController._lookup; v1/__init__.py: Controller._subcontroller_map).
func isResource(name string) bool {
	switch name {
	case "allocations", "chassis", "conductors", "continue_inspection", "deploy_templates", "drivers", "events", "heartbeat",
		"inspection_rules", "lookup", "nodes", "portgroups", "ports", "runbooks", "shards", "volume":
		return true
	}
	return false
}

func cutAround(s, prefix, suffix string) (string, bool) {
	s, ok := strings.CutPrefix(s, prefix)
	if !ok {
		return "", false
	}
	return strings.CutSuffix(s, suffix)
}

func isUUID(s string) bool {
	_, err := ipxe.ParseUUID(s)
	return err == nil
}

// methods are the ones that a way takes, first those that mean it.
func (w way) methods() []string {
	switch w {
	case wayHeartbeat, wayInspection:
		return []string{http.MethodPost}
	case wayLookup:
		return []string{http.MethodGet}
	}
	return []string{http.MethodGet, http.MethodHead}
}

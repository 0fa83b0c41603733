// SPDX-License-Identifier: Apache-2.0

package ironictest

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

const (
	headerVersion    = "X-OpenStack-Ironic-API-Version"
	headerMinVersion = "X-OpenStack-Ironic-API-Minimum-Version"
	headerMaxVersion = "X-OpenStack-Ironic-API-Maximum-Version"
)

// askedVersion returns the microversion that a request names, in the general header or Ironic's own. It is empty when
// there is none.
func askedVersion(h http.Header) (string, bool) {
	for _, value := range h.Values("OpenStack-API-Version") {
		for entry := range strings.SplitSeq(value, ",") {
			if service, version, ok := strings.Cut(strings.TrimSpace(entry), " "); ok && service == "baremetal" {
				return strings.TrimSpace(version), true
			}
		}
	}
	version := h.Get(headerVersion)
	return version, version != ""
}

// negotiate sets the version headers and returns the minor version of the request, as
// ironic/api/controllers/v1/__init__.py: add_version_attributes does. Without a header that is the oldest, 1.1. A header
// that is no version is refused before the range is named.
func (s *Server) negotiate(w http.ResponseWriter, r *http.Request) (int, bool) {
	s.mu.Lock()
	oldest, newest := s.minMinor, s.maxMinor
	s.mu.Unlock()
	major, minor := "1", oldest
	asked, ok := askedVersion(r.Header)
	if ok && strings.EqualFold(asked, "latest") {
		minor = newest
	} else if ok {
		var rest string
		major, rest, _ = strings.Cut(asked, ".")
		n, err := strconv.ParseUint(rest, 10, 16)
		if err != nil {
			abort(w, http.StatusNotAcceptable, "Invalid value for "+headerVersion+" header")
			return 0, false
		}
		minor = int(n)
	}
	h := w.Header()
	h.Set(headerMinVersion, "1."+strconv.Itoa(oldest))
	h.Set(headerMaxVersion, "1."+strconv.Itoa(newest))
	if major != "1" || minor < oldest || minor > newest {
		abort(w, http.StatusNotAcceptable, fmt.Sprintf("Version %s was requested but the minor version is not supported by this service. "+
			"The supported version range is: [1.%d, 1.%d].", asked, oldest, newest))
		return 0, false
	}
	h.Set(headerVersion, "1."+strconv.Itoa(minor))
	return minor, true
}

// since is the microversion that shows a field first (ironic/api/controllers/v1/utils.py: VERSIONED_FIELDS, and the
// hide_fields_in_newer_versions of ports).
var since = map[string]int{
	"driver_internal_info": 3, "name": 5, "pxe_enabled": 19, "portgroup_uuid": 24, "boot_interface": 31,
	"deploy_interface": 31, "inspect_interface": 31, "deploy_step": 44, "conductor_group": 46, "shard": 82,
}

func versionDocument(base string, oldest, newest string) object {
	return object{
		"id": "v1", "status": "CURRENT", "min_version": oldest, "version": newest,
		"links": []object{{"rel": "self", "href": base + "/v1/"}},
	}
}

func (s *Server) serveRoot(w http.ResponseWriter, c call) {
	document := versionDocument(c.base, w.Header().Get(headerMinVersion), w.Header().Get(headerMaxVersion))
	writeJSON(w, http.StatusOK, object{
		"name": "OpenStack Ironic API", "description": "A stand-in for tests.",
		"default_version": document, "versions": []object{document},
	})
}

func (s *Server) serveV1(w http.ResponseWriter, c call) {
	v1 := object{
		"id":          "v1",
		"links":       []object{{"rel": "self", "href": c.base + "/v1/"}},
		"media_types": object{"base": "application/json", "type": "application/vnd.openstack.ironic.v1+json"},
		"version":     versionDocument(c.base, w.Header().Get(headerMinVersion), w.Header().Get(headerMaxVersion)),
	}
	for name, minor := range map[string]int{"nodes": 1, "ports": 1, "lookup": 22, "heartbeat": 22, "portgroups": 23, "volume": 32,
		"continue_inspection": 84} {
		if c.minor >= minor {
			v1[name] = []object{{"rel": "self", "href": c.base + "/v1/" + name + "/"},
				{"rel": "bookmark", "href": c.base + "/" + name + "/"}}
		}
	}
	writeJSON(w, http.StatusOK, v1)
}

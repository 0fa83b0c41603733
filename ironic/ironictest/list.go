// SPDX-License-Identifier: Apache-2.0

package ironictest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// collection is a kind of resource: the fields it has, and those it is listed with when a call names none.
type collection struct {
	name     string // in the URL, such as volume/targets
	key      string // in the answer, such as targets
	one      string // in messages, such as Volume target
	fields   []string
	defaults []string
}

var (
	nodeCollection = collection{"nodes", "nodes", "Node",
		[]string{"uuid", "name", "driver", "provision_state", "provision_updated_at", "boot_interface", "deploy_interface",
			"inspect_interface", "conductor_group", "shard", "deploy_step", "properties", "driver_info", "instance_info",
			"driver_internal_info", "extra", "maintenance", "power_state", "instance_uuid", "updated_at"},
		[]string{"uuid", "name", "instance_uuid", "maintenance", "power_state", "provision_state"}}
	portCollection = collection{"ports", "ports", "Port",
		[]string{"uuid", "address", "node_uuid", "pxe_enabled", "portgroup_uuid", "extra"}, []string{"uuid", "address"}}
	portgroupCollection = collection{"portgroups", "portgroups", "Portgroup",
		[]string{"uuid", "name", "address", "node_uuid"}, []string{"uuid", "name", "address"}}
	targetCollection = collection{"volume/targets", "targets", "Volume target",
		[]string{"uuid", "node_uuid", "volume_type", "boot_index", "volume_id", "properties"},
		[]string{"uuid", "node_uuid", "volume_type", "boot_index", "volume_id"}}
	connectorCollection = collection{"volume/connectors", "connectors", "Volume connector",
		[]string{"uuid", "node_uuid", "type", "connector_id"}, []string{"uuid", "node_uuid", "type", "connector_id"}}
)

// maxLimit is Ironic's default [api]max_limit.
const maxLimit = 1000

// selection returns the fields that a call asks for; on false the call has been answered.
func (k *collection) selection(w http.ResponseWriter, c call, defaults []string) ([]string, bool) {
	text := c.query.Get("fields")
	if text == "" {
		fields := defaults
		if detail, err := strconv.ParseBool(c.query.Get("detail")); err == nil && detail {
			fields = k.fields
		}
		return slices.DeleteFunc(slices.Clone(fields), func(f string) bool { return c.minor < since[f] }), true
	}
	if c.query.Get("detail") != "" {
		clientError(w, http.StatusBadRequest, "Can't fetch a subset of fields with 'detail' set")
		return nil, false
	}
	fields := strings.Split(text, ",")
	for _, f := range fields {
		if f == "updated_at" { // which is shown with all other fields only
			clientError(w, http.StatusBadRequest, "Field updated_at is not a valid field.")
			return nil, false
		}
		if !slices.Contains(k.fields, f) {
			clientError(w, http.StatusBadRequest, fmt.Sprintf("Field(s) \"%s\" are not valid", f))
			return nil, false
		}
		if c.minor < since[f] || c.minor < 8 {
			clientError(w, http.StatusNotAcceptable, "Request not acceptable.")
			return nil, false
		}
	}
	return fields, true
}

// show picks the fields of an element and adds its links, which every element has.
func (k *collection) show(c call, all object, fields []string) object {
	shown := object{"links": []object{
		{"rel": "self", "href": fmt.Sprintf("%s/v1/%s/%s", c.base, k.name, all["uuid"])},
		{"rel": "bookmark", "href": fmt.Sprintf("%s/%s/%s", c.base, k.name, all["uuid"])},
	}}
	for _, f := range fields {
		shown[f] = all[f]
	}
	return shown
}

// serve answers with a page of elements, all of which have passed the filters and are in order.
func (k *collection) serve(w http.ResponseWriter, c call, elements []object) {
	fields, ok := k.selection(w, c, k.defaults)
	if !ok {
		return
	}
	limit := maxLimit
	if text := c.query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			clientError(w, http.StatusBadRequest, "Expected an integer for limit: "+text)
			return
		}
		if n <= 0 {
			clientError(w, http.StatusBadRequest, "Limit must be positive")
			return
		}
		limit = min(n, maxLimit)
	}
	if marker := c.query.Get("marker"); marker != "" {
		i := slices.IndexFunc(elements, func(o object) bool { return o["uuid"] == marker })
		if i < 0 {
			clientError(w, http.StatusNotFound, k.one+" "+marker+" could not be found.")
			return
		}
		elements = elements[i+1:]
	}
	answer := object{}
	if len(elements) >= limit {
		elements = elements[:limit]
		answer["next"] = c.base + "/v1/" + k.name + "?" + nextPage(c.query, limit, elements[limit-1]["uuid"].(string))
	}
	shown := make([]object, len(elements))
	for i, o := range elements {
		shown[i] = k.show(c, o, fields)
	}
	answer[k.key] = shown
	writeJSON(w, http.StatusOK, answer)
}

// nextPage is the query of a link to what comes after a marker. It keeps no filters: to page through a filtered list a
// client has to repeat them (ironic/api/controllers/v1/collection.py: get_next).
func nextPage(query url.Values, limit int, marker string) string {
	next := url.Values{"limit": {strconv.Itoa(limit)}, "marker": {marker}}
	for _, name := range []string{"sort_key", "sort_dir", "fields", "detail"} {
		if query.Has(name) {
			next[name] = query[name]
		}
	}
	return next.Encode()
}

// knownQuery refuses parameters that the API does not have; on false the call has been answered.
func knownQuery(w http.ResponseWriter, c call, known ...string) bool {
	for name := range c.query {
		if !slices.Contains(known, name) {
			clientError(w, http.StatusBadRequest, "Unexpected arguments: "+name)
			return false
		}
	}
	return true
}

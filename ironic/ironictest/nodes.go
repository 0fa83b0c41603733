// SPDX-License-Identifier: Apache-2.0

package ironictest

import (
	"cmp"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// sortKeys are those of Ironic's whose values are texts, or null, which comes first.
var sortKeys = []string{"uuid", "name", "provision_state", "provision_updated_at", "updated_at"}

func (s *Server) serveNodes(w http.ResponseWriter, c call) {
	if !knownQuery(w, c, "limit", "marker", "fields", "detail", "sort_key", "sort_dir", "conductor_group", "shard", "provision_state") {
		return
	}
	for _, filter := range []string{"conductor_group", "shard"} {
		if c.query.Has(filter) && c.minor < since[filter] {
			tooOld(w, since[filter])
			return
		}
	}
	key := c.query.Get("sort_key")
	if key != "" && key != "id" && !slices.Contains(sortKeys, key) {
		clientError(w, http.StatusBadRequest, `The sort_key value "`+key+`" is an invalid field for sorting`)
		return
	}
	direction := c.query.Get("sort_dir")
	if direction != "" && direction != "asc" && direction != "desc" {
		clientError(w, http.StatusBadRequest, "Invalid sort direction: "+direction+". Acceptable values are 'asc' or 'desc'")
		return
	}
	var elements []object
	for _, n := range s.Nodes() {
		if n.matches(c) {
			elements = append(elements, n.document())
		}
	}
	if key != "" && key != "id" {
		slices.SortStableFunc(elements, func(a, b object) int {
			x, _ := a[key].(string)
			y, _ := b[key].(string)
			return cmp.Compare(x, y)
		})
	}
	if direction == "desc" {
		slices.Reverse(elements)
	}
	nodeCollection.serve(w, c, elements)
}

func (n *Node) matches(c call) bool {
	if c.query.Has("conductor_group") && !strings.EqualFold(c.query.Get("conductor_group"), n.ConductorGroup) {
		return false
	}
	if c.query.Has("shard") && !slices.Contains(strings.Split(c.query.Get("shard"), ","), n.Shard) {
		return false
	}
	return !c.query.Has("provision_state") || c.query.Get("provision_state") == n.ProvisionState
}

func (s *Server) serveNode(w http.ResponseWriter, c call) {
	if !knownQuery(w, c, "fields") {
		return
	}
	n, ok := s.find(c.ident, c.minor)
	if !ok {
		nodeNotFound(w, c.ident)
		return
	}
	fields, ok := nodeCollection.selection(w, c, nodeCollection.fields)
	if ok {
		writeJSON(w, http.StatusOK, nodeCollection.show(c, n.document(), fields))
	}
}

func nodeNotFound(w http.ResponseWriter, ident string) {
	clientError(w, http.StatusNotFound, "Node "+ident+" could not be found.")
}

// find returns a node by UUID, which is compared as text, or, from 1.5 on, by name.
func (s *Server) find(ident string, minor int) (Node, bool) {
	for _, n := range s.Nodes() {
		if n.UUID == ident || minor >= since["name"] && n.Name != "" && n.Name == ident {
			return n, true
		}
	}
	return Node{}, false
}

// document is the node as the API shows it to everybody, secrets masked.
func (n *Node) document() object {
	step := object{}
	if n.DeployStep != "" {
		step["step"], step["interface"], step["priority"] = n.DeployStep, "deploy", 0
	}
	instance := masked(n.InstanceInfo)
	if _, ok := instance["image_url"]; ok {
		instance["image_url"] = mask
	}
	internal := masked(n.DriverInternalInfo)
	if n.token != "" {
		internal["agent_secret_token"] = mask
	}
	return object{
		"uuid": n.UUID, "name": orNull(n.Name), "driver": n.Driver, "provision_state": n.ProvisionState,
		"provision_updated_at": orNull(timestamp(n.ProvisionUpdatedAt)), "updated_at": orNull(timestamp(n.changed)),
		"boot_interface": n.BootInterface, "deploy_interface": n.DeployInterface, "inspect_interface": n.InspectInterface,
		"conductor_group": n.ConductorGroup, "shard": orNull(n.Shard), "deploy_step": step,
		"properties": orEmpty(n.Properties), "driver_info": masked(n.DriverInfo), "instance_info": instance,
		"driver_internal_info": internal, "extra": orEmpty(n.Extra),
		"maintenance": false, "power_state": nil, "instance_uuid": nil,
	}
}

// timestamp is empty for the zero time.
func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000000-07:00")
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func orEmpty(o object) object {
	if o == nil {
		return object{}
	}
	return o
}

// mask is what stands in place of a secret.
const mask = "******"

var (
	secretName = regexp.MustCompile(`(?i)admin_?pass|password|auth_token|new_pass|secret|sys_pswd|token|configdrive|private_key|passphrase`)
	secretText = regexp.MustCompile(`(?i)((?:admin_?pass|password|auth_token|new_pass|secret|sys_pswd|token)[0-9]*\s*=\s*)[^\s^'"]+`)
)

// masked hides secrets like oslo.utils' mask_dict_password: by the name of the field, and within texts that look like
// password=value.
func masked(o object) object {
	hidden := make(object, len(o))
	for name, value := range o {
		switch v := value.(type) {
		case object:
			hidden[name] = masked(v)
			continue
		case string:
			value = secretText.ReplaceAllString(v, "${1}"+mask)
		}
		if secretName.MatchString(name) {
			value = mask
		}
		hidden[name] = value
	}
	return hidden
}

// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"

	"github.com/ironic-edge/ironic-edge/ipxe"
)

// question is what a lookup asks: for the node with a UUID, else for the one that has a port with one of the addresses
// (ironic/api/controllers/v1/ramdisk.py: LookupController.get_all).
type question struct {
	uuid      string // in lower case
	addresses string // as they were given
	macs      []ipxe.MAC
}

// maxAsked is how many addresses one lookup may have. The agent sends those of all its NICs, virtual functions included.
const maxAsked = 256

// parseLookup reads the query of a lookup. What the agent does not send is refused: Ironic's framework takes parameters
// of its own, such as _method.
func parseLookup(r *http.Request) (question, *refusal) {
	var q question
	refused := func(reason, text string) (question, *refusal) {
		return q, &refusal{http.StatusBadRequest, reason, text}
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return refused(reasonQuery, "the query cannot be read")
	}
	for name, values := range query {
		switch {
		case name != "addresses" && name != "node_uuid":
			return refused(reasonQuery, "a lookup has the parameters addresses and node_uuid only")
		case len(values) > 1:
			return refused(reasonQuery, "the parameter "+name+" is given twice")
		}
	}
	if query.Has("node_uuid") {
		if q.uuid = query.Get("node_uuid"); !isUUID(q.uuid) {
			return refused(reasonUUID, "node_uuid is not a UUID")
		}
		q.uuid = strings.ToLower(q.uuid)
	}
	q.addresses = query.Get("addresses")
	if strings.Count(q.addresses, ",") >= maxAsked {
		return refused(reasonQuery, "there are more than "+strconv.Itoa(maxAsked)+" addresses")
	}
	for address := range strings.SplitSeq(q.addresses, ",") {
		// One that is none is passed over, as Ironic does.
		if mac, err := ipxe.ParseMAC(strings.TrimSpace(address)); err == nil {
			q.macs = append(q.macs, mac)
		}
	}
	if q.uuid == "" && len(q.macs) == 0 {
		return refused(reasonQuery, "a lookup needs addresses or a node_uuid")
	}
	return q, nil
}

// encode is the query that says the same.
func (q *question) encode() string {
	values := make(url.Values, 2)
	if q.addresses != "" {
		values.Set("addresses", q.addresses)
	}
	if q.uuid != "" {
		values.Set("node_uuid", q.uuid)
	}
	return values.Encode()
}

// askFor narrows the question to the one node or machine that it was judged by. Else an address that the client has
// a right to would open the node that another one names.
func (q *question) askFor(uuid string, mac ipxe.MAC) {
	if q.uuid = uuid; uuid == "" {
		q.macs, q.addresses = []ipxe.MAC{mac}, string(mac)
	}
}

// versionHeader has the version of Ironic's API that a client asks for.
const versionHeader = "X-Openstack-Ironic-Api-Version"

// askedMinor is the minor version that Ironic will answer with, or -1 where that depends on how a server reads the header:
// another header goes before it (microversion_parse.get_version), and a WSGI server takes an underscore for a dash.
func askedMinor(header http.Header) int {
	for name := range header {
		plain := textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(name, "_", "-"))
		if plain == "Openstack-Api-Version" || plain == versionHeader && name != versionHeader {
			return -1
		}
	}
	values := header[versionHeader]
	switch {
	case len(values) == 0:
		return defaultMinor
	case len(values) > 1:
		return -1
	case values[0] == "latest":
		return latestMinor
	}
	digits, ok := strings.CutPrefix(values[0], "1.")
	if minor, err := strconv.ParseUint(digits, 10, 16); ok && err == nil {
		return int(minor)
	}
	return -1
}

const (
	defaultMinor = 1 // what Ironic takes where no version is asked for
	latestMinor  = 1 << 16
	// tokenMinor is the first version in which a lookup makes the agent's token, and masks it when it was made before.
	// Older ones show it to whoever asks.
	tokenMinor = 62
	// inspectionMinor is the first one in which an inspection's report is answered with the token.
	inspectionMinor = 84
)

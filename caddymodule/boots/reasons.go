// SPDX-License-Identifier: Apache-2.0

package boots

// class is what a reason code means for a boot.
type class uint8

const (
	classWait    class = iota // the machine is to come back, and does so by itself
	classNothing              // Ironic has nothing for it, either
	classRefused              // it should boot, and cannot
)

// words explain a reason code: a clause about what is seen, and a sentence about what to do.
type words struct {
	class class
	seen  string
	next  string
}

// ReasonNoNode is the code of a MAC that no node has, ReasonAbsent that of one that none had when Ironic last told, ReasonGone
// that of a client that did not wait for its answer.
const (
	ReasonNoNode = "no_node"
	ReasonAbsent = "no_node_stale"
	ReasonGone   = "client_gone"
)

// reasons has words for each code with which the edge answers a machine's request for a script or an image.
var reasons = map[string]words{
	// Ironic, or the edge itself, cannot answer now.
	"ironic_unavailable": {classWait, "Ironic cannot be asked", "Look at Ironic, at the line to it and at the edge's credentials; the machine asks again by itself."},
	"stale":              {classWait, "Ironic does not answer, and what it said before is used", "Look at Ironic and at the line to it."},
	"ironic_slow":        {classWait, "Ironic has not answered in time", "Look at Ironic's load and at the line to it; the machine asks again by itself."},
	"conductor_slow":     {classWait, "the conductor's web server has not given the node's script in time", "Look at the conductor's web server and at the line to it; the machine asks again by itself."},
	"ironic_queue":       {classWait, "as many questions wait for Ironic as may", "Wait; if it lasts, look at Ironic's load."},
	"client_rate":        {classWait, "its address asks for more unknown nodes than client_rate allows", "See who asks from that address; raise client_rate if many machines share it."},
	"starting":           {classWait, "the edge has just started and opens its store", "Wait; the machine asks again by itself."},
	"busy":               {classWait, "as many transfers are under way as max_transfers allows", "Wait, or raise max_transfers."},
	ReasonGone:           {classWait, "the machine did not wait for the answer", "See how long Ironic takes (ironic_edge_ironic_call_duration_seconds), and whether the network loses packets."},

	// Ironic has nothing for the node.
	ReasonAbsent:       {classNothing, "Ironic does not answer, and knew no node with it when it last did", "If the node was enrolled since, boot it again when Ironic is back; look at Ironic and at the line to it."},
	ReasonNoNode:       {classNothing, "Ironic knows no node with it", "Enroll the node, or mend the address of its port; if it is so for all nodes, see which role the edge's account has."},
	"state":            {classNothing, "there is nothing to boot in its provision state", "If it should boot, start what it is to boot for in Ironic (inspect, provide, deploy); else switch it off or mend its boot order."},
	"boot_interface":   {classNothing, "its boot interface does not use iPXE", "Set the node's boot_interface to ipxe, or mend its boot order."},
	"port_disabled":    {classNothing, "the port that asked has pxe_enabled off", "Boot from another NIC, or set pxe_enabled on this port."},
	"ramdisk_disabled": {classNothing, "the steps at hand need no agent", "Nothing; or look at disable_ramdisk of the steps."},
	"inspection":       {classNothing, "its inspection is not booted by Ironic", "Let Ironic manage the inspection's boot, or look at the DHCP server that is to do it."},
	"local_boot_off":   {classNothing, "it is to boot its disk, and local_boot is off", "Set local_boot active, or put the disk first in the machine's boot order."},

	// Something must be mended.
	"unknown_state":  {classRefused, "its provision state is one that this release of the edge does not know", "Upgrade the edge."},
	"ironic_answer":  {classRefused, "Ironic's answer cannot be used", "See the edge's log for what is wrong with it."},
	"no_image":       {classRefused, "nobody names the image that it needs", "Set deploy_kernel and deploy_ramdisk (or what the text names) in the node's driver_info or in the edge's configuration."},
	"no_volume":      {classRefused, "Ironic's API hides or lacks what its volume needs", "Give the edge's account the right to see volume targets and connectors, or mend them."},
	"secret":         {classRefused, "the script needs what Ironic's API masks", "Give conductor_http."},
	"value":          {classRefused, "a value in Ironic is one that no line of a script can hold", "Mend the field that the refusal names; blanks and control characters are what is wrong most often."},
	"too_long":       {classRefused, "a line of the script would be longer than firmware can take", "Shorten kernel_append_params or the image's URL."},
	"reference":      {classRefused, "the image's reference leads nowhere from here", "Give image_map or conductor_http."},
	"address":        {classRefused, "the image's reference leads to the edge's own machine, or to an address that only the configuration may name", "See who set the reference; if it is meant, name its origin in allow_origins."},
	"conductor_file": {classRefused, "the image's reference leads to a file of the conductor's that is not this node's", "See who set the reference; if the file is for all nodes, name its directory on the right side of an image_map."},
	"origin":         {classRefused, "the image's origin does not deliver it", "Look at the server that the image comes from, and at the line to it."},
	"driver":         {classRefused, "the request names a driver that is not the node's", "Mend the DHCP option."},
	"mac":            {classRefused, "the request names no MAC", "Mend the DHCP option or the firmware's script."},
	"uuid":           {classRefused, "the request names no UUID", "Mend the DHCP option."},
	"query":          {classRefused, "the request names neither a node nor a port, or both", "Mend the DHCP option."},
	"method":         {classRefused, "the request has a method that is not taken there", "Look at what sends it."},
	"path":           {classRefused, "the request's path can be read in two ways", "Look at what sends it."},
	"absolute_form":  {classRefused, "the request is one for a forward proxy", "Take the edge out of the proxy settings."},
	"api":            {classRefused, "the request is for a part of Ironic's API that is closed to the rack", "Look at who asks."},
	"lookup_unseen":  {classRefused, "no agent's script was fetched here for the node lately", "See whether it boots through this edge; raise lookup_window if its ramdisk takes longer, or set lookup_guard report for a while."},
	"lookup_address": {classRefused, "the lookup comes from another address than the script was fetched from", "If ramdisks of this rack get another address than its firmware, set lookup_address any; else see who asked."},
	"lookup_version": {classRefused, "the lookup is in a version of the API that shows the agent's token to anybody", "Upgrade ironic-python-agent in the ramdisk."},
	"content_type":   {classRefused, "the report's body is not JSON", "Look at what sends it: ironic-python-agent sends JSON."},
	"too_large":      {classRefused, "the report's body is larger than any agent's", "Look at what sends it, or at what inspection collects."},
	"beacon":         {classRefused, "the report of a script cannot be one", "Look at what sends it."},
	"loop":           {classRefused, "it boots its agent over and over, and none of them ever calls", "Look at the machine's console for what ends the agent; see Boot loops in docs/operating.md."},
}

// reasonOf returns the words for a code.
func reasonOf(code string) words {
	if w, ok := reasons[code]; ok {
		return w
	}
	return words{classRefused, "the edge refuses it with the code " + code, "See docs/operating.md for the code."}
}

// HasWords reports whether a reason code is explained.
func HasWords(code string) bool { _, ok := reasons[code]; return ok }

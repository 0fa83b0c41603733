// SPDX-License-Identifier: Apache-2.0

package ipxe

// UnknownUUID stands in the URLs of a machine that Ironic does not know: the nil UUID of RFC 9562 section 5.9.
const UnknownUUID = "00000000-0000-0000-0000-000000000000"

// InspectUnknown returns the script that boots the agent on a machine of which Ironic knows nothing, so that it reports
// itself: the script of a managed inspection without a node. The error is a *Refused.
func InspectUnknown(b Boot, o *Options) (Script, error) {
	s, err := inspectScript(&Node{UUID: UnknownUUID}, b, o)
	s.node, s.Reason = nil, ReasonUnknownMAC
	return s, err
}

// LocalBootUnknown returns the script that boots the local disk of a machine of which Ironic knows nothing.
func LocalBootUnknown() Script {
	return Script{Kind: KindWholeDisk, Reason: ReasonUnknownMAC}
}

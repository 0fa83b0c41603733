// SPDX-License-Identifier: Apache-2.0

package ipxe

// Hold returns a script that boots nothing for now: it shows the sentences on the console and asks for the node's script
// again each minute. Unlike Explain it does not start the machine over, which would be one more turn of the loop that it
// is to break. The error is a *Refused.
func Hold(n *Node, b Boot, reason Reason, sentences ...string) (Script, error) {
	base, err := ParseURL(b.BaseURL)
	if err != nil {
		return Script{}, refuse("the base URL", err)
	}
	uuid, err := ParseUUID(n.UUID)
	if err != nil {
		return Script{}, refuse("the node's UUID", err)
	}
	return Script{Kind: KindHold, Reason: reason, node: n, message: sentences, again: base.word + "/" + uuid.word + "/config"}, nil
}

// appendHold leaves itself for the script that it gets, so that a machine may be held for long: scripts within scripts
// would fill its memory.
func (s *Script) appendHold(b []byte) []byte {
	b = s.appendMessage(b)
	b = append(b, ":hold\necho ironic-edge: this machine is held; reason code "...)
	b = appendPlain(b, string(s.Reason))
	b = append(b, ", asking again in "+holdSeconds+" s\nsleep "+holdSeconds+"\nchain --replace "...)
	return append(append(b, s.again...), " || goto hold\n"...)
}

// SPDX-License-Identifier: Apache-2.0

package notification

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/ironic-edge/ironic-edge/ipxe"
)

// Change is the news that something about a node changed, or is about to.
type Change struct {
	// Object is what the notification is about: node, port, portgroup, volumeconnector or volumetarget.
	Object string
	// Node is the node's UUID in lower case. Empty: a port or port group that names none.
	Node string
	// MAC is the address of a port or port group. Empty: it has none, or the object is another.
	MAC ipxe.MAC
}

// MaxMessage is the size in bytes of the longest message that is read. A node's with all that Ironic has in it takes a
// few hundred kilobytes at most.
const MaxMessage = 4 << 20

// ErrOther is the error for a notification that is about no node, such as one about an allocation.
var ErrOther = errors.New("it is about no node")

// wire is a message as oslo.messaging sends it: bare in format 1, in format 2 as text in an envelope
// (oslo_messaging/_drivers/common.py serialize_msg).
type wire struct {
	Version string  `json:"oslo.version"`
	Message *string `json:"oslo.message"`

	EventType string `json:"event_type"` // ironic/objects/notification.py EventType.to_event_type_field
	Payload   struct {
		Data struct {
			UUID     string  `json:"uuid"`
			NodeUUID *string `json:"node_uuid"`
			Address  *string `json:"address"`
		} `json:"ironic_object.data"`
	} `json:"payload"`
}

// Decode reads a message. Nothing of the message is in its errors.
func Decode(body []byte) (Change, error) {
	if len(body) > MaxMessage {
		return Change{}, fmt.Errorf("it has %d bytes, more than %d", len(body), MaxMessage)
	}
	var m wire
	if err := json.Unmarshal(body, &m); err != nil {
		return Change{}, unreadable(err)
	}
	if m.Message != nil {
		if !strings.HasPrefix(m.Version, "2.") {
			return Change{}, errors.New("its envelope is not of version 2")
		}
		text := *m.Message
		m = wire{}
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			return Change{}, unreadable(err)
		}
	}
	return m.change()
}

// unreadable is an error of encoding/json without what it quotes.
func unreadable(err error) error {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return errors.New("a field of it is of another type than Ironic's")
	}
	return errors.New("it is not JSON")
}

func (m *wire) change() (Change, error) {
	event, ironic := strings.CutPrefix(m.EventType, "baremetal.")
	object, rest, _ := strings.Cut(event, ".")
	if m.EventType == "" {
		return Change{}, errors.New("it has no event type")
	}
	if !ironic || !strings.Contains(rest, ".") {
		return Change{}, ErrOther
	}
	data := m.Payload.Data
	var change Change
	node := data.NodeUUID
	switch object {
	case "node":
		change.Object, node = "node", &data.UUID
	case "port", "portgroup":
		change.Object = object
		if data.Address != nil {
			mac, err := ipxe.ParseMAC(*data.Address)
			if err != nil && node == nil {
				return Change{}, errors.New("it names neither a node nor a MAC address")
			}
			change.MAC = mac // or none: Ironic takes addresses that no Ethernet card has
		}
	case "volumeconnector", "volumetarget":
		change.Object = object
	default:
		return Change{}, ErrOther
	}
	if node != nil {
		if _, err := ipxe.ParseUUID(*node); err != nil {
			return Change{}, errors.New("what should be a node's UUID is none")
		}
		change.Node = strings.ToLower(*node)
	}
	if change.Node == "" && change.MAC == "" {
		return Change{}, errors.New("it names neither a node nor a MAC address")
	}
	return change, nil
}

// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

// endsAfter ends a context when a text has been written.
type endsAfter struct {
	bytes.Buffer
	text string
	end  context.CancelFunc
}

func (w *endsAfter) Write(p []byte) (int, error) {
	n, err := w.Buffer.Write(p)
	if strings.Contains(w.String(), w.text) {
		w.end()
	}
	return n, err
}

// TestDemo switches on the demo's whole rack: each machine must come as far as its state lets it.
func TestDemo(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	defer end()
	out := &endsAfter{text: "Ctrl-C", end: end}
	if err := demo(ctx, out, freeAddress(t)); err != nil {
		t.Fatal(err)
	}
	for node, want := range map[string]string{
		"rack17-n01": "starts deploy_kernel; its agent asks Ironic who it is: 200",
		"rack17-n05": "starts rescue_kernel; its agent asks Ironic who it is: 200",
		"rack17-n06": "boots its local disk",
		"rack17-n07": "starts kernel",
		"rack17-n08": "boots boot_iso as a drive over HTTP",
		"rack17-n09": "boots the volume iscsi:192.0.2.17:",
		"rack17-n11": "No NIC of this machine has anything to boot",
		"rack17-n13": "nothing is booted; reason code unknown_state",
	} {
		found := false
		for line := range strings.Lines(out.String()) {
			found = found || strings.HasPrefix(line, node+" ") && strings.Contains(line, want)
		}
		if !found {
			t.Errorf("%s: want %q in\n%s", node, want, out.String())
		}
	}
}

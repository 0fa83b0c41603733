// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"strings"
	"testing"
)

func TestBeacon(t *testing.T) {
	t.Parallel()
	e := newEdge(t, nil)
	if a := e.get(t, "/pxelinux.cfg/"+nodeMAC(3)); !strings.Contains(a.body, "/edge/beacon?node="+nodeUUID(3)) {
		t.Fatalf("the script reports nothing:\n%s", a.body)
	}
	query := "?node=" + nodeUUID(3) + "&mac=" + nodeMAC(3) + "&label=deploy_kernel&errno=0xf0a6039&attempt=2"
	if a := e.get(t, "/edge/beacon"+query); a.status != http.StatusOK || a.header.Get("Cache-Control") != "no-store" || a.body != "ok\n" {
		t.Errorf("%d %v %q", a.status, a.header, a.body)
	}
	b := stageOf(e, nodeUUID(3))
	if b.Reported == nil || b.Reported.Errno != "0f0a6039" || b.Reported.Meaning != "the connection was refused or reset" || b.Diagnoses[0].Code != "machine_reports" {
		t.Errorf("%+v %+v", b.Reported, b.Diagnoses)
	}
	for _, bad := range []string{"", "?node=x&label=deploy_kernel&errno=1&attempt=1", query + "&x=1", query + "&node=" + nodeUUID(3),
		strings.Replace(query, "deploy_kernel", "ks.cfg", 1), strings.Replace(query, "0xf0a6039", "zz", 1), strings.Replace(query, "=2", "=12", 1),
		strings.Replace(query, "=2", "=-1", 1), query + strings.Repeat("0", 300), strings.Replace(query, nodeMAC(3), "52", 1)} {
		if a := e.get(t, "/edge/beacon"+bad); a.status != http.StatusBadRequest || a.header.Get(reasonHeader) != reasonBeacon || a.header.Get("Retry-After") != "" {
			t.Errorf("%s: %d %s", bad, a.status, a.header.Get(reasonHeader))
		}
	}
	// A node that has not booted here is reported by somebody else.
	e.get(t, "/edge/beacon"+strings.Replace(query, nodeUUID(3), nodeUUID(4), 1))
	if b := stageOf(e, nodeUUID(4)); b.Reported != nil {
		t.Error("a report about a node that does not boot is believed")
	}
}

func TestBeaconsOff(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(h *Handler) { h.Beacons = "off" })
	if a := e.get(t, "/pxelinux.cfg/"+nodeMAC(3)); a.status != http.StatusOK || strings.Contains(a.body, "beacon") {
		t.Errorf("%d\n%s", a.status, a.body)
	}
}

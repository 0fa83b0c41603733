// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/ironic-edge/ironic-edge/caddymodule/boots"
	"github.com/ironic-edge/ironic-edge/ipxe"
)

// longestBeacon is how long the query of a report can be.
const longestBeacon = 256

// serveBeacon takes a script's report of a failure. The answer is never one that has iPXE wait.
func (h *Handler) serveBeacon(w http.ResponseWriter, r *http.Request) error {
	report, bad := parseBeacon(r.URL.RawQuery)
	if bad != "" {
		return h.refuse(w, r, refusal{http.StatusBadRequest, reasonBeacon, bad})
	}
	report.Client = clientAddress(r)
	believed := h.site.boots.Report(&report)
	h.metrics.beacon(believed)
	header := w.Header()
	header.Set("Content-Type", scriptType)
	header.Set("Cache-Control", noStore)
	header.Set("Content-Length", "3")
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodGet {
		_, _ = w.Write([]byte("ok\n")) // the client is gone; there is nobody to tell
	}
	return nil
}

// parseBeacon reads a report, or says what is wrong with it.
func parseBeacon(query string) (report boots.Report, bad string) {
	if len(query) > longestBeacon {
		return report, "the report is too long"
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return report, "the report's query cannot be read"
	}
	for name, value := range values {
		switch name {
		case "node", "mac", "label", "errno", "attempt":
		default:
			return report, "the report has an unknown parameter"
		}
		if len(value) != 1 {
			return report, "the report has a parameter twice"
		}
	}
	report.Node, report.Label = strings.ToLower(values.Get("node")), values.Get("label")
	if !isUUID(report.Node) || !ipxe.IsBeaconLabel(report.Label) {
		return report, "the report names no node, or nothing that can fail"
	}
	if mac := values.Get("mac"); mac != "" {
		if _, err := ipxe.ParseMAC(mac); err != nil {
			return report, "the report's mac " + err.Error()
		}
	}
	number, err := strconv.ParseUint(strings.TrimPrefix(values.Get("errno"), "0x"), 16, 32) // iPXE leaves leading zeros out
	if err != nil {
		return report, "the report's errno is no number"
	}
	report.Errno = uint32(number)
	if report.Attempt, err = strconv.Atoi(values.Get("attempt")); err != nil || report.Attempt < 1 || report.Attempt > ipxe.MaxBeacons {
		return report, "the report's attempt is no number of one"
	}
	return report, ""
}

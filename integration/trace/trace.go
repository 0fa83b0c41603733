// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/ironic-edge/ironic-edge/integration/realironic"
	"github.com/ironic-edge/ironic-edge/ipxe"
	"github.com/ironic-edge/ironic-edge/ipxe/ipxetest"
)

// Where a conductor's web server and API are in a trace, whatever ports they had when it was taken.
const (
	HTTPURL = "http://conductor:8088"
	APIURL  = "http://ironic:6385"
)

// None is the trace of a node without a script.
const None = "none\n"

// Well is a world in which everything works.
var Well = ipxetest.NetworkFunc(func(ipxetest.Request) ipxetest.Response { return ipxetest.Response{Status: 200} })

// Options are a conductor's options as the edge's.
func Options(r realironic.Record) ipxe.Options {
	o := ipxe.Options{APIURL: APIURL, ConductorFiles: true, NoLocalBoot: !r.Options.NetbootFallback, AgentDebug: r.Options.Debug,
		Timeout: time.Duration(r.Options.Timeout) * time.Second, InspectionParams: r.Options.InspectionParams}
	if r.Release == realironic.Release21 {
		o.Compat = ipxe.Release{Major: 21, Minor: 4}
		o.InspectionCallbackURL = realironic.InspectorCallbackRoot + "/v1/continue" // ironic-inspector's
	}
	o.KernelAppendParams = ipxe.DefaultKernelAppendParams(o.Compat)
	if r.Options.KernelAppendParams != "" {
		o.KernelAppendParams = r.Options.KernelAppendParams
	}
	return o
}

// Normalize replaces what differs between two runs of the same case: where Ironic listened.
func Normalize(r realironic.Record, text string) string {
	return strings.NewReplacer(r.HTTPURL, HTTPURL, r.APIURL, APIURL).Replace(text)
}

// Of is the trace of a script on a machine with one NIC.
func Of(script []byte, mac string) string {
	return ipxetest.Format(ipxetest.Cases(script, ipxetest.Machine{NICs: []string{mac}, Network: Well, Base: HTTPURL + "/boot.ipxe"}))
}

// Ours is the trace of the script that the edge would give to a node.
func Ours(n *ipxe.Node, mac string, o *ipxe.Options, secrets *ipxe.Secrets) (string, error) {
	script, err := ipxe.Select(n, ipxe.Boot{BaseURL: HTTPURL, RequestID: "req-1", Secrets: secrets}, o)
	var nothing *ipxe.NotBootable
	if errors.As(err, &nothing) {
		return None, nil
	}
	if err != nil {
		return "", err
	}
	text, err := script.AppendText(nil)
	return Of(text, mac), err
}

// Credentials are the lines of a conductor's script from which ipxe.ReadSecrets reads, or nothing.
func Credentials(script string) string {
	var lines []string
	for line := range strings.Lines(script) {
		if strings.HasPrefix(line, "set username ") || strings.HasPrefix(line, "set password ") || strings.HasPrefix(line, "sanhook ") {
			lines = append(lines, line)
		}
	}
	if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "set password ") }) {
		return ""
	}
	return strings.Join(lines, "")
}

// Differences are the cases in which the edge differs on purpose: lines of "<run>/<case> reason", where both may have
// wildcards (path.Match).
type Differences []struct{ pattern, Reason string }

// ReadDifferences reads them from a file.
func ReadDifferences(file string) (Differences, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var d Differences
	s := bufio.NewScanner(f)
	for s.Scan() {
		pattern, reason, _ := strings.Cut(s.Text(), " ")
		if pattern == "" || pattern[0] == '#' {
			continue
		}
		if _, err := path.Match(pattern, ""); err != nil || reason == "" {
			return nil, fmt.Errorf("%s: %q is not a pattern and a reason", file, s.Text())
		}
		d = append(d, struct{ pattern, Reason string }{pattern, strings.TrimSpace(reason)})
	}
	return d, s.Err()
}

// Reason is why a case differs, empty when it must not.
func (d Differences) Reason(name string) string {
	for _, one := range d {
		if ok, _ := path.Match(one.pattern, name); ok {
			return one.Reason
		}
	}
	return ""
}

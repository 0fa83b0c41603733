// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/dustin/go-humanize"

	"github.com/ironic-edge/ironic-edge/caddymodule/api"
	"github.com/ironic-edge/ironic-edge/ironic"
)

// The results of a check.
const (
	checkGood    = "good"
	checkWarning = "warning"
	checkBad     = "bad"
	checkSkipped = "skipped"
)

// checkTime is how long one check may take.
const checkTime = 10 * time.Second

// doctor looks at what surrounds the edges.
func (o *overview) doctor(ctx context.Context) []api.Check {
	found := make([][]api.Check, len(o.handlers))
	var group sync.WaitGroup
	for i, h := range o.handlers {
		group.Go(func() {
			for _, look := range []func(context.Context) []api.Check{h.checkIronic, h.checkPublicURL, h.checkOrigins, h.checkStore, h.checkConductor} {
				limited, cancel := context.WithTimeout(ctx, checkTime)
				found[i] = append(found[i], look(limited)...)
				cancel()
			}
			for j := range found[i] {
				found[i][j].Edge = o.names[i]
			}
		})
	}
	group.Wait()
	return append(slices.Concat(found...), checkSites()...)
}

// checkIronic asks Ironic as a boot does, and looks at what the account may do beside that.
func (h *Handler) checkIronic(ctx context.Context) []api.Check {
	about, err := h.client.Examine(ctx)
	if err != nil {
		return []api.Check{{Name: "ironic", Result: checkBad, Seen: err.Error(), Next: remedyOf(err)}}
	}
	checks := []api.Check{{Name: "ironic", Result: checkGood, Seen: fmt.Sprintf("API version %s, answers in %s", about.Version, max(about.Took.Round(time.Millisecond), time.Millisecond))}}
	for _, err := range about.Silent {
		checks = append(checks, api.Check{Name: "ironic", Result: checkWarning, Seen: err.Error(), Next: remedyOf(err) + "; the others answer in its place"})
	}
	return append(checks, accountCheck(about), clockCheck(about))
}

// remedyOf says what to do when Ironic does not tell what a boot needs.
func remedyOf(err error) string {
	var e *ironic.Error
	_ = errors.As(err, &e)
	switch {
	case e == nil:
	case e.Reason == "too_old":
		return "upgrade Ironic"
	case e.Reason == "too_new":
		return "upgrade ironic-edge"
	case e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden:
		return "see the option auth, and that the account has a role that reads nodes"
	case e.Kind == ironic.ErrBadAnswer:
		return "give the URL of Ironic's API as ironic, and see what stands between"
	}
	return "see that Ironic runs at that address, and the line to it"
}

// readingRoles let an account read and do nothing else (ironic/common/policy.py: the *_READER rules). Keystone names
// implied roles, too.
var readingRoles = []string{"reader", "observer", "baremetal_observer"}

// accountCheck is about what the account may do. Where Keystone is not asked, Ironic has no roles, and lets each account do
// everything (ironic/common/policy.py: authorize).
func accountCheck(about *ironic.About) api.Check {
	c := api.Check{Name: "account", Result: checkGood, Seen: "reads nodes, ports, portgroups and volumes"}
	strong := slices.DeleteFunc(slices.Clone(about.Roles), func(role string) bool { return slices.Contains(readingRoles, role) })
	switch {
	case len(about.Unreadable) > 0:
		c.Result, c.Seen = checkBad, "may not read "+strings.Join(about.Unreadable, ", ")
		c.Next = "give the account a role that reads them, such as reader with system scope"
	case about.Open:
		c.Result, c.Seen = checkWarning, "Ironic asks for no credentials: whoever reaches its API has all rights"
		c.Next = "let nobody but its users reach Ironic's API; the edge lets nobody through to it"
	case !about.Policed:
		c.Result, c.Seen = checkWarning, "with http_basic, Ironic lets every account do everything"
		c.Next = "keep the password to the edge's own user; only Keystone has accounts that can do no more than read"
	case len(strong) > 0:
		c.Result, c.Seen = checkWarning, "may do more than read; its roles: "+strings.Join(about.Roles, ", ")
		c.Next = "give the edge an account of its own with no role but reader"
	case about.NoNodes:
		c.Result, c.Seen = checkWarning, "is shown no node"
		c.Next = "enroll nodes, or give the account its role with system scope: else it is shown those of its project only"
	}
	return c
}

// mostSkew is how far clocks may be apart: less than certificates and signed URLs give away.
const mostSkew = 30 * time.Second

func clockCheck(about *ironic.About) api.Check {
	c := api.Check{Name: "clocks", Result: checkGood, Seen: "Ironic's and this machine's differ by " + about.Skew.Round(time.Second).String()}
	switch {
	case !about.Dated:
		c.Result, c.Seen = checkSkipped, "Ironic's answers have no date"
	case about.Skew.Abs() > mostSkew:
		c.Result, c.Next = checkWarning, "see that both are set by NTP: times of certificates and of signed URLs depend on them"
	}
	return c
}

// probeHeader asks an edge to prove that it is the one that asks.
const probeHeader = "X-Ironic-Edge-Probe"

var processKey = func() []byte {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return key
}()

// proof is what only this edge of this process can answer to a probe.
func (h *Handler) proof(probe string) string {
	mac := hmac.New(sha256.New, processKey)
	mac.Write([]byte(h.publicURL + "\x00" + probe))
	return hex.EncodeToString(mac.Sum(nil))
}

// checkPublicURL asks for the bootstrap where nodes are sent, and wants this process to answer.
func (h *Handler) checkPublicURL(ctx context.Context) []api.Check {
	c := api.Check{Name: "public url"}
	if h.publicURL == "" {
		c.Result, c.Seen = checkSkipped, "there is none: URLs in scripts begin with the address that a node connected to"
		return []api.Check{c}
	}
	probe := rand.Text()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, h.publicURL+"/boot.ipxe", nil)
	var response *http.Response
	if err == nil {
		r.Header.Set(probeHeader, probe)
		response, err = new(http.Transport{DisableKeepAlives: true}).RoundTrip(r) // as firmware does: by no proxy, along no redirect
	}
	if err != nil {
		c.Result, c.Seen, c.Next = checkBad, err.Error(), "give the address of this site as public_url, and see the firewall between"
		return []api.Check{c}
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20))
	switch {
	case response.StatusCode >= 300 && response.StatusCode < 400: // as automatic HTTPS does
		c.Result, c.Seen, c.Next = checkBad, h.publicURL+" redirects to "+response.Header.Get("Location"), "write the site's address with http:// in front, since firmware follows no redirect to HTTPS"
	case response.Header.Get(probeHeader) != h.proof(probe):
		c.Result, c.Seen, c.Next = checkBad, h.publicURL+" is answered by somebody else", "give the address of this site as public_url; with several edges behind it, ask each for its own"
	default:
		c.Result, c.Seen = checkGood, h.publicURL+" leads here"
	}
	return []api.Check{c}
}

// checkOrigins looks whether the images of the configuration are there, with a length and in ranges.
func (h *Handler) checkOrigins(ctx context.Context) []api.Check {
	refs := make(map[string]bool)
	for _, table := range []map[string]string{h.DeployKernel, h.DeployRamdisk, h.RescueKernel, h.RescueRamdisk} {
		for ref := range maps.Values(table) {
			if filled, err := fill("image", ref); err == nil {
				refs[filled] = true
			}
		}
	}
	var checks []api.Check
	for _, ref := range slices.Sorted(maps.Keys(refs)) {
		location, err := h.follow(ref)
		if err != nil || !strings.HasPrefix(location, "http") {
			continue // Glance, a registry or the conductor: what is asked there is not one URL
		}
		checks = append(checks, h.checkOrigin(ctx, location))
	}
	return checks
}

// publicName is an image's URL as it may be shown: no user, and no query, which may be a signature.
func publicName(location string) string {
	location, _, _ = strings.Cut(location, "?")
	scheme, rest, _ := strings.Cut(location, "://")
	host, path, _ := strings.Cut(rest, "/")
	return scheme + "://" + host[strings.LastIndexByte(host, '@')+1:] + "/" + path
}

func (h *Handler) checkOrigin(ctx context.Context, location string) api.Check {
	name := publicName(location)
	c := api.Check{Name: "image " + name[strings.LastIndexByte(name, '/')+1:], Result: checkGood}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, location, nil)
	var response *http.Response
	if err == nil {
		r.Header.Set("Range", "bytes=0-0")
		r.Header.Set("Accept-Encoding", "identity")
		response, err = h.origin.Do(r)
	}
	if err != nil {
		c.Result, c.Seen, c.Next = checkBad, name+": "+withoutURLs(err), "see that the server runs and that the edge reaches it"
		return c
	}
	defer response.Body.Close()
	switch {
	case response.StatusCode == http.StatusPartialContent && !strings.HasSuffix(response.Header.Get("Content-Range"), "/*"):
		c.Seen = name + " has ranges"
	case response.StatusCode == http.StatusPartialContent:
		c.Result, c.Seen, c.Next = checkWarning, name+" has ranges, and no length", "nobody can tell how far it is; serve it as a file"
	case response.StatusCode != http.StatusOK:
		c.Result, c.Seen, c.Next = checkBad, fmt.Sprintf("%s: status %d", name, response.StatusCode), "put the image there, or mend the option that names it"
	case response.ContentLength < 0:
		c.Result, c.Seen, c.Next = checkWarning, name+" comes without ranges and without a length", "a broken transfer begins anew; serve it as a file"
	default:
		c.Result, c.Seen, c.Next = checkWarning, name+" comes without ranges", "a broken transfer begins anew; serve it as a file"
	}
	return c
}

// checkStore looks at the room on the disk.
func (h *Handler) checkStore(context.Context) []api.Check {
	c := api.Check{Name: "store", Result: checkGood}
	store := h.storage.opened()
	if store == nil {
		c.Result, c.Seen = checkSkipped, "there is none: each image crosses the line for each node"
		return []api.Check{c}
	}
	stats := store.Stats()
	c.Seen = fmt.Sprintf("%s of %s used at %s", humanize.IBytes(uint64(stats.Bytes)), humanize.IBytes(uint64(stats.MaxBytes)), h.Store.Directory)
	free, floor := store.Room()
	switch {
	case stats.BadObjects > 0:
		c.Result, c.Seen, c.Next = checkBad, fmt.Sprintf("%s; %d objects were bad", c.Seen, stats.BadObjects), "look at the disk (smartctl), then run ironic-edge scrub"
	case free < floor:
		c.Result, c.Seen = checkBad, fmt.Sprintf("%s; its file system has %s left, and min_free is %s", c.Seen, humanize.IBytes(uint64(free)), humanize.IBytes(uint64(floor)))
		c.Next = "make room on the disk, or lower min_free: until then no image is stored, and each crosses the line for each node"
	case stats.NotStored > 0:
		c.Result, c.Seen, c.Next = checkWarning, fmt.Sprintf("%s; %d images found no room", c.Seen, stats.NotStored), "give the disk more room, or raise max_size"
	}
	return []api.Check{c}
}

// checkConductor looks whether the conductor's web server answers.
func (h *Handler) checkConductor(ctx context.Context) []api.Check {
	if h.conductor == "" {
		return nil
	}
	c := api.Check{Name: "conductor", Result: checkGood, Seen: h.conductor + " answers"}
	if _, err := h.conductorScript(ctx, "00000000-0000-4000-8000-000000000000"); err != nil {
		c.Result, c.Seen, c.Next = checkBad, err.Error(), "give the conductor's [deploy]http_url as conductor_http"
	}
	return []api.Check{c}
}

// checkSites looks at the configuration as it is looked at when it is loaded.
func checkSites() []api.Check {
	c := api.Check{Name: "sites", Result: checkGood, Seen: "no TLS and no compression on a boot site"}
	app, err := caddy.ActiveContext().AppIfConfigured("http")
	if err != nil {
		return nil
	}
	var checks []api.Check
	for _, warning := range lint(app.(*caddyhttp.App)) {
		seen, next, _ := strings.Cut(warning, ": ")
		checks = append(checks, api.Check{Name: c.Name, Result: checkBad, Seen: seen, Next: next})
	}
	if len(checks) == 0 {
		checks = append(checks, c)
	}
	return checks
}

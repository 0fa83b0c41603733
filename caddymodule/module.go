// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/ironic-edge/ironic-edge/cache/lookup"
	"github.com/ironic-edge/ironic-edge/cache/origin"
	"github.com/ironic-edge/ironic-edge/caddymodule/handover" // the listener wrapper, too
	"github.com/ironic-edge/ironic-edge/caddymodule/inventory"
	"github.com/ironic-edge/ironic-edge/caddymodule/seen"
	"github.com/ironic-edge/ironic-edge/ipxe"
	"github.com/ironic-edge/ironic-edge/ironic"
	"github.com/ironic-edge/ironic-edge/ironic/notification"
)

func init() {
	caddy.RegisterModule(new(Handler))
	httpcaddyfile.RegisterHandlerDirective(directive, parseCaddyfile)
	httpcaddyfile.RegisterDirectiveOrder(directive, httpcaddyfile.Before, "reverse_proxy")
}

// Handler answers what bare metal asks while it boots. It stands in front of OpenStack Ironic, in the rack:
//
//   - boot scripts at Ironic's own paths (/boot.ipxe, /pxelinux.cfg/<mac>, /<node uuid>/config), at
//     /v1/boot/<mac>/boot.ipxe and at /v1/drivers/<driver>/vendor_passthru/ipxe_config, rendered here for the
//     provision state that Ironic's API reports
//   - the images those scripts name, at /<node uuid>/<label>
//   - the agent's lookup, heartbeat and inspection report, and the API's version documents, which go on to the next
//     handler, a reverse_proxy to Ironic
//
// Everything else below Ironic's API is refused with 403, whatever handler comes next. Requests outside of it go on to
// the next handler.
//
// Every refusal has a reason code in the header X-Ironic-Edge-Reason. Strings may hold Caddy's global placeholders such
// as {env.NAME}; public_url and api_url those of the request, too.
type Handler struct {
	// How to reach Ironic's API. Required.
	Ironic Ironic `json:"ironic"`

	// The URL at which nodes reach this site; every URL in a script begins with it. Default: the address that the
	// client connected to. Set it wherever nodes come through a NAT or a load balancer.
	PublicURL string `json:"public_url,omitempty"`

	// The agent's ipa-api-url: one URL or several separated by commas, the edge first. Default: public_url.
	APIURL string `json:"api_url,omitempty"`

	// How long what Ironic said about a node is good for. Within it a change of state in Ironic goes unseen, unless the
	// node's agent reports through this edge. Default: 5s.
	NodeTTL caddy.Duration `json:"node_ttl,omitempty"`

	// The same for "no such node". Default: 2s.
	NegativeTTL caddy.Duration `json:"negative_ttl,omitempty"`

	// Where to hear from Ironic itself that something changed, so that it is seen at once. While the broker cannot be
	// reached node_ttl and negative_ttl are their defaults at most. Default: nowhere.
	Notifications *Notifications `json:"notifications,omitempty"`

	// For how long what Ironic said last is used while it does not answer, by what a node would be given; and also that a MAC was
	// nobody's, of which a machine is told as of any unknown one.
	Stale *Stale `json:"stale,omitempty"`

	// How long a node's request waits for Ironic's answer, and the conductor's where its script takes that. After that it gets
	// what Ironic said before, if that may be used, or 503 with Retry-After, while Ironic is asked on, for as long as its timeout
	// allows. Default: 800ms.
	AnswerDeadline caddy.Duration `json:"answer_deadline,omitempty"`

	// The part of Ironic's nodes that is listed beforehand. Default: none; each node is asked for when it boots.
	Site *Site `json:"site,omitempty"`

	// How many nodes one client's address may ask for in a second that are not known here, so that Ironic has to be asked;
	// five times as many at once. The others get 503 with Retry-After. Raise it where many nodes share an address. Default: 20.
	ClientRate int `json:"client_rate,omitempty"`

	// The agent's kernel by CPU architecture (properties.cpu_arch), under the empty name the one for all others; for
	// nodes whose driver_info names none. Each kernel needs a ramdisk.
	DeployKernel map[string]string `json:"deploy_kernel,omitempty"`
	// The ramdisk that belongs to deploy_kernel.
	DeployRamdisk map[string]string `json:"deploy_ramdisk,omitempty"`
	// Kernel for rescue, by CPU architecture.
	RescueKernel map[string]string `json:"rescue_kernel,omitempty"`
	// The ramdisk that belongs to rescue_kernel.
	RescueRamdisk map[string]string `json:"rescue_ramdisk,omitempty"`

	// Ironic's [pxe]kernel_append_params: kernel parameters for nodes that bring none of their own. Default: that of
	// the Ironic release named by compat.
	KernelAppendParams *string `json:"kernel_append_params,omitempty"`

	// Ironic's [pxe]ipxe_timeout: how long the transfer of a kernel or ramdisk may make no progress before iPXE gives
	// up. Default: 0, no limit.
	IPXETimeout caddy.Duration `json:"ipxe_timeout,omitempty"`

	// Add ipa-debug=1 to the agent's parameters, as a conductor that runs with debug does.
	AgentDebug bool `json:"agent_debug,omitempty"`

	// The script that boot.ipxe chains when no NIC has anything to boot: a URL, or a path beside boot.ipxe.
	FallbackScript string `json:"fallback_script,omitempty"`

	// Where the agent reports what it found on inspection. Default: /v1/continue_inspection at the first api_url.
	InspectionCallbackURL string `json:"inspection_callback_url,omitempty"`
	// Ironic's [inspector]extra_kernel_params.
	InspectionParams string `json:"inspection_params,omitempty"`

	// What a node that boots from its own disk gets: "active" is a script that boots the local disk, "off" is 404, with
	// which a conductor with default options leaves a machine to its firmware's timeout. Default: active.
	LocalBoot string `json:"local_boot,omitempty"`

	// What a MAC that Ironic does not know gets: "404", by which boot.ipxe goes on to the next NIC and the fallback
	// script; "inspect", the agent with the inspection parameters; "local", a script that boots the local disk.
	// Default: 404.
	UnknownMAC string `json:"unknown_mac,omitempty"`

	// Rewrites image references that begin with a prefix, such as file:///shared/html/, into URLs. The longest prefix
	// wins.
	ImageMap map[string]string `json:"image_map,omitempty"`

	// The conductor's own web server ([deploy]http_url). The edge asks it for what the API does not tell: CHAP passwords
	// of volumes, kickstart files, and images that neither the node nor this configuration names. What has a secret
	// in it is passed on and not kept, but for a machine that was told to come back for it: five seconds, in memory, once.
	// Image references of a node lead there to files of that node only, or of all nodes.
	ConductorHTTP string `json:"conductor_http,omitempty"`

	// For how many of a hundred scripts the conductor's is fetched, too, and compared in the background: what each of them
	// does on a machine, not its text. Differences are logged and counted. Needs conductor_http. Default: 0.
	Shadow int `json:"shadow,omitempty"`

	// Whose script a node gets: "edge", or "conductor" for the conductor's own, as it is, which makes the edge compare and
	// nothing more. Needs conductor_http. Default: edge.
	Serve string `json:"serve,omitempty"`

	// Whether scripts report to this edge what failed before they try again, at /edge/beacon: "on", or "off", with which they
	// do on the machine just what Ironic's own would. Default: on.
	Beacons string `json:"beacons,omitempty"`

	// Where images are kept. Default: nowhere; each transfer comes from the image's origin.
	Store *Store `json:"store,omitempty"`

	// Parts of other web servers that are served from the store.
	Mirrors []Mirror `json:"mirrors,omitempty"`

	// OCI registries that need more than TLS and no credentials, by host or host:port.
	Registries map[string]Registry `json:"registries,omitempty"`

	// Images to have in the store before a node asks for them, as references; "inventory" stands for all images that
	// the nodes of the option site refer to, or without it all of Ironic's.
	Prefetch []string `json:"prefetch,omitempty"`

	// The origins that images and mirrors may redirect to beyond their own, as hosts or URLs; *.images.example is any
	// host below images.example. What a node refers to may be at an address of the edge's own machine (loopback included), or
	// at a link-local one, only if its origin stands here or elsewhere in this configuration.
	AllowOrigins []string `json:"allow_origins,omitempty"`

	// The Ironic release whose behaviour is followed where releases differ, such as 21.4. Default: the newest.
	Compat string `json:"compat,omitempty"`

	// What becomes of a lookup, by which an agent learns its token, that does not belong to a boot through this edge:
	// "enforce" refuses it, "report" relays it with a warning in the log, "off" relays it. It belongs to a boot if the
	// agent's script of that node was fetched within lookup_window, from where lookup_address says; if it did, Ironic is
	// asked for that node only. For as long as lookup_window after the start of the edge, lookups of nodes that it has
	// not seen are let through, and always those of nodes whose boot interface does not use iPXE. Default: enforce.
	LookupGuard string `json:"lookup_guard,omitempty"`

	// How long after a script of the agent, or a call of the agent that Ironic took, a lookup belongs to the same boot.
	// Default: 30m, after which Ironic gives a boot up ([conductor]deploy_callback_timeout).
	LookupWindow caddy.Duration `json:"lookup_window,omitempty"`

	// From where: "same" is the address that fetched the script; "any" is for racks in which the ramdisk gets another
	// address than the firmware had. Default: same.
	LookupAddress string `json:"lookup_address,omitempty"`

	// When a node that boots its agent over and over, without a call of the agent, is reported as a loop.
	Loop *Loop `json:"loop,omitempty"`

	// Give a node that loops a script that says so on the console, boots nothing, and asks again each minute.
	LoopHold bool `json:"loop_hold,omitempty"`
	// What is remembered of the boots of this site's machines. Default: the last 2000, in memory.
	Boots *Boots `json:"boots,omitempty"`

	// What Provision made of the fields above.
	options    ipxe.Options
	terms      lookup.Terms[*knownNode] // for scripts
	imageTerms lookup.Terms[*knownNode]
	windows    windows
	publicURL  string // public_url, unless the request has a say in it
	imageMap   map[string]string
	bootstrap  []byte
	client     *ironic.Client
	site       *site   // shared with other generations of the configuration
	siteKey    string  // set while this handler holds a reference to site
	roster     *roster // of site; nil: none
	settings   inventory.Settings
	origin     *http.Client // images, for what is not kept
	conductor  string
	files      conductorFiles
	shadows    chan struct{} // slots
	name       string        // what it is called, once App.names was asked for
	logger     *zap.Logger
	quiet      *zap.Logger // for what clients can cause
	metrics    *metrics

	lookupWindow time.Duration
	loopLimit    seen.Limit
	bootOptions  Boots
	emitNow      func(emission)

	storage      *storage // shared with other generations of the configuration; nil: there is none
	storeOptions storeOptions
	maxTransfers int
	pace         int64
	images       *origin.Client
	mirrors      []*mirror
	prefetchRefs []string

	notifications *notification.Config // nil: there are none

	requests atomic.Int64 // under way, and prefetch
	cleaned  atomic.Bool  // by Caddy
	released atomic.Bool
}

// Ironic is how to reach Ironic's API.
type Ironic struct {
	// The API's URL, with or without /v1. May be left out with auth "cloud": Keystone's catalogue then says where Ironic is.
	URL string `json:"url,omitempty"`
	// Further URLs of the same Ironic's API. Each is asked when those before it refuse, do not answer, or answer with 5xx.
	URLs []string `json:"urls,omitempty"`
	// How to authenticate: "none" (default), "http_basic" or "cloud".
	Auth string `json:"auth,omitempty"`
	// The user for http_basic.
	Username string `json:"username,omitempty"`
	// The password for http_basic, as a placeholder: {env.NAME} or {file./path}. A password in clear is refused, since
	// the configuration can be printed.
	Password string `json:"password,omitempty"`
	// The entry of clouds.yaml for Keystone.
	Cloud string `json:"cloud,omitempty"`
	// The clouds.yaml file. Default: where OpenStack's clients look for it.
	CloudsFile string `json:"clouds_file,omitempty"`
	// Glance's API, for images that are there. Default: where Keystone's catalogue says, with "cloud"; else it is not known.
	Glance string `json:"glance,omitempty"`
	// PEM file with the certificates that Ironic's certificate must lead to. Default: the system's.
	CAFile string `json:"ca_file,omitempty"`
	// PEM files with the certificate and key by which this edge proves who it is.
	ClientCert string `json:"client_cert,omitempty"`
	ClientKey  string `json:"client_key,omitempty"`
	// How long one call may take, with all its attempts at all URLs. An API that takes longer never gives an answer,
	// whatever answer_deadline is. Default: 5s.
	Timeout caddy.Duration `json:"timeout,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers." + directive, New: func() caddy.Module { return new(Handler) }}
}

// Provision checks the configuration and prepares what requests need. It does not contact Ironic.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.logger = ctx.Logger()
	h.quiet = quiet(h.logger)
	config, err := h.resolve()
	if err != nil {
		return err
	}
	h.options, h.conductor = config.options, config.conductor
	h.windows = config.windows
	h.terms = config.terms
	h.terms.Usable = h.usable
	h.imageTerms = config.terms
	h.imageTerms.Usable = func(_ *knownNode, age time.Duration) bool { return age <= h.windows.longest() }
	if h.bootstrap, err = ipxe.Bootstrap(config.fallback); err != nil {
		return optionError("fallback_script", h.FallbackScript, err, "give a URL or a path without blanks")
	}
	if h.metrics, err = registerMetrics(ctx.GetMetricsRegistry()); err != nil {
		return err
	}
	config.ironic.Release = version()
	config.ironic.Wrap = func(next http.RoundTripper) http.RoundTripper { return &ironicCalls{next, h.metrics} }
	if h.client, err = ironic.New(ctx, config.ironic); err != nil {
		return explainIronic(err)
	}
	h.bootOptions = config.boots
	if h.emitNow, err = newEmitter(ctx); err != nil {
		return err
	}
	h.shadows = make(chan struct{}, shadowSlots)
	if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok {
		server.RegisterConnContext(handover.ConnContext)
	}
	if err := h.acquireStore(config); err != nil {
		return err
	}
	if err := h.newOrigins(config); err != nil {
		return err
	}
	if err := h.acquireSite(config); err != nil {
		return err
	}
	app, err := ctx.App(directive) // it starts what this one needs once all is loaded
	if err != nil {
		return err
	}
	return app.(*App).add(h)
}

// Cleanup gives back what Provision took, once the last request has ended: Caddy cleans the old configuration up as soon
// as a new one runs, and lets its requests run on. Caddy calls it after a failed Provision, too.
func (h *Handler) Cleanup() error {
	h.cleaned.Store(true)
	h.stopBoots()
	if h.storage != nil {
		h.storage.left(h)
	}
	if h.site != nil {
		h.site.feed.leave(h)
	}
	if h.requests.Load() > 0 {
		return nil
	}
	return h.release()
}

// requestEnds is the end of a request, which may be what Cleanup left the work to.
func (h *Handler) requestEnds() {
	if h.requests.Add(-1) > 0 || !h.cleaned.Load() {
		return
	}
	if err := h.release(); err != nil {
		h.logger.Error("cleaning up", zap.Error(err))
	}
}

// release does the work of Cleanup, once. A request that comes later yet gets its answer without what was kept.
func (h *Handler) release() error {
	if h.released.Swap(true) {
		return nil
	}
	h.closeOrigins()
	if h.client != nil {
		_ = h.client.Close()
	}
	return errors.Join(h.releaseSite(), h.releaseStore())
}

const (
	defaultNodeTTL     = 5 * time.Second
	defaultNegativeTTL = 2 * time.Second
	defaultTimeout     = 5 * time.Second
	// Two calls of some 100 ms each. The first request, before which come those for a token and the API's versions, may have
	// to come back once. iPXE would wait for two minutes, UEFI's own client for five seconds.
	defaultDeadline = 800 * time.Millisecond
	// lateLife is for how long an answer is good that came after answer_deadline: whoever asked comes back for it within
	// three seconds (pauses).
	lateLife = 5 * time.Second
)

// nodeSource finds nodes in Ironic.
type nodeSource interface {
	NodeByMAC(ctx context.Context, mac string) (*ipxe.Node, error)
	NodeByUUID(ctx context.Context, uuid string) (*ipxe.Node, error)
	NodeByName(ctx context.Context, name string) (*ipxe.Node, error)
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
	_ nodeSource                  = (*ironic.Client)(nil)
)

// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/spf13/cobra"

	"github.com/ironic-edge/ironic-edge/ipxe/ipxetest"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

func demoCommand() *cobra.Command {
	listen := "127.0.0.1:8080"
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run an edge before a stand-in Ironic with a rack of nodes",
		Long: `Runs an edge before a stand-in Ironic with thirteen nodes, each in another state, and small images. Every node is
simulated once, up to where its firmware leaves iPXE. Then the edge stays, for you to ask it things. Everything is in
this process and on the loopback interface.

Exits with 0 when it is interrupted, and with 1 if it cannot begin.`,
		Example: `  ironic-edge demo --listen 127.0.0.1:8080`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return demo(ctx, c.OutOrStdout(), listen)
		},
	}
	c.Flags().StringVar(&listen, "listen", listen, "where the edge listens, `host:port`")
	return c
}

// demo runs until the context ends.
func demo(ctx context.Context, out io.Writer, listen string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("the demo's images: %w", err)
	}
	images := &http.Server{Handler: http.HandlerFunc(serveDemoImage), ReadHeaderTimeout: time.Minute}
	go func() { _ = images.Serve(l) }()
	defer images.Close()
	base := "http://" + l.Addr().String()
	api := ironictest.Start(ironictest.DemoFleet(base)...)
	defer api.Close()

	dir, err := os.MkdirTemp("", "ironic-edge-demo")
	if err != nil {
		return fmt.Errorf("the demo's store: %w", err)
	}
	defer os.RemoveAll(dir)
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(fmt.Appendf(nil, demoCaddyfile, listen, api.URL, dir, base), nil)
	if err != nil {
		return err
	}
	if err := caddy.Load(config, true); err != nil {
		return fmt.Errorf("%w (another address: --listen)", err)
	}
	defer func() { _ = caddy.Stop() }()

	edge := "http://" + listen
	fmt.Fprintf(out, "ironic-edge at %s, before a stand-in Ironic at %s.\nEach of its nodes is switched on once:\n\n", edge, api.URL)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NODE\tMAC\tSTATE\tTHE MACHINE")
	for _, n := range api.Nodes() {
		mac := n.Ports[0].Address
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", n.Name, mac, n.ProvisionState, switchOn(ctx, edge, mac))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	first := api.Nodes()[0]
	address := first.Ports[0].Address
	fmt.Fprintf(out, demoHints, edge, strings.ReplaceAll(address, ":", "-"), address, first.UUID, dir, commandName())
	live(ctx, demoRack(edge, func(n int) (mac, uuid string) {
		node := api.Nodes()[n-1]
		return node.Ports[0].Address, node.UUID
	}))
	return nil
}

const demoCaddyfile = `{
	admin unix/%[3]s/admin.sock
	persist_config off
	log {
		level ERROR
	}
	servers {
		listener_wrappers {
			ironic_edge
		}
	}
}
http://%[1]s {
	ironic_edge {
		ironic %[2]s
		public_url http://%[1]s
		site {
			all
			snapshot off
		}
		store %[3]s/store {
			min_free 0
		}
		allow_origins %[4]s
	}
	ironic_edge_status
	reverse_proxy %[2]s
}
`

const demoHints = `
Try, in another terminal:
  the script that every machine starts with
    curl %[1]s/boot.ipxe
  the first node's script, by the paths of Ironic and of its specs
    curl %[1]s/pxelinux.cfg/%[2]s
    curl %[1]s/v1/boot/%[3]s/boot.ipxe
    curl '%[1]s/v1/drivers/ipmi/vendor_passthru/ipxe_config?port_address=%[3]s'
  its kernel, from the edge's own disk, in any range
    curl -i -r 0-15 %[1]s/%[4]s/deploy_kernel
  a machine that Ironic does not know, and a part of Ironic's API that is closed to the rack
    curl -i %[1]s/pxelinux.cfg/52-54-00-17-00-ff
    curl -i %[1]s/v1/nodes
Some machines of the rack now boot again and again: one of them stalls in the middle of its ramdisk, one boots over and over.
Look at %[1]s/edge/ in a browser, or at
    export CADDY_ADMIN=unix/%[5]s/admin.sock
    %[6]s boots --watch
    %[6]s explain rack17-n03
    %[6]s doctor
Ctrl-C ends the demo.
`

// demoContent is that of each of the demo's images; kernels are its beginning.
var demoContent = sync.OnceValue(func() []byte { return bytes.Repeat([]byte("ironic-edge demo"), demoImageSize/16) })

// serveDemoImage is the origin of the demo's images: 64 KiB for each name, and more for a ramdisk.
func serveDemoImage(w http.ResponseWriter, r *http.Request) {
	content := demoContent()
	if !strings.HasSuffix(r.URL.Path, ".initramfs") {
		content = content[:64<<10]
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Etag", `"`+r.URL.Path+`"`)
	http.ServeContent(w, r, "", time.Unix(1_700_000_000, 0), bytes.NewReader(content))
}

// switchOn runs what a machine with this NIC does, and says in a few words how it ends.
func switchOn(ctx context.Context, edge, mac string) string {
	world := demoNetwork{ctx}
	start := edge + "/boot.ipxe"
	script := world.Fetch(ipxetest.Request{Method: http.MethodGet, URL: start})
	if !script.OK() {
		return "gets no boot.ipxe"
	}
	trace := ipxetest.Run(script.Body, ipxetest.Machine{NICs: []string{mac}, Network: world, Base: start})
	said, volume := "", ""
	for _, e := range trace.Events {
		switch e.Kind {
		case "echo":
			if e.Text != "" && !strings.HasPrefix(e.Text, "Press ") {
				said = e.Text
			}
		case ipxetest.Attach:
			volume = e.Text
		}
	}
	switch end := trace.End(); end.Kind {
	case "boot":
		kernel, line, _ := strings.Cut(end.Text, " ")
		what := "starts " + lastSegment(kernel)
		if strings.Contains(line, "ipa-api-url=") {
			answer := world.Fetch(ipxetest.Request{Method: http.MethodGet, URL: edge + "/v1/lookup?addresses=" + mac})
			what += fmt.Sprintf("; its agent asks Ironic who it is: %d", answer.Status)
		}
		return what
	case "sanboot":
		switch _, uri, _ := strings.Cut(end.Text, " "); {
		case strings.HasPrefix(uri, "http"):
			return "boots " + lastSegment(uri) + " as a drive over HTTP"
		case volume != "":
			return "boots the volume " + strings.Fields(volume)[0]
		}
		return "boots its local disk"
	default:
		return said
	}
}

func lastSegment(url string) string { return url[strings.LastIndexByte(url, '/')+1:] }

// demoNetwork lets the simulated machines talk to the edge. Drives are said to be there.
type demoNetwork struct{ ctx context.Context }

func (n demoNetwork) Fetch(asked ipxetest.Request) ipxetest.Response {
	if asked.Method == ipxetest.Attach || asked.Method == ipxetest.Disk {
		return ipxetest.Response{Status: http.StatusOK}
	}
	ctx, cancel := context.WithTimeout(n.ctx, 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, asked.Method, asked.URL, nil)
	if err != nil {
		return ipxetest.Response{}
	}
	r.Header.Set("User-Agent", "iPXE/1.21.1 (simulated)")
	r.Header.Set("X-OpenStack-Ironic-API-Version", "1.68") // the agent's; iPXE sends none, and nobody minds
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return ipxetest.Response{}
	}
	defer response.Body.Close()
	answer := ipxetest.Response{Status: response.StatusCode, RetryAfter: response.Header.Get("Retry-After")}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return ipxetest.Response{}
	}
	if strings.HasPrefix(response.Header.Get("Content-Type"), "text/") {
		answer.Body = body
	}
	return answer
}

// SPDX-License-Identifier: Apache-2.0

package command

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/ironic-edge/ironic-edge/caddymodule/api"
)

// defaultSocket is where the admin API of an edge listens that was set up like the example.
const defaultSocket = "/run/ironic-edge/admin.sock"

// caller asks an edge.
type caller struct {
	address, config, edge string
	json                  bool

	offline  Answer
	snapshot string
	live     bool
}

// endpoint is the address of the admin API.
func (c *caller) endpoint() (caddy.NetworkAddress, error) {
	address := c.address
	if address == "" {
		address = os.Getenv("CADDY_ADMIN")
	}
	if address == "" && c.config == "" {
		if _, err := os.Stat(defaultSocket); err == nil {
			address = "unix/" + defaultSocket
		}
	}
	address, err := caddycmd.DetermineAdminAPIAddress(address, nil, c.config, "")
	if err != nil {
		return caddy.NetworkAddress{}, err
	}
	parsed, err := caddy.ParseNetworkAddress(address)
	if err != nil || parsed.PortRangeSize() > 1 {
		return parsed, fmt.Errorf("option address: %q is no address; give one such as localhost:2019 or unix/%s", address, defaultSocket)
	}
	parsed.Host, _, _ = strings.Cut(parsed.Host, "|") // a socket's permissions
	return parsed, nil
}

// ask sends a request and returns its answer, whose body the caller closes. Any status but 200 is an error.
func (c *caller) ask(cmd *cobra.Command, method, path string, query url.Values, body any) (*http.Response, error) {
	endpoint, err := c.endpoint()
	if err != nil {
		return nil, err
	}
	if query == nil {
		query = make(url.Values)
	}
	if c.edge != "" {
		query.Set("edge", c.edge)
	}
	origin := "http://127.0.0.1"
	if !endpoint.IsUnixNetwork() {
		origin = "http://" + endpoint.JoinHostPort(0)
	}
	var sent io.Reader = http.NoBody
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		sent = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(contextOf(cmd), method, origin+api.Prefix+path+"?"+query.Encode(), sent)
	if err != nil {
		return nil, err
	}
	if !endpoint.IsUnixNetwork() { // Caddy takes none over a socket
		request.Header.Set("Origin", origin)
	}
	request.Header.Set("Content-Type", "application/json")
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, endpoint.Network, endpoint.JoinHostPort(0))
		},
	}}
	response, err := client.Do(request)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("no permission to ask the edge at %s; run this as the edge's user or as root", endpoint)
	case err != nil && contextOf(cmd).Err() != nil:
		return nil, contextOf(cmd).Err()
	case err != nil:
		return nil, fmt.Errorf("no edge answers at %s; is it running, and is its admin API elsewhere (--address, --config)? (%w)",
			endpoint, errors.Unwrap(err))
	case response.StatusCode == http.StatusOK:
		return response, nil
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(response.Body, 64<<10)) // what there is of it
	var said api.Error
	if json.Unmarshal(text, &said) != nil || said.Text == "" {
		return nil, fmt.Errorf("%s answers with status %d; is there an edge of this version?", endpoint, response.StatusCode)
	}
	return nil, errors.New(said.Text)
}

// fetch reads an answer into what to points to, and returns its text.
func (c *caller) fetch(cmd *cobra.Command, path string, query url.Values, to any) ([]byte, error) {
	if c.snapshot != "" || c.live {
		return c.lookUp(cmd, path, query, to)
	}
	response, err := c.ask(cmd, http.MethodGet, path, query, nil)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("the edge's answer breaks off: %w", err)
	}
	if err := json.Unmarshal(text, to); err != nil {
		return nil, fmt.Errorf("the edge's answer is not one of this version: %w", err)
	}
	return text, nil
}

// lookUp is fetch without a running edge.
func (c *caller) lookUp(cmd *cobra.Command, path string, query url.Values, to any) ([]byte, error) {
	switch {
	case c.snapshot != "" && c.live:
		return nil, errors.New("options snapshot and live: give one of them")
	case c.live && c.config == "":
		return nil, errors.New("option live needs to know how to reach Ironic; give --config")
	}
	if query == nil {
		query = make(url.Values)
	}
	query.Set("edge", c.edge)
	answer, err := c.offline(contextOf(cmd), Offline{c.config, c.snapshot}, path, query)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	return text, json.Unmarshal(text, to)
}

// get is fetch, and prints the text with --json. Then nothing else is to be shown.
func (c *caller) get(cmd *cobra.Command, path string, query url.Values, to any) error {
	text, err := c.fetch(cmd, path, query, to)
	if err != nil || !c.json {
		return err
	}
	var out bytes.Buffer
	_ = json.Indent(&out, bytes.TrimSpace(text), "", "  ") // it was just parsed
	out.WriteByte('\n')
	_, err = out.WriteTo(cmd.OutOrStdout())
	return err
}

// act has something done, and prints the answer with --json.
func (c *caller) act(cmd *cobra.Command, path string, body any) error {
	response, err := c.ask(cmd, http.MethodPost, path, nil, body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if c.json {
		_, err = io.Copy(cmd.OutOrStdout(), response.Body)
	}
	return err
}

// follow shows how far a long work is, and returns its end.
func (c *caller) follow(cmd *cobra.Command, path string, body any) (api.Progress, error) {
	out := screenOf(cmd.OutOrStdout())
	response, err := c.ask(cmd, http.MethodPost, path, nil, body)
	if err != nil {
		return api.Progress{}, err
	}
	defer response.Body.Close()
	var last api.Progress
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if err := json.Unmarshal(lines.Bytes(), &last); err != nil {
			return last, fmt.Errorf("the edge's answer is not one of this version: %w", err)
		}
		if c.json {
			fmt.Fprintf(out, "%s\n", lines.Bytes())
		} else {
			out.bar(last.Done, last.Of, last.Unit)
		}
	}
	if !c.json {
		out.unbar()
	}
	switch {
	case contextOf(cmd).Err() != nil:
		return last, contextOf(cmd).Err()
	case last.Error != "":
		return last, errors.New(last.Error)
	case !last.End:
		return last, errors.New("the edge's answer breaks off; it may have been stopped")
	}
	return last, nil
}

// contextOf is a command's context.
func contextOf(cmd *cobra.Command) context.Context {
	if ctx := cmd.Context(); ctx != nil {
		return ctx
	}
	return context.Background()
}

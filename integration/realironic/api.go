// SPDX-License-Identifier: Apache-2.0

package realironic

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/ironic-edge/ironic-edge/integration/daemon"
)

// API speaks to Ironic's API in plain JSON, with the highest version that the server knows.
type API struct {
	url     string
	options Options
	http    *http.Client
}

func newAPI(url string, o Options) *API {
	return &API{url: url, options: o, http: &http.Client{Timeout: 60 * time.Second}}
}

// Authorize gives a request what the API wants of somebody who may do everything.
func (o Options) Authorize(r *http.Request) {
	switch {
	case o.HTTPBasic:
		r.SetBasicAuth(User, Password)
	case o.Keystone != nil:
		r.Header.Set("X-Auth-Token", o.Keystone.AdminToken)
	}
}

// statusError is an answer outside of 2xx.
type statusError struct {
	method, path string
	status       int
	body         string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s %s: status %d: %s", e.method, e.path, e.status, e.body)
}

func (a *API) get(ctx context.Context, path string, to any) error {
	return a.do(ctx, http.MethodGet, path, nil, to)
}

// do sends one request and decodes the answer into to, unless to is nil. A locked node (409) is tried again until ctx ends.
func (a *API) do(ctx context.Context, method, path string, body, to any) error {
	var sent []byte
	if body != nil {
		var err error
		if sent, err = json.Marshal(body); err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
	}
	var last error
	err := daemon.Poll(ctx, 300*time.Millisecond, func() (bool, error) {
		last = a.once(ctx, method, path, sent, to)
		var s *statusError
		if errors.As(last, &s) && (s.status == http.StatusConflict && strings.Contains(s.body, "is locked by host") ||
			s.status == http.StatusServiceUnavailable) {
			return false, nil
		}
		return true, last
	})
	if err != nil && last != nil {
		return last
	}
	return err
}

func (a *API) once(ctx context.Context, method, path string, body []byte, to any) error {
	req, err := http.NewRequestWithContext(ctx, method, a.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("X-OpenStack-Ironic-API-Version", "latest")
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	a.options.Authorize(req)
	resp, err := a.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if resp.StatusCode/100 != 2 {
		return &statusError{method, path, resp.StatusCode, string(b)}
	}
	if to == nil {
		return nil
	}
	if err := json.Unmarshal(b, to); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

// patch is a JSON patch (RFC 6902) that adds every path.
func patch(paths map[string]any) []map[string]any {
	var ops []map[string]any
	for path, value := range paths {
		ops = append(ops, map[string]any{"op": "add", "path": path, "value": value})
	}
	return ops
}

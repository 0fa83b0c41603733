// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
)

// profile takes a processor profile of ironic-edge for so many seconds while f runs, if there is a directory for it and a
// server with an admin endpoint.
func profile(ctx context.Context, dir, admin, name string, seconds int, f func() error) error {
	if dir == "" || admin == "" {
		return f()
	}
	done := make(chan error, 1)
	go func() {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", admin, seconds), nil)
		if err != nil {
			done <- err
			return
		}
		done <- save(r, filepath.Join(dir, name+".pprof"))
	}()
	err := f()
	return errors.Join(err, <-done)
}

func save(r *http.Request, name string) error {
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	return os.WriteFile(name, body, 0o644)
}

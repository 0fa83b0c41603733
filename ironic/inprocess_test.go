// SPDX-License-Identifier: Apache-2.0

package ironic_test

import (
	"net/http"
	"net/http/httptest"
)

// inProcess is a transport without a network, for tests in which time must not pass by itself.
type inProcess http.HandlerFunc

func (f inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	done := make(chan *http.Response)
	go func() {
		w := httptest.NewRecorder()
		f(w, r)
		select {
		case done <- w.Result():
		case <-r.Context().Done():
		}
	}()
	select {
	case resp := <-done:
		return resp, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// SPDX-License-Identifier: Apache-2.0

package ironic_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// keystone is as much of the Identity API v3 as a login needs: a password or an application credential for a token and a
// catalog.
type keystone struct {
	server   *httptest.Server
	endpoint string // of Ironic, in the catalog; set before the first login
	glance   string // of Glance, in the catalog, as that of the region "here"

	mu     sync.Mutex
	asked  int // how often for a token
	issued int
	token  string        // the one that is valid
	status int           // of every answer, if not 0
	held   chan struct{} // if not nil, answers wait until it is closed
}

func startKeystone(t *testing.T, ironicURL string) *keystone {
	t.Helper()
	k := &keystone{endpoint: ironicURL}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v3/auth/tokens", k.login)
	k.server = httptest.NewServer(mux)
	t.Cleanup(k.server.Close)
	return k
}

func (k *keystone) login(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Auth struct {
			Identity struct {
				Password struct {
					User struct{ Name, Password string }
				}
				Credential struct{ ID, Secret string } `json:"application_credential"`
			}
		}
	}
	k.mu.Lock()
	k.asked++
	held := k.held
	k.mu.Unlock()
	if held != nil {
		<-held
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.status != 0 {
		w.WriteHeader(k.status)
		_, _ = w.Write([]byte("<html>"))
		return
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	user, credential := asked.Auth.Identity.Password.User, asked.Auth.Identity.Credential
	if credential.ID != "" && credential.ID != "credential" {
		// What Keystone 22 says of a credential that was removed, with or without the right secret.
		w.WriteHeader(http.StatusNotFound)
		_, _ = fmt.Fprintf(w, `{"error": {"code": 404, "title": "Not Found", "message": "Could not find Application Credential: %s."}}`, credential.ID)
		return
	}
	if (user.Name != "edge" || user.Password != password) && (credential.ID != "credential" || credential.Secret != password) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"error": {"code": 401, "title": "Unauthorized", "message": "not with ` + user.Password + `"}}`))
		return
	}
	k.issued++
	k.token = fmt.Sprintf("token-%d", k.issued)
	w.Header().Set("X-Subject-Token", k.token)
	w.WriteHeader(http.StatusCreated)
	_, _ = fmt.Fprintf(w, `{"token": {"expires_at": "2099-01-01T00:00:00.000000Z", "catalog": [{"type": "baremetal", "name": "ironic",
		"endpoints": [{"interface": "public", "region": "here", "region_id": "here", "url": %q}]},
		{"type": "image", "name": "glance", "endpoints": [{"interface": "internal", "region": "here", "region_id": "here", "url": "http://127.0.0.1:1"},
		{"interface": "public", "region": "here", "region_id": "here", "url": %q}]}]}}`, k.endpoint, k.glance)
}

func (k *keystone) valid(token string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return token == k.token
}

// expire ends the life of the token.
func (k *keystone) expire() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.token = ""
}

// hold makes answers wait until release is called.
func (k *keystone) hold() (release func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	held := make(chan struct{})
	k.held = held
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.held = nil
		close(held)
	}
}

// move puts another URL of Ironic into the catalog.
func (k *keystone) move(ironicURL string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.endpoint = ironicURL
}

func (k *keystone) requests() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.asked
}

func (k *keystone) fail(status int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.status = status
}

func (k *keystone) logins() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.issued
}

// SPDX-License-Identifier: Apache-2.0

package realkeystone

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// The accounts that Start makes. Both have the role service in the project service; the edge's is reader there and on the
// system, too.
const (
	User     = "edge"
	Password = "edge-password"

	IronicUser     = "ironic"
	IronicPassword = "ironic-password"

	// Project is that of both accounts, in the domain Domain.
	Project = "service"
	Domain  = "Default"
)

const adminPassword = "admin-password"

type object = map[string]any

// populate makes what the package comment promises.
func (k *Keystone) populate(ctx context.Context) error {
	var err error
	if k.admin, err = k.token(ctx, byPassword("admin", adminPassword), object{"system": object{"all": true}}); err != nil {
		return err
	}
	project, err := k.create(ctx, "project", object{"name": Project, "domain_id": "default"})
	if err != nil {
		return err
	}
	// Keystone 22's bootstrap makes the role reader, but not yet service.
	service, err := k.create(ctx, "role", object{"name": "service"})
	if err != nil {
		return err
	}
	reader, err := k.find(ctx, "roles", "reader")
	if err != nil {
		return err
	}
	for _, account := range [][2]string{{User, Password}, {IronicUser, IronicPassword}} {
		user, err := k.create(ctx, "user", object{"name": account[0], "password": account[1], "domain_id": "default"})
		if err != nil {
			return err
		}
		if err := k.do(ctx, http.MethodPut, "/v3/projects/"+project+"/users/"+user+"/roles/"+service, nil, nil); err != nil {
			return err
		}
		if account[0] != User {
			continue
		}
		for _, path := range []string{"/v3/system/users/" + user, "/v3/projects/" + project + "/users/" + user} {
			if err := k.do(ctx, http.MethodPut, path+"/roles/"+reader, nil, nil); err != nil {
				return err
			}
		}
	}
	k.service, err = k.create(ctx, "service", object{"name": "ironic", "type": "baremetal"})
	return err
}

// AddEndpoint puts a URL of Ironic's into the catalogue. The interface is public, internal or admin.
func (k *Keystone) AddEndpoint(ctx context.Context, region, kind, url string) error {
	// A region that is named so, and not by region_id, is made with its first endpoint (keystone/api/endpoints.py).
	_, err := k.create(ctx, "endpoint", object{"service_id": k.service, "region": region, "interface": kind, "url": url})
	return err
}

// AddService puts another service into the catalogue, with a public URL.
func (k *Keystone) AddService(ctx context.Context, name, kind, region, url string) error {
	service, err := k.create(ctx, "service", object{"name": name, "type": kind})
	if err != nil {
		return err
	}
	_, err = k.create(ctx, "endpoint", object{"service_id": service, "region": region, "interface": "public", "url": url})
	return err
}

// AddCredential makes an application credential of the edge's account, for one of its roles in its project.
func (k *Keystone) AddCredential(ctx context.Context, name, role string) (id, secret string, err error) {
	user, err := k.find(ctx, "users", User)
	if err != nil {
		return "", "", err
	}
	own, err := k.token(ctx, byPassword(User, Password), object{"project": object{"name": Project, "domain": object{"name": Domain}}})
	if err != nil {
		return "", "", err
	}
	var made struct {
		Credential struct{ ID, Secret string } `json:"application_credential"`
	}
	body := object{"application_credential": object{"name": name, "roles": []object{{"name": role}}}}
	_, err = k.send(ctx, own, nil, http.MethodPost, "/v3/users/"+user+"/application_credentials", body, &made)
	return made.Credential.ID, made.Credential.Secret, err
}

// RemoveCredential deletes an application credential of the edge's.
func (k *Keystone) RemoveCredential(ctx context.Context, id string) error {
	user, err := k.find(ctx, "users", User)
	if err != nil {
		return err
	}
	return k.do(ctx, http.MethodDelete, "/v3/users/"+user+"/application_credentials/"+id, nil, nil)
}

// SetPassword changes that of the edge's account, which ends all its tokens.
func (k *Keystone) SetPassword(ctx context.Context, password string) error {
	user, err := k.find(ctx, "users", User)
	if err != nil {
		return err
	}
	return k.do(ctx, http.MethodPatch, "/v3/users/"+user, object{"user": object{"password": password}}, nil)
}

// AdminToken is a token with every right on the system.
func (k *Keystone) AdminToken() string { return k.admin }

// AdminProjectToken is a token with every right in a project, for services that know nothing of the system.
func (k *Keystone) AdminProjectToken(ctx context.Context) (string, error) {
	return k.token(ctx, byPassword("admin", adminPassword), object{"project": object{"name": "admin", "domain": object{"name": Domain}}})
}

// SystemToken logs in as the edge, for the system.
func (k *Keystone) SystemToken(ctx context.Context) (string, error) {
	return k.token(ctx, byPassword(User, Password), object{"system": object{"all": true}})
}

// CredentialToken logs in with an application credential.
func (k *Keystone) CredentialToken(ctx context.Context, id, secret string) (string, error) {
	return k.token(ctx, object{"methods": []string{"application_credential"},
		"application_credential": object{"id": id, "secret": secret}}, nil)
}

// Revoke ends the life of a token.
func (k *Keystone) Revoke(ctx context.Context, token string) error {
	_, err := k.send(ctx, k.admin, http.Header{"X-Subject-Token": {token}}, http.MethodDelete, "/v3/auth/tokens", nil, nil)
	return err
}

func byPassword(user, password string) object {
	return object{"methods": []string{"password"},
		"password": object{"user": object{"name": user, "password": password, "domain": object{"name": Domain}}}}
}

func (k *Keystone) token(ctx context.Context, identity, scope object) (string, error) {
	auth := object{"identity": identity}
	if scope != nil {
		auth["scope"] = scope
	}
	h, err := k.send(ctx, "", nil, http.MethodPost, "/v3/auth/tokens", object{"auth": auth}, nil)
	return h.Get("X-Subject-Token"), err
}

// create makes a thing of a kind and returns its id.
func (k *Keystone) create(ctx context.Context, kind string, thing object) (string, error) {
	made := map[string]struct{ ID string }{}
	err := k.do(ctx, http.MethodPost, "/v3/"+kind+"s", object{kind: thing}, &made)
	return made[kind].ID, err
}

// find returns the id of the thing with a name.
func (k *Keystone) find(ctx context.Context, kinds, name string) (string, error) {
	var list map[string]json.RawMessage
	if err := k.do(ctx, http.MethodGet, "/v3/"+kinds+"?name="+name, nil, &list); err != nil {
		return "", err
	}
	var things []struct{ ID, Name string }
	if err := json.Unmarshal(list[kinds], &things); err != nil {
		return "", err
	}
	if len(things) != 1 {
		return "", fmt.Errorf("%d %s with the name %s", len(things), kinds, name)
	}
	return things[0].ID, nil
}

func (k *Keystone) do(ctx context.Context, method, path string, body, to any) error {
	_, err := k.send(ctx, k.admin, nil, method, path, body, to)
	return err
}

var client = &http.Client{Timeout: 60 * time.Second}

// send makes one request with a token, unless it is empty, and decodes the answer into to, unless that is nil.
func (k *Keystone) send(ctx context.Context, token string, header http.Header, method, path string, body, to any) (http.Header, error) {
	var sent []byte
	if body != nil {
		var err error
		if sent, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, k.URL+path, bytes.NewReader(sent))
	if err != nil {
		return nil, err
	}
	if header != nil {
		r.Header = header
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("X-Auth-Token", token)
	}
	resp, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if resp.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s %s: status %d: %s", method, path, resp.StatusCode, got)
	}
	if to == nil {
		return resp.Header, nil
	}
	return resp.Header, json.Unmarshal(got, to)
}

// SPDX-License-Identifier: Apache-2.0

package ironiccontract

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	headerVersion    = "X-OpenStack-Ironic-API-Version"
	headerMinVersion = "X-OpenStack-Ironic-API-Minimum-Version"
	headerMaxVersion = "X-OpenStack-Ironic-API-Maximum-Version"
	headerToken      = "X-Auth-Token"

	noVersion = "" // no header
	latest    = "latest"
)

type object = map[string]any

// answer is a response, read.
type answer struct {
	asked  string // for messages
	status int
	header http.Header
	body   string
}

// get asks with credentials, in an API version.
func (c *contract) get(t *testing.T, path, version string) answer {
	t.Helper()
	return c.do(t, http.MethodGet, path, version, nil)
}

// do asks with credentials and a body of JSON, unless it is nil.
func (c *contract) do(t *testing.T, method, path, version string, body any) answer {
	t.Helper()
	r := c.request(t, method, path, body)
	if version != noVersion {
		r.Header.Set(headerVersion, version)
	}
	switch c.Auth.Kind {
	case basic:
		r.SetBasicAuth(c.Auth.Username, c.Auth.Password)
	case cloud:
		r.Header.Set(headerToken, c.Token)
	}
	return send(t, r)
}

// request makes a request without credentials or version.
func (c *contract) request(t *testing.T, method, path string, body any) *http.Request {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	if body == nil {
		text = nil
	}
	r, err := http.NewRequestWithContext(t.Context(), method, c.URL+path, strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

func send(t *testing.T, r *http.Request) answer {
	t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{r.Method + " " + r.URL.RequestURI(), resp.StatusCode, resp.Header, string(body)}
}

// object is the document of an answer with the status.
func (a answer) object(t *testing.T, status int) object {
	t.Helper()
	var o object
	if a.status != status {
		t.Fatalf("%s: status %d, want %d: %.500s", a.asked, a.status, status, a.body)
	}
	if got := a.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("%s: content type %q", a.asked, got)
	}
	if err := json.Unmarshal([]byte(a.body), &o); err != nil {
		t.Fatalf("%s: %v: %s", a.asked, err, a.body)
	}
	return o
}

// list returns the elements of a collection.
func (a answer) list(t *testing.T, name string) []object {
	t.Helper()
	raw, ok := a.object(t, http.StatusOK)[name].([]any)
	if !ok {
		t.Fatalf("%s: no list %s: %s", a.asked, name, a.body)
	}
	list := make([]object, len(raw))
	for i, element := range raw {
		if list[i], ok = element.(object); !ok {
			t.Fatalf("%s: %s[%d] is no object: %s", a.asked, name, i, a.body)
		}
	}
	return list
}

// one returns the only element of a collection.
func (a answer) one(t *testing.T, name string) object {
	t.Helper()
	list := a.list(t, name)
	if len(list) != 1 {
		t.Fatalf("%s: %d elements, want one: %s", a.asked, len(list), a.body)
	}
	return list[0]
}

// refused wants Ironic's error document, which is JSON in a string of JSON, with a text that holds about.
func (a answer) refused(t *testing.T, status int, about string) {
	t.Helper()
	inner := a.fault(t, status)
	text, _ := inner["faultstring"].(string)
	if inner["faultcode"] != "Client" || !strings.Contains(text, about) {
		t.Errorf("%s: fault %v, want one of the client about %q", a.asked, inner, about)
	}
}

// aborted wants the error document of the framework beneath Ironic.
func (a answer) aborted(t *testing.T, status int) {
	t.Helper()
	inner := a.fault(t, status)
	if inner["code"] != float64(status) || inner["title"] != http.StatusText(status) {
		t.Errorf("%s: fault %v, want code %d", a.asked, inner, status)
	}
}

func (a answer) fault(t *testing.T, status int) object {
	t.Helper()
	text, ok := a.object(t, status)["error_message"].(string)
	var inner object
	if err := json.Unmarshal([]byte(text), &inner); !ok || err != nil {
		t.Fatalf("%s: not Ironic's error document: %s", a.asked, a.body)
	}
	return inner
}

// wantFields wants an object to have these names, besides its links.
func wantFields(t *testing.T, o object, fields string) {
	t.Helper()
	want := append(strings.Split(fields, ","), "links")
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(o)); !slices.Equal(got, want) {
		t.Errorf("fields %v, want %v", got, want)
	}
}

// wantValue compares by JSON, in which a number is one whatever its Go type.
func wantValue(t *testing.T, o object, field string, want any) {
	t.Helper()
	got, _ := json.Marshal(o[field])
	wanted, _ := json.Marshal(want)
	if string(got) != string(wanted) {
		t.Errorf("%s is %s, want %s", field, got, wanted)
	}
}

// child returns the object under a name.
func child(t *testing.T, o object, name string) object {
	t.Helper()
	inner, ok := o[name].(object)
	if !ok {
		t.Fatalf("%s is no object: %v", name, o[name])
	}
	return inner
}

func version(minor int) string { return "1." + strconv.Itoa(minor) }

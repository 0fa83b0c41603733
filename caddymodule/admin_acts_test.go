// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ironic-edge/ironic-edge/caddymodule/api"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// lastLine is the end of a long work's answer.
func lastLine(t *testing.T, a *administered, question string) (last api.Progress) {
	t.Helper()
	status, text := a.say(t, question)
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || status != http.StatusOK {
		t.Errorf("%s: %d, %v: %s", question, status, err, text)
	}
	return last
}

// TestAdminPrefetch has an image fetched from an origin that stops in the middle until the progress was told.
func TestAdminPrefetch(t *testing.T) {
	content, told := image(3<<20), make(chan struct{})
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/ipa.initramfs") {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Etag", `"1"`)
		w.Header().Set("Content-Length", strconv.Itoa(len(content))) // without ranges: it comes from front to back
		_, _ = w.Write(content[:5<<18])
		_ = http.NewResponseController(w).Flush()
		select {
		case <-told:
			_, _ = w.Write(content[5<<18:])
		case <-r.Context().Done():
		}
	}))
	defer origin.Close()
	ironicAPI := ironictest.Start()
	defer ironicAPI.Close()
	config, _, _ := twoEdges(t, ironicAPI, ironicAPI, "allow_origins "+origin.URL)
	a := administer(t, config)
	ref := origin.URL + "/ipa.initramfs"

	response, err := a.ask(t.Context(), `POST prefetch {"image":"`+ref+`"}`)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var last api.Progress
	open := true
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if err := json.Unmarshal(lines.Bytes(), &last); err != nil {
			t.Fatal(err)
		}
		if open && last.Done >= 1<<20 && last.Of == int64(len(content)) {
			open = false
			close(told)
		}
	}
	if open {
		close(told)
		t.Error("no progress was told while the image was on its way")
	}
	if !last.End || last.Error != "" || last.Done != int64(len(content)) || last.Unit != "bytes" {
		t.Errorf("the end is %+v", last)
	}
	images := tell[[]api.Image](t, a, "GET images")
	if len(images) != 1 || images[0].State != "whole" || images[0].Size != int64(len(content)) || !strings.Contains(images[0].Keys[0], ref) {
		t.Fatalf("in the store: %+v", images)
	}

	if last := lastLine(t, a, `POST prefetch {"image":"`+origin.URL+`/nothing?sig=s3cret"}`); last.End || last.Error == "" || strings.Contains(last.Error, "s3cret") {
		t.Errorf("of an image that is not there: %+v", last)
	}
	if status, text := a.say(t, `POST purge {"image":"`+images[0].ID+`"}`); status != http.StatusOK {
		t.Error(text)
	}
	if images := tell[[]api.Image](t, a, "GET images"); len(images) != 0 {
		t.Errorf("after a purge: %+v", images)
	}
	if last := lastLine(t, a, `POST prefetch {"image":"`+ref+`"}`); !last.End {
		t.Errorf("again: %+v", last)
	}
	if status, text := a.say(t, `POST purge {"image":"`+ref+`"}`); status != http.StatusOK {
		t.Error(text)
	}
	if images := tell[[]api.Image](t, a, "GET images"); len(images) != 0 {
		t.Errorf("after a purge by its reference: %+v", images)
	}
}

// TestAdminScrub changes a byte on the disk.
func TestAdminScrub(t *testing.T) {
	origin := newImageServer(t, image(200_000))
	ironicAPI := ironictest.Start()
	defer ironicAPI.Close()
	dir := filepath.Join(t.TempDir(), "store")
	a := administer(t, siteConfig(freeAddress(t), ironicAPI.URL, "store "+dir+" {\n\t\t\tmin_free 0\n\t\t}", "allow_origins "+origin.URL))
	for _, name := range []string{"a", "b"} {
		lastLine(t, a, `POST prefetch {"image":"`+origin.URL+`/`+name+`"}`)
	}
	if last := lastLine(t, a, "POST scrub"); !last.End || last.Bad != 0 || last.Done != 2 || last.Of != 2 || last.Unit != "objects" {
		t.Errorf("all is well: %+v", last)
	}
	id := tell[[]api.Image](t, a, "GET images")[0].ID
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(path, id) {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(text, image(200_000)) {
			return err
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteAt([]byte{^text[100_000]}, 100_000)
		return errors.Join(err, f.Close(), fs.SkipAll)
	})
	if err != nil && !errors.Is(err, fs.SkipAll) {
		t.Fatal(err)
	}
	if last := lastLine(t, a, "POST scrub"); !last.End || last.Bad != 1 || last.Done != 2 {
		t.Errorf("with a bad byte: %+v", last)
	}
	if images := tell[[]api.Image](t, a, "GET images"); len(images) != 1 || images[0].ID == id {
		t.Errorf("what is left: %+v", images)
	}
	if status := tell[api.Status](t, a, "GET status"); status.Edges[0].Store.Bad != 1 {
		t.Errorf("the status knows of %d bad objects", status.Edges[0].Store.Bad)
	}
}

// TestAdminHasNoSecrets plants all secrets that an edge comes to know, and looks for them in every answer.
func TestAdminHasNoSecrets(t *testing.T) {
	origin := newImageServer(t, image(200_000))
	ironicAPI := ironictest.Start(ironictest.DemoFleet(origin.URL)...)
	defer ironicAPI.Close()
	ironicAPI.RequireBasic("edge", "s3cret-basic")
	ironicAPI.Update(nodeUUID(7), func(n *ironictest.Node) { // boots a ramdisk of its own
		n.InstanceInfo["kernel"] = origin.URL + "/own.kernel?sig=s3cret-instance"
	})
	ironicAPI.Update(nodeUUID(9), func(n *ironictest.Node) {
		n.Volumes[0].Properties["auth_method"], n.Volumes[0].Properties["auth_username"] = "CHAP", "chap"
		n.Volumes[0].Properties["auth_password"] = "s3cret-chap"
	})
	theirs := newConductor(t)
	theirs.script.Store(new("#!ipxe\nset username chap\nset password s3cret-conductor\nsanboot iscsi:192.0.2.17::3260:1:iqn\n"))
	address := freeAddress(t)
	t.Setenv("TEST_PASSWORD", "s3cret-basic")
	const auth = " {\n\t\t\tauth http_basic edge {env.TEST_PASSWORD}\n\t\t}"
	config := strings.Replace(siteConfig(address, ironicAPI.URL+auth,
		"public_url http://"+address, "store "+filepath.Join(t.TempDir(), "store")+" {\n\t\t\tmin_free 0\n\t\t}", "allow_origins "+origin.URL,
		"deploy_kernel "+origin.URL+"/default.kernel?sig=s3cret-option", "deploy_ramdisk "+origin.URL+"/default.initramfs", "conductor_http "+theirs.URL,
		"site {\n\t\t\tall\n\t\t\tsnapshot off\n\t\t}"), "\treverse_proxy "+ironicAPI.URL+auth, "\tironic_edge_status\n\treverse_proxy "+ironicAPI.URL, 1)
	a := administer(t, config)
	<-runningSite(t).Told()

	for _, n := range []int{1, 3, 7, 9} {
		askScript(t, address, nodeMAC(n))
	}
	if response, _ := download(t, "http://"+address+"/"+nodeUUID(7)+"/kernel"); response.StatusCode != http.StatusOK {
		t.Fatalf("the signed kernel: %s", response.Status)
	}
	var found struct {
		Config struct {
			Token string `json:"agent_token"`
		}
	}
	_, text := download(t, "http://"+address+"/v1/lookup?addresses=52:54:00:17:00:03", "X-OpenStack-Ironic-API-Version: 1.68")
	if err := json.Unmarshal(text, &found); err != nil || len(found.Config.Token) < 8 {
		t.Fatalf("%v: no token in %s", err, text)
	}
	download(t, "http://"+address+"/"+nodeUUID(7)+"/kernel?sig=s3cret-asked")
	download(t, "http://"+address+"/pxelinux.cfg/52-54-00-00-00-99?token=s3cret-asked", "User-Agent: iPXE/1.21.1+")

	questions := []string{"GET status", "GET nodes", "GET unknown", "GET silent", "GET images", "GET boots", "GET doctor", "GET diff?node=" + nodeUUID(3), "GET diff?node=" + nodeUUID(9),
		"POST scrub", `POST prefetch {"image":"` + origin.URL + `/x?sig=s3cret-prefetch"}`, `POST prefetch {"image":"http://127.0.0.1:1/x?sig=s3cret-prefetch"}`,
		`POST purge {"image":"s3cret"}`, `POST refresh {"node":"` + nodeUUID(3) + `"}`}
	for n := range 13 {
		questions = append(questions, "GET explain?node="+nodeUUID(n+1), "GET explain?state=active&node="+nodeUUID(n+1), "GET boots?node="+nodeUUID(n+1))
	}
	var said strings.Builder
	for _, question := range questions {
		_, text := a.say(t, question)
		said.WriteString(question[:strings.IndexByte(question+" ", ' ')+1] + text)
	}
	for _, page := range []string{"", "images", "unknown"} {
		said.WriteString(ask(t, http.DefaultClient, "http://"+address+"/edge/"+page))
	}
	for _, b := range tell[[]struct{ ID string }](t, a, "GET boots") {
		said.WriteString(ask(t, http.DefaultClient, "http://"+address+"/edge/boot/"+b.ID))
	}
	ironicAPI.Stop()
	for _, question := range []string{"GET status", "GET doctor", "GET explain?node=52:54:00:00:00:77"} {
		_, text := a.say(t, question)
		said.WriteString(text)
	}
	for _, secret := range []string{"s3cret", found.Config.Token} {
		for line := range strings.SplitSeq(said.String(), "\n") {
			if i := strings.Index(line, secret); i >= 0 {
				t.Errorf("%q is told: …%s", secret, line[max(0, i-200):min(len(line), i+100)])
			}
		}
	}
	for _, want := range []string{"own.kernel", "default.kernel", `"withheld":true`, "rack17-n09", "edge/boot/"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("nothing was said of %s, near which secrets are", want)
		}
	}
}

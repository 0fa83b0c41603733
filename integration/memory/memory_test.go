// SPDX-License-Identifier: Apache-2.0

//go:build integration

package memory

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/integration/edge"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

const (
	imageSize = 4 << 30
	clients   = 200
	wanted    = 2 << 20
	maxMemory = 150 << 20
)

// pattern is an image that takes no room: each eight bytes are made of where they are.
type pattern struct{ pos int64 }

func (p *pattern) Read(b []byte) (int, error) {
	if p.pos >= imageSize {
		return 0, io.EOF
	}
	b = b[:min(int64(len(b)), imageSize-p.pos)]
	fillPattern(b, p.pos)
	p.pos += int64(len(b))
	return len(b), nil
}

func (p *pattern) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += p.pos
	case io.SeekEnd:
		offset += imageSize
	}
	if offset < 0 {
		return p.pos, errors.New("before the beginning")
	}
	p.pos = offset
	return offset, nil
}

func fillPattern(b []byte, pos int64) {
	var word [8]byte
	for n := 0; n < len(b); {
		at := pos + int64(n)
		binary.LittleEndian.PutUint64(word[:], uint64(at/8+1)*0x9e3779b97f4a7c15)
		n += copy(b[n:], word[at%8:])
	}
}

// TestMemory has many clients in the middle of a large image at the same time, each somewhere else, while it comes.
func TestMemory(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"pattern"`)
		w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(w, r, "", time.Unix(1_700_000_000, 0), new(pattern))
	}))
	t.Cleanup(func() {
		origin.CloseClientConnections()
		origin.Close()
	})
	ironic := ironictest.Start()
	t.Cleanup(ironic.Close)
	dir := t.TempDir()
	binary, err := edge.Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	// The rate keeps the fill, which goes on behind the clients, from writing all of it.
	e, err := edge.Start(t.Context(), binary, dir, ironic.URL, "store "+dir+"/store {\n\t\t\tmin_free 0\n\t\t\tline_rate 100MiB\n\t\t}",
		"mirror /files/ "+origin.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	before := peakMemory(t, e.Pid())
	var begun, done sync.WaitGroup
	begun.Add(clients)
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	for i := range clients {
		done.Go(func() {
			if err := readSlowly(t, transport, "http://"+e.Address+"/files/image", int64(i)*(imageSize/clients), &begun); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		})
	}
	done.Wait()
	after := peakMemory(t, e.Pid())
	t.Logf("peak of resident memory: %d MiB before, %d MiB with %d clients", before>>20, after>>20, clients)
	if after > maxMemory {
		t.Errorf("the process had %d MiB resident, more than %d", after>>20, maxMemory>>20)
	}
}

// readSlowly reads a piece of the image: its beginning, and the rest only when all the others have begun.
func readSlowly(t *testing.T, transport http.RoundTripper, url string, from int64, begun *sync.WaitGroup) error {
	arrive := sync.OnceFunc(begun.Done)
	defer arrive()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", from, from+wanted-1))
	response, err := transport.RoundTrip(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusPartialContent {
		return errors.New(response.Status)
	}
	got, want := make([]byte, 4<<10), make([]byte, 4<<10)
	for pos := from; pos < from+wanted; pos += int64(len(got)) {
		if _, err := io.ReadFull(response.Body, got); err != nil {
			return fmt.Errorf("at byte %d: %w", pos, err)
		}
		if fillPattern(want, pos); string(got) != string(want) {
			return fmt.Errorf("other bytes at %d", pos)
		}
		if pos == from {
			arrive()
			begun.Wait()
		}
	}
	return nil
}

var peak = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

func peakMemory(t *testing.T, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	m := peak.FindSubmatch(status)
	if m == nil {
		t.Fatalf("no peak in %s", status)
	}
	n, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n << 10
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

const (
	lineRate  = 50e6
	roundTrip = 40 * time.Millisecond
)

// file is an image and the truth about it.
type file struct {
	name  string
	bytes []byte
	sum   uint32
	// digest is a Repr-Digest (RFC 9530), by which a cache may know that two URLs have one content. An equal entity tag
	// does not say so: it is of one resource.
	digest string
	// cutAt is an offset at which the connection that carries it breaks, once. 0: none.
	cutAt int64
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func newFile(seed byte, name string, size int) *file {
	f := &file{name: name, bytes: make([]byte, size)}
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(f.bytes) // never fails
	f.sum = crc32.Checksum(f.bytes, castagnoli)
	digest := sha256.Sum256(f.bytes)
	f.digest = "sha-256=:" + base64.StdEncoding.EncodeToString(digest[:]) + ":"
	return f
}

// ideal is how long the line needs for the file, and nothing else.
func (f *file) ideal() time.Duration {
	return time.Duration(float64(len(f.bytes)) / lineRate * float64(time.Second))
}

// origin is a web server at the far end of a line. A file is at /<name>, and at /<name>/<anything>.
type origin struct {
	line
	url    string
	server *http.Server
	files  map[string]*file
	cut    map[string]*atomic.Bool
	asked  atomic.Int64 // requests under way
	ended  chan struct{}
}

func startOrigin(files []*file) (*origin, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	o := &origin{url: "http://" + l.Addr().String(), files: make(map[string]*file), cut: make(map[string]*atomic.Bool)}
	o.rate, o.delay, o.wake, o.ended = lineRate, roundTrip/2, make(chan struct{}, 1), make(chan struct{})
	for _, f := range files {
		o.files[f.name], o.cut[f.name] = f, new(atomic.Bool)
	}
	o.server = &http.Server{Handler: o}
	go o.server.Serve(farListener{l, &o.line}) // both end with stop
	go o.run(o.ended)
	return o, nil
}

func (o *origin) stop() {
	_ = o.server.Close()
	close(o.ended)
}

func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.asked.Add(1)
	defer o.asked.Add(-1)
	name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	f := o.files[name]
	if f == nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Etag", `"`+f.name+`"`)
	w.Header().Set("Repr-Digest", f.digest)
	w.Header().Set("Cache-Control", "max-age=86400")
	w.Header().Set("Content-Type", "application/octet-stream")
	content := io.ReadSeeker(bytes.NewReader(f.bytes))
	if f.cutAt > 0 {
		content = &cutReader{content, f.cutAt, o.cut[name]}
	}
	http.ServeContent(w, r, "", time.Unix(1_700_000_000, 0), content)
}

// cutReader fails at an offset, once. net/http then closes the connection.
type cutReader struct {
	io.ReadSeeker
	at  int64
	cut *atomic.Bool
}

func (c *cutReader) Read(p []byte) (int, error) {
	pos, err := c.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, err
	}
	if pos < c.at && pos+int64(len(p)) > c.at {
		p = p[:c.at-pos]
	}
	if pos == c.at && !c.cut.Swap(true) {
		return 0, errors.New("the line is cut")
	}
	return c.ReadSeeker.Read(p)
}

// count returns how many bytes cross the line while f runs, and until it is quiet again.
func (o *origin) count(ctx context.Context, f func() error) (int64, error) {
	before := o.crossed.Load()
	if err := f(); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(4 * roundTrip)
	defer tick.Stop()
	for quiet, last := 0, int64(-1); quiet < 3; {
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("the origin does not fall silent: %w", ctx.Err())
		case <-tick.C:
		}
		now := o.crossed.Load()
		if quiet++; now != last || o.asked.Load() > 0 {
			quiet = 0
		}
		last = now
	}
	return o.crossed.Load() - before, nil
}

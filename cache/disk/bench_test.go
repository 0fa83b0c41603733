// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/ironic-edge/ironic-edge/cache"
)

// BenchmarkOpen is how long a process with 10,000 images does not serve after its start.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	const objects = 10_000
	for i := range objects {
		id := newID()
		side := &sidecar{Format: format, Size: testBlock, Block: testBlock, Whole: true, Validator: cache.Validator{ETag: fmt.Sprintf(`"%d"`, i)},
			Identity: fmt.Sprint(i), Digest: sha(nil).String(), Keys: map[string]json.RawMessage{fmt.Sprint("https://origin/images/", i): []byte(`{"a":1}`)}}
		name := filepath.Join(dir, dataPath(id))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			b.Fatal(err)
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			b.Fatal(err)
		}
		err = errors.Join(os.WriteFile(name, nil, 0o600), os.Truncate(name, testBlock), os.WriteFile(name+".sums", make([]byte, sumSize), 0o600),
			writeSidecar(root, id, side, false), root.Close())
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		s, err := Open(dir, Options{MaxSize: 1 << 40, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		s.stop() // nothing is to be looked at
		if n := s.Stats().Objects; n != objects {
			b.Fatalf("%d objects", n)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// image makes a whole object, in blocks of the usual size.
func image(b *testing.B, size int) (*Store, *Reader) {
	b.Helper()
	s := open(b, b.TempDir(), func(o *Options) { o.Block = 0 })
	keep(b, s, "key", pattern(size, 1))
	o, _ := s.Get("key")
	r := NewReader(b.Context(), o)
	b.Cleanup(func() { _ = r.Close() }) // it never fails
	return s, r
}

const imageSize = 64 << 20

// BenchmarkRead is a warm image, from its beginning to its end.
func BenchmarkRead(b *testing.B) {
	_, r := image(b, imageSize)
	p := make([]byte, 64<<10)
	b.SetBytes(imageSize)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Seek(0, io.SeekStart); err != nil {
			b.Fatal(err)
		}
		for {
			if _, err := r.Read(p); err == io.EOF {
				break
			} else if err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkReadRandom is what a disk image that is booted over the network is asked for.
func BenchmarkReadRandom(b *testing.B) {
	_, r := image(b, imageSize)
	p := make([]byte, 16<<10)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Seek(rand.Int64N(imageSize-int64(len(p))), io.SeekStart); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(r, p); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSendFile is a warm image to a TCP connection, by sendfile.
func BenchmarkSendFile(b *testing.B) {
	_, r := image(b, imageSize)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer listener.Close()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	server, err := listener.Accept()
	if err != nil {
		b.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() { _, _ = io.Copy(io.Discard, client) }) // ends when the server closes
	b.SetBytes(imageSize)
	b.ReportAllocs()
	for b.Loop() {
		for at := int64(0); at < imageSize; {
			if _, err := r.Seek(at, io.SeekStart); err != nil {
				b.Fatal(err)
			}
			n, err := r.SendFile(server.(*net.TCPConn), 4<<20)
			if err != nil {
				b.Fatal(err)
			}
			at += n
		}
	}
	server.Close()
	reading.Wait()
}

// BenchmarkGrowing is an image that comes while 40 nodes read it from its beginning. The bytes are theirs.
func BenchmarkGrowing(b *testing.B) {
	const readers = 40
	content := pattern(imageSize, 1)
	s := open(b, b.TempDir(), func(o *Options) { o.Block = 0 })
	b.SetBytes(readers * imageSize)
	b.ReportAllocs()
	for b.Loop() {
		h := strongOrigin(content)
		o := createFrom(b, s, "key", h, cache.Ask{Length: 8 << 20}, nil)
		var reading sync.WaitGroup
		for range readers {
			o, _ := s.Get("key")
			reading.Go(func() {
				r := NewReader(b.Context(), o)
				defer r.Close()
				if n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, make([]byte, 64<<10)); n != imageSize || err != nil {
					b.Errorf("%d bytes, %v", n, err)
				}
			})
		}
		reading.Wait()
		o.Release()
	}
}

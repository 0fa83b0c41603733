// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
)

func splitURL(s string) (host, port string, err error) {
	u, err := url.Parse(s)
	if err != nil {
		return "", "", err
	}
	return u.Hostname(), u.Port(), nil
}

// newClient returns a client whose connections are new.
func newClient() (*http.Client, func()) {
	transport := &http.Transport{DisableCompression: true, ReadBufferSize: 64 << 10, MaxIdleConnsPerHost: nodeCount}
	return &http.Client{Transport: transport}, transport.CloseIdleConnections
}

// errShort is a body that ended before its end.
var errShort = errors.New("the transfer ended short")

// fetch reads a body and compares its sum with the file's. The sum is a CRC-32C, which the processor computes faster than
// the bytes come: a stronger one would measure itself.
func fetch(ctx context.Context, client *http.Client, url string, f *file, buffer []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	sum, size := uint32(0), 0
	for {
		n, err := response.Body.Read(buffer)
		sum = crc32.Update(sum, castagnoli, buffer[:n])
		size += n
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("%s: %w after %d bytes: %w", url, errShort, size, err)
		}
	}
	if size != len(f.bytes) || sum != f.sum {
		return fmt.Errorf("%s: %d bytes that are not the %d of %s", url, size, len(f.bytes), f.name)
	}
	return nil
}

// together fetches a file from all URLs at once, each so many times, and returns how long it takes until the last is done.
func together(ctx context.Context, urls []string, f *file, times int) (time.Duration, error) {
	client, closeIdle := newClient()
	defer closeIdle()
	errs := make([]error, len(urls))
	var clients sync.WaitGroup
	begin := time.Now()
	for i, url := range urls {
		clients.Go(func() {
			buffer := make([]byte, 256<<10)
			for range times {
				if errs[i] = fetch(ctx, client, url, f, buffer); errs[i] != nil {
					return
				}
			}
		})
	}
	clients.Wait()
	return time.Since(begin), errors.Join(errs...)
}

// rangeSize is what a drive over HTTP asks for: iPXE's largest read.
const rangeSize = 16 << 10

// readRanges reads a file in pieces, one after another, over one connection, and returns how many. It speaks HTTP by
// itself: net/http would take more of the processor than the servers do.
func readRanges(ctx context.Context, target string, f *file, sums []uint32, from int, end time.Time) (int, error) {
	u, err := url.Parse(target)
	if err != nil {
		return 0, err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	buffer := make([]byte, rangeSize+4<<10)
	head := "GET " + u.Path + " HTTP/1.1\r\nHost: " + u.Host + "\r\nUser-Agent: iPXE/1.21.1\r\nRange: bytes="
	n := 0
	for ; time.Now().Before(end); n++ {
		i := (from + n) % len(sums)
		request := append(buffer[:0], head...)
		request = strconv.AppendInt(request, int64(i)*rangeSize, 10)
		request = append(request, '-')
		request = strconv.AppendInt(request, int64(i+1)*rangeSize-1, 10)
		request = append(request, "\r\n\r\n"...)
		if _, err := conn.Write(request); err != nil {
			return n, err
		}
		body, err := readAnswer(conn, buffer)
		if err != nil {
			return n, fmt.Errorf("%s: %w", target, err)
		}
		if crc32.Checksum(body, castagnoli) != sums[i] {
			return n, fmt.Errorf("%s: piece %d is not that of %s", target, i, f.name)
		}
	}
	return n, nil
}

// readAnswer reads a 206 with a piece in it.
func readAnswer(conn net.Conn, buffer []byte) ([]byte, error) {
	for have := 0; ; {
		n, err := conn.Read(buffer[have:])
		if err != nil {
			return nil, err
		}
		have += n
		header, body, ok := bytes.Cut(buffer[:have], []byte("\r\n\r\n"))
		switch {
		case ok && !bytes.HasPrefix(header, []byte("HTTP/1.1 206 ")):
			return nil, fmt.Errorf("not a piece: %s", header)
		case ok && len(body) == rangeSize:
			return body, nil
		case len(body) > rangeSize || have == len(buffer):
			return nil, errors.New("more than a piece")
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package outage

import (
	"bytes"
	"io"
	"net"
	"sync"
)

// Wire is what lies between machines and an edge: TCP connections, any of which can be killed.
type Wire struct {
	Address  string // host:port, for machines
	listener net.Listener
	carried  sync.WaitGroup

	mu    sync.Mutex
	edge  string // empty: not there yet
	pairs map[*pair]bool
}

// pair is a connection of a machine's and the one to the edge that carries it on.
type pair struct {
	machine, edge *net.TCPConn

	mu   sync.Mutex
	said bytes.Buffer // what the machine has said
}

// NewWire returns a wire that leads nowhere until Connect. Close ends it.
func NewWire() (*Wire, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &Wire{Address: l.Addr().String(), listener: l, pairs: make(map[*pair]bool)}
	w.carried.Go(func() { // until the listener is closed
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			w.carried.Go(func() { w.carry(conn.(*net.TCPConn)) })
		}
	})
	return w, nil
}

// Connect says where the edge is.
func (w *Wire) Connect(edge string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.edge = edge
}

func (w *Wire) carry(machine *net.TCPConn) {
	defer machine.Close()
	w.mu.Lock()
	to := w.edge
	w.mu.Unlock()
	conn, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	p := &pair{machine: machine, edge: conn.(*net.TCPConn)}
	defer p.edge.Close()
	w.mu.Lock()
	w.pairs[p] = true
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.pairs, p)
	}()
	var up sync.WaitGroup
	up.Go(func() {
		_, _ = io.Copy(p.edge, io.TeeReader(p.machine, p))
		_ = p.edge.CloseWrite()
	})
	_, _ = io.Copy(p.machine, p.edge)
	_ = p.machine.CloseWrite()
	up.Wait()
}

// Write takes what the machine says.
func (p *pair) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.Write(b)
}

func (p *pair) hasSaid(text string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return bytes.Contains(p.said.Bytes(), []byte(text))
}

// Kill resets, at both ends, the connections on which machines have said a text, and returns their number.
func (w *Wire) Kill(text string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for p := range w.pairs {
		if text == "" || p.hasSaid(text) {
			n++
			for _, c := range []*net.TCPConn{p.machine, p.edge} {
				_ = c.SetLinger(0)
				_ = c.Close()
			}
		}
	}
	return n
}

// Close kills all connections and takes no more.
func (w *Wire) Close() {
	_ = w.listener.Close()
	w.Kill("")
	w.carried.Wait()
}

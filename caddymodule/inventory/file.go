// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/ironic-edge/ironic-edge/ipxe"
)

// The file is a line with a header, a line for each node, and a line "closed <uuid>" for each node whose facts ceased to be
// of use after it was written. All but these are written to another file, synced and renamed. A line at the end that
// is not whole makes the file useless: it may be about any node.

const (
	format  = "ironic-edge inventory"
	version = 1
	// maxFile is far above any inventory: a node takes one or two kB.
	maxFile   = 128 << 20
	closeMark = "closed "
)

// header is the first line.
type header struct {
	Format   string    `json:"format"`
	Version  int       `json:"version"`
	Identity string    `json:"identity"`
	Saved    time.Time `json:"saved"`
	Nodes    int       `json:"nodes"`
	SHA256   string    `json:"sha256,omitempty"` // of this line without the sum, and the nodes' lines
}

// record is the line of a node. Ages are those at the time of writing: what the clock does in between does not matter.
type record struct {
	UUID         string        `json:"uuid"`
	Name         string        `json:"name,omitempty"`
	Asset        string        `json:"asset,omitempty"`
	State        ipxe.State    `json:"provision_state"`
	StateUpdated time.Time     `json:"provision_updated_at,omitzero"`
	Age          time.Duration `json:"age_ns"`
	Ports        []portRecord  `json:"ports,omitempty"`
	Facts        *ipxe.Node    `json:"facts,omitempty"` // absent where a secret may be among them, or where they are of no use
}

type portRecord struct {
	ipxe.Port
	Age time.Duration `json:"age_ns"`
}

// file is the file of an inventory. Its zero value, without a name, keeps nothing.
type file struct {
	name string

	mu      sync.Mutex
	last    time.Time
	open    map[string]bool // nodes in the file whose facts may be used
	writing bool
	during  []string // closed while it was being written
}

// due reports whether it is time to write again.
func (f *file) due(interval time.Duration) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.name != "" && time.Since(f.last) >= interval*9/10
}

// begin is called before what is to be written is collected: what is closed from then on is added.
func (f *file) begin() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writing, f.during = true, nil
}

func (f *file) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writing = false
}

// write replaces the file.
func (f *file) write(h header, records []record) error {
	defer f.end()
	if err := f.replace(h, records); err != nil {
		return fmt.Errorf("write %s: %w", f.name, err)
	}
	return nil
}

func (f *file) replace(h header, records []record) error {
	text, open, err := encode(h, records)
	if err != nil {
		return err
	}
	directory := filepath.Dir(f.name)
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return err
	}
	next := f.name + ".new"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	to, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer to.Close()
	if _, err := to.Write(text); err != nil {
		return err
	}
	if err := to.Sync(); err != nil {
		return err
	}
	if err := f.swap(to, open); err != nil {
		return err
	}
	d, err := os.Open(directory)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// swap puts a written file in the place of the old one, with what was closed meanwhile.
func (f *file) swap(to *os.File, open map[string]bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, uuid := range f.during {
		if open[uuid] {
			delete(open, uuid)
			if _, err := io.WriteString(to, closeMark+uuid+"\n"); err != nil {
				return err
			}
		}
	}
	if err := os.Rename(to.Name(), f.name); err != nil {
		return err
	}
	f.open, f.last, f.writing = open, time.Now(), false
	return nil
}

// closed notes that the facts of a node are of no use any more. A file that does not take it goes: none is better than one
// that says what is no longer so.
func (f *file) closed(uuid string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.writing {
		f.during = append(f.during, uuid)
	}
	if !f.open[uuid] {
		return
	}
	delete(f.open, uuid)
	to, err := os.OpenFile(f.name, os.O_WRONLY|os.O_APPEND, 0)
	if err == nil {
		_, err = to.WriteString(closeMark + uuid + "\n")
		err = errors.Join(err, to.Close())
	}
	if err != nil {
		_ = os.Remove(f.name)
	}
}

func encode(h header, records []record) (text []byte, open map[string]bool, err error) {
	var body bytes.Buffer
	lines := json.NewEncoder(&body)
	open = make(map[string]bool)
	for _, r := range records {
		if err := lines.Encode(r); err != nil {
			return nil, nil, err
		}
		if r.Facts != nil {
			open[r.UUID] = true
		}
	}
	h.Format, h.Version, h.Nodes, h.Saved = format, version, len(records), h.Saved.UTC().Round(0)
	h.SHA256 = checksum(h, body.Bytes())
	first, err := json.Marshal(h)
	if err != nil {
		return nil, nil, err
	}
	return append(append(first, '\n'), body.Bytes()...), open, nil
}

func checksum(h header, body []byte) string {
	h.SHA256 = ""
	first, _ := json.Marshal(h) // of strings and numbers
	sum := sha256.New()
	sum.Write(first)
	sum.Write(body)
	return hex.EncodeToString(sum.Sum(nil))
}

// decode reads a file. The facts of nodes that were closed are absent.
func decode(text []byte) (header, []record, error) {
	var h header
	first, rest, ok := bytes.Cut(text, []byte("\n"))
	if err := json.Unmarshal(first, &h); err != nil || !ok || h.Format != format {
		return h, nil, errors.New("it is no inventory, or the beginning is damaged")
	}
	if h.Version != version {
		return h, nil, fmt.Errorf("it has version %d of the format, and this release writes %d", h.Version, version)
	}
	var records []record
	at := make(map[string]int)
	lines, size := bufio.NewReader(bytes.NewReader(rest)), 0
	for i := range h.Nodes {
		line, err := lines.ReadBytes('\n')
		var r record
		if err == nil {
			err = json.Unmarshal(line, &r)
		}
		if err != nil {
			return h, nil, fmt.Errorf("it is damaged: node %d of %d", i+1, h.Nodes)
		}
		size += len(line)
		at[r.UUID] = i
		records = append(records, r)
	}
	if checksum(h, rest[:size]) != h.SHA256 {
		return h, nil, errors.New("it is damaged: the checksum is wrong")
	}
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil && len(line) == 0 {
			return h, records, nil
		}
		uuid, ok := bytes.CutPrefix(bytes.TrimSuffix(line, []byte("\n")), []byte(closeMark))
		i, known := at[string(uuid)]
		if err != nil || !ok || !known {
			return h, nil, errors.New("it is damaged at the end")
		}
		records[i].Facts = nil
	}
}

// read reads a file, and what of it may be used of at a time.
func read(name string, now time.Time, longest time.Duration) (header, []record, error) {
	f, err := os.Open(name)
	if err != nil {
		return header{}, nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return header{}, nil, err
	}
	if len(text) > maxFile {
		return header{}, nil, errors.New("it is too large")
	}
	h, records, err := decode(text)
	if err != nil {
		return h, nil, err
	}
	passed := now.Round(0).Sub(h.Saved) // by the wall's clock
	switch {
	case passed < 0:
		return h, nil, errors.New("it is from the future; the clock was set back")
	case passed > longest:
		return h, nil, fmt.Errorf("it was written %v ago, and nothing is used for that long", passed.Round(time.Second))
	}
	for i := range records {
		r := &records[i]
		if err := r.check(); err != nil {
			return h, nil, fmt.Errorf("it is damaged: node %d: %w", i+1, err)
		}
		r.Age += passed
		for j := range r.Ports {
			r.Ports[j].Age += passed
		}
		if r.Age > longest {
			r.Facts = nil
		}
	}
	return h, records, nil
}

// check says what in a record cannot be.
func (r *record) check() error {
	if _, err := ipxe.ParseUUID(r.UUID); err != nil {
		return err
	}
	if f := r.Facts; f != nil && (f.UUID != r.UUID || f.ProvisionState != r.State || f.Port != ipxe.Port{}) {
		return errors.New("its facts are those of another")
	}
	oldest := maxAge
	if r.Age < 0 || r.Age > oldest {
		return errors.New("its age cannot be")
	}
	for _, p := range r.Ports {
		if mac, err := ipxe.ParseMAC(p.Address); err != nil || string(mac) != p.Address {
			return errors.New("an address is none")
		}
		if p.Age < 0 || p.Age > oldest {
			return errors.New("the age of an address cannot be")
		}
	}
	return nil
}

// maxAge keeps sums of ages from running over.
const maxAge = 100 * 365 * 24 * time.Hour

// ReadFile returns the nodes in an inventory's file, as Nodes would, and whose they are.
func ReadFile(name string) (nodes []Node, identity string, err error) {
	h, records, err := read(name, time.Now(), maxAge)
	for _, r := range records {
		nodes = append(nodes, r.known(time.Now()).show(time.Now()))
	}
	return nodes, h.Identity, err
}

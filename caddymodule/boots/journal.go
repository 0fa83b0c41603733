// SPDX-License-Identifier: Apache-2.0

package boots

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Journal keeps boots in a file, for the time after a restart. The file has a line of JSON for a boot as it was at some
// time, of which the last one of an id counts, or lines with when nodes were last seen whose boots are not kept:
//
//	{"v":1,"boot":{...}}
//	{"v":1,"asked":{"<uuid>":"<time>", ...}}
//
// Lines that are no such line are passed over, as are those of another version. When the file has grown beyond what is
// worth keeping it is written anew beside itself and renamed. It is not synced: a crash of the machine costs the last
// lines. It is for the goroutine of Run.
type Journal struct {
	path   string
	file   *os.File
	size   int64
	most   int64 // size at which it is written anew
	failed bool  // the last time, which was told
}

const (
	journalVersion = 1
	// maxLine bounds a line: a boot with all that it may hold takes some 30 KiB.
	maxLine = 128 << 10
	// maxSigns is how many nodes a line tells of, some 80 bytes each.
	maxSigns = 1000
	// journalSlack is by how much a journal may grow beyond twice what it holds.
	journalSlack = 1 << 20
)

// line is a line of the journal.
type line struct {
	Version int                  `json:"v"`
	Boot    *Boot                `json:"boot,omitempty"`
	Asked   map[string]time.Time `json:"asked,omitempty"`
}

// OpenJournal opens a journal, which is made if it is not there, and has the timeline take in what is in it.
func OpenJournal(path string, t *Timeline) (*Journal, error) {
	j := &Journal{path: path}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	kept, asked, err := j.read()
	if err != nil {
		return nil, err
	}
	t.restore(kept, asked)
	if err := j.rewrite(t); err != nil {
		return nil, err
	}
	return j, nil
}

// Close closes the file.
func (j *Journal) Close() error {
	if j == nil || j.file == nil {
		return nil
	}
	return j.file.Close()
}

// read returns what the file holds of each boot, oldest first, and of when others were seen.
func (j *Journal) read() ([]Boot, map[string]time.Time, error) {
	f, err := os.Open(j.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, nil, cmp.Or(err, errors.New("it is not a regular file"))
	}
	kept, asked := make(map[string]Boot), make(map[string]time.Time)
	reader := bufio.NewReaderSize(f, maxLine)
	for {
		text, err := reader.ReadSlice('\n')
		for long := err; errors.Is(long, bufio.ErrBufferFull); {
			text = nil
			_, long = reader.ReadSlice('\n')
			err = long
		}
		var l line
		if err == nil && json.Unmarshal(text, &l) == nil && l.Version == journalVersion {
			if l.Boot != nil && l.Boot.usable() {
				kept[l.Boot.ID] = *l.Boot
			}
			maps.Copy(asked, l.Asked)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, err
		}
	}
	boots := make([]Boot, 0, len(kept))
	for _, b := range kept {
		boots = append(boots, b)
	}
	slices.SortFunc(boots, func(a, b Boot) int { return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.ID, b.ID)) })
	return boots, asked, nil
}

// usable reports whether a boot that was read is one, within its bounds.
func (b *Boot) usable() bool {
	return b.ID != "" && b.Node != "" && !b.Started.IsZero() && len(b.Stages) > 0 && len(b.Stages) <= maxPhases && len(b.Events) <= maxEvents &&
		len(b.MACs) <= MaxMACs && len(b.Clients) <= maxClients && len(b.RequestIDs) <= maxIDs && len(b.Images) <= maxImages
}

// restore takes in boots that are not there yet, and when others were seen. Their transfers are no more.
func (t *Timeline) restore(kept []Boot, asked map[string]time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	newer := t.order
	t.order = nil
	var last time.Time
	for _, k := range kept {
		last = later(last, k.Seen)
	}
	if len(kept) > 0 && t.began.Sub(last) < askWithin { // who asked for nothing since the first of them is silent
		t.began = kept[0].Started
	}
	for _, k := range kept {
		if t.byID[k.ID] != nil {
			continue
		}
		b := &boot{Boot: k, found: make(map[Code]bool)}
		for _, d := range b.Diagnoses { // which was told
			b.found[d.Code] = true
		}
		if b.Diagnoses = nil; !b.Over() {
			b.Outcome = Running
		}
		for i := range b.Images {
			image := &b.Images[i]
			if image.Active > 0 {
				image.Active, image.Stalled, image.Rate, image.ETA = 0, false, 0, 0
				image.Breaks++
			}
			if image.Done {
				b.progress(image.Label).spans.add(0, image.Size)
			}
		}
		t.order = append(t.order, b)
		t.byID[b.ID], t.byNode[b.Node] = b, b
		for _, id := range b.RequestIDs {
			t.byID[id] = b
		}
		for _, mac := range b.MACs {
			t.byMAC[mac] = b
		}
		for _, client := range b.Clients {
			t.byClient[client] = b
		}
	}
	for _, b := range newer { // what is newer leads to the newer
		t.byNode[b.Node] = b
		for _, mac := range b.MACs {
			t.byMAC[mac] = b
		}
		for _, client := range b.Clients {
			t.byClient[client] = b
		}
	}
	t.order = append(t.order, newer...)
	for node, seen := range asked {
		if t.byNode[node] == nil {
			t.signs.note(node, seen)
		}
	}
	t.evictLocked()
	t.changedLocked(nil)
}

// write adds to the journal what it does not have yet. That it cannot is told once, until it can again.
func (t *Timeline) write(j *Journal) {
	if j == nil {
		return
	}
	err := j.add(t.dirty(), t.freshSigns())
	if j.failed || err == nil && j.size > j.most { // what could not be added before is nowhere else
		err = j.rewrite(t)
	}
	if err != nil && !j.failed {
		t.mu.Lock()
		t.tellLocked(note{kind: NoticeJournal, err: err})
		t.mu.Unlock()
	}
	j.failed = err != nil
}

// dirty returns the boots that the journal does not have as they are.
func (t *Timeline) dirty() []Boot {
	var dirty []Boot
	for _, b := range t.all() {
		t.mu.Lock()
		if b.dirty && !b.evicted {
			b.dirty = false
			dirty = append(dirty, t.shownLocked(b, b.Seen))
		}
		t.mu.Unlock()
	}
	return dirty
}

// freshSigns returns when nodes were seen, as far as the journal does not have it.
func (t *Timeline) freshSigns() map[string]time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	fresh := maps.Clone(t.signs.fresh)
	clear(t.signs.fresh)
	return fresh
}

func (j *Journal) add(boots []Boot, asked map[string]time.Time) error {
	if len(boots)+len(asked) == 0 {
		return nil
	}
	if j.file == nil {
		return errors.New("the file could not be written anew")
	}
	var out bytes.Buffer
	for _, b := range boots {
		if err := appendLine(&out, line{Boot: &b}); err != nil {
			return err
		}
	}
	if err := appendSigns(&out, asked); err != nil {
		return err
	}
	n, err := j.file.Write(out.Bytes())
	j.size += int64(n)
	if err != nil && n > 0 {
		_, _ = j.file.WriteString("\n") // the next line is not to hang on half a one
	}
	return err
}

// appendSigns appends lines with when nodes were seen.
func appendSigns(out *bytes.Buffer, asked map[string]time.Time) error {
	for nodes := range slices.Chunk(slices.Sorted(maps.Keys(asked)), maxSigns) {
		l := line{Asked: make(map[string]time.Time, len(nodes))}
		for _, node := range nodes {
			l.Asked[node] = asked[node]
		}
		if err := appendLine(out, l); err != nil {
			return err
		}
	}
	return nil
}

func appendLine(out *bytes.Buffer, l line) error {
	l.Version = journalVersion
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	out.Write(text)
	return out.WriteByte('\n')
}

// rewrite writes all boots into a new file in the place of the old one.
func (j *Journal) rewrite(t *Timeline) (err error) {
	beside := j.path + ".new"
	_ = os.Remove(beside)
	f, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(beside)
			err = fmt.Errorf("write the boots anew: %w", err)
		}
	}()
	var out bytes.Buffer
	size := int64(0)
	for _, b := range slices.Backward(t.List(Filter{})) {
		if err := appendLine(&out, line{Boot: &b}); err != nil {
			return err
		}
		if out.Len() >= 1<<20 {
			size += int64(out.Len())
			if _, err := out.WriteTo(f); err != nil {
				return err
			}
		}
	}
	t.mu.Lock()
	asked := maps.Clone(t.signs.at)
	clear(t.signs.fresh)
	t.mu.Unlock()
	if err := appendSigns(&out, asked); err != nil {
		return err
	}
	size += int64(out.Len())
	if _, err := out.WriteTo(f); err != nil {
		return err
	}
	if err := os.Rename(beside, j.path); err != nil {
		return err
	}
	_ = j.Close()
	j.file, j.size, j.most = f, size, 2*size+journalSlack
	return nil
}

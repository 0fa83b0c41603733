// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
)

// scan takes up what another process has left: objects with their keys, by last use. What has no sidecar is removed; what
// is not ours is left alone.
func (s *Store) scan() error {
	type found struct {
		o    *Object
		used time.Time
	}
	var all []found
	files := s.root.FS()
	directories, err := fs.ReadDir(files, "objects")
	if err != nil {
		return err
	}
	for _, d := range directories {
		if !d.IsDir() || len(d.Name()) != 2 {
			continue
		}
		entries, err := fs.ReadDir(files, "objects/"+d.Name())
		if err != nil {
			return err
		}
		names := make(map[string]fs.DirEntry, len(entries))
		for _, e := range entries {
			names[e.Name()] = e
		}
		for name, e := range names {
			id, ending, ok := parseName(d.Name(), name)
			if !ok {
				continue
			}
			if ending != ".json" {
				if ending == ".json.new" || names[id+".json"] == nil {
					_ = s.root.Remove("objects/" + d.Name() + "/" + name) // it is nothing, and scanned again next time
				}
				continue
			}
			if o := s.restore(id, names[id]); o != nil {
				info, err := e.Info()
				if err != nil {
					return err
				}
				all = append(all, found{o, info.ModTime()})
			}
		}
	}
	slices.SortFunc(all, func(a, b found) int { return cmp.Or(a.used.Compare(b.used), cmp.Compare(a.o.id, b.o.id)) })
	for _, f := range all {
		s.adopt(f.o, f.used)
	}
	if err := s.makeRoom(); err != nil { // others have filled the disk; what is there can be read
		s.log.Warn("the file system has less room than is to be left free", slog.String("store", s.dir))
	}
	return nil
}

// parseName splits the name of an object's file, if it is one in the right directory.
func parseName(directory, name string) (id, ending string, ok bool) {
	if len(name) < 32 || name[:2] != directory || strings.Trim(name[:32], "0123456789abcdef") != "" {
		return "", "", false
	}
	id, ending = name[:32], name[32:]
	return id, ending, slices.Contains([]string{"", ".sums", ".json", ".json.new"}, ending)
}

// restore makes an object of its sidecar. Nil: it cannot be used and was removed.
func (s *Store) restore(id string, data fs.DirEntry) *Object {
	side, err := readSidecar(s.root, id)
	var digest *cache.Digest
	if err == nil && side.Digest != "" {
		digest, err = parseDigest(side.Digest)
	}
	if err == nil && !s.fitsLocked(side.Size) { // or all others would have to go first
		err = errors.New("it is larger than the store may be now")
	}
	if err != nil || data == nil || side.Size < 0 {
		if err != nil {
			s.log.Warn("an object's sidecar cannot be used; the object is removed", slog.String("object", id), slog.Any("error", err))
		}
		s.unlink(id)
		return nil
	}
	o := &Object{store: s, id: id, block: side.Block, validator: side.Validator, digest: digest, identity: side.Identity,
		size: side.Size, progress: make(chan struct{}), gone: errIdle}
	o.keys = side.Keys
	if info, err := data.Info(); side.Whole && err == nil && info.Size() == side.Size {
		o.whole, o.durable, o.gone = true, true, nil
	}
	return o
}

func parseDigest(s string) (*cache.Digest, error) {
	algorithm, sum, _ := strings.Cut(s, ":")
	d, err := cache.ParseDigest(algorithm, sum)
	return &d, err
}

// adopt puts an object into the index.
func (s *Store) adopt(o *Object, used time.Time) {
	keys := o.keys
	s.insertLocked(o) // nobody else has the store yet
	o.touched = used
	o.lastUse.Store(used.Unix())
	s.chargeLocked(o, o.size)
	for key, info := range keys {
		s.setKeyLocked(key, info, o)
	}
	if len(o.keys) == 0 {
		s.dropLocked(o)
	}
}

// samples is how many objects are looked at when the process begins.
const samples = 64

// someLeft returns some of the whole objects that another process has left.
func (s *Store) someLeft() []*Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	objects := make([]*Object, 0, samples)
	for _, o := range s.objects { // in no order
		if o.durable && len(objects) < samples {
			objects = append(objects, o)
		}
	}
	return objects
}

// sample checks a block of each object, so that a disk that rots is noticed.
func (s *Store) sample(objects []*Object) {
	for _, o := range objects {
		if s.ctx.Err() != nil {
			return
		}
		if o.size > 0 && s.use(o) {
			if i := rand.N(o.blocks(o.size)); !o.good(i) {
				s.quarantine(o, "a block is not what was written")
			}
			s.release(o)
		}
	}
}

// good compares a block of a whole object with its checksum.
func (o *Object) good(i int64) bool {
	want, there := readSum(o.sums, i)
	sum, err := sumOf(o.data, i*o.block, min((i+1)*o.block, o.size)-i*o.block)
	return there && err == nil && sum == want
}

// Scrub compares every block of every whole object with its checksum and takes the bad ones out. What is still to be
// filled is left out: its blocks are checked as they come, or before they are used. Progress is told after each object.
// It returns how many objects were looked at to their end and how many of them were bad; the error is the context's, or
// ErrClosed.
func (s *Store) Scrub(ctx context.Context, progress func(done, of int)) (checked, bad int, err error) {
	s.mu.Lock()
	if !s.taskLocked() {
		s.mu.Unlock()
		return 0, 0, ErrClosed
	}
	defer s.tasks.Done()
	objects := make([]*Object, 0, len(s.objects))
	for _, o := range s.objects {
		objects = append(objects, o)
	}
	s.mu.Unlock()
	for n, o := range objects {
		if o.Whole() && s.use(o) {
			good, err := s.scrub(ctx, o)
			s.release(o)
			if err != nil {
				return checked, bad, err
			}
			checked++
			if !good {
				bad++
			}
		}
		if progress != nil {
			progress(n+1, len(objects))
		}
	}
	return checked, bad, nil
}

// scrub checks a whole object, which its caller uses, and takes it out if it is bad.
func (s *Store) scrub(ctx context.Context, o *Object) (good bool, err error) {
	for i := range o.blocks(o.size) {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		if s.ctx.Err() != nil {
			return false, ErrClosed
		}
		if !o.good(i) {
			s.quarantine(o, "a block is not what was written")
			return false, nil
		}
	}
	return true, nil
}

// pruneQuarantine removes all but the newest bad objects.
func (s *Store) pruneQuarantine() {
	entries, err := fs.ReadDir(s.root.FS(), "quarantine")
	if err != nil {
		return
	}
	type bad struct {
		id   string
		when time.Time
	}
	var all []bad
	for _, e := range entries {
		if info, err := e.Info(); err == nil && !strings.Contains(e.Name(), ".") {
			all = append(all, bad{e.Name(), info.ModTime()})
		}
	}
	slices.SortFunc(all, func(a, b bad) int { return b.when.Compare(a.when) })
	for i := maxQuarantine; i < len(all); i++ {
		for _, ending := range []string{"", ".sums", ".json"} {
			_ = s.root.Remove("quarantine/" + all[i].id + ending)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"

	"github.com/ironic-edge/ironic-edge/cache"
)

const format = 1

// sidecar is what is known of an object, as it is written beside it. It holds no secret: keys are without signatures.
type sidecar struct {
	Format    int             `json:"format"`
	Size      int64           `json:"size"` // -1: not known yet
	Block     int64           `json:"block"`
	Whole     bool            `json:"whole"` // length and digest are right, and all of it is synced
	Validator cache.Validator `json:"validator,omitzero"`
	Digest    string          `json:"digest,omitempty"`   // algorithm:hex
	Identity  string          `json:"identity,omitempty"` // see Store.Find
	// What the keys that lead to the object say of it, in the words of who made them.
	Keys map[string]json.RawMessage `json:"keys"`
}

// paths of an object's files inside the store.
func dataPath(id string) string    { return "objects/" + id[:2] + "/" + id }
func sumsPath(id string) string    { return dataPath(id) + ".sums" }
func sidecarPath(id string) string { return dataPath(id) + ".json" }

// writeSidecar replaces an object's sidecar at once. With sync it is on disk when the function returns.
func writeSidecar(root *os.Root, id string, s *sidecar, sync bool) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	text = text[:len(text)-1]
	text = append(text, seal(text)...)
	name := sidecarPath(id)
	f, err := root.Create(name + ".new")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil && sync {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := root.Rename(name+".new", name); err != nil {
		return err
	}
	if sync {
		return syncDir(root, "objects/"+id[:2])
	}
	return nil
}

// seal ends a sidecar with a checksum of what stands before it. A flipped bit could make another key of a key, or a length
// for which everything else had to be evicted.
func seal(text []byte) string {
	return fmt.Sprintf(`,"sum":"%08x"}`, crc32.Checksum(text, castagnoli))
}

func syncDir(root *os.Root, name string) error {
	d, err := root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func readSidecar(root *os.Root, id string) (*sidecar, error) {
	text, err := fs.ReadFile(root.FS(), sidecarPath(id))
	if err != nil {
		return nil, err
	}
	n := len(text) - len(seal(nil))
	if n < 0 || seal(text[:n]) != string(text[n:]) {
		return nil, errors.New("it is not as it was written")
	}
	s := new(sidecar)
	if err := json.Unmarshal(text, s); err != nil {
		return nil, err
	}
	switch {
	case s.Format != format:
		return nil, fmt.Errorf("format %d, this release knows %d", s.Format, format)
	case s.Block <= 0 || s.Size < -1:
		return nil, errors.New("impossible sizes")
	case s.Whole && s.Size < 0:
		return nil, errors.New("whole and of no size")
	}
	return s, nil
}

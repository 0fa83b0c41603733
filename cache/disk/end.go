// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/ironic-edge/ironic-edge/cache"
)

// end is what a reader from the first byte gets of an object with a digest once the store has no more of it. The last of
// it is withheld until all bytes have been seen to be right, as the store does with the last block.
type end struct {
	from    *Reader // of its own position, which runs ahead of what was given out
	checked *cache.Checked
}

func (e *end) close() {
	if e != nil {
		e.from.closeDirect()
	}
}

// Read reads from the origin.
func (e *end) Read(p []byte) (int, error) { return e.from.readDirect(p) }

// readEnd reads what the store has no more of, comparing it.
func (r *Reader) readEnd(p []byte) (int, error) {
	if r.end == nil {
		sum := r.o.digest.New()
		if sum == nil {
			return 0, fmt.Errorf("digest algorithm %q is not known", r.o.digest.Algorithm)
		}
		if _, err := io.Copy(sum, io.NewSectionReader(r.o.data, 0, r.pos)); err != nil { // as it was given out
			return 0, err
		}
		r.end = &end{from: &Reader{ctx: r.ctx, o: r.o, pos: r.pos, begun: r.begun}}
		r.end.checked = cache.NewChecked(r.end, *r.o.digest, sum)
	}
	n, err := r.end.checked.Read(p)
	r.pos += int64(n)
	r.begun = r.begun || n > 0
	if errors.Is(err, cache.ErrDigest) {
		r.o.store.counters.badObjects.Add(1)
		r.o.store.log.Error("an object that was passed on from its origin is bad; its end was not given out", slog.String("object", r.o.id))
		return n, ErrBad
	}
	return n, err
}

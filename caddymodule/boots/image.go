// SPDX-License-Identifier: Apache-2.0

package boots

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Image is how far an image is on its way to a machine.
type Image struct {
	Label string `json:"label"`
	// Size is the image's length in bytes, 0 while it is not known.
	Size int64 `json:"size,omitempty"`
	// Sent is how many bytes went out in all attempts, Covered how many different ones.
	Sent    int64 `json:"sent"`
	Covered int64 `json:"covered"`
	// Percent is Covered of Size.
	Percent int `json:"percent"`
	// Rate is bytes per second: lately, or on the whole when it has arrived.
	Rate int64 `json:"rate,omitempty"`
	// ETA is in how many seconds it will have arrived at this rate; 0 if that cannot be told.
	ETA int `json:"eta_seconds,omitempty"`
	// Attempts is how often it was begun from its first byte, Requests how often any of it was asked for, Stalls how often a
	// transfer stood still, Breaks how often one ended before its last byte.
	Attempts int `json:"attempts"`
	Requests int `json:"requests"`
	Stalls   int `json:"stalls,omitempty"`
	Breaks   int `json:"breaks,omitempty"`
	// Refused is the reason code if it was refused the last time.
	Refused string `json:"refused,omitempty"`
	// Client is who asked last.
	Client netip.Addr `json:"client,omitzero"`
	// Begun, Moved and Ended are when it was first asked for, when bytes last went out, and when it had arrived.
	Begun time.Time `json:"begun"`
	Moved time.Time `json:"moved"`
	Ended time.Time `json:"ended,omitzero"`
	// Done says that all of it has arrived, Stalled that no byte has gone out for stallAfter though a transfer is under way,
	// Active how many transfers are under way.
	Done    bool `json:"done,omitempty"`
	Stalled bool `json:"stalled,omitempty"`
	Active  int  `json:"active,omitempty"`
}

// stallAfter is for how long a transfer may stand still before it is called stalled.
const stallAfter = 30 * time.Second

// Transfer is one transfer of an image to a machine. A nil Transfer is one of no boot; its methods do nothing.
type Transfer struct {
	timeline *Timeline
	boot     *boot
	label    string
	counter  *atomic.Int64

	// Guarded by the timeline's lock.
	first   int64 // position of the first byte; negative: not known
	sampled int64 // the counter when it was last looked at
	whole   bool  // all of the image is asked for
	begun   bool
}

// Image records that a client asks for an image of a node, or, if node is empty, for one that it needs in its boot. The
// counter is how many bytes of it have gone out; it belongs to the caller, who adds to it as they go.
func (t *Timeline) Image(node string, client netip.Addr, label string, counter *atomic.Int64) *Transfer {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.ofImageLocked(node, client)
	if b == nil {
		t.goesOnLocked(node, now)
	}
	if b == nil || b.Over() && now.Sub(b.Ended) > settle {
		return nil
	}
	image := b.image(label)
	if image == nil {
		if len(b.Images) == maxImages {
			return nil
		}
		b.Images = append(b.Images, Image{Label: label, Begun: now, Moved: now})
		image = &b.Images[len(b.Images)-1]
	}
	if len(b.transfers) == 0 && now.Sub(b.sampledAt) > 2*sampleEvery {
		b.sampledAt = now // the pause says nothing of the rate
	}
	image.Client, image.Refused, image.Stalled = client, "", false
	image.Requests++
	image.Active++
	image.Moved = now
	b.Seen = now
	if image.Requests == 1 || image.Done && stageOf(label) != StageISO {
		b.note(Event{At: now, Kind: EventImage, Text: label})
	}
	if stage := stageOf(label); stage != "" && !b.Over() && b.Lookup.Taken+b.Heartbeat.Taken == 0 {
		b.enter(stage, now)
	}
	x := &Transfer{timeline: t, boot: b, label: label, counter: counter, first: -1}
	b.transfers = append(b.transfers, x)
	t.changedLocked(b)
	return x
}

// stageOf is the stage in which an image is fetched. Empty: any.
func stageOf(label string) Stage {
	switch {
	case strings.HasSuffix(label, "kernel"):
		return StageKernel
	case strings.HasSuffix(label, "ramdisk"):
		return StageRamdisk
	case strings.HasSuffix(label, "iso"):
		return StageISO
	}
	return ""
}

// Begin says what the answer holds, as its status and header fields do.
func (x *Transfer) Begin(status int, contentLength, contentRange string) {
	if x == nil {
		return
	}
	first, size := int64(-1), int64(0)
	switch status {
	case 200:
		first = 0
		size, _ = strconv.ParseInt(contentLength, 10, 64)
	case 206:
		span, of, _ := strings.Cut(strings.TrimPrefix(contentRange, "bytes "), "/")
		from, _, _ := strings.Cut(span, "-")
		if n, err := strconv.ParseInt(from, 10, 64); err == nil {
			first = n
		}
		size, _ = strconv.ParseInt(of, 10, 64)
	default:
		return
	}
	t := x.timeline
	t.mu.Lock()
	defer t.mu.Unlock()
	image := x.boot.image(x.label)
	x.first, x.begun, x.whole = first, true, status == 200
	if size > 0 && size != image.Size {
		image.Size = size
		x.boot.progress(x.label).spans.clear()
	}
	if x.whole { // the machine threw away what it had
		x.boot.progress(x.label).spans.clear()
		image.Attempts++
		image.Done, image.Ended = false, time.Time{}
	} else if first == 0 {
		image.Attempts = max(image.Attempts, 1)
	}
}

// End ends the transfer. What was asked for has gone out, or not.
func (x *Transfer) End(ok bool) {
	if x == nil {
		return
	}
	now := time.Now()
	t := x.timeline
	t.mu.Lock()
	defer t.mu.Unlock()
	b := x.boot
	i := slices.Index(b.transfers, x)
	if i < 0 {
		return
	}
	image := b.image(x.label)
	b.sampleLocked(now)
	b.transfers = slices.Delete(b.transfers, i, i+1)
	image.Active--
	if !x.begun {
		return
	}
	sent := x.counter.Load()
	kept := b.progress(x.label)
	if x.first >= 0 {
		kept.spans.add(x.first, x.first+sent)
	}
	image.fill(kept.spans.covered())
	switch {
	case !ok:
		image.Breaks++
		b.note(Event{At: now, Kind: EventImageShort, Text: x.label, Bytes: sent})
	case image.Size > 0 && image.Covered >= image.Size && !image.Done:
		image.Done, image.Ended, image.Stalled = true, now, false
		if d := now.Sub(image.Begun).Seconds(); d > 0 {
			image.Rate = int64(float64(image.Size) / d)
		}
		image.ETA = 0
		b.note(Event{At: now, Kind: EventImageDone, Text: x.label, Bytes: image.Size})
		t.arrivedLocked(b, x.label, now)
	}
	b.Seen = now
	t.changedLocked(b)
}

// fill sets how much has arrived.
func (i *Image) fill(covered int64) {
	i.Covered = covered
	if i.Size > 0 {
		i.Percent = int(min(covered, i.Size) * 100 / i.Size)
	}
}

// arrivedLocked goes on when an image is whole.
func (t *Timeline) arrivedLocked(b *boot, label string, now time.Time) {
	if b.Over() || stageOf(label) != StageRamdisk || b.Lookup.Taken+b.Heartbeat.Taken > 0 {
		return
	}
	if b.Kind == kindRamdisk { // the instance is on its own from here
		t.endLocked(b, Finished, "", now)
		return
	}
	b.enter(StageStart, now)
}

// ImageRefused records that a client was refused an image, with a reason code, and returns the boot that it is of.
func (t *Timeline) ImageRefused(node string, client netip.Addr, label, reason string) Ref {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.ofImageLocked(node, client)
	if b == nil || b.Over() {
		return Ref{}
	}
	image := b.image(label)
	if image == nil {
		if len(b.Images) == maxImages {
			return Ref{}
		}
		b.Images = append(b.Images, Image{Label: label, Begun: now, Moved: now, Client: client})
		image = &b.Images[len(b.Images)-1]
	}
	image.Refused = reason
	b.note(Event{At: now, Kind: EventImageRefused, Text: label, Code: reason})
	t.changedLocked(b)
	return b.ref()
}

// ofImageLocked finds the boot that an image is for.
func (t *Timeline) ofImageLocked(node string, client netip.Addr) *boot {
	if b := t.byNode[node]; b != nil {
		return b
	}
	return t.byClient[client]
}

// progress is what is kept of an image beside what is shown.
type progress struct {
	label  string
	spans  spans
	recent int64 // bytes since the rate was last told
}

// progress returns what is kept of an image.
func (b *boot) progress(label string) *progress {
	for _, p := range b.images {
		if p.label == label {
			return p
		}
	}
	p := &progress{label: label}
	b.images = append(b.images, p)
	return p
}

// sampleLocked looks at the counters of the transfers under way, and reports whether that shows anything new.
func (b *boot) sampleLocked(now time.Time) (news bool) {
	interval := now.Sub(b.sampledAt)
	for i := range b.Images {
		image := &b.Images[i]
		kept := b.progress(image.Label)
		delta, covered := int64(0), kept.spans.covered()
		for _, x := range b.transfers {
			if x.label != image.Label {
				continue
			}
			n := x.counter.Load()
			delta += n - x.sampled
			x.sampled = n
			if x.first >= 0 {
				covered = max(covered, kept.spans.with(x.first, x.first+n))
			}
		}
		if delta > 0 {
			image.Sent += delta
			kept.recent += delta
			image.fill(covered)
			image.Moved, image.Stalled = now, false
			b.Seen = now
			news = true
		} else if image.Active > 0 && !image.Stalled && now.Sub(image.Moved) >= stallAfter {
			image.Stalled = true
			image.Stalls++
			seen := b.Seen
			b.note(Event{At: now, Kind: EventImageStalled, Text: image.Label})
			b.Seen = seen // nothing was seen of it
			news = true
		}
		if interval >= sampleEvery/2 && !image.Done {
			image.measure(float64(kept.recent) / interval.Seconds())
			kept.recent = 0
		}
	}
	if interval >= sampleEvery/2 {
		b.sampledAt = now
	}
	return news
}

// measure tells how fast an image goes out, and when it will have arrived.
func (i *Image) measure(rate float64) {
	if i.Rate > 0 {
		rate = (rate + float64(i.Rate)) / 2
	}
	i.Rate, i.ETA = int64(rate), 0
	if rest := i.Size - i.Covered; i.Size > 0 && rest > 0 && i.Rate > 0 && !i.Stalled {
		i.ETA = int(rest/i.Rate) + 1
	}
}

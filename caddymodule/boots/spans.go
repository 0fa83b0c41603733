// SPDX-License-Identifier: Apache-2.0

package boots

import "slices"

// span is bytes from first up to, and without, end.
type span struct{ first, end int64 }

// spans are parts of an image, sorted and apart from each other. There are at most maxSpans: a machine that reads here and
// there in an ISO has the smallest forgotten, so what is covered is never said to be more than it is.
type spans struct{ all []span }

const maxSpans = 64

func (s *spans) clear() { s.all = s.all[:0] }

// add adds a part.
func (s *spans) add(first, end int64) {
	if end <= first {
		return
	}
	from, _ := slices.BinarySearchFunc(s.all, first, func(e span, first int64) int {
		if e.end < first {
			return -1
		}
		return 1
	})
	to := from
	for ; to < len(s.all) && s.all[to].first <= end; to++ {
		first, end = min(first, s.all[to].first), max(end, s.all[to].end)
	}
	s.all = slices.Replace(s.all, from, to, span{first, end})
	if len(s.all) <= maxSpans {
		return
	}
	smallest := 0
	for i, e := range s.all {
		if e.end-e.first < s.all[smallest].end-s.all[smallest].first {
			smallest = i
		}
	}
	s.all = slices.Delete(s.all, smallest, smallest+1)
}

// covered is how many bytes there are.
func (s *spans) covered() int64 { return s.with(0, 0) }

// with is how many bytes there would be with one part more.
func (s *spans) with(first, end int64) int64 {
	n := max(end-first, 0)
	for _, e := range s.all {
		n += e.end - e.first - max(0, min(e.end, end)-max(e.first, first))
	}
	return n
}

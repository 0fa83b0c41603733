// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"sync"
	"time"
)

// warmClients is how many read what is kept.
const warmClients = 8

// figures are what the rounds of one server came to: something per second, and processor seconds for each of them.
type figures struct{ rate, cost []float64 }

// measureWarm runs a load against each server in turn, round by round, so that what else the machine does hits all. A
// load returns how much was done.
func (b *imageBench) measureWarm(ctx context.Context, f *file, load func(s *cacheServer) (float64, error)) ([]figures, error) {
	all := make([]figures, len(b.servers))
	for _, s := range b.servers {
		s.origin.near.Store(true)
		_, err := s.origin.count(ctx, func() error {
			_, err := together(ctx, []string{s.base + f.name}, f, 1)
			return err
		})
		s.origin.near.Store(false)
		if err != nil {
			return nil, err
		}
	}
	for range b.rounds {
		for i, s := range b.servers {
			before, err := cpu(s.cmd.Process.Pid)
			if err != nil {
				return nil, err
			}
			crossed := s.origin.crossed.Load()
			begin := time.Now()
			var amount float64
			err = profile(ctx, b.profiles, s.admin, f.name, b.seconds, func() (err error) {
				amount, err = load(s)
				return err
			})
			if err != nil {
				return nil, err
			}
			passed := time.Since(begin).Seconds()
			after, err := cpu(s.cmd.Process.Pid)
			if err != nil {
				return nil, err
			}
			if more := s.origin.crossed.Load() - crossed; more > 0 {
				return nil, fmt.Errorf("%s is not warm: it has asked the origin for %d bytes", s.name, more)
			}
			all[i].rate = append(all[i].rate, amount/passed)
			all[i].cost = append(all[i].cost, (after-before)/amount)
		}
	}
	return all, nil
}

// best returns the figures of the nginx that does best, 0 if there is none.
func (b *imageBench) best(all []figures) (rate, cost float64) {
	if b.alone {
		return 0, 0
	}
	return max(median(all[0].rate), median(all[1].rate)), min(median(all[0].cost), median(all[1].cost))
}

func (b *imageBench) warm(ctx context.Context) error {
	const repeats = 3
	all, err := b.measureWarm(ctx, b.large, func(s *cacheServer) (float64, error) {
		_, err := together(ctx, slices.Repeat([]string{s.base + b.large.name}, warmClients), b.large, repeats)
		return float64(warmClients*repeats*len(b.large.bytes)) / 1e9, err
	})
	if err != nil {
		return err
	}
	row, flush := b.table(fmt.Sprintf("warm, %d clients, %d MiB, %d rounds", warmClients, len(b.large.bytes)>>20, b.rounds),
		"MB/s", "of nginx's", "CPU s per GB", "of nginx's")
	rate, cost := b.best(all)
	for i, s := range b.servers {
		r, c := median(all[i].rate), median(all[i].cost)
		row(s.name, fmt.Sprintf("%.0f", r*1000), times(r, rate), fmt.Sprintf("%.3f", c), times(c, cost))
	}
	return flush()
}

func (b *imageBench) ranges(ctx context.Context) error {
	sums := make([]uint32, len(b.iso.bytes)/rangeSize)
	for i := range sums {
		sums[i] = crc32.Checksum(b.iso.bytes[i*rangeSize:][:rangeSize], castagnoli)
	}
	all, err := b.measureWarm(ctx, b.iso, func(s *cacheServer) (float64, error) {
		end := time.Now().Add(time.Duration(b.seconds) * time.Second)
		counts, errs := make([]int, warmClients), make([]error, warmClients)
		var clients sync.WaitGroup
		for i := range warmClients {
			clients.Go(func() {
				counts[i], errs[i] = readRanges(ctx, s.base+b.iso.name, b.iso, sums, i*len(sums)/warmClients, end)
			})
		}
		clients.Wait()
		total := 0
		for _, n := range counts {
			total += n
		}
		return float64(total), errors.Join(errs...)
	})
	if err != nil {
		return err
	}
	row, flush := b.table(fmt.Sprintf("warm, %d clients, %d KiB after %d KiB of a %d MiB ISO, %d rounds", warmClients, rangeSize>>10,
		rangeSize>>10, len(b.iso.bytes)>>20, b.rounds), "requests/s", "of nginx's", "CPU us per request", "of nginx's")
	rate, cost := b.best(all)
	for i, s := range b.servers {
		r, c := median(all[i].rate), median(all[i].cost)
		row(s.name, fmt.Sprintf("%.0f", r), times(r, rate), fmt.Sprintf("%.1f", c*1e6), times(c, cost))
	}
	return flush()
}

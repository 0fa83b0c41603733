// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
	"go.uber.org/zap"

	"github.com/ironic-edge/ironic-edge/cache/shared"
	"github.com/ironic-edge/ironic-edge/ipxe"
	"github.com/ironic-edge/ironic-edge/ironic"
)

// wholeInventory stands for all images that nodes refer to, in the option prefetch.
const wholeInventory = "inventory"

// How often it is looked whether there is something to prefetch: again, and after a failure.
const (
	prefetchAgain = 5 * time.Minute
	prefetchRetry = 15 * time.Second
)

// prefetchers bounds how many images are prefetched at once: nodes that boot need the line more.
const prefetchers = 2

// startPrefetch starts prefetch, if there is something to prefetch. It counts as a request: what it uses is given back
// after its end only.
func (h *Handler) startPrefetch(ctx context.Context) {
	if len(h.prefetchRefs) == 0 {
		return
	}
	h.requests.Add(1)
	go func() { // ends with the configuration
		defer h.requestEnds()
		h.prefetch(ctx)
	}()
}

// prefetch has images in the store before a node asks for them, until the context ends. What it has is kept from eviction.
func (h *Handler) prefetch(ctx context.Context) {
	done := make(map[string]bool) // what the log has told of
	for {
		pause := prefetchAgain
		wanted, err := h.prefetchWanted(ctx)
		if err != nil {
			h.logger.Warn("the images to prefetch cannot be told; Ironic cannot be asked", zap.Error(err))
			pause = prefetchRetry
		}
		targets := h.prefetchTargets(wanted)
		if err == nil { // else those of nodes that are not known now would be let go
			h.storage.pin(h, slices.Collect(maps.Keys(targets)))
		}
		if failed := h.prefetchAll(ctx, targets, done); failed > 0 {
			pause = prefetchRetry
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// wantedImage is an image to prefetch: a reference and, unless it is the configuration's, the node whose it is. What it may
// lead to is another matter for each node.
type wantedImage struct{ ref, node string }

// prefetchWanted returns the images to prefetch.
func (h *Handler) prefetchWanted(ctx context.Context) (map[wantedImage]struct{}, error) {
	wanted := make(map[wantedImage]struct{})
	nodes := false
	for _, ref := range h.prefetchRefs {
		if ref == wholeInventory {
			nodes = true
			continue
		}
		wanted[wantedImage{ref: ref}] = struct{}{}
	}
	var failed error
	if nodes {
		var known []*ipxe.Node
		known, failed = h.siteNodes(ctx)
		for _, n := range known {
			for _, ref := range h.nodeImages(n) {
				wanted[wantedImage{ref, n.UUID}] = struct{}{}
			}
		}
	}
	return wanted, failed
}

// prefetchTargets is what images lead to, by key.
func (h *Handler) prefetchTargets(wanted map[wantedImage]struct{}) map[string]*shared.Target {
	targets := make(map[string]*shared.Target)
	led := make(map[string]bool) // references that lead somewhere
	for image := range wanted {
		if led[image.ref] {
			continue
		}
		location, err := h.follow(image.ref)
		if err != nil {
			continue // an image that this edge does not serve either
		}
		if target, err := h.imageTarget(location, h.files.check(image.node, "")); err == nil {
			targets[target.Key], led[image.ref] = target, true
		}
	}
	return targets
}

// listNodes returns all nodes that can be used, and as many as there are when Ironic fails.
func (h *Handler) listNodes(ctx context.Context) ([]*ipxe.Node, error) {
	var nodes []*ipxe.Node
	for n, err := range h.client.Nodes(ctx, ironic.Scope{}) {
		switch {
		case err != nil && n.Node == nil:
			return nodes, err
		case err != nil: // it will be as bad the next time; the others' images are wanted all the same
			h.logger.Warn("the images of a node that cannot be used are not prefetched", nodeField(n.Node), zap.Error(err))
			continue
		}
		nodes = append(nodes, n.Node)
	}
	return nodes, nil
}

// nodeImages returns the references of the images that a node can need: the agent's, those for its rescue, its instance's.
func (h *Handler) nodeImages(n *ipxe.Node) []string {
	var refs []string
	for _, label := range []string{ipxe.DeployKernel, ipxe.DeployRamdisk, ipxe.RescueKernel, ipxe.RescueRamdisk,
		ipxe.Kernel, ipxe.Ramdisk, ipxe.BootISO, ipxe.Stage2} {
		if ref, err := ipxe.ImageRef(n, &h.options, label); err == nil && ref != ipxe.FromConductor {
			refs = append(refs, ref)
		}
	}
	return refs
}

// prefetchAll prefetches what is not there, a few at a time, and returns how many failed.
func (h *Handler) prefetchAll(ctx context.Context, targets map[string]*shared.Target, done map[string]bool) int {
	store := h.storage.shared()
	if store == nil {
		return len(targets)
	}
	var mu sync.Mutex
	var group sync.WaitGroup
	slots := make(chan struct{}, prefetchers)
	failed := 0
	for _, key := range slices.Sorted(maps.Keys(targets)) {
		target := targets[key]
		slots <- struct{}{}
		mu.Lock()
		known := done[key]
		mu.Unlock()
		group.Go(func() {
			defer func() { <-slots }()
			err := h.prefetchOne(ctx, store, target, known)
			h.storage.arrived(h, key, err == nil)
			mu.Lock()
			defer mu.Unlock()
			if done[key] = err == nil; err != nil {
				failed++
			}
		})
	}
	group.Wait()
	return failed
}

// prefetchOne prefetches an image and tells the log how far it is.
func (h *Handler) prefetchOne(ctx context.Context, store *shared.Cache, target *shared.Target, known bool) error {
	image := zap.String("image", target.URL.Scheme+"://"+target.URL.Host+target.URL.EscapedPath()) // a query may be a signature
	told := time.Now()
	err := store.Prefetch(ctx, target, func(have, size int64) {
		if time.Since(told) >= 10*time.Second {
			told = time.Now()
			h.logger.Info("prefetching", image, zap.String("have", humanize.IBytes(uint64(have))), zap.String("of", humanize.IBytes(uint64(max(size, 0)))))
		}
	})
	switch {
	case err != nil && ctx.Err() == nil:
		h.logger.Warn("an image cannot be prefetched", image, zap.Error(err))
	case err == nil && !known:
		h.logger.Info("an image is in the store", image)
	}
	return err
}

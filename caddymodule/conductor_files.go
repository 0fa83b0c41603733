// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/ironic-edge/ironic-edge/cache"
	"github.com/ironic-edge/ironic-edge/cache/origin"
	"github.com/ironic-edge/ironic-edge/ipxe"
)

// conductorFiles are the files of the conductor's web server that images may be. It has those of all nodes side by side,
// kickstart files with an agent's token and scripts with passwords among them, and asks nobody who he is: a node's reference
// must not lead to another node's.
type conductorFiles struct {
	base  *url.URL   // nil: no conductor is known
	meant []*url.URL // what the configuration leads to itself; where the path ends with a slash, all that is below
}

// The directories of the conductor's web server, [deploy]http_root.
const (
	conductorInstances = "agent_images" // [deploy]http_image_subdir: a node's instance image under the node's UUID
	conductorImages    = "images"       // where Metal3 has what is for all nodes
)

// The files of a node's own directory that hold secrets. No image is one of them.
const conductorScript = "config"

func (h *Handler) newConductorFiles(c *config) conductorFiles {
	base, err := url.Parse(c.conductor)
	if err != nil || c.conductor == "" {
		return conductorFiles{}
	}
	f := conductorFiles{base: base}
	for _, to := range h.imageMap {
		below := strings.TrimSuffix(to, "/") + "/"
		if u, err := url.Parse(below); err == nil && strings.HasPrefix(u.Path, base.Path+"/") && u.Path != base.Path+"/" {
			f.meant = append(f.meant, u) // one that leads to all of the conductor's files says nothing of any
		}
	}
	for _, location := range h.namedImages(c) {
		if u, err := url.Parse(location); err == nil && !strings.HasSuffix(u.Path, "/") {
			f.meant = append(f.meant, u)
		}
	}
	return f
}

// check returns what reports whether an image of a node may be at a URL. The error is a *foreignFile.
func (f conductorFiles) check(node, label string) func(*url.URL) error {
	return func(u *url.URL) error {
		if f.base == nil || !origin.Same(f.base, u) || plainPath(u) && f.may(u, strings.ToLower(node), label) {
			return nil
		}
		return &foreignFile{u.Path}
	}
}

// anywhere is a check for what the operator asks for in person.
func anywhere(*url.URL) error { return nil }

func (f conductorFiles) may(u *url.URL, node, label string) bool {
	for _, m := range f.meant {
		if origin.Same(m, u) && (m.Path == u.Path || strings.HasSuffix(m.Path, "/") && strings.HasPrefix(u.Path, m.Path)) {
			return true
		}
	}
	name, ok := strings.CutPrefix(u.Path, f.base.Path+"/")
	if !ok {
		return false
	}
	switch directory, file, below := strings.Cut(name, "/"); {
	case !below: // Bifrost has its agent there, and Ironic virtual media of nodes, which their names tell
		return !anyUUID.MatchString(strings.ReplaceAll(strings.ToLower(name), node, ""))
	case directory == node:
		return label == ipxe.Kickstart || file != conductorScript && file != ipxe.Kickstart
	case directory == conductorInstances:
		return file == node || strings.HasPrefix(file, node+".")
	default:
		return directory == conductorImages
	}
}

var anyUUID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// foreignFile says that an image's reference leads to a file of the conductor's that is not for the image's node. It is a
// *cache.OriginError, too.
type foreignFile struct{ path string }

func (e *foreignFile) Error() string {
	return "leads to " + e.path + " at the conductor, which is not the node's"
}

// Unwrap returns the error as that of an origin's answer: it will be the same the next time.
func (e *foreignFile) Unwrap() error {
	return &cache.OriginError{Status: http.StatusBadGateway, Reason: "a file of the conductor's that is not the node's"}
}

func refusedFile() refusal {
	return refusal{http.StatusBadGateway, reasonConductorFile,
		"the image's reference leads to a file of the conductor's that is not this node's; if it is for all nodes, name its directory in image_map"}
}

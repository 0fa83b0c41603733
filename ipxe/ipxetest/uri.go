// SPDX-License-Identifier: Apache-2.0

package ipxetest

import "strings"

// schemes are those of iPXE's that boot scripts use. A build need not have all of them.
var schemes = []string{"http:", "https:", "tftp:", "ftp:", "nfs:"}

// fetchable reports whether a URL is one that something can be fetched from.
func fetchable(target string) bool {
	for _, s := range schemes {
		if strings.HasPrefix(target, s) {
			return true
		}
	}
	return false
}

// resolve makes an absolute URL of a reference (core/uri.c: resolve_uri). Any colon makes it absolute already: that is
// so up to iPXE 1.20, which Debian has, and a script that needs more does not work there. Dots are resolved where the
// reference begins with them, and nowhere else. An empty reference is the base itself.
func resolve(base, ref string) string {
	ref, _, _ = strings.Cut(ref, "#")
	if strings.Contains(ref, ":") {
		return ref
	}
	origin, rest := base, ""
	if i := strings.Index(base, "://"); i >= 0 {
		if j := strings.IndexAny(base[i+3:], "/?"); j >= 0 {
			origin, rest = base[:i+3+j], base[i+3+j:]
		}
	}
	basePath, _, _ := strings.Cut(rest, "?")
	refPath, query, hasQuery := strings.Cut(ref, "?")
	switch {
	case refPath != "":
		basePath = resolvePath(basePath, refPath)
	case !hasQuery:
		return base
	}
	if hasQuery {
		query = "?" + query
	}
	return origin + basePath + query
}

func resolvePath(base, ref string) string {
	if strings.HasPrefix(ref, "/") {
		return ref
	}
	dir := parent(base)
	for {
		switch first, rest, _ := strings.Cut(ref, "/"); first {
		case "..":
			dir, ref = parent(dir), rest
		case ".":
			ref = rest
		default:
			return strings.TrimSuffix(dir, "/") + "/" + ref
		}
	}
}

// parent is the directory that a path is in, C's dirname.
func parent(path string) string {
	i := strings.LastIndexByte(path, '/')
	if i <= 0 {
		return "/"
	}
	return path[:i]
}

// imageName is the last part of a URL's path.
func imageName(target string) string {
	target, _, _ = strings.Cut(target, "?")
	return target[strings.LastIndexByte(target, '/')+1:]
}

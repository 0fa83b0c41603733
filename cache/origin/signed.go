// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
)

// signature is a way to sign a URL for whoever has it, by parameters of its query.
type signature struct {
	wants   []string // parameters without which it is none
	without string   // one with which it is another
	has     []string // others, which are of the signature and not of what is signed
	expires func(parameter func(string) string) (time.Time, bool)
}

var signatures = []signature{
	{ // Swift: swift/common/middleware/tempurl.py. The last two only name the file that a browser would make of it.
		wants: []string{"temp_url_sig", "temp_url_expires"},
		has:   []string{"temp_url_prefix", "temp_url_ip_range", "filename", "inline"},
		expires: func(parameter func(string) string) (time.Time, bool) {
			at := parameter("temp_url_expires")
			if t, err := time.Parse("2006-01-02T15:04:05Z", at); err == nil {
				return t, true
			}
			return unixTime(at)
		},
	},
	{ // S3 and Ceph, signature version 4: "Authenticating Requests: Using Query Parameters" in the API reference.
		wants: []string{"X-Amz-Signature", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders"},
		has:   []string{"X-Amz-Security-Token", "X-Amz-Content-Sha256"},
		expires: func(parameter func(string) string) (time.Time, bool) {
			from, err := time.Parse("20060102T150405Z", parameter("X-Amz-Date"))
			seconds, ok := parseSeconds(parameter("X-Amz-Expires"))
			return from.Add(seconds), err == nil && ok
		},
	},
	{ // S3 and Ceph, signature version 2: "Signing and Authenticating REST Requests", query string alternative.
		wants:   []string{"Signature", "AWSAccessKeyId", "Expires"},
		has:     []string{"x-amz-security-token"},
		expires: expiresUnix,
	},
	{ // Google Cloud Storage, the V4 signing process.
		wants: []string{"X-Goog-Signature", "X-Goog-Algorithm", "X-Goog-Credential", "X-Goog-Date", "X-Goog-Expires", "X-Goog-SignedHeaders"},
		expires: func(parameter func(string) string) (time.Time, bool) {
			from, err := time.Parse("20060102T150405Z", parameter("X-Goog-Date"))
			seconds, ok := parseSeconds(parameter("X-Goog-Expires"))
			return from.Add(seconds), err == nil && ok
		},
	},
	{ // Google Cloud Storage, the V2 signing process.
		wants:   []string{"Signature", "GoogleAccessId", "Expires"},
		expires: expiresUnix,
	},
	{ // Google Cloud CDN, signed URLs.
		wants:   []string{"Signature", "KeyName", "Expires"},
		expires: expiresUnix,
	},
	{ // CloudFront, a canned policy.
		wants:   []string{"Signature", "Key-Pair-Id", "Expires"},
		has:     []string{"Hash-Algorithm"},
		expires: expiresUnix,
	},
	{ // CloudFront, a custom policy, which has the end in it.
		wants:   []string{"Signature", "Key-Pair-Id", "Policy"},
		has:     []string{"Hash-Algorithm"},
		expires: expiresSometime,
	},
	{ // Alibaba Cloud OSS, signature version 1.
		wants:   []string{"Signature", "OSSAccessKeyId", "Expires"},
		has:     []string{"security-token"},
		expires: expiresUnix,
	},
	{ // Azure Storage, a shared access signature for a service, an account or a user delegation.
		wants: []string{"sig", "sv", "se"},
		has:   azureFields,
		expires: func(parameter func(string) string) (time.Time, bool) {
			for _, layout := range []string{"2006-01-02T15:04:05Z", "2006-01-02T15:04Z", "2006-01-02"} {
				if t, err := time.Parse(layout, parameter("se")); err == nil {
					return t, true
				}
			}
			return time.Time{}, false
		},
	},
	{ // The same with a stored access policy, which may have the end.
		wants:   []string{"sig", "sv", "si"},
		has:     azureFields,
		without: "se",
		expires: expiresSometime,
	},
}

// azureFields are what is signed by and for whom. Those that name a version, or that change the answer's fields (rsct and
// its kin), are of the content.
var azureFields = []string{"st", "sp", "sr", "ss", "srt", "spr", "sip", "si", "skoid", "sktid", "skt", "ske", "sks", "skv", "skdutid",
	"sduoid", "sdd", "ses", "saoid", "suoid", "scid"}

func expiresUnix(parameter func(string) string) (time.Time, bool) {
	return unixTime(parameter("Expires"))
}

func expiresSometime(func(string) string) (time.Time, bool) { return time.Time{}, true }

// Signed reads a URL with a signature of Swift, S3, Google Cloud, CloudFront, Azure or OSS: the key is the URL without what is
// of the signature, so that all signatures of one object have one key, and expires is when the signature does, zero if only
// the origin knows. What else is in the query, which may choose the bytes (versionId of S3, multipart-manifest of Swift),
// stays in the key. ok is false for any other URL, and for one that can be read in two ways: see Key.
//
// The key says what the bytes are, and not who may have them: see Source.MayRead.
func Signed(rawURL string) (key string, expires time.Time, ok bool) {
	u, err := url.Parse(rawURL)
	if err != nil || u.User != nil || u.Opaque != "" {
		return "", time.Time{}, false
	}
	at, err := addressOf(u)
	if err != nil {
		return "", time.Time{}, false
	}
	fields := strings.Split(u.RawQuery, "&")
	names := make([]string, len(fields))
	values := make(map[string]string, len(fields))
	for i, field := range fields {
		if field == "" {
			continue
		}
		name, value, _ := strings.Cut(field, "=")
		name, err1 := url.QueryUnescape(name)
		value, err2 := url.QueryUnescape(value)
		if _, twice := values[name]; twice || err1 != nil || err2 != nil || strings.Contains(field, ";") {
			return "", time.Time{}, false // servers differ in what they make of it
		}
		names[i], values[name] = name, value
	}
	var by *signature
	for i := range signatures {
		if signatures[i].of(values) {
			if by != nil {
				return "", time.Time{}, false
			}
			by = &signatures[i]
		}
	}
	if by == nil {
		return "", time.Time{}, false
	}
	if expires, ok = by.expires(func(name string) string { return values[name] }); !ok {
		return "", time.Time{}, false
	}
	var rest []string
	for i, name := range names {
		if fields[i] != "" && !slices.Contains(by.wants, name) && !slices.Contains(by.has, name) {
			rest = append(rest, fields[i])
		}
	}
	u = at.inURL(u)
	u.RawQuery, u.ForceQuery = strings.Join(rest, "&"), false
	return u.String(), expires, true
}

func (s *signature) of(values map[string]string) bool {
	if s.without != "" && values[s.without] != "" {
		return false
	}
	return !slices.ContainsFunc(s.wants, func(name string) bool { return values[name] == "" })
}

// Key is a URL as it may stand in a store and in logs, with a hash for its query: there are more ways to sign than Signed
// knows. Different URLs have different keys.
func Key(rawURL string) string {
	public, query, ok := strings.Cut(rawURL, "?")
	if !ok {
		return public
	}
	sum := sha256.Sum256([]byte(query))
	return public + "?" + hex.EncodeToString(sum[:16])
}

func unixTime(s string) (time.Time, bool) {
	seconds, ok := parseSeconds(s)
	return time.Unix(0, 0).Add(seconds).UTC(), ok
}

// parseSeconds reads a number of seconds below some two centuries, which a Duration can hold.
func parseSeconds(s string) (time.Duration, bool) {
	n, ok := parsePosition(s)
	return time.Duration(n) * time.Second, ok && n < 1<<33
}

// MayRead asks the origin whether who has this URL may have its bytes now, without fetching them: for who has them already,
// and serves them to somebody who came with another signature. It is a GET of one byte, as a signature may be for that
// method only. An answer that is no permission is a *cache.OriginError, with the origin's status if it has refused.
func (s *Source) MayRead(ctx context.Context) error {
	header := http.Header{}
	setRange(header, cache.Ask{Length: 1})
	a, err := s.ask(ctx, http.MethodGet, header, nil)
	if err != nil {
		return err
	}
	switch a.StatusCode {
	case http.StatusOK, http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable: // the last if it is empty
		page := s.client.cfg.RefuseHTML && !s.page && isPage(a.Header)
		a.body.Close()
		if page {
			return unusable("a web page") // a portal's, which would permit anything
		}
		return nil
	}
	if a.StatusCode >= 400 {
		return refusal(a)
	}
	a.body.Close()
	return unusable("status %d", a.StatusCode)
}

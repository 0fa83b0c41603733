// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

const (
	swiftQuery = "temp_url_sig=0123abcd&temp_url_expires=1772445600"
	v4Query    = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=key%2F20260302%2Fus-east-1%2Fs3%2Faws4_request" +
		"&X-Amz-Date=20260302T100000Z&X-Amz-Expires=1200&X-Amz-SignedHeaders=host&X-Amz-Signature=0123abcd"
	v2Query    = "AWSAccessKeyId=key&Expires=1772445600&Signature=0123%2Babcd%3D"
	azureQuery = "sv=2022-11-02&sr=b&sig=0123%2Babcd%3D&se=2026-03-02T10:00:00Z&sp=r"
)

func TestSigned(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	const object = "https://swift.example/v1/AUTH_a/glance/5e0bd1d0"
	for name, tt := range map[string]struct {
		url, key string
		expires  time.Time
	}{
		"Swift":                  {object + "?" + swiftQuery, object, at},
		"Swift, ISO 8601":        {object + "?temp_url_expires=2026-03-02T10:00:00Z&temp_url_sig=a", object, at},
		"Swift, a prefix":        {object + "?" + swiftQuery + "&temp_url_prefix=AUTH_a", object, at},
		"Swift, an address":      {object + "?" + swiftQuery + "&temp_url_ip_range=192.0.2.0/24", object, at},
		"Swift, a file's name":   {object + "?filename=a%20b&" + swiftQuery + "&inline", object, at},
		"Swift, sha512 signed":   {object + "?temp_url_sig=sha512:Ab-_&temp_url_expires=1772445600", object, at},
		"Swift, manifest":        {object + "?multipart-manifest=get&" + swiftQuery, object + "?multipart-manifest=get", at},
		"S3 version 4":           {object + "?" + v4Query, object, at.Add(20 * time.Minute)},
		"S3 version 4, session":  {object + "?" + v4Query + "&X-Amz-Security-Token=a%2Fb", object, at.Add(20 * time.Minute)},
		"S3 version 4, object":   {object + "?versionId=1&" + v4Query + "&x-id=GetObject", object + "?versionId=1&x-id=GetObject", at.Add(20 * time.Minute)},
		"S3 version 2":           {object + "?" + v2Query, object, at},
		"S3 version 2, object":   {object + "?" + v2Query + "&versionId=%31", object + "?versionId=%31", at},
		"Google, V4":             {object + "?" + strings.ReplaceAll(v4Query, "X-Amz-", "X-Goog-") + "&generation=7", object + "?generation=7", at.Add(20 * time.Minute)},
		"Google, V2":             {object + "?" + strings.Replace(v2Query, "AWSAccessKeyId", "GoogleAccessId", 1), object, at},
		"Google's CDN":           {object + "?" + strings.Replace(v2Query, "AWSAccessKeyId", "KeyName", 1), object, at},
		"OSS":                    {object + "?" + strings.Replace(v2Query, "AWSAccessKeyId", "OSSAccessKeyId", 1) + "&security-token=a", object, at},
		"CloudFront":             {object + "?a=b&" + strings.Replace(v2Query, "AWSAccessKeyId", "Key-Pair-Id", 1), object + "?a=b", at},
		"CloudFront, a policy":   {object + "?Policy=eyJT__&Signature=a~b&Key-Pair-Id=K&Hash-Algorithm=SHA256", object, time.Time{}},
		"Azure":                  {object + "?" + azureQuery, object, at},
		"Azure, minutes":         {object + "?" + strings.Replace(azureQuery, "10:00:00Z", "10:00Z", 1), object, at},
		"Azure, a day":           {object + "?" + strings.Replace(azureQuery, "T10:00:00Z", "", 1), object, at.Add(-10 * time.Hour)},
		"Azure, parts of one":    {object + "?" + strings.Replace(azureQuery, "00:00Z", "00:00.0000000Z", 1), object, at},
		"Azure, a user's":        {object + "?" + azureQuery + "&skoid=a&sktid=b&skt=c&ske=d&sks=b&skv=2022-11-02", object, at},
		"Azure, a policy":        {object + "?sv=2022-11-02&sr=c&si=readers&sig=a", object, time.Time{}},
		"Azure, policy and end":  {object + "?" + azureQuery + "&si=readers", object, at},
		"Azure, a snapshot":      {object + "?snapshot=2026-01-01T00:00:00Z&" + azureQuery + "&rsct=a%2Fb", object + "?snapshot=2026-01-01T00:00:00Z&rsct=a%2Fb", at},
		"a name that is encoded": {object + "?temp%5Furl_sig=a&temp_url_expires=1772445600", object, at},
		"spelling":               {"HTTPS://Swift.example:443/v1/AUTH_a/glance/5e0bd1d0?&" + swiftQuery + "&#part", object, at},
		"path that is encoded":   {"http://s3.example:80/b/a%2Fb%20c?" + v2Query, "http://s3.example/b/a%2Fb%20c", at},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key, expires, ok := Signed(tt.url)
			if !ok || key != tt.key || !expires.Equal(tt.expires) {
				t.Errorf("Signed = %s, %s, %t; want %s, %s", key, expires, ok, tt.key, tt.expires)
			}
			if again, _, ok := Signed(key); ok {
				t.Errorf("the key is a signed URL, of %s", again)
			}
		})
	}
}

func TestNotSigned(t *testing.T) {
	t.Parallel()
	for name, u := range map[string]string{
		"no query":               "https://swift.example/k",
		"another query":          "https://swift.example/k?a=b",
		"no signature":           "https://swift.example/k?temp_url_expires=1772445600",
		"an empty signature":     "https://swift.example/k?temp_url_sig=&temp_url_expires=1772445600",
		"no end":                 "https://swift.example/k?temp_url_sig=a",
		"an end in words":        "https://swift.example/k?temp_url_sig=a&temp_url_expires=tomorrow",
		"an end before 1970":     "https://swift.example/k?temp_url_sig=a&temp_url_expires=-1",
		"an end after time":      "https://swift.example/k?temp_url_sig=a&temp_url_expires=9223372036854775807",
		"another clock":          "https://swift.example/k?temp_url_sig=a&temp_url_expires=2026-03-02T10:00:00%2B01:00",
		"S3 without a date":      "https://s3.example/k?" + strings.Replace(v4Query, "X-Amz-Date=2", "X-Amz-Date=", 1),
		"S3 for ever":            "https://s3.example/k?" + strings.Replace(v4Query, "X-Amz-Expires=1200", "X-Amz-Expires=99999999999", 1),
		"S3 in another case":     "https://s3.example/k?" + strings.ToLower(v4Query),
		"S3 version 2, half":     "https://s3.example/k?Signature=a&Expires=1772445600",
		"Azure without an end":   "https://azure.example/k?sv=2022-11-02&sr=b&sig=a&sp=r",
		"Azure, end in words":    "https://azure.example/k?sv=2022-11-02&sig=a&se=soon",
		"CloudFront, half":       "https://cdn.example/k?Signature=a&Key-Pair-Id=b",
		"two of one":             "https://swift.example/k?" + swiftQuery + "&temp_url_sig=b",
		"two of another":         "https://swift.example/k?" + swiftQuery + "&a=1&a=2",
		"of two kinds":           "https://swift.example/k?" + swiftQuery + "&" + v2Query,
		"a semicolon":            "https://swift.example/k?" + swiftQuery + "&a=1;b=2",
		"what is not encoding":   "https://swift.example/k?" + swiftQuery + "&a=%zz",
		"a user":                 "https://u:p@swift.example/k?" + swiftQuery,
		"another scheme":         "swift://swift.example/k?" + swiftQuery,
		"no URL":                 "https://swift.example/%zz?" + swiftQuery,
		"a path":                 "/k?" + swiftQuery,
		"a scheme without slash": "https:k?" + swiftQuery,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if key, expires, ok := Signed(u); ok || key != "" || !expires.IsZero() {
				t.Errorf("Signed(%s) = %s, %s, %t", u, key, expires, ok)
			}
		})
	}
}

func TestMayRead(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ answer, want string }{
		"a byte":         {"HTTP/1.1 206 Partial Content\nContent-Range: bytes 0-0/10\nContent-Length: 1\n\n0", ""},
		"all of it":      {"HTTP/1.1 200 OK\nContent-Length: 1000000000\n\n0", ""},
		"nothing at all": {"HTTP/1.1 416 Range Not Satisfiable\nContent-Range: bytes */0\nContent-Length: 0\n\n", ""},
		"401":            {"HTTP/1.1 401 Unauthorized\nContent-Length: 0\n\n", "refused 401: status 401"},
		"403":            {"HTTP/1.1 403 Forbidden\nContent-Length: 0\n\n", "refused 403: status 403"},
		"404":            {"HTTP/1.1 404 Not Found\nContent-Length: 0\n\n", "refused 404: status 404"},
		"503":            {"HTTP/1.1 503 Service Unavailable\nRetry-After: 7\nContent-Length: 0\n\n", "refused 503: status 503, temporary, after 7s"},
		"no content":     {"HTTP/1.1 204 No Content\n\n", "refused 502: status 204"},
		"no change":      {"HTTP/1.1 304 Not Modified\n\n", "refused 502: status 304"},
		"a portal":       {"HTTP/1.1 200 OK\nContent-Type: text/html; charset=utf-8\nContent-Length: 4\n\nwell", "refused 502: a web page"},
		"elsewhere": {"HTTP/1.1 302 Found\nLocation: http://elsewhere.example/\nContent-Length: 0\n\n",
			"refused 502: a redirect to elsewhere.example (http), which Allow does not name"},
		"no HTTP": {"0123", "error: ask %s/k: the answer is not HTTP"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := startRaw(t, func(*http.Request) string { return tt.answer })
			s := source(t, newClient(t, func(c *Config) { c.RefuseHTML = true }), o.url+"/k?s3cret", nil)
			err := s.MayRead(t.Context())
			got := ""
			if err != nil {
				got = outcome(t, nil, err)
			}
			want := strings.ReplaceAll(tt.want, "%s", o.url)
			if got != want && (name != "no HTTP" || err == nil || strings.Contains(got, "s3cret")) {
				t.Errorf("MayRead = %s, want %s", got, want)
			}
			r := o.requests()
			if len(r) != 1 || r[0].Method != http.MethodGet || r[0].Header.Get("Range") != "bytes=0-0" || r[0].URL.RawQuery != "s3cret" {
				t.Errorf("asked %d times: %v", len(r), r)
			}
		})
	}
}

func TestKey(t *testing.T) {
	t.Parallel()
	const object = "https://images.example/k"
	if got := Key(object); got != object {
		t.Errorf("Key(%s) = %s", object, got)
	}
	seen := map[string]string{Key(object): object}
	for _, u := range []string{object + "?", object + "?token=s3cret", object + "?token=s3cret&a", object + "?token=s3cret?a", object + "?a&token=s3cret"} {
		key := Key(u)
		if !strings.HasPrefix(key, object+"?") || strings.Contains(key, "s3cret") || key != Key(u) {
			t.Errorf("Key(%s) = %s", u, key)
		}
		if other, taken := seen[key]; taken {
			t.Errorf("%s and %s have one key", u, other)
		}
		seen[key] = u
	}
}

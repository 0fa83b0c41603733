// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"net/http"
	"testing"

	"github.com/ironic-edge/ironic-edge/cache"
)

func TestValidatorOf(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		tags           []string
		modified, date string
		want           cache.Validator
	}{
		"none":                {nil, "", monday, cache.Validator{}},
		"strong tag":          {[]string{`"a"`}, "", "", tagA},
		"weak tag":            {[]string{`W/"a"`}, "", "", weakA},
		"empty tag":           {[]string{`""`}, "", "", cache.Validator{ETag: `""`}},
		"tag with a blank":    {[]string{`"a b"`}, "", "", cache.Validator{ETag: `"a b"`}},
		"tag without quotes":  {[]string{`a`}, monday, "", loose},
		"half a tag":          {[]string{`"`}, "", "", cache.Validator{}},
		"lower case weakness": {[]string{`w/"a"`}, "", "", cache.Validator{}},
		"quote in a tag":      {[]string{`"a"b"`}, "", "", cache.Validator{}},
		"control in a tag":    {[]string{"\"a\x01\""}, "", "", cache.Validator{}},
		"two tags":            {[]string{`"a"`, `"b"`}, monday, "", loose},
		"date, no clock":      {nil, monday, "", loose},
		"date, wrong clock":   {nil, monday, "noon", loose},
		"date of a day ago":   {nil, monday, tuesday, dated},
		"date of a minute":    {nil, monday, "Mon, 02 Mar 2026 10:01:00 GMT", dated},
		"date of 59 seconds":  {nil, monday, "Mon, 02 Mar 2026 10:00:59 GMT", loose},
		"date of now":         {nil, monday, monday, loose},
		"date ahead":          {nil, tuesday, monday, cache.Validator{LastModified: tuesday}},
		"no date":             {nil, "yesterday", tuesday, cache.Validator{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{"Etag": tt.tags, "Last-Modified": {tt.modified}, "Date": {tt.date}}
			if got := validatorOf(h); got != tt.want {
				t.Errorf("validatorOf = %+v, want %+v", got, tt.want)
			}
		})
	}
}

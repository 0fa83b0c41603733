// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"net/http"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now, err := http.ParseTime(monday)
	if err != nil {
		t.Fatal(err)
	}
	const inAMinute, longAgo = "Mon, 02 Mar 2026 10:01:00 GMT", "Sun, 06 Nov 1994 08:49:37 GMT"
	for name, tt := range map[string]struct {
		value, date string
		want        time.Duration
	}{
		"none":                    {"", "", 0},
		"seconds":                 {"7", "", 7 * time.Second},
		"none to wait":            {"0", "", 0},
		"an hour":                 {"3600", "", time.Hour},
		"a day":                   {"86400", "", time.Hour},
		"more than 64 bits":       {"99999999999999999999", "", time.Hour},
		"negative":                {"-7", "", 0},
		"fraction":                {"1.5", "", 0},
		"nonsense":                {"soon", "", 0},
		"date":                    {inAMinute, "", time.Minute},
		"date of the past":        {longAgo, "", 0},
		"date far ahead":          {tuesday, "", time.Hour},
		"date by its clock":       {inAMinute, "Mon, 02 Mar 2026 10:00:50 GMT", 10 * time.Second},
		"date, no clock":          {inAMinute, "noon", time.Minute},
		"date as of RFC 850":      {"Monday, 02-Mar-26 10:01:00 GMT", "", time.Minute},
		"date as of C's asctime":  {"Mon Mar  2 10:01:00 2026", "", time.Minute},
		"date in another time":    {"Mon, 02 Mar 2026 10:01:00 CET", "", 0},
		"a clock that is in 1994": {"Sun, 06 Nov 1994 08:49:47 GMT", longAgo, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{"Retry-After": {tt.value}, "Date": {tt.date}}
			if got := retryAfter(h, now); got != tt.want {
				t.Errorf("retryAfter(%q) = %s, want %s", tt.value, got, tt.want)
			}
		})
	}
}

// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

var (
	months   = []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}
	weekdays = []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}
)

// parseDate reads an HTTP-date in its three forms (RFC 9110 section 5.6.7):
//
//	Sun, 06 Nov 1994 08:49:37 GMT
//	Sunday, 06-Nov-94 08:49:37 GMT
//	Sun Nov  6 08:49:37 1994
//
// Names may be in any case. Nothing else may differ: http.ParseTime would take two spaces for one and an hour of one
// digit, and a date that is not valid must be one in the past (RFC 9111 section 5.3). Year is now's, which tells the
// century of a year of two digits.
func parseDate(s string, now time.Time) (time.Time, bool) {
	s = strings.ToLower(s)
	day, date, comma := strings.Cut(s, ", ")
	switch {
	case comma && shaped(date, "00 aaa 0000 00:00:00 gmt") && weekday(day, true):
		return dateOf(date[7:11], date[3:6], date[:2], date[12:20])
	case comma && shaped(date, "00-aaa-00 00:00:00 gmt") && weekday(day, false):
		return dateOf(century(date[7:9], now), date[3:6], date[:2], date[10:18])
	case !comma && shaped(s, "aaa aaa _0 00:00:00 0000") && weekday(s[:3], true):
		return dateOf(s[20:], s[4:7], strings.TrimLeft(s[8:10], " "), s[11:19])
	}
	return time.Time{}, false
}

// shaped reports whether s has a digit for each 0, a letter for each a, either a space or a digit for _, and all else
// as in the shape; gmt is meant literally.
func shaped(s, shape string) bool {
	if len(s) != len(shape) {
		return false
	}
	for i := range len(shape) {
		c := s[i]
		switch shape[i] {
		case '0':
			if !digit(c) {
				return false
			}
		case 'a':
			if !lower(c) {
				return false
			}
		case '_':
			if !digit(c) && c != ' ' {
				return false
			}
		default:
			if c != shape[i] {
				return false
			}
		}
	}
	return true
}

func weekday(s string, short bool) bool {
	return slices.ContainsFunc(weekdays, func(name string) bool {
		if short {
			name = name[:3]
		}
		return s == name
	})
}

// century makes four digits of two: a year that seems to be more than 50 years in the future is the most recent one in
// the past that ends so (RFC 9110 section 5.6.7).
func century(year string, now time.Time) string {
	y, _ := strconv.Atoi(year)
	y += now.Year() / 100 * 100
	switch {
	case y > now.Year()+50:
		y -= 100
	case y <= now.Year()-50:
		y += 100
	}
	return strconv.Itoa(y)
}

func dateOf(year, month, day, clock string) (time.Time, bool) {
	number := func(s string) int { n, _ := strconv.Atoi(s); return n }
	m := slices.Index(months, month) + 1
	h, mi, sec := number(clock[:2]), number(clock[3:5]), number(clock[6:])
	t := time.Date(number(year), time.Month(m), number(day), h, mi, sec, 0, time.UTC)
	// A second of 60 is a leap second; time.Date makes the next minute of it.
	return t, m > 0 && h < 24 && mi < 60 && sec <= 60 && number(day) > 0 && number(day) <= 31 &&
		(t.Day() == number(day) || sec == 60)
}

// SPDX-License-Identifier: Apache-2.0

package ipxe

import (
	"strings"
	"testing"
)

func TestParseMAC(t *testing.T) {
	t.Parallel()
	const want = MAC("52:54:00:ab:cd:ef")
	for name, in := range map[string]string{
		"iPXE ${mac}":          "52:54:00:ab:cd:ef",
		"iPXE ${mac:hexhyp}":   "52-54-00-ab-cd-ef",
		"iPXE ${mac:hexraw}":   "525400abcdef",
		"upper case":           "52:54:00:AB:CD:EF",
		"mixed case, hyphens":  "52-54-00-Ab-cD-eF",
		"dots":                 "5254.00ab.cdef",
		"PXELINUX":             "01-52-54-00-ab-cd-ef",
		"InfiniBand GUID":      "52:54:00:11:22:ab:cd:ef",
		"InfiniBand PXELINUX":  "20-52-54-00-11-22-ab-cd-ef",
		"InfiniBand client id": "ff:00:00:00:00:00:02:00:00:02:c9:00:52:54:00:11:22:ab:cd:ef",
		"InfiniBand hardware":  "20-80-00-02-08-fe-80-00-00-00-00-00-00-52-54-00-11-22-ab-cd-ef",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseMAC(in)
			if err != nil || got != want {
				t.Errorf("ParseMAC(%q) = %q, %v; want %q", in, got, err, want)
			}
		})
	}
}

func TestParseMACRefuses(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"empty":             "",
		"word":              "default",
		"IP address in hex": "C0A80101",
		"five octets":       "52:54:00:ab:cd",
		"seven octets":      "52:54:00:ab:cd:ef:01",
		"mixed separators":  "52:54-00:ab:cd:ef",
		"trailing colon":    "52:54:00:ab:cd:ef:",
		"leading colon":     ":52:54:00:ab:cd:ef",
		"half an octet":     "52:54:00:ab:cd:e",
		"no hex":            "52:54:00:ab:cd:eg",
		"group address":     "53:54:00:ab:cd:ef",
		"blank":             "52:54:00:ab:cd: ef",
		"NUL":               "52:54:00:ab:cd:ef\x00",
		"too long":          strings.Repeat("52:", 40) + "52",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := ParseMAC(in); err == nil {
				t.Errorf("ParseMAC(%q) = %q, want an error", in, got)
			}
		})
	}
}

func FuzzParseMAC(f *testing.F) {
	for _, s := range []string{"52:54:00:ab:cd:ef", "01-52-54-00-ab-cd-ef", "5254.00ab.cdef", "525400abcdef", "20-52-54-00-11-22-ab-cd-ef", "::", "0.0.0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := ParseMAC(s)
		if err != nil {
			return
		}
		for _, form := range []string{string(m), m.Hyphens(), strings.ToUpper(string(m)), strings.ReplaceAll(string(m), ":", ""), "01-" + m.Hyphens()} {
			if again, err := ParseMAC(form); err != nil || again != m {
				t.Errorf("ParseMAC(%q) = %q, but its form %q gives %q, %v", s, m, form, again, err)
			}
		}
	})
}

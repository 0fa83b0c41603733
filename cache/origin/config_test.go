// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestConfigRefuses(t *testing.T) {
	t.Parallel()
	nothing := filepath.Join(t.TempDir(), "nothing.pem")
	if err := os.WriteFile(nothing, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		cfg  Config
		want string
	}{
		"DialTimeout":     {Config{DialTimeout: -time.Second}, `DialTimeout "-1s": is negative`},
		"TLSTimeout":      {Config{TLSTimeout: -1}, `TLSTimeout "-1ns": is negative`},
		"HeaderTimeout":   {Config{HeaderTimeout: -time.Second}, `HeaderTimeout "-1s": is negative`},
		"IdleBody":        {Config{IdleBody: -time.Second}, `IdleBody "-1s": is negative`},
		"MaxRedirects":    {Config{MaxRedirects: -1}, `MaxRedirects "-1": is negative`},
		"MaxConnsPerHost": {Config{MaxConnsPerHost: -1}, `MaxConnsPerHost "-1": is negative`},
		"no CAFile":       {Config{CAFile: nothing + "x"}, "cannot be read"},
		"empty CAFile":    {Config{CAFile: nothing}, "holds no PEM certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := New(tt.cfg)
			var bad *ConfigError
			if !errors.As(err, &bad) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New = %v, want %s", err, tt.want)
			}
		})
	}
	if _, err := New(Config{CAFile: nothing + "x"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("New = %v, which does not say why", err)
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	c := newClient(t, nil)
	want := Config{
		UserAgent: "ironic-edge", DialTimeout: 10 * time.Second, TLSTimeout: 10 * time.Second, HeaderTimeout: 10 * time.Second,
		IdleBody: 30 * time.Second, MaxRedirects: 5,
	}
	got := c.cfg
	if got.UserAgent != want.UserAgent || got.DialTimeout != want.DialTimeout || got.TLSTimeout != want.TLSTimeout ||
		got.HeaderTimeout != want.HeaderTimeout || got.IdleBody != want.IdleBody || got.MaxRedirects != want.MaxRedirects {
		t.Errorf("defaults %+v, want %+v", got, want)
	}
	if c.transport.(*http.Transport).Proxy != nil {
		t.Error("a proxy is looked for, though nobody said so")
	}
}

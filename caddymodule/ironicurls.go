// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/ironic-edge/ironic-edge/ipxe"
)

func (i *Ironic) unmarshalURLs(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return nil
	}
	if slices.Contains(args, "") {
		return d.Err("option ironic has an empty value; write: ironic [<url>...]")
	}
	i.URL, i.URLs = args[0], args[1:]
	if len(i.URLs) == 0 {
		i.URLs = nil
	}
	return nil
}

// resolveURLs checks the further URLs.
func (i *Ironic) resolveURLs(c *config) error {
	if len(i.URLs) > 0 && i.URL == "" {
		return fmt.Errorf("%s: option ironic: urls are further ones; give url, too", directive)
	}
	var errs []error
	for _, value := range i.URLs {
		url, err := fill("ironic", value)
		if err == nil {
			if _, err = ipxe.ParseURL(url); err != nil {
				err = optionError("ironic", value, err, "give the URL of Ironic's API, such as http://127.0.0.1:6385")
			}
		}
		if err == nil && (url == c.ironic.Endpoint || slices.Contains(c.ironic.Others, url)) {
			err = optionError("ironic", value, errors.New("stands there twice"), "keep one")
		}
		c.ironic.Others = append(c.ironic.Others, url)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/ironic-edge/ironic-edge/cache/lookup"
	"github.com/ironic-edge/ironic-edge/cache/origin"
	"github.com/ironic-edge/ironic-edge/ipxe"
	"github.com/ironic-edge/ironic-edge/ironic"
)

// config is the configuration with placeholders filled in, defaults set and every value checked.
type config struct {
	ironic    ironic.Config
	options   ipxe.Options
	terms     lookup.Terms[*knownNode]
	windows   windows
	fallback  string
	conductor string
	store     Store
	allow     []string // origins beyond the declared ones
	site      *sitePart

	registries map[string]origin.Registry
	boots      Boots
}

// optionError names the option, its value and the remedy. The value is the one that stands in the configuration: what
// stands behind its placeholders may be a secret.
func optionError(option, value string, problem error, remedy string) error {
	return fmt.Errorf("%s: option %s: %q %w; %s", directive, option, value, problem, remedy)
}

// explainIronic turns what the client says of its configuration into an error of ours.
func explainIronic(err error) error {
	var bad *ironic.ConfigError
	if !errors.As(err, &bad) {
		return fmt.Errorf("%s: option ironic: %w", directive, err)
	}
	option, remedy := "ironic", "give the URL of Ironic's API, such as http://127.0.0.1:6385"
	switch bad.Field {
	case "Auth":
		option, remedy = "auth", "give one of: none, http_basic <user> <password>, cloud <name>"
	case "Auth.Cloud":
		option, remedy = "auth cloud", "give the name of an entry of clouds.yaml that has an auth_url and credentials"
	case "Auth.CloudsFile":
		option, remedy = "auth cloud", "give the path of a clouds.yaml that the edge may read"
	case "Glance":
		option, remedy = "glance", "give the URL of Glance's API, such as http://127.0.0.1:9292"
	case "CAFile":
		option, remedy = "ca_file", "give a PEM file with the certificate of the authority that Ironic's certificate comes from"
	case "ClientCert":
		option, remedy = "client_cert", "give two PEM files, a certificate and the key that belongs to it"
	case "Timeout":
		option, remedy = "timeout", "give a duration such as 5s"
	}
	return optionError(option, bad.Value, bad.Err, remedy)
}

// resolve makes a config of the exported fields. The fields themselves stay as they were written, so that a printed
// configuration shows placeholders, not what stands behind them.
func (h *Handler) resolve() (*config, error) {
	c := &config{}
	return c, errors.Join(
		h.resolveIronic(c),
		h.resolveLifetimes(c),
		h.resolveURLs(c),
		h.resolveScripts(c),
		h.resolveImages(c),
		h.resolveAllowed(c),
		h.resolveStore(c),
		h.resolveSite(c),
		h.resolveShadow(c),
		h.resolveAgent(),
		h.resolveBoots(c),
		h.resolveNotifications(c),
	)
}

// fill replaces the placeholders that are known when the configuration is loaded.
func fill(option, value string) (string, error) {
	filled, err := caddy.NewReplacer().ReplaceOrErr(value, true, true)
	if err != nil {
		return "", optionError(option, value, errors.New("has a placeholder without a value"),
			"set the environment variable or write the file that it names")
	}
	return filled, nil
}

func (h *Handler) resolveIronic(c *config) error {
	i := h.Ironic
	if i.URL == "" && i.Auth != "cloud" {
		return fmt.Errorf("%s: option ironic is missing; give the URL of Ironic's API, such as http://127.0.0.1:6385", directive)
	}
	if secret := i.Password; secret != "" && !isSecretPlaceholder(secret) {
		return fmt.Errorf("%s: option auth http_basic: the password stands in clear in the configuration, which can be printed; "+
			"give it as {env.NAME} or {file./path}", directive)
	}
	c.ironic = ironic.Config{Timeout: time.Duration(i.Timeout), Auth: ironic.Auth{Kind: i.Auth}}
	var errs []error
	for _, f := range []struct {
		option, value string
		to            *string
	}{
		{"ironic", i.URL, &c.ironic.Endpoint},
		{"auth http_basic user", i.Username, &c.ironic.Auth.Username},
		{"auth http_basic password", i.Password, &c.ironic.Auth.Password},
		{"auth cloud", i.Cloud, &c.ironic.Auth.Cloud},
		{"auth cloud file", i.CloudsFile, &c.ironic.Auth.CloudsFile},
		{"glance", i.Glance, &c.ironic.Glance},
		{"ca_file", i.CAFile, &c.ironic.CAFile},
		{"client_cert", i.ClientCert, &c.ironic.ClientCert},
		{"client_key", i.ClientKey, &c.ironic.ClientKey},
	} {
		var err error
		if *f.to, err = fill(f.option, f.value); err != nil {
			errs = append(errs, err)
		}
	}
	switch i.Auth {
	case "":
		c.ironic.Auth.Kind = "none"
	case "none":
	case "http_basic":
		if i.Username == "" || i.Password == "" {
			errs = append(errs, fmt.Errorf("%s: option auth http_basic needs a user and a password; write: auth http_basic <user> {env.NAME}", directive))
		}
	case "cloud":
		if i.Cloud == "" {
			errs = append(errs, fmt.Errorf("%s: option auth cloud needs the name of an entry of clouds.yaml; write: auth cloud <name>", directive))
		}
	default:
		errs = append(errs, optionError("auth", i.Auth, errors.New("is not a kind of authentication"), "give none, http_basic or cloud"))
	}
	if i.Timeout < 0 {
		errs = append(errs, negative("timeout", i.Timeout))
	}
	if i.Timeout == 0 {
		c.ironic.Timeout = defaultTimeout
	}
	if len(errs) == 0 && i.URL != "" {
		if _, err := ipxe.ParseURL(c.ironic.Endpoint); err != nil {
			errs = append(errs, optionError("ironic", i.URL, err, "give the URL of Ironic's API, such as http://127.0.0.1:6385"))
		}
	}
	errs = append(errs, i.resolveURLs(c))
	if (i.ClientCert == "") != (i.ClientKey == "") {
		errs = append(errs, fmt.Errorf("%s: option client_cert: certificate and key belong together; write: client_cert <cert> <key>", directive))
	}
	return errors.Join(errs...)
}

// isSecretPlaceholder reports whether s is one placeholder that keeps a secret out of the configuration.
func isSecretPlaceholder(s string) bool {
	return (strings.HasPrefix(s, "{env.") || strings.HasPrefix(s, "{file.")) && strings.Index(s, "}") == len(s)-1
}

func negative(option string, d caddy.Duration) error {
	return optionError(option, time.Duration(d).String(), errors.New("is negative"), "give a duration such as 5s")
}

func (h *Handler) resolveLifetimes(c *config) error {
	c.terms = lookup.Terms[*knownNode]{
		Value:    cmp.Or(time.Duration(h.NodeTTL), defaultNodeTTL),
		Negative: cmp.Or(time.Duration(h.NegativeTTL), defaultNegativeTTL),
		Patience: cmp.Or(time.Duration(h.AnswerDeadline), defaultDeadline),
	}
	c.terms.Late = max(c.terms.Value, lateLife)
	const longest = time.Hour // beyond it a script would be one for a state long gone
	var errs []error
	for _, f := range []struct {
		option string
		value  time.Duration
	}{{"node_ttl", c.terms.Value}, {"negative_ttl", c.terms.Negative}} {
		switch {
		case f.value < 0:
			errs = append(errs, negative(f.option, caddy.Duration(f.value)))
		case f.value > longest:
			errs = append(errs, optionError(f.option, f.value.String(), errors.New("is longer than an hour"),
				"a node would get scripts for a state it left long ago; give seconds"))
		}
	}
	if h.AnswerDeadline < 0 {
		errs = append(errs, negative("answer_deadline", h.AnswerDeadline))
	}
	errs = append(errs, h.resolveClientRate())
	var err error
	c.windows, err = h.Stale.resolve()
	errs = append(errs, err)
	return errors.Join(errs...)
}

func (h *Handler) resolveURLs(c *config) error {
	var errs []error
	const remedy = "give a URL such as http://edge.rack17:8080"
	for _, f := range []struct {
		option, value string
		parse         func(string) (ipxe.Token, error)
		to            *string
	}{
		{"public_url", h.PublicURL, ipxe.ParseURL, &h.publicURL},
		{"api_url", h.APIURL, ipxe.ParseURLs, &c.options.APIURL},
		{"inspection_callback_url", h.InspectionCallbackURL, ipxe.ParseURL, &c.options.InspectionCallbackURL},
		{"conductor_http", h.ConductorHTTP, ipxe.ParseURL, &c.conductor},
	} {
		// Placeholders of the request stay until there is one; what they give is checked by ipxe.Select.
		if f.value == "" || strings.Contains(f.value, "{http.") && (f.option == "public_url" || f.option == "api_url") {
			continue
		}
		filled, err := fill(f.option, f.value)
		if err == nil {
			var t ipxe.Token
			if t, err = f.parse(filled); err != nil {
				err = optionError(f.option, f.value, err, remedy)
			}
			*f.to = t.String()
		}
		errs = append(errs, err)
	}
	c.options.ConductorFiles = c.conductor != ""
	return errors.Join(errs...)
}

func (h *Handler) resolveScripts(c *config) error {
	var errs []error
	o := &c.options
	if h.Compat != "" {
		var err error
		if o.Compat, err = ipxe.ParseRelease(h.Compat); err != nil {
			errs = append(errs, optionError("compat", h.Compat, err, "give the release of the conductor's ironic package"))
		}
	}
	params := ipxe.DefaultKernelAppendParams(o.Compat)
	if h.KernelAppendParams != nil {
		params = *h.KernelAppendParams
	}
	for _, f := range []struct {
		option, value string
		to            *string
	}{
		{"kernel_append_params", params, &o.KernelAppendParams},
		{"inspection_params", h.InspectionParams, &o.InspectionParams},
	} {
		filled, err := fill(f.option, f.value)
		if err == nil {
			if _, err = ipxe.ParseArgs(filled); err != nil {
				err = optionError(f.option, f.value, err, "iPXE has no quoting; leave the character out")
			}
		}
		errs = append(errs, err)
		*f.to = filled
	}
	if h.IPXETimeout < 0 {
		errs = append(errs, negative("ipxe_timeout", h.IPXETimeout))
	}
	o.Timeout = time.Duration(h.IPXETimeout)
	o.AgentDebug = h.AgentDebug
	var err error
	c.fallback, err = fill("fallback_script", h.FallbackScript)
	errs = append(errs, err,
		oneOf("local_boot", h.LocalBoot, "active", "off"),
		oneOf("unknown_mac", h.UnknownMAC, "404", "inspect", "local"),
		oneOf("beacons", h.Beacons, "on", "off"))
	o.Beacons = h.Beacons != "off"
	o.NoLocalBoot = h.LocalBoot == "off"
	// The conductor is no help: it has images of its nodes only.
	if h.UnknownMAC == "inspect" && h.DeployKernel[""] == "" {
		errs = append(errs, fmt.Errorf("%s: option unknown_mac: inspect needs an agent to boot; give deploy_kernel and deploy_ramdisk", directive))
	}
	return errors.Join(errs...)
}

func oneOf(option, value string, choices ...string) error {
	if value == "" || slices.Contains(choices, value) {
		return nil
	}
	return optionError(option, value, errors.New("is not a choice"), "give one of: "+strings.Join(choices, ", "))
}

func (h *Handler) resolveImages(c *config) error {
	var errs []error
	var err error
	h.imageMap = make(map[string]string, len(h.ImageMap))
	for prefix, to := range h.ImageMap {
		from, err := fill("image_map", prefix)
		filled, errTo := fill("image_map", to)
		if errTo == nil {
			errTo = checkPrefix(to, filled)
		}
		h.imageMap[from] = filled
		errs = append(errs, err, errTo)
	}
	if c.options.Deploy, err = h.resolvePairs("deploy", h.DeployKernel, h.DeployRamdisk); err != nil {
		errs = append(errs, err)
	}
	if c.options.Rescue, err = h.resolvePairs("rescue", h.RescueKernel, h.RescueRamdisk); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// checkPrefix checks the right side of an image_map: an http or https URL.
func checkPrefix(to, filled string) error {
	if _, err := ipxe.ParseURL(filled); err != nil {
		return optionError("image_map", to, err, "write: image_map <reference prefix> <URL prefix>")
	}
	return nil
}

// resolvePairs joins the kernels and ramdisks of each architecture.
func (h *Handler) resolvePairs(mode string, kernels, ramdisks map[string]string) (map[string]ipxe.Images, error) {
	pairs := make(map[string]ipxe.Images)
	for _, arch := range slices.Sorted(maps.Keys(kernels)) {
		kernel, err := fill(mode+"_kernel", kernels[arch])
		if err != nil {
			return nil, err
		}
		ramdisk, err := fill(mode+"_ramdisk", ramdisks[arch])
		if err != nil {
			return nil, err
		}
		if kernel == "" || ramdisk == "" {
			return nil, missingPair(mode, "kernel", arch, kernels[arch])
		}
		for _, half := range []struct{ option, value, filled string }{
			{mode + "_kernel", kernels[arch], kernel}, {mode + "_ramdisk", ramdisks[arch], ramdisk},
		} {
			// The conductor has a copy of each image of a node, but none for a machine without one.
			inspect := mode == "deploy" && arch == "" && h.UnknownMAC == "inspect"
			switch _, err := h.follow(half.filled); {
			case err != nil && inspect:
				return nil, optionError(half.option, half.value, ofNoNode(err),
					"or give an http or https URL: unknown_mac inspect boots machines for which a conductor has no files")
			case err != nil && h.ConductorHTTP == "":
				return nil, optionError(half.option, half.value, err, "or give an http or https URL")
			}
		}
		pairs[arch] = ipxe.Images{Kernel: kernel, Ramdisk: ramdisk}
	}
	for _, arch := range slices.Sorted(maps.Keys(ramdisks)) {
		if _, ok := pairs[arch]; !ok {
			return nil, missingPair(mode, "ramdisk", arch, ramdisks[arch])
		}
	}
	return pairs, nil
}

func missingPair(mode, have, arch, value string) error {
	other := "ramdisk"
	if have == other {
		other = "kernel"
	}
	where := ""
	if arch != "" {
		where = arch + " "
	}
	return optionError(mode+"_"+have, value, fmt.Errorf("has no %s_%s beside it", mode, other),
		fmt.Sprintf("write: %s_%s %s<reference>", mode, other, where))
}

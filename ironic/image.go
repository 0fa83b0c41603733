// SPDX-License-Identifier: Apache-2.0

package ironic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/gophercloud/gophercloud/v2"

	"github.com/ironic-edge/ironic-edge/ipxe"
)

// Image is what Glance says of an image that it would give out now.
type Image struct {
	// URL is where the bytes are, and Header what to ask for them with. The token in it is the one by which Glance has
	// just answered; ask again for an image that is to be fetched later.
	URL    string
	Header PrivateHeader
	// Algorithm and Digest are what the bytes must hash to, as Glance spells them: os_hash_algo with os_hash_value in
	// hexadecimal, else md5 with the checksum. Both are empty where Glance has neither, as for an image that it only has
	// the location of.
	Algorithm, Digest string
	// Size in bytes; -1: Glance does not say.
	Size int64
	// Status is always active.
	Status string
}

// PrivateHeader is a header whose values are not to be seen. Printed by whatever verb, or encoded as a text or JSON, it has
// only its names.
type PrivateHeader http.Header

// Format implements fmt.Formatter.
func (h PrivateHeader) Format(f fmt.State, _ rune) {
	text, _ := h.MarshalText()
	_, _ = f.Write(text)
}

// MarshalText implements encoding.TextMarshaler.
func (h PrivateHeader) MarshalText() ([]byte, error) {
	redacted := make(map[string]string, len(h))
	for name := range h {
		redacted[name] = "(redacted)"
	}
	return json.Marshal(redacted)
}

// Image returns the image with an id of Glance's, in one call. The error is an *Error, or that of ctx when ctx was
// cancelled.
//
// Ironic has no part in it: once there is a token, images are found while Ironic is away.
func (c *Client) Image(ctx context.Context, id string) (Image, error) {
	// It goes into a path as it is: an id that its owner chose in capitals is another one to some databases.
	if _, err := ipxe.ParseUUID(id); err != nil {
		return Image{}, &Error{Kind: ErrNoImage, Op: "find an image", Reason: "not_a_uuid", Err: err}
	}
	op := "find image " + id
	began := time.Now()
	for again := c.renewable; ; again = false {
		g, login, err := c.glanceService(ctx, op, began)
		if err != nil {
			return Image{}, ended(ctx, op, err)
		}
		image := Image{URL: g.Endpoint + "images/" + id + "/file", Header: PrivateHeader{}}
		for name, value := range g.AuthenticatedHeaders() {
			image.Header[name] = []string{value}
		}
		err = c.try(ctx, op, func(ctx context.Context) error {
			body, err := askGlance(ctx, g, op, id)
			if err != nil {
				return err
			}
			return image.read(op, id, body)
		})
		var refused *Error
		if again && errors.As(err, &refused) && refused.Status == http.StatusUnauthorized {
			c.login.disown(login)
			continue
		}
		if err != nil {
			return Image{}, err
		}
		return image, nil
	}
}

// glanceService returns the way to Glance, with the login that Ironic is asked by, or without any.
func (c *Client) glanceService(ctx context.Context, op string, began time.Time) (g, login *gophercloud.ServiceClient, err error) {
	if c.where == nil {
		if c.glance == "" {
			return nil, nil, &Error{Kind: ErrUnavailable, Op: op, Reason: "no_endpoint",
				Err: errors.New("it is not known where Glance is: give its URL (Glance), or log in by clouds.yaml")}
		}
		// Ironic's user and password, if there are any, are not for Glance.
		g, err = c.provided(&gophercloud.ServiceClient{ProviderClient: new(gophercloud.ProviderClient), Type: "image", Endpoint: c.glance}, nil)
		return g, nil, err
	}
	if login, err = c.login.get(ctx, began); err != nil {
		return nil, nil, err
	}
	g = &gophercloud.ServiceClient{ProviderClient: login.ProviderClient, Type: "image", Endpoint: c.glance}
	if c.glance != "" {
		return g, login, nil
	}
	where := *c.where
	where.ApplyDefaults(g.Type)
	located, err := g.EndpointLocator(where)
	if err == nil {
		g.Endpoint, err = apiURL("Glance", located, "/v2")
	}
	if err != nil {
		return nil, nil, &Error{Kind: ErrUnavailable, Op: op, Reason: "no_endpoint",
			Err: errors.New("Keystone's catalog has no usable image endpoint for this region and interface: give Glance's URL (Glance)")}
	}
	return g, login, nil
}

// askGlance returns the document about an image.
func askGlance(ctx context.Context, g *gophercloud.ServiceClient, op, id string) ([]byte, error) {
	resp, err := g.Get(ctx, g.Endpoint+"images/"+id, nil, &gophercloud.RequestOpts{KeepResponseBody: true})
	var status gophercloud.ErrUnexpectedResponseCode
	if errors.As(err, &status) && status.Actual == http.StatusNotFound && fromGlance(status.ResponseHeader) {
		return nil, &Error{Kind: ErrNoImage, Op: op, Reason: "no_image", Status: status.Actual}
	}
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// fromGlance tells Glance's own 404 from that of a proxy, which says nothing about the image: only a service of OpenStack's
// numbers its answers (glance/api/middleware/context.py).
func fromGlance(h http.Header) bool { return h.Get("X-Openstack-Request-Id") != "" }

// read takes the facts from the document about an image. Of Glance's statuses (glance/domain/__init__.py:
// Image.valid_state_targets) some lead to active, others do not.
func (i *Image) read(op, id string, body []byte) error {
	bad := func(err error) error {
		a := answer{op: op}
		a.fail(err)
		return a.err
	}
	o, err := parseObject(body)
	if err != nil {
		return bad(err)
	}
	texts := map[string]string{"id": "", "status": "", "checksum": "", "os_hash_algo": "", "os_hash_value": ""}
	for name := range texts {
		if texts[name], err = o.text(name); err != nil {
			return bad(err)
		}
	}
	if texts["id"] != id {
		return bad(&unusable{"wrong_image", "the answer is about another image"})
	}
	i.Status = texts["status"]
	switch i.Status {
	case "active":
	case "queued", "saving", "uploading", "importing":
		return &Error{Kind: ErrUnavailable, Op: op, Reason: "not_active", Err: errors.New("its bytes are not there yet: it is " + i.Status)}
	case "deactivated":
		return &Error{Kind: ErrNoImage, Op: op, Reason: "deactivated", Err: errors.New("an administrator has deactivated it")}
	case "deleted", "pending_delete", "killed":
		return &Error{Kind: ErrNoImage, Op: op, Reason: "deleted", Err: errors.New("its bytes are gone: it is " + i.Status)}
	default:
		return bad(&unusable{"unknown_status", "status is none of Glance's"})
	}
	i.Algorithm, i.Digest = texts["os_hash_algo"], texts["os_hash_value"]
	if i.Algorithm == "" || i.Digest == "" {
		i.Algorithm, i.Digest = "md5", texts["checksum"]
	}
	if i.Digest == "" {
		i.Algorithm = ""
	}
	i.Size = -1
	if !o.absent("size") {
		if err := json.Unmarshal(o["size"], &i.Size); err != nil || i.Size < 0 {
			return bad(wrongType("size", "a number of bytes"))
		}
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

// Package caddymodule joins the parts of ironic-edge and speaks HTTP: it is the Caddy module
// http.handlers.ironic_edge, an edge that stands in front of OpenStack Ironic in a rack.
//
// A request takes one of five ways, which classify names: a boot script (script.go), the bootstrap (script.go), an image
// of a node (image.go), a call of the agent (agent.go), or a refusal (answer.go). What is none of the edge's business
// goes on to the next handler of the site.
//
// State that must outlive a reload of Caddy's configuration, the node cache and the metrics, is in state.go and
// metrics.go.
package caddymodule

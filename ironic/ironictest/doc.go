// SPDX-License-Identifier: Apache-2.0

// Package ironictest is a stand-in for OpenStack Ironic's API, for tests and demonstrations of what talks to it, in the way
// of net/http/httptest.
//
//	api := ironictest.Start(ironictest.Node{
//		UUID:           "1be26c0b-03f2-4d2e-ae87-c02d7f33c123",
//		ProvisionState: "wait call-back",
//		Ports:          []ironictest.Port{{Address: "52:54:00:17:00:01"}},
//	})
//	defer api.Close()
//	// point the client at api.URL
//
// It answers the part of the API that has to do with booting: version documents and microversion negotiation, nodes, ports,
// portgroups, volume targets and connectors with fields, filters and pages, and the agent's lookup, heartbeat and
// inspection report, with Ironic's own error documents, masks and one-shot tokens. It has no conductor: nodes change
// when the test changes them. It takes no writes but those of the agent, and knows no other resource.
//
// Package ironiccontract holds the tests that both the stand-in and real Ironic pass.
package ironictest

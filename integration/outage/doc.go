// SPDX-License-Identifier: Apache-2.0

// Package outage runs the binary before real Ironic, behind a Line that is slow, cut, silent or full of nonsense, and sees what
// machines get meanwhile and afterwards: the table of docs/operating.md, "When Ironic is slow or gone", for each kind of
// state that a node can be in. A Wire before the edge loses an agent's connection. Package edge has the machine that waits
// on 503 until Ironic is back.
package outage

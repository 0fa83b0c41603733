// SPDX-License-Identifier: Apache-2.0

package realironic

// Kill ends the process and nothing else, as an outage does. Restart brings it back.
func (i *Ironic) Kill() error { return i.kill() }

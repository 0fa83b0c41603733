// SPDX-License-Identifier: Apache-2.0

package ironic

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// The microversions of the API (ironic/api/controllers/v1/versions.py) that this package speaks; the major version is 1.
const (
	// oldestMinor is that of Ironic 11.1 (Rocky). It is the first release that shows all that a script depends on: rescue
	// states and "inspect wait" as such (1.38, 1.39; older versions are told another state) and the deploy step
	// (1.44), without which a node between the image's writing and its first boot would get the agent again.
	oldestMinor = 46
	// newestMinor is the newest whose changes were read for this release. A newer Ironic speaks it, too.
	newestMinor = 115
)

const (
	headerMinVersion = "X-OpenStack-Ironic-API-Minimum-Version"
	headerMaxVersion = "X-OpenStack-Ironic-API-Maximum-Version"
)

// negotiate chooses the newest microversion that both sides speak. Ironic names its range in every answer.
func negotiate(op string, h http.Header) (string, error) {
	oldest, err1 := parseMinor(h.Get(headerMinVersion))
	newest, err2 := parseMinor(h.Get(headerMaxVersion))
	if err1 != nil || err2 != nil {
		return "", badAnswer(op, "not_ironic", "the answer names no range of API versions 1.x; is this the URL of an Ironic API?")
	}
	if newest < oldestMinor {
		return "", badAnswer(op, "too_old", fmt.Sprintf(
			"this Ironic speaks API versions up to 1.%d, and ironic-edge needs 1.%d, that of Ironic 11.1", newest, oldestMinor))
	}
	if oldest > newestMinor {
		return "", badAnswer(op, "too_new", fmt.Sprintf(
			"this Ironic speaks API versions from 1.%d, and ironic-edge up to 1.%d", oldest, newestMinor))
	}
	return "1." + strconv.Itoa(min(newest, newestMinor)), nil
}

func parseMinor(version string) (int, error) {
	minor, ok := strings.CutPrefix(version, "1.")
	if !ok {
		return 0, fmt.Errorf("version %q is not 1.x", version)
	}
	n, err := strconv.ParseUint(minor, 10, 16)
	return int(n), err
}

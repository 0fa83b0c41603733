// SPDX-License-Identifier: Apache-2.0

//go:build integration

package page

import (
	"io"
	"net/http"

	"github.com/ironic-edge/ironic-edge/integration/rack"
)

func simulate(r *rack.Rack) {
	for _, p := range []string{"/pxelinux.cfg/52-54-00-1f-00-02", "/" + rack.UUID(stalled) + "/deploy_kernel", "/" + rack.UUID(stalled) + "/deploy_ramdisk"} {
		q, _ := http.NewRequest("GET", "http://"+r.Address+p, nil)
		q.Header.Set("User-Agent", "iPXE/1.21.1+")
		response, err := http.DefaultClient.Do(q)
		if err != nil {
			println(err.Error())
			continue
		}
		n, err := io.Copy(io.Discard, response.Body)
		println(p, response.StatusCode, n)
	}
}

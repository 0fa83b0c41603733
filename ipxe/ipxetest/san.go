// SPDX-License-Identifier: Apache-2.0

package ipxetest

import (
	"strconv"
	"strings"
)

const firstDrive = "0x80"

// sanAttempts is how often a drive is asked for something: once and ten times more (core/sanboot.c: SAN_DEFAULT_RETRIES).
// A target of iSCSI that cannot be reached is not asked at all.
const sanAttempts = 11

// sanSettings are the settings that go with an attached drive.
var sanSettings = []string{"username", "password", "reverse-username", "reverse-password", "initiator-iqn"}

func (r *run) sanDetails(drive string) string {
	details := []string{"drive=" + drive}
	for _, name := range sanSettings {
		if v := r.value(name); v != "" {
			details = append(details, name+"="+v)
		}
	}
	return strings.Join(details, " ")
}

// attach takes the first of several paths to a drive that works. A drive over HTTP is asked for its size.
func (r *run) attach(drive string, uris []string) bool {
	ok := false
	for _, uri := range uris {
		method := Attach
		if target := resolve(r.cwuri, uri); strings.HasPrefix(target, "http:") || strings.HasPrefix(target, "https:") {
			method, uri = "HEAD", target
		}
		one := false
		for range sanAttempts {
			if _, _, one = r.request(method, uri, r.sanDetails(drive)); one || r.ended || method == Attach {
				break
			}
		}
		ok = ok || one
	}
	return ok
}

func driveNumber(options map[string]string) string {
	n, ok := parseInteger(options["drive"])
	if options["drive"] == "" || !ok {
		return firstDrive
	}
	return "0x" + strconv.FormatUint(n, 16)
}

func runSanhook(r *run, options map[string]string, args []string) bool {
	return r.attach(driveNumber(options), args)
}

func runSanboot(r *run, options map[string]string, args []string) bool {
	drive := driveNumber(options)
	if len(args) > 0 && !r.attach(drive, args) {
		return false
	}
	var flags []string
	if _, ok := options["no-describe"]; ok {
		flags = append(flags, "no-describe")
	}
	if _, ok := options["keep"]; ok {
		flags = append(flags, "keep")
	}
	if f := options["filename"]; f != "" {
		flags = append(flags, "filename="+f)
	}
	flags = append(flags, args...)
	if _, _, ok := r.request(Disk, drive, r.sanDetails(drive)); !ok {
		return false
	}
	return r.stop(Event{"sanboot", strings.Join(append([]string{drive}, flags...), " ")})
}

// SPDX-License-Identifier: Apache-2.0

package ipxetest

// Machine is the node on which a script runs.
type Machine struct {
	// NICs are the MAC addresses of net0, net1 and so on, in lower case with colons.
	NICs []string
	// Boot is the index of the NIC that fetched the script; ${mac} is its address.
	Boot int
	// Settings are further settings by name, such as "buildarch". If "platform" is UEFI, the machine has that firmware;
	// otherwise it has a BIOS.
	Settings map[string]string
	// Network answers what the machine asks of the world.
	Network Network
	// Base is the URL from which the script came; relative URLs are resolved against it.
	Base string
	// NoPoweroff takes the poweroff command away, which Debian's ROMs lack.
	NoPoweroff bool
	// Key presses a key at each prompt; without it prompts time out.
	Key bool
	// MaxSteps is how many commands may be executed; 0 means 10,000.
	MaxSteps int
}

// Network is everything outside of the machine. It must answer at once.
type Network interface{ Fetch(Request) Response }

// NetworkFunc makes a function a Network.
type NetworkFunc func(Request) Response

// Fetch calls f.
func (f NetworkFunc) Fetch(r Request) Response { return f(r) }

// The methods of requests that are not HTTP's.
const (
	Attach = "ATTACH" // attach a SAN drive by its URI
	Disk   = "DISK"   // boot from a drive, "0x80" and so on
)

// Request is one thing asked of the world.
type Request struct {
	// Method is GET, HEAD, Attach or Disk.
	Method string
	// URL is absolute, or the drive for Disk.
	URL string
	// Attempt counts the requests with this method and URL in this run, from 1.
	Attempt int
}

// Response is the answer. The zero Response is a connection that failed.
type Response struct {
	// Status is HTTP's; 2xx means success for every method.
	Status int
	// Body is looked into for scripts. One that is nil stands for whatever the machine needs, such as a kernel.
	Body []byte
	// RetryAfter is the header field's value; empty: there is none.
	RetryAfter string
	// Location is where a 3xx status leads.
	Location string
}

// OK reports whether the answer is what was asked for.
func (r Response) OK() bool { return r.Status >= 200 && r.Status < 300 }

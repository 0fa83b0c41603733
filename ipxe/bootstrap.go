// SPDX-License-Identifier: Apache-2.0

package ipxe

// Bootstrap returns boot.ipxe, the script that every machine starts with: it asks for the script of each of its NICs in
// turn and, when there is none, for the fallback script (a URL or a path beside boot.ipxe; empty for none). Its trace
// is that of Ironic's boot.ipxe, in which a fallback script that cannot be fetched ends the whole script.
//
// All its URLs are relative, so it depends on nothing that the client sent.
func Bootstrap(fallback string) ([]byte, error) {
	last := ""
	if fallback != "" {
		t, err := ParseToken(fallback)
		if err == nil && fallback[0] == '-' {
			err = errOption
		}
		if err != nil {
			return nil, err
		}
		last = "chain " + t.word + "\n"
	}
	return []byte(`#!ipxe
echo ironic-edge: looking for the NIC that this machine boots from
set nic:int32 -1
:next
inc nic || chain pxelinux.cfg/${mac:hexhyp} || goto old_firmware
isset ${net${nic}/mac} || goto none
echo Asking for net${nic}, ${net${nic}/mac:hexhyp}
chain pxelinux.cfg/${net${nic}/mac:hexhyp} || goto next
echo The script has returned; the firmware goes on to its next boot device
exit 0
:none
` + last + `echo No NIC of this machine has anything to boot.
goto start_over
:old_firmware
` + last + `echo ${mac:hexhyp} has nothing to boot, and this iPXE is too old to try other NICs.
:start_over
echo Press any key to start over.
prompt --timeout 180
reboot
`), nil
}

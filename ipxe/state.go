// SPDX-License-Identifier: Apache-2.0

package ipxe

// State is a provision state in Ironic's own spelling (ironic/common/states.py).
type State string

// The provision states of Ironic, the newest release's included. A value that is not among them is one that this
// release does not know; Select answers it with a script that explains itself.
const (
	Enroll       State = "enroll"
	Verifying    State = "verifying"
	Manageable   State = "manageable"
	Available    State = "available"
	Active       State = "active"
	DeployWait   State = "wait call-back"
	Deploying    State = "deploying"
	DeployFail   State = "deploy failed"
	DeployDone   State = "deploy complete"
	DeployHold   State = "deploy hold"
	Deleting     State = "deleting"
	Deleted      State = "deleted"
	Cleaning     State = "cleaning"
	CleanWait    State = "clean wait"
	CleanFail    State = "clean failed"
	CleanHold    State = "clean hold"
	Error        State = "error"
	Rebuild      State = "rebuild"
	Inspecting   State = "inspecting"
	InspectWait  State = "inspect wait"
	InspectFail  State = "inspect failed"
	Adopting     State = "adopting"
	AdoptFail    State = "adopt failed"
	Rescue       State = "rescue"
	RescueFail   State = "rescue failed"
	RescueWait   State = "rescue wait"
	Rescuing     State = "rescuing"
	UnrescueFail State = "unrescue failed"
	Unrescuing   State = "unrescuing"
	Service      State = "service"
	Servicing    State = "servicing"
	ServiceWait  State = "service wait"
	ServiceFail  State = "service failed"
	ServiceHold  State = "service hold"
)

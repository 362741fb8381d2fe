package schema

import (
	"slices"

	"github.com/scheduler-store/scheduler-store/schema/api"
)

// ActiveStates returns the states of a task that is to run or runs. INIT is neither active nor
// terminal; all other states are one of the two.
func ActiveStates() []api.ScheduleStatus {
	return []api.ScheduleStatus{
		api.ScheduleStatusASSIGNED, api.ScheduleStatusDRAINING, api.ScheduleStatusKILLING,
		api.ScheduleStatusPENDING, api.ScheduleStatusPREEMPTING, api.ScheduleStatusRESTARTING,
		api.ScheduleStatusRUNNING, api.ScheduleStatusSTARTING, api.ScheduleStatusPARTITIONED,
		api.ScheduleStatusTHROTTLED,
	}
}

// SlaveAssignedStates returns the states in which a task has an agent.
func SlaveAssignedStates() []api.ScheduleStatus {
	return []api.ScheduleStatus{
		api.ScheduleStatusASSIGNED, api.ScheduleStatusDRAINING, api.ScheduleStatusKILLING,
		api.ScheduleStatusPREEMPTING, api.ScheduleStatusRESTARTING, api.ScheduleStatusRUNNING,
		api.ScheduleStatusPARTITIONED, api.ScheduleStatusSTARTING,
	}
}

// LiveStates returns the states in which a task has begun to run.
func LiveStates() []api.ScheduleStatus {
	return []api.ScheduleStatus{
		api.ScheduleStatusKILLING, api.ScheduleStatusPREEMPTING, api.ScheduleStatusRESTARTING,
		api.ScheduleStatusDRAINING, api.ScheduleStatusPARTITIONED, api.ScheduleStatusRUNNING,
	}
}

// TerminalStates returns the states that a task never leaves.
func TerminalStates() []api.ScheduleStatus {
	return []api.ScheduleStatus{
		api.ScheduleStatusFAILED, api.ScheduleStatusFINISHED, api.ScheduleStatusKILLED, api.ScheduleStatusLOST,
	}
}

// IsActive reports whether a status is among ActiveStates.
func IsActive(s api.ScheduleStatus) bool {
	return s.IsKnown() && s != api.ScheduleStatusINIT && !IsTerminal(s)
}

// IsSlaveAssigned reports whether a status is among SlaveAssignedStates.
func IsSlaveAssigned(s api.ScheduleStatus) bool {
	return IsActive(s) && s != api.ScheduleStatusPENDING && s != api.ScheduleStatusTHROTTLED
}

// IsLive reports whether a status is among LiveStates.
func IsLive(s api.ScheduleStatus) bool {
	return IsSlaveAssigned(s) && s != api.ScheduleStatusASSIGNED && s != api.ScheduleStatusSTARTING
}

// IsTerminal reports whether a status is among TerminalStates.
func IsTerminal(s api.ScheduleStatus) bool {
	switch s {
	case api.ScheduleStatusFAILED, api.ScheduleStatusFINISHED, api.ScheduleStatusKILLED, api.ScheduleStatusLOST:
		return true
	}
	return false
}

// ActiveUpdateStates returns the states of an update that is under way.
func ActiveUpdateStates() []api.JobUpdateStatus {
	return []api.JobUpdateStatus{
		api.JobUpdateStatusROLLING_FORWARD, api.JobUpdateStatusROLLING_BACK,
		api.JobUpdateStatusROLL_FORWARD_PAUSED, api.JobUpdateStatusROLL_BACK_PAUSED,
		api.JobUpdateStatusROLL_FORWARD_AWAITING_PULSE, api.JobUpdateStatusROLL_BACK_AWAITING_PULSE,
	}
}

// AwaitingPulseUpdateStates returns the states of an update that waits for a pulse.
func AwaitingPulseUpdateStates() []api.JobUpdateStatus {
	return []api.JobUpdateStatus{
		api.JobUpdateStatusROLL_FORWARD_AWAITING_PULSE, api.JobUpdateStatusROLL_BACK_AWAITING_PULSE,
	}
}

// TerminalUpdateStates returns the states that an update never leaves: all that are not active.
func TerminalUpdateStates() []api.JobUpdateStatus {
	return []api.JobUpdateStatus{
		api.JobUpdateStatusROLLED_FORWARD, api.JobUpdateStatusROLLED_BACK, api.JobUpdateStatusABORTED,
		api.JobUpdateStatusFAILED, api.JobUpdateStatusERROR,
	}
}

// IsActiveUpdate reports whether a status is among ActiveUpdateStates.
func IsActiveUpdate(s api.JobUpdateStatus) bool { return slices.Contains(ActiveUpdateStates(), s) }

// IsAwaitingPulse reports whether a status is among AwaitingPulseUpdateStates.
func IsAwaitingPulse(s api.JobUpdateStatus) bool {
	return slices.Contains(AwaitingPulseUpdateStates(), s)
}

// IsTerminalUpdate reports whether a status is among TerminalUpdateStates.
func IsTerminalUpdate(s api.JobUpdateStatus) bool { return slices.Contains(TerminalUpdateStates(), s) }

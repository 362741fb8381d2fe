package storage

import (
	"iter"
	"slices"

	"github.com/scheduler-store/scheduler-store/schema/api"
)

func lessJobUpdate(a, b *api.JobUpdateDetails) bool {
	return compareUpdateKeys(a.Update.Summary.Key, b.Update.Summary.Key) < 0
}

func updateProbe(key *api.JobUpdateKey) *api.JobUpdateDetails {
	return &api.JobUpdateDetails{Update: &api.JobUpdate{Summary: &api.JobUpdateSummary{Key: key}}}
}

type jobUpdateReader struct{ *stores }

func (s jobUpdateReader) Len() int { return s.jobUpdates.len() }

func (s jobUpdateReader) Fetch(key *api.JobUpdateKey) (*api.JobUpdateDetails, bool) {
	if key == nil {
		return nil, false
	}
	return s.jobUpdates.get(updateProbe(key))
}

func (s jobUpdateReader) All() iter.Seq[*api.JobUpdateDetails] { return s.jobUpdates.all() }

type jobUpdateWriter struct{ jobUpdateReader }

func (s jobUpdateWriter) Save(update *api.JobUpdate) error {
	if update == nil {
		return errorf(ErrNullArgument, "no job update to be saved")
	}
	if update.Summary == nil || update.Summary.Key == nil {
		return errorf(ErrNullArgument, "the job update to be saved has no key")
	}
	if err := checkInstructions(update.Summary.Key, update.Instructions); err != nil {
		return err
	}
	s.put(update, []*api.JobUpdateEvent{}, []*api.JobInstanceUpdateEvent{})
	return nil
}

// checkInstructions makes sure that an update says what it starts from or goes to, and
// that what it says is whole.
func checkInstructions(key *api.JobUpdateKey, in *api.JobUpdateInstructions) error {
	refuse := func(kind error, why string) error {
		return errorf(kind, "job update %s: %s", updateKeyString(key), why)
	}
	if in == nil {
		return refuse(ErrNullArgument, "it has no instructions")
	}
	if in.DesiredState == nil && len(in.InitialState) == 0 {
		return refuse(ErrInvalidArgument, "Missing both initial and desired states. At least one is required.")
	}
	for _, initial := range in.InitialState {
		if initial == nil || initial.Task == nil {
			return refuse(ErrNullArgument, "Invalid initial instance state.")
		}
		if len(initial.Instances) == 0 {
			return refuse(ErrInvalidArgument, "Invalid intial instance state ranges.") // spelled as clients know it
		}
	}
	if desired := in.DesiredState; desired != nil {
		if len(desired.Instances) == 0 {
			return refuse(ErrInvalidArgument, "desired state without instances: Argument cannot be blank")
		}
		if desired.Task == nil {
			return refuse(ErrNullArgument, "desired state without task")
		}
	}
	return nil
}

func (s jobUpdateWriter) SaveEvent(key *api.JobUpdateKey, event *api.JobUpdateEvent) error {
	stored, err := s.find(key, event == nil)
	if err != nil {
		return err
	}
	events := insertInTime(stored.UpdateEvents, event, func(e *api.JobUpdateEvent) int64 { return e.TimestampMs })
	s.put(stored.Update, events, stored.InstanceEvents)
	return nil
}

func (s jobUpdateWriter) SaveInstanceEvent(key *api.JobUpdateKey, event *api.JobInstanceUpdateEvent) error {
	stored, err := s.find(key, event == nil)
	if err != nil {
		return err
	}
	events := insertInTime(stored.InstanceEvents, event, func(e *api.JobInstanceUpdateEvent) int64 { return e.TimestampMs })
	s.put(stored.Update, stored.UpdateEvents, events)
	return nil
}

// find returns the update that gets an event.
func (s jobUpdateWriter) find(key *api.JobUpdateKey, noEvent bool) (*api.JobUpdateDetails, error) {
	if key == nil {
		return nil, errorf(ErrNullArgument, "an event of a job update needs the update's key")
	}
	if noEvent {
		return nil, errorf(ErrNullArgument, "job update %s: no event to be saved", updateKeyString(key))
	}
	stored, ok := s.Fetch(key)
	if !ok {
		return nil, errorf(ErrNotFound, "Update not found: %s", updateKeyString(key))
	}
	return stored, nil
}

func (s jobUpdateWriter) Remove(keys ...*api.JobUpdateKey) error {
	for i, key := range keys {
		if key == nil {
			return errorf(ErrNullArgument, "key %d of the %d job updates to be removed is missing", i+1, len(keys))
		}
	}
	for _, key := range keys {
		s.jobUpdates.delete(updateProbe(key))
	}
	return nil
}

// put stores an update with the state that its events tell. It makes new structs where
// it changes something; older versions keep theirs.
func (s jobUpdateWriter) put(update *api.JobUpdate, events []*api.JobUpdateEvent, instanceEvents []*api.JobInstanceUpdateEvent) {
	summary, with := *update.Summary, *update
	summary.State = derivedState(events, instanceEvents)
	with.Summary = &summary
	s.jobUpdates.set(&api.JobUpdateDetails{Update: &with, UpdateEvents: events, InstanceEvents: instanceEvents})
}

// derivedState goes by the order of the events: one that arrives late with an old
// timestamp does not change the status.
func derivedState(events []*api.JobUpdateEvent, instanceEvents []*api.JobInstanceUpdateEvent) *api.JobUpdateState {
	state := &api.JobUpdateState{}
	modified := []int64{}
	if n := len(events); n > 0 {
		state.CreatedTimestampMs = events[0].TimestampMs
		state.Status = events[n-1].Status
		modified = append(modified, events[n-1].TimestampMs)
	}
	if n := len(instanceEvents); n > 0 {
		modified = append(modified, instanceEvents[n-1].TimestampMs)
	}
	if len(modified) > 0 {
		state.LastModifiedTimestampMs = slices.Max(modified)
	}
	return state
}

// insertInTime returns a new slice with the event after all that are not later. That is
// where a stable sort would bring it from the end.
func insertInTime[E any](events []*E, event *E, timestamp func(*E) int64) []*E {
	at := len(events)
	for at > 0 && timestamp(events[at-1]) > timestamp(event) {
		at--
	}
	grown := make([]*E, 0, len(events)+1)
	grown = append(grown, events[:at]...)
	grown = append(grown, event)
	return append(grown, events[at:]...)
}

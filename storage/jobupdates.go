package storage

import (
	"iter"

	"github.com/scheduler-store/scheduler-store/schema/api"
)

// updateRow is a stored job update. Rows never change; a change makes a new one.
type updateRow struct {
	// details is what readers get: its lists are those of the two timelines.
	details        api.JobUpdateDetails
	events         timeline[api.JobUpdateEvent]
	instanceEvents timeline[api.JobInstanceUpdateEvent]
}

func (r *updateRow) summary() *api.JobUpdateSummary { return r.details.Update.Summary }

func lessJobUpdate(a, b *updateRow) bool {
	return compareUpdateKeys(a.summary().Key, b.summary().Key) < 0
}

func updateProbe(key *api.JobUpdateKey) *updateRow {
	return &updateRow{details: api.JobUpdateDetails{Update: &api.JobUpdate{Summary: &api.JobUpdateSummary{Key: key}}}}
}

type jobUpdateReader struct{ *stores }

func (s jobUpdateReader) Len() int { return s.jobUpdates.len() }

func (s jobUpdateReader) Fetch(key *api.JobUpdateKey) (*api.JobUpdateDetails, bool) {
	if key == nil {
		return nil, false
	}
	r, ok := s.jobUpdates.get(updateProbe(key))
	if !ok {
		return nil, false
	}
	return &r.details, true
}

func (s jobUpdateReader) All() iter.Seq[*api.JobUpdateDetails] { return details(s.jobUpdates.all()) }

// details shows of each row what readers get.
func details(rows iter.Seq[*updateRow]) iter.Seq[*api.JobUpdateDetails] {
	return func(yield func(*api.JobUpdateDetails) bool) {
		for r := range rows {
			if !yield(&r.details) {
				return
			}
		}
	}
}

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
	s.put(&updateRow{details: api.JobUpdateDetails{Update: update}})
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
	next, err := s.find(key, event == nil)
	if err != nil {
		return err
	}
	next.events = next.events.insert(event, func(e *api.JobUpdateEvent) int64 { return e.TimestampMs })
	s.put(next)
	return nil
}

func (s jobUpdateWriter) SaveInstanceEvent(key *api.JobUpdateKey, event *api.JobInstanceUpdateEvent) error {
	next, err := s.find(key, event == nil)
	if err != nil {
		return err
	}
	next.instanceEvents = next.instanceEvents.insert(event, func(e *api.JobInstanceUpdateEvent) int64 { return e.TimestampMs })
	s.put(next)
	return nil
}

// find returns a copy of the row of the update that gets an event.
func (s jobUpdateWriter) find(key *api.JobUpdateKey, noEvent bool) (*updateRow, error) {
	if key == nil {
		return nil, errorf(ErrNullArgument, "an event of a job update needs the update's key")
	}
	if noEvent {
		return nil, errorf(ErrNullArgument, "job update %s: no event to be saved", updateKeyString(key))
	}
	stored, ok := s.jobUpdates.get(updateProbe(key))
	if !ok {
		return nil, errorf(ErrNotFound, "Update not found: %s", updateKeyString(key))
	}
	next := *stored
	return &next, nil
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

// put stores a row, which must be new, with the state that its events tell. The update
// may be that of an older version, so what changes in it is made anew.
func (s jobUpdateWriter) put(r *updateRow) {
	update, summary := *r.details.Update, *r.details.Update.Summary
	events, instanceEvents := r.events.all(), r.instanceEvents.all()
	summary.State = derivedState(events, instanceEvents)
	update.Summary = &summary
	r.details = api.JobUpdateDetails{Update: &update, UpdateEvents: events, InstanceEvents: instanceEvents}
	s.jobUpdates.set(r)
}

// derivedState goes by the order of the events: one that arrives late with an old
// timestamp does not change the status.
func derivedState(events []*api.JobUpdateEvent, instanceEvents []*api.JobInstanceUpdateEvent) *api.JobUpdateState {
	state := &api.JobUpdateState{}
	if n := len(events); n > 0 {
		state.CreatedTimestampMs = events[0].TimestampMs
		state.Status = events[n-1].Status
		state.LastModifiedTimestampMs = events[n-1].TimestampMs
	}
	if n := len(instanceEvents); n > 0 {
		last := instanceEvents[n-1].TimestampMs
		if len(events) == 0 || last > state.LastModifiedTimestampMs {
			state.LastModifiedTimestampMs = last
		}
	}
	return state
}

package storage

import (
	"iter"

	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

func lessCronJob(a, b *api.JobConfiguration) bool { return compareJobKeys(a.Key, b.Key) < 0 }

type cronJobReader struct{ *stores }

func (s cronJobReader) Len() int { return s.cronJobs.len() }

func (s cronJobReader) Fetch(key *api.JobKey) (*api.JobConfiguration, bool) {
	return s.cronJobs.get(&api.JobConfiguration{Key: key})
}

func (s cronJobReader) All() iter.Seq[*api.JobConfiguration] { return s.cronJobs.all() }

type cronJobWriter struct{ cronJobReader }

func (s cronJobWriter) Save(job *api.JobConfiguration) error {
	if job == nil {
		return errorf(ErrNullArgument, "no cron job to be saved")
	}
	if !schema.ValidJobKey(job.Key) {
		return errorf(ErrInvalidArgument, "cron job %q: the key is not valid: %s", schema.JobKeyString(job.Key), identifierRule)
	}
	s.cronJobs.set(job)
	return nil
}

func (s cronJobWriter) Remove(key *api.JobKey) error {
	if key == nil {
		return errorf(ErrNullArgument, "no key of the cron job to be removed")
	}
	s.cronJobs.delete(&api.JobConfiguration{Key: key})
	return nil
}

const identifierRule = "role, environment and name each need 1 to 255 letters, digits, '_', '-' or '.'"

package storage

import (
	"iter"

	"github.com/scheduler-store/scheduler-store/schema/api"
)

type quotaReader struct{ *stores }

func (s quotaReader) Len() int { return s.quotas.len() }

func (s quotaReader) Fetch(role string) (*api.ResourceAggregate, bool) {
	found, ok := s.quotas.get(named[api.ResourceAggregate]{name: role})
	return found.value, ok
}

func (s quotaReader) All() iter.Seq2[string, *api.ResourceAggregate] {
	quotas := s.quotas.all()
	return func(yield func(string, *api.ResourceAggregate) bool) {
		for q := range quotas {
			if !yield(q.name, q.value) {
				return
			}
		}
	}
}

type quotaWriter struct{ quotaReader }

func (s quotaWriter) Save(role string, quota *api.ResourceAggregate) error {
	if quota == nil {
		return errorf(ErrNullArgument, "role %q: no quota to be saved", role)
	}
	s.quotas.set(named[api.ResourceAggregate]{role, quota})
	return nil
}

func (s quotaWriter) Remove(role string) error {
	s.quotas.delete(named[api.ResourceAggregate]{name: role})
	return nil
}

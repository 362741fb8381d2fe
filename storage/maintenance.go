package storage

import (
	"iter"

	"github.com/scheduler-store/scheduler-store/schema/api"
)

type maintenanceReader struct{ *stores }

func (s maintenanceReader) Len() int { return s.maintenance.len() }

func (s maintenanceReader) Fetch(host string) (*api.HostMaintenanceRequest, bool) {
	found, ok := s.maintenance.get(named[api.HostMaintenanceRequest]{name: host})
	return found.value, ok
}

func (s maintenanceReader) All() iter.Seq[*api.HostMaintenanceRequest] {
	return values(s.maintenance.all())
}

type maintenanceWriter struct{ maintenanceReader }

func (s maintenanceWriter) Save(request *api.HostMaintenanceRequest) error {
	if request == nil || !request.Host.Set {
		return errorf(ErrNullArgument, "a maintenance request needs a host name")
	}
	s.maintenance.set(named[api.HostMaintenanceRequest]{request.Host.Value, request})
	return nil
}

func (s maintenanceWriter) Remove(host string) error {
	s.maintenance.delete(named[api.HostMaintenanceRequest]{name: host})
	return nil
}

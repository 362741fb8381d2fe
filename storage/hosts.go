package storage

import (
	"iter"

	"github.com/scheduler-store/scheduler-store/schema/api"
)

type hostReader struct{ *stores }

func (s hostReader) Len() int { return s.hosts.len() }

func (s hostReader) Fetch(host string) (*api.HostAttributes, bool) {
	found, ok := s.hosts.get(named[api.HostAttributes]{name: host})
	return found.value, ok
}

func (s hostReader) All() iter.Seq[*api.HostAttributes] { return values(s.hosts.all()) }

type hostWriter struct{ hostReader }

func (s hostWriter) Save(attributes *api.HostAttributes) (bool, error) {
	if attributes == nil {
		return false, errorf(ErrNullArgument, "no host attributes to be saved")
	}
	host := attributes.Host.Get()
	for _, a := range attributes.Attributes {
		if a == nil {
			return false, errorf(ErrNullArgument, "host %q: an attribute is missing", host)
		}
		if len(a.Values) == 0 {
			return false, errorf(ErrInvalidArgument, "host %q: attribute %q has no values", host, a.Name.Get())
		}
	}
	if !attributes.Mode.Set {
		return false, errorf(ErrInvalidArgument, "host %q: the mode is not set", host)
	}
	if !attributes.Host.Set {
		return false, errorf(ErrNullArgument, "host attributes without a host name")
	}
	if stored, ok := s.Fetch(host); ok && stored.Equal(attributes) {
		return false, nil
	}
	if attributes.Attributes == nil {
		record := *attributes
		record.Attributes = []*api.Attribute{}
		attributes = &record
	}
	s.hosts.set(named[api.HostAttributes]{host, attributes})
	return true, nil
}

// AttributesOf returns the attributes of a host, none if the host is unknown.
func AttributesOf(hosts Hosts, host string) []*api.Attribute {
	if stored, ok := hosts.Fetch(host); ok {
		return stored.Attributes
	}
	return nil
}

// WithMode returns a copy of the record of a host with another mode, to be saved, and
// false if the host is unknown: then there is nothing that should be saved.
func WithMode(hosts Hosts, host string, mode api.MaintenanceMode) (*api.HostAttributes, bool) {
	stored, ok := hosts.Fetch(host)
	if !ok {
		return nil, false
	}
	changed := stored.Clone()
	changed.Mode = api.Some(mode)
	return changed, true
}

// KeepMode sets the mode of what an agent reports of its host: the agent does not know
// it. It is the stored one, or NONE if the host is unknown.
func KeepMode(hosts Hosts, reported *api.HostAttributes) {
	reported.Mode = api.Some(api.MaintenanceModeNONE)
	if stored, ok := hosts.Fetch(reported.Host.Get()); ok {
		reported.Mode = stored.Mode
	}
}

// values drops the names.
func values[T any](items iter.Seq[named[T]]) iter.Seq[*T] {
	return func(yield func(*T) bool) {
		for item := range items {
			if !yield(item.value) {
				return
			}
		}
	}
}

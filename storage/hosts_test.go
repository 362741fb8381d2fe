package storage_test

import (
	"testing"

	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

func host(name string, mode api.MaintenanceMode, agent string, attributes ...*api.Attribute) *api.HostAttributes {
	h := &api.HostAttributes{Host: api.Some(name), Mode: api.Some(mode), SlaveID: api.Some(agent), Attributes: attributes}
	h.Canonicalize()
	return h
}

func attribute(name string, values ...string) *api.Attribute {
	return &api.Attribute{Name: api.Some(name), Values: values}
}

func TestHostsSaveTellsWhatChanged(t *testing.T) {
	const none, drained = api.MaintenanceModeNONE, api.MaintenanceModeDRAINED
	hosts := begin().Hosts()
	for _, step := range []struct {
		what    string
		record  *api.HostAttributes
		changed bool
	}{
		{"new", host("h", none, "s1", attribute("rack", "a", "b")), true},
		{"same", host("h", none, "s1", attribute("rack", "a", "b")), false},
		{"same, values in another order", &api.HostAttributes{Host: api.Some("h"), Mode: api.Some(none), SlaveID: api.Some("s1"),
			Attributes: []*api.Attribute{attribute("rack", "b", "a")}}, false},
		{"mode", host("h", drained, "s1", attribute("rack", "a", "b")), true},
		{"another agent on the host", host("h", drained, "s2", attribute("rack", "a", "b")), true},
		{"attributes", host("h", drained, "s2", attribute("rack", "a")), true},
		{"fewer attributes", host("h", drained, "s2"), true},
		{"unset attributes are none", &api.HostAttributes{Host: api.Some("h"), Mode: api.Some(drained), SlaveID: api.Some("s2")}, false},
		{"no agent", &api.HostAttributes{Host: api.Some("h"), Mode: api.Some(drained), Attributes: []*api.Attribute{}}, true},
	} {
		changed, err := hosts.Save(step.record)
		must(t, err)
		got, _ := hosts.Fetch("h")
		if changed != step.changed || !got.Equal(step.record) || hosts.Len() != 1 {
			t.Fatalf("%s: changed %v, stored %v", step.what, changed, got)
		}
	}
	_, err := hosts.Save(host("g", none, "s3"))
	must(t, err)
	var names []string
	for h := range hosts.All() {
		names = append(names, h.Host.Get())
	}
	wantSame(t, "all", names, []string{"g", "h"})
}

func TestHostsRefuse(t *testing.T) {
	tx := begin()
	for _, c := range []struct {
		record *api.HostAttributes
		kind   error
		text   string
	}{
		{nil, storage.ErrNullArgument, ""},
		{&api.HostAttributes{Host: api.Some("h"), Attributes: []*api.Attribute{attribute("ok", "v"), attribute("rack")}},
			storage.ErrInvalidArgument, `attribute "rack" has no values`}, // before the missing mode
		{&api.HostAttributes{Host: api.Some("h"), Attributes: []*api.Attribute{nil}, Mode: api.Some(api.MaintenanceModeNONE)}, storage.ErrNullArgument, ""},
		{&api.HostAttributes{Host: api.Some("h")}, storage.ErrInvalidArgument, "mode"},
		{&api.HostAttributes{Mode: api.Some(api.MaintenanceModeNONE)}, storage.ErrNullArgument, "host name"},
	} {
		changed, err := tx.Hosts().Save(c.record)
		wantError(t, err, c.kind, c.text)
		if changed || tx.Hosts().Len() != 0 {
			t.Fatalf("%v was saved", c.record)
		}
	}
}

func TestHostHelpers(t *testing.T) {
	tx := begin()
	_, err := tx.Hosts().Save(host("h", api.MaintenanceModeDRAINING, "s", attribute("rack", "a")))
	must(t, err)
	if got := storage.AttributesOf(tx.Hosts(), "h"); len(got) != 1 || got[0].Name.Get() != "rack" {
		t.Fatalf("attributes %v", got)
	}
	if got := storage.AttributesOf(tx.Hosts(), "x"); len(got) != 0 {
		t.Fatalf("attributes %v", got)
	}
	got, ok := storage.WithMode(tx.Hosts(), "h", api.MaintenanceModeDRAINED)
	if !ok || !got.Equal(host("h", api.MaintenanceModeDRAINED, "s", attribute("rack", "a"))) {
		t.Fatalf("with mode %v", got)
	}
	if stored, _ := tx.Hosts().Fetch("h"); stored.Mode.Get() != api.MaintenanceModeDRAINING {
		t.Fatal("the stored record was changed")
	}
	if _, ok := storage.WithMode(tx.Hosts(), "x", api.MaintenanceModeDRAINED); ok {
		t.Fatal("a record for an unknown host")
	}
	for name, want := range map[string]api.MaintenanceMode{"h": api.MaintenanceModeDRAINING, "x": api.MaintenanceModeNONE} {
		reported := &api.HostAttributes{Host: api.Some(name)}
		storage.KeepMode(tx.Hosts(), reported)
		if reported.Mode != api.Some(want) {
			t.Fatalf("%s: mode %v, want %v", name, reported.Mode, want)
		}
	}
}

func TestUnsetAttributesAreStoredAsEmpty(t *testing.T) {
	hosts := begin().Hosts()
	given := &api.HostAttributes{Host: api.Some("h"), Mode: api.Some(api.MaintenanceModeNONE)}
	_, err := hosts.Save(given)
	must(t, err)
	if stored, _ := hosts.Fetch("h"); stored.Attributes == nil || len(stored.Attributes) != 0 {
		t.Fatalf("stored %#v", stored.Attributes)
	}
	if given.Attributes != nil {
		t.Fatal("the value given was changed")
	}
}

func TestAttributeWithoutValuesIsRefusedBeforeTheModeIs(t *testing.T) {
	hosts := begin().Hosts()
	_, err := hosts.Save(&api.HostAttributes{Host: api.Some("h"), Attributes: []*api.Attribute{attribute("rack")}})
	wantError(t, err, storage.ErrInvalidArgument, "has no values")
	_, err = hosts.Save(&api.HostAttributes{Host: api.Some("h"), Attributes: []*api.Attribute{attribute("rack", "a")}})
	wantError(t, err, storage.ErrInvalidArgument, "mode")
}

func TestRefusedHostKeepsItsRecord(t *testing.T) {
	hosts := begin().Hosts()
	before := host("h", api.MaintenanceModeDRAINED, "s", attribute("rack", "a"))
	_, err := hosts.Save(before)
	must(t, err)
	_, err = hosts.Save(&api.HostAttributes{Host: api.Some("h")})
	wantError(t, err, storage.ErrInvalidArgument, "")
	if stored, _ := hosts.Fetch("h"); stored != before {
		t.Fatalf("stored %v", stored)
	}
}

func TestModeOfAnUnknownHostIsNothingToBeSaved(t *testing.T) {
	if got, ok := storage.WithMode(begin().Hosts(), "x", api.MaintenanceModeDRAINED); ok || got != nil {
		t.Fatalf("got %v", got)
	}
}

func TestHostSavedLaterWinsWhole(t *testing.T) {
	hosts := begin().Hosts()
	_, err := hosts.Save(host("h", api.MaintenanceModeDRAINED, "s1", attribute("rack", "a"), attribute("pool", "x")))
	must(t, err)
	later := host("h", api.MaintenanceModeNONE, "s2", attribute("zone", "z"))
	_, err = hosts.Save(later)
	must(t, err)
	if stored, _ := hosts.Fetch("h"); stored != later {
		t.Fatalf("stored %v", stored)
	}
}

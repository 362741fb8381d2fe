package schema_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

func TestIdentifiers(t *testing.T) {
	for _, s := range []string{"a", "A-Z_0.9", "-", "..", strings.Repeat("x", 255)} {
		if !schema.ValidIdentifier(s) {
			t.Errorf("%q is refused", s)
		}
	}
	for _, s := range []string{"", " ", "a b", "a/b", "a\n", "é", "a\x00", "²", strings.Repeat("x", 256)} {
		if schema.ValidIdentifier(s) {
			t.Errorf("%q is taken", s)
		}
	}
}

func TestJobKeys(t *testing.T) {
	k, err := schema.ParseJobKey("role/prod/web-1.x")
	if err != nil || !k.Equal(schema.NewJobKey("role", "prod", "web-1.x")) || schema.JobKeyString(k) != "role/prod/web-1.x" {
		t.Errorf("%v, %v", k, err)
	}
	for _, s := range []string{"", "a", "a/b", "a/b/c/d", "a//c", "/b/c", "a/b/", "a/b/c d", "a/b/c\n"} {
		if k, err := schema.ParseJobKey(s); err == nil || k != nil {
			t.Errorf("%q: %v, want an error", s, k)
		}
	}
	if schema.ValidJobKey(nil) || schema.ValidJobKey(&api.JobKey{}) || schema.JobKeyString(nil) != "//" {
		t.Error("a missing key must be invalid")
	}
}

func TestStatusSets(t *testing.T) {
	for _, s := range append(api.ScheduleStatusValues(), 99) {
		check := func(name string, set []api.ScheduleStatus, is func(api.ScheduleStatus) bool) {
			if slices.Contains(set, s) != is(s) {
				t.Errorf("%v: list and function of %s states differ", s, name)
			}
		}
		check("active", schema.ActiveStates(), schema.IsActive)
		check("assigned", schema.SlaveAssignedStates(), schema.IsSlaveAssigned)
		check("live", schema.LiveStates(), schema.IsLive)
		check("terminal", schema.TerminalStates(), schema.IsTerminal)
		kinds := 0
		for _, is := range []bool{schema.IsActive(s), schema.IsTerminal(s), s == api.ScheduleStatusINIT} {
			if is {
				kinds++
			}
		}
		if s.IsKnown() != (kinds == 1) {
			t.Errorf("%v is of %d kinds", s, kinds)
		}
	}
	if n := len(schema.ActiveStates()); n != 10 {
		t.Errorf("%d active states", n)
	}
	for _, s := range api.JobUpdateStatusValues() {
		if schema.IsActiveUpdate(s) == schema.IsTerminalUpdate(s) || schema.IsAwaitingPulse(s) != strings.HasSuffix(s.String(), "_PULSE") {
			t.Errorf("%v must be either active or terminal", s)
		}
	}
}

func TestCheckQuota(t *testing.T) {
	cpu, ram := &api.Resource{NumCpus: api.Some(1.0)}, &api.Resource{RamMb: api.Some(int64(1))}
	disk, port := &api.Resource{DiskMb: api.Some(int64(1))}, &api.Resource{NamedPort: api.Some("http")}
	gpu := &api.Resource{NumGpus: api.Some(int64(1))}
	if err := schema.CheckQuota([]*api.Resource{disk, cpu, ram}); err != nil {
		t.Error(err)
	}
	const exactly = "Quota resources must be exactly: [CPUS, RAM_MB, DISK_MB]"
	tests := []struct {
		resources []*api.Resource
		want      string
	}{
		{nil, exactly},
		{[]*api.Resource{cpu, ram}, exactly},
		{[]*api.Resource{cpu, ram, port}, exactly},
		{[]*api.Resource{cpu, ram, gpu}, exactly},
		{[]*api.Resource{cpu, ram, ram}, exactly},
		{[]*api.Resource{cpu, ram, nil}, exactly},
		{[]*api.Resource{cpu, ram, {}}, exactly},
		{[]*api.Resource{cpu, ram, disk, port}, "Too many resource values in quota."},
	}
	for i, tt := range tests {
		if err := schema.CheckQuota(tt.resources); err == nil || err.Error() != tt.want {
			t.Errorf("%d: %v, want %s", i, err, tt.want)
		}
	}
	for r, want := range map[*api.Resource]string{cpu: "CPUS", ram: "RAM_MB", disk: "DISK_MB", port: "PORTS", gpu: "GPUS", nil: "ResourceKind(0)"} {
		if got := schema.KindOf(r).String(); got != want {
			t.Errorf("%v, want %s", got, want)
		}
	}
}

package schema_test

import (
	"testing"

	"github.com/scheduler-store/scheduler-store/schema/api"
)

// What is unset and what is empty or zero become one, at every depth and also where the
// IDL says optional; strings, enums, structs and unions that are unset stay so.
func TestCanonicalForms(t *testing.T) {
	zero64, zero32, no := api.Some[int64](0), api.Some[int32](0), api.Some(false)
	mesos := &api.Container{Mesos: &api.MesosContainer{Volumes: []*api.Volume{}}}
	emptyConfig := func() *api.TaskConfig {
		return &api.TaskConfig{Production: no, Constraints: []*api.Constraint{}, TaskLinks: map[string]string{}, Metadata: []*api.Metadata{},
			Resources: []*api.Resource{}, MesosFetcherURIs: []*api.MesosFetcherURI{}, Container: mesos}
	}
	for name, tt := range map[string]struct{ value, want canonical }{
		"config": {&api.TaskConfig{}, emptyConfig()},
		"task, events and ports": {&api.ScheduledTask{AssignedTask: &api.AssignedTask{Task: &api.TaskConfig{}}},
			&api.ScheduledTask{AssignedTask: &api.AssignedTask{Task: emptyConfig(), AssignedPorts: map[string]int32{}}, TaskEvents: []*api.TaskEvent{}}},
		"what is unset and no container or number": {&api.ScheduledTask{}, &api.ScheduledTask{TaskEvents: []*api.TaskEvent{}}},
		"delaySecs":        {&api.PartitionPolicy{}, &api.PartitionPolicy{DelaySecs: zero64}},
		"extract, cache":   {&api.MesosFetcherURI{}, &api.MesosFetcherURI{Extract: no, Cache: no}},
		"update settings":  {&api.JobUpdateSettings{}, &api.JobUpdateSettings{UpdateOnlyTheseInstances: []*api.Range{}, BlockIfNoPulsesAfterMs: zero32, SlaAware: no}},
		"update event":     {&api.JobUpdateEvent{}, &api.JobUpdateEvent{}},
		"host attributes":  {&api.HostAttributes{}, &api.HostAttributes{Attributes: []*api.Attribute{}}},
		"list in a branch": {&api.Container{Docker: &api.DockerContainer{}}, &api.Container{Docker: &api.DockerContainer{Parameters: []*api.DockerParameter{}}}},
		"branch of zero":   {&api.Resource{RamMb: zero64}, &api.Resource{RamMb: zero64}},
		"map in metadata":  {&api.SchedulerMetadata{}, &api.SchedulerMetadata{Details: map[string]string{}}},
		"set, in order and once": {&api.ValueConstraint{Values: []string{"b", "a", "b"}},
			&api.ValueConstraint{Values: []string{"a", "b"}}},
		"list, as it is": {&api.ScheduledTask{TaskEvents: []*api.TaskEvent{{Timestamp: 2}, {Timestamp: 1}, {Timestamp: 2}}},
			&api.ScheduledTask{TaskEvents: []*api.TaskEvent{{Timestamp: 2}, {Timestamp: 1}, {Timestamp: 2}}}},
	} {
		tt.value.Canonicalize()
		if !deepEqual(tt.value, tt.want) {
			t.Errorf("%s: %+v, want %+v", name, tt.value, tt.want)
		}
	}
}

type canonical interface{ Canonicalize() }

// A union without a branch stands for nothing, wherever it is; one with a branch keeps it.
func TestUnionWithoutABranchIsRefused(t *testing.T) {
	for name, value := range map[string]interface{ Validate() error }{
		"op": &api.Op{}, "resource": &api.ResourceAggregate{Resources: []*api.Resource{{}}},
		"container":  &api.TaskConfig{Container: &api.Container{}},
		"constraint": &api.Constraint{Constraint: &api.TaskConstraint{}},
		"image":      &api.MesosContainer{Image: &api.Image{}},
		"SLA policy": &api.HostMaintenanceRequest{DefaultSlaPolicy: &api.SlaPolicy{}},
		"strategy":   &api.JobUpdateSettings{UpdateStrategy: &api.JobUpdateStrategy{}},
	} {
		if err := value.Validate(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// Two values are equal when their canonical forms are, and only then: an unset enum or
// string is not the enum's zero or the empty string.
func TestEqualityIsThatOfCanonicalForms(t *testing.T) {
	base := &api.TaskConfig{}
	for name, tt := range map[string]struct {
		other *api.TaskConfig
		equal bool
	}{
		"empty set":           {&api.TaskConfig{Constraints: []*api.Constraint{}}, true},
		"empty map":           {&api.TaskConfig{TaskLinks: map[string]string{}}, true},
		"production is false": {&api.TaskConfig{Production: api.Some(false)}, true},
		"default container":   {&api.TaskConfig{Container: &api.Container{Mesos: &api.MesosContainer{}}}, true},
		"production":          {&api.TaskConfig{Production: api.Some(true)}, false},
		"empty string":        {&api.TaskConfig{Tier: api.Some("")}, false},
		"empty struct":        {&api.TaskConfig{PartitionPolicy: &api.PartitionPolicy{}}, false},
		"docker container":    {&api.TaskConfig{Container: &api.Container{Docker: &api.DockerContainer{}}}, false},
	} {
		if base.Equal(tt.other) != tt.equal || tt.other.Equal(base) != tt.equal {
			t.Errorf("%s: want equal %v", name, tt.equal)
		}
	}
	if (&api.ScheduledTask{}).Equal(&api.ScheduledTask{Status: api.Some(api.ScheduleStatusPENDING)}) {
		t.Error("an unset status equals PENDING, whose number is 0")
	}
}

// Copies made before a change stay equal to each other.
func TestCopiesStayEqual(t *testing.T) {
	original := smallTask("a", &api.TaskConfig{TaskLinks: map[string]string{"k": "v"}, Metadata: []*api.Metadata{{Key: api.Some("k")}}})
	one, two := original.Clone(), original.Clone()
	original.AssignedTask.Task.TaskLinks["k"] = "changed"
	original.AssignedTask.Task.Metadata[0].Key = api.Some("changed")
	original.AssignedTask.TaskID = api.Some("changed")
	if !one.Equal(two) || one.Equal(original) {
		t.Error("a change of the original shows in its copies")
	}
}

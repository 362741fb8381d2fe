package schema_test

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

func small(priority int32) *api.TaskConfig { return &api.TaskConfig{Priority: priority} }

func smallTask(id string, config *api.TaskConfig) *api.ScheduledTask {
	return &api.ScheduledTask{AssignedTask: &api.AssignedTask{TaskID: api.Some(id), Task: config, AssignedPorts: map[string]int32{"http": 1}},
		TaskEvents: []*api.TaskEvent{{Timestamp: 1}}}
}

// Each configuration is there once, in the order in which they appear, with its tasks
// in groups; the snapshot given stays as it was, and shares nothing with the result.
func TestDeduplicate(t *testing.T) {
	reordered := func(values ...string) *api.TaskConfig {
		c := small(7)
		c.Constraints = []*api.Constraint{{Constraint: &api.TaskConstraint{Value: &api.ValueConstraint{Values: values}}}}
		return c
	}
	s := &api.Snapshot{Timestamp: 3, HostAttributes: []*api.HostAttributes{{Host: api.Some("h")}}, Tasks: []*api.ScheduledTask{
		smallTask("a", small(2)), smallTask("b", small(1)), smallTask("c", small(2)), smallTask("d", reordered("x", "y")),
		smallTask("e", small(1)), smallTask("f", reordered("y", "x"))}}
	before := s.Clone()
	d, err := schema.Deduplicate(s)
	if err != nil {
		t.Fatal(err)
	}
	want := &api.DeduplicatedSnapshot{
		PartialSnapshot: &api.Snapshot{Timestamp: 3, HostAttributes: []*api.HostAttributes{{Host: api.Some("h")}}},
		TaskConfigs:     []*api.TaskConfig{small(2), small(1), reordered("x", "y")},
	}
	for _, p := range []struct {
		id     string
		config int32
	}{{"a", 0}, {"c", 0}, {"b", 1}, {"e", 1}, {"d", 2}, {"f", 2}} {
		want.PartialTasks = append(want.PartialTasks, &api.DeduplicatedScheduledTask{PartialScheduledTask: smallTask(p.id, nil), TaskConfigID: p.config})
	}
	if !deepEqual(d, want) {
		t.Errorf("got %+v", d)
	}
	spoil(reflect.ValueOf(d).Elem())
	if !deepEqual(s, before) {
		t.Error("a change of the result shows in the snapshot given")
	}
}

func TestReduplicateLeavesWhatItIsGiven(t *testing.T) {
	d, err := schema.Deduplicate(&api.Snapshot{Tasks: []*api.ScheduledTask{smallTask("a", small(1)), smallTask("b", small(1))}})
	if err != nil {
		t.Fatal(err)
	}
	before := d.Clone()
	s, err := schema.Reduplicate(d)
	if err != nil || s.Tasks[0].AssignedTask.Task != s.Tasks[1].AssignedTask.Task {
		t.Fatalf("tasks of one configuration do not share it: %v", err)
	}
	spoil(reflect.ValueOf(s).Elem())
	if !deepEqual(d, before) {
		t.Error("a change of the result shows in what was given")
	}
}

func TestNothingToDeduplicate(t *testing.T) {
	for _, tasks := range [][]*api.ScheduledTask{nil, {}} {
		d, err := schema.Deduplicate(&api.Snapshot{Timestamp: 1, Tasks: tasks})
		if err != nil || !deepEqual(d, &api.DeduplicatedSnapshot{PartialSnapshot: &api.Snapshot{Timestamp: 1}}) {
			t.Errorf("%v tasks: %+v, %v", tasks, d, err)
		}
		s, err := schema.Reduplicate(d)
		if err != nil || !deepEqual(s, &api.Snapshot{Timestamp: 1}) {
			t.Errorf("%v tasks: %+v, %v", tasks, s, err)
		}
	}
	partial := []*api.DeduplicatedScheduledTask{{PartialScheduledTask: smallTask("a", nil)}}
	// Without configurations nobody looks at the tasks; without tasks there are none.
	for _, d := range []*api.DeduplicatedSnapshot{{PartialTasks: partial}, {TaskConfigs: []*api.TaskConfig{small(1)}}, {TaskConfigs: []*api.TaskConfig{}}} {
		d.PartialSnapshot = &api.Snapshot{}
		if s, err := schema.Reduplicate(d); err != nil || s.Tasks != nil {
			t.Errorf("%+v: %+v, %v", d, s, err)
		}
	}
}

func TestDeduplicatorRefuses(t *testing.T) {
	for i, s := range []*api.Snapshot{nil, {Tasks: []*api.ScheduledTask{nil}}, {Tasks: []*api.ScheduledTask{{}}},
		{Tasks: []*api.ScheduledTask{smallTask("a", small(1)), smallTask("b", nil)}}} {
		if d, err := schema.Deduplicate(s); !errors.Is(err, schema.ErrNil) || d != nil {
			t.Errorf("snapshot %d: %+v, %v, want ErrNil", i, d, err)
		}
	}
	refer := func(task *api.ScheduledTask, index int32) *api.DeduplicatedSnapshot {
		return &api.DeduplicatedSnapshot{PartialSnapshot: &api.Snapshot{}, TaskConfigs: []*api.TaskConfig{small(1), small(2)},
			PartialTasks: []*api.DeduplicatedScheduledTask{{PartialScheduledTask: smallTask("a", nil), TaskConfigID: 1}, {PartialScheduledTask: task, TaskConfigID: index}}}
	}
	for i, d := range []*api.DeduplicatedSnapshot{nil, {}, refer(nil, 0), refer(&api.ScheduledTask{}, 1)} {
		if s, err := schema.Reduplicate(d); !errors.Is(err, schema.ErrNil) || s != nil {
			t.Errorf("%d: %+v, %v, want ErrNil", i, s, err)
		}
	}
	// The index is looked at before the task is.
	for index, want := range map[int32]string{
		2: "DeduplicatedScheduledTask referenced invalid task index 2", -1: "DeduplicatedScheduledTask referenced invalid task index -1",
		1 << 30: "DeduplicatedScheduledTask referenced invalid task index 1073741824",
	} {
		for _, task := range []*api.ScheduledTask{smallTask("b", nil), {}, nil} {
			s, err := schema.Reduplicate(refer(task, index))
			if _, ok := errors.AsType[*schema.CodingError](err); !ok || s != nil || !strings.HasSuffix(err.Error(), want) {
				t.Errorf("index %d: %+v, %v", index, s, err)
			}
		}
	}
	none := refer(smallTask("b", nil), 0)
	none.TaskConfigs = []*api.TaskConfig{}
	if _, err := schema.Reduplicate(none); err == nil || !strings.Contains(err.Error(), "invalid task index 1") {
		t.Errorf("no configurations, but present: %v", err)
	}
	d, err := schema.Deduplicate(&api.Snapshot{Tasks: []*api.ScheduledTask{smallTask("a", small(1))}})
	if err != nil {
		t.Fatal(err)
	}
	d.PartialTasks[0].TaskConfigID = 7
	for name, e := range map[string]*api.LogEntry{"nil": nil, "bad index": {DeduplicatedSnapshot: d}, "not zlib": {DeflatedEntry: []byte("x")}} {
		if e, err := schema.ExpandLogEntry(e, 0); err == nil || e != nil {
			t.Errorf("%s: expanded to %+v", name, e)
		}
	}
	bomb, err := schema.Deflate(&api.LogEntry{DeflatedEntry: bytes.Repeat([]byte{0}, 1<<16)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := schema.ExpandLogEntry(&api.LogEntry{DeflatedEntry: bomb}, 1<<10); err == nil {
		t.Error("inflated beyond the limit")
	}
}

// Reduplicate gives back what Deduplicate took, by way of bytes too, but that an empty
// task set comes back unset.
func TestReduplicateUndoesDeduplicate(t *testing.T) {
	idl := readIDL(t)
	rapid.Check(t, func(t *rapid.T) {
		s := new(api.Snapshot)
		random{t, idl}.fill(reflect.ValueOf(s).Elem(), 0)
		configs := rapid.SliceOfN(rapid.Int32Range(0, 3), 0, 8).Draw(t, "configs")
		s.Tasks = nil
		for i, c := range configs {
			task := new(api.ScheduledTask)
			random{t, idl}.fill(reflect.ValueOf(task).Elem(), 3)
			task.AssignedTask = &api.AssignedTask{TaskID: api.Some(string(rune('a' + i))), Task: small(c)}
			s.Tasks = append(s.Tasks, task)
		}
		if s.Tasks == nil && rapid.Bool().Draw(t, "empty") {
			s.Tasks = []*api.ScheduledTask{}
		}
		d, err := schema.Deduplicate(s)
		if err != nil {
			t.Fatal(err)
		}
		distinct := map[int32]bool{}
		for _, c := range configs {
			distinct[c] = true
		}
		if len(d.TaskConfigs) != len(distinct) || len(d.PartialTasks) != len(configs) || d.PartialSnapshot.Tasks != nil {
			t.Fatalf("%d configurations and %d tasks, want %d and %d", len(d.TaskConfigs), len(d.PartialTasks), len(distinct), len(configs))
		}
		b, err := schema.Encode(d)
		if err != nil {
			t.Fatal(err)
		}
		read, err := schema.Decode[api.DeduplicatedSnapshot](b)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range []*api.DeduplicatedSnapshot{d, read} {
			back, err := schema.Reduplicate(d)
			if err != nil || !back.Equal(s) {
				t.Fatalf("got %+v, want %+v (%v)", back, s, err)
			}
			if len(configs) == 0 && back.Tasks != nil {
				t.Fatal("an empty set of tasks came back")
			}
		}
	})
}

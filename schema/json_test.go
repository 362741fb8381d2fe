package schema_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/schema/wire"
)

func TestParseTransaction(t *testing.T) {
	got, err := schema.ParseTransaction([]byte(`{"ops": [
		{"saveTasks": {"tasks": [{"assignedTask": {"taskId": "t1", "slaveId": null, "assignedPorts": {"http": 80},
			"task": {"isService": true, "production": false, "resources": [{"numCpus": 0.5}, {"ramMb": 64}]}}, "status": "RUNNING"}]}},
		{"removeTasks": {"taskIds": []}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := &api.Transaction{SchemaVersion: 1, Ops: []*api.Op{
		{SaveTasks: &api.SaveTasks{Tasks: []*api.ScheduledTask{{
			AssignedTask: &api.AssignedTask{TaskID: api.Some("t1"), AssignedPorts: map[string]int32{"http": 80}, Task: &api.TaskConfig{
				IsService: true, Production: api.Some(false),
				Resources: []*api.Resource{{NumCpus: api.Some(0.5)}, {RamMb: api.Some(int64(64))}},
			}},
			Status: api.Some(api.ScheduleStatusRUNNING),
		}}}},
		{RemoveTasks: &api.RemoveTasks{TaskIDs: []string{}}},
	}}
	if !deepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}

func TestParseTransactionRefuses(t *testing.T) {
	task := func(inner string) string { return `{"ops":[{"saveTasks":{"tasks":[{` + inner + `}]}}]}` }
	const at = "ops[0].saveTasks.tasks[0]"
	tests := []struct{ name, json, want string }{
		{"unknown enum name", task(`"status":"RUNING"`), at + `.status: unknown ScheduleStatus "RUNING", want one of INIT, THROTTLED, PENDING,`},
		{"enum by number", task(`"status":2`), at + ".status: a number where the name of a ScheduleStatus must be"},
		{"unknown member", task(`"stat":1`), at + ".stat: unknown member"},
		{"another case", task(`"Status":"RUNNING"`), at + ".Status: unknown member"},
		{"member twice", task(`"failureCount":1,"failureCount":1`), at + ".failureCount: member given twice"},
		{"string for number", task(`"failureCount":"1"`), at + ".failureCount: a string where a whole number of 32 bits must be"},
		{"fraction", task(`"failureCount":1.5`), at + ".failureCount: 1.5 is not a whole number of 32 bits"},
		{"out of range", task(`"failureCount":2147483648`), at + ".failureCount: 2147483648 is not a whole number of 32 bits"},
		{"null number", task(`"failureCount":null`), at + ".failureCount: null where"},
		{"number for string", task(`"ancestorId":1`), at + ".ancestorId: a number where a string must be"},
		{"array for struct", task(`"assignedTask":[]`), at + ".assignedTask: an array where an object must be"},
		{"object for list", task(`"taskEvents":{}`), at + ".taskEvents: an object where an array must be"},
		{"null element", `{"ops":[null]}`, "ops[0]: no value"},
		{"null string element", `{"ops":[{"removeTasks":{"taskIds":["a",null]}}]}`, "ops[0].removeTasks.taskIds[1]: null where"},
		{"wrong map value", task(`"assignedTask":{"assignedPorts":{"a b":"x"}}`), at + `.assignedTask.assignedPorts["a b"]: a string where a whole number`},
		{"bool", task(`"assignedTask":{"task":{"production":1}}`), at + ".assignedTask.task.production: a number where true or false must be"},
		{"double", task(`"assignedTask":{"task":{"resources":[{"numCpus":"many"}]}}`), at + `.assignedTask.task.resources[0].numCpus: string "many"`},
		{"no branch", `{"ops":[{}]}`, "ops[0]: Op without a branch"},
		{"two branches", `{"ops":[{"removeTasks":{},"saveTasks":{}}]}`, "ops[0]: Op with 2 branches"},
		{"unknown op", `{"ops":[{"rewriteTask":{}}]}`, "ops[0].rewriteTask: unknown member"},
		{"no ops", `{"ops":[]}`, "ops: empty; a transaction has at least one"},
		{"not for clients", `{"ops":[],"committedKeys":[]}`, "committedKeys: unknown member"},
		{"not for clients either", `{"ops":[],"deduplicatedTasks":{}}`, "deduplicatedTasks: unknown member"},
		{"no ops", `{}`, "ops: missing"},
		{"null ops", `{"ops":null}`, "ops: missing"},
		{"array", `[]`, "an array where an object must be"},
		{"trailing data", `{"ops":[]} {"ops":[]}`, "not JSON at byte 11"},
		{"cut", `{"ops":[{"saveTasks"`, "not JSON at byte"},
		{"empty", ``, "EOF"},
		{"not UTF-8", "{\"ops\":[{\"saveFrameworkId\":{\"id\":\"a\xff\"}}]}", "ops[0].saveFrameworkId.id: not JSON at byte"},
	}
	for _, tt := range tests {
		got, err := schema.ParseTransaction([]byte(tt.json))
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.HasPrefix(tt.want, "ops") && !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: %v, %v, want %s", tt.name, got, err, tt.want)
		}
		if strings.Contains(tt.want, ": ") {
			var path *wire.PathError
			if !errors.As(err, &path) {
				t.Errorf("%s: %T, want a PathError", tt.name, err)
			}
		}
	}
}

func TestToJSON(t *testing.T) {
	status := api.ScheduleStatus(99)
	got, err := schema.ToJSON(&api.ScheduledTask{
		AssignedTask: &api.AssignedTask{TaskID: api.Some("t"), SlaveHost: api.Some(""), AssignedPorts: map[string]int32{"b": 2, "a": 1}},
		Status:       api.Some(status), TaskEvents: []*api.TaskEvent{},
	})
	want := `{"assignedTask":{"taskId":"t","slaveHost":"","assignedPorts":{"a":1,"b":2},"instanceId":0},` +
		`"status":"99","failureCount":0,"taskEvents":[],"timesPartitioned":0}`
	if err != nil || string(got) != want {
		t.Errorf("got  %s (%v)\nwant %s", got, err, want)
	}
}

func TestEnumsByName(t *testing.T) {
	for _, s := range api.ScheduleStatusValues() {
		text, err := s.MarshalText()
		var back api.ScheduleStatus
		if err != nil || back.UnmarshalText(text) != nil || back != s || !s.IsKnown() {
			t.Errorf("%v: %s, %v (%v)", s, text, back, err)
		}
	}
	if len(api.ScheduleStatusValues()) != 15 || api.ScheduleStatusPENDING.String() != "PENDING" || api.ScheduleStatus(8).String() != "8" {
		t.Error("values or names are wrong")
	}
	var m api.Mode
	if err := m.UnmarshalText([]byte("rw")); err == nil || err.Error() != `unknown Mode "rw", want one of RW, RO` {
		t.Error(err)
	}
}

package schema_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

// The type codes of the Binary protocol, and a few functions that put fields together
// by its rules: none of our own encoder is used here.
const (
	tBool   = 2
	tDouble = 4
	tI32    = 8
	tI64    = 10
	tString = 11
	tStruct = 12
	tMap    = 13
	tSet    = 14
	tList   = 15
)

func be32(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(int32(n))) }

func field(typ byte, id int, value []byte) []byte {
	return append([]byte{typ, byte(id >> 8), byte(id)}, value...)
}

func aStruct(fields ...[]byte) []byte { return append(slices.Concat(fields...), 0) }
func aText(s string) []byte           { return append(be32(len(s)), s...) }

func fText(id int, s string) []byte { return field(tString, id, aText(s)) }
func fI32(id, n int) []byte         { return field(tI32, id, be32(n)) }
func fI64(id int, n uint64) []byte  { return field(tI64, id, binary.BigEndian.AppendUint64(nil, n)) }
func fDouble(id int, f float64) []byte {
	return field(tDouble, id, binary.BigEndian.AppendUint64(nil, math.Float64bits(f)))
}
func fStruct(id int, fields ...[]byte) []byte { return field(tStruct, id, aStruct(fields...)) }
func fBool(id int, yes byte) []byte           { return field(tBool, id, []byte{yes}) }

func fElems(container byte, id int, elem byte, elems ...[]byte) []byte {
	return field(container, id, slices.Concat([]byte{elem}, be32(len(elems)), slices.Concat(elems...)))
}
func fSet(id int, structs ...[]byte) []byte  { return fElems(tSet, id, tStruct, structs...) }
func fList(id int, structs ...[]byte) []byte { return fElems(tList, id, tStruct, structs...) }
func fTexts(id int, texts ...[]byte) []byte  { return fElems(tSet, id, tString, texts...) }
func fMap(id int, value byte, pairs ...[]byte) []byte {
	return field(tMap, id, slices.Concat([]byte{tString, value}, be32(len(pairs)/2), slices.Concat(pairs...)))
}

func handJobKey(id int) []byte {
	return fStruct(id, fText(1, "www"), fText(2, "prod"), fText(3, "web"))
}

// handRange is of instances.
func handRange(id, first, last int) []byte { return fSet(id, aStruct(fI32(1, first), fI32(2, last))) }

var handResources = [][]byte{aStruct(fDouble(1, 2.5)), aStruct(fI64(2, 4096)), aStruct(fI64(3, 1<<33)), aStruct(fText(4, "http")), aStruct(fI64(5, 1))}

func goResources() []*api.Resource {
	return []*api.Resource{{NumCpus: api.Some(2.5)}, {RamMb: api.Some[int64](4096)}, {DiskMb: api.Some[int64](1 << 33)},
		{NamedPort: api.Some("http")}, {NumGpus: api.Some[int64](1)}}
}

// handConfig has every field of a configuration, ids that were retired, and one to come.
func handConfig(tier string) []byte {
	return aStruct(
		fText(1, "old role"), fText(3, "old name"), fBool(7, 1), fDouble(8, 1), fI64(9, 2), fI64(10, 3), fI32(11, 5), fI32(13, -1),
		fStruct(17, fText(2, "alice")), fBool(18, 1),
		fSet(20,
			aStruct(fText(1, "rack"), fStruct(2, fStruct(1, fBool(1, 1), fTexts(2, aText("a"), aText("b"))))),
			aStruct(fText(1, "host"), fStruct(2, fStruct(2, fI32(1, 1))))),
		fTexts(21, aText("http")),
		fMap(22, tString, aText("ui"), aText("http://%host%")), fText(23, "a@example.com"),
		fStruct(25, fText(1, "AuroraExecutor"), fText(2, "{}")), fText(26, "old environment"),
		fSet(27, aStruct(fText(1, "k"), fText(2, "v"))), handJobKey(28),
		fStruct(29, fStruct(1, fStruct(1, fStruct(1, fText(1, "image"), fText(2, "v1"))),
			fList(2, aStruct(fText(1, "/in"), fText(2, "/out"), fI32(3, 2))))),
		fText(30, tier), fStruct(31, fText(1, "old image")), fSet(32, handResources...),
		fSet(33, aStruct(fText(1, "uri"), fBool(2, 1), fBool(3, 0), fText(4, "file"))),
		fStruct(34, fBool(1, 1), fI64(2, 30)),
		fStruct(35, fStruct(1, fDouble(1, 95), fI64(2, 1800))),
		fMap(99, tI32, aText("to"), be32(1), aText("come"), be32(2)))
}

func goConfig(tier string) *api.TaskConfig {
	return &api.TaskConfig{
		IsService: true, Priority: 5, MaxTaskFailures: -1, Owner: &api.Identity{User: api.Some("alice")}, Production: api.Some(true),
		Constraints: []*api.Constraint{
			{Name: api.Some("rack"), Constraint: &api.TaskConstraint{Value: &api.ValueConstraint{Negated: true, Values: []string{"a", "b"}}}},
			{Name: api.Some("host"), Constraint: &api.TaskConstraint{Limit: &api.LimitConstraint{Limit: 1}}}},
		TaskLinks: map[string]string{"ui": "http://%host%"}, ContactEmail: api.Some("a@example.com"),
		ExecutorConfig: &api.ExecutorConfig{Name: api.Some("AuroraExecutor"), Data: api.Some("{}")},
		Metadata:       []*api.Metadata{{Key: api.Some("k"), Value: api.Some("v")}}, Job: schema.NewJobKey("www", "prod", "web"),
		Container: &api.Container{Mesos: &api.MesosContainer{Image: &api.Image{Docker: &api.DockerImage{Name: api.Some("image"), Tag: api.Some("v1")}},
			Volumes: []*api.Volume{{ContainerPath: api.Some("/in"), HostPath: api.Some("/out"), Mode: api.Some(api.ModeRO)}}}},
		Tier: api.Some(tier), Resources: goResources(),
		MesosFetcherURIs: []*api.MesosFetcherURI{{Value: api.Some("uri"), Extract: api.Some(true), Cache: api.Some(false), OutputFile: api.Some("file")}},
		PartitionPolicy:  &api.PartitionPolicy{Reschedule: true, DelaySecs: api.Some[int64](30)},
		SlaPolicy:        &api.SlaPolicy{PercentageSlaPolicy: &api.PercentageSlaPolicy{Percentage: 95, DurationSecs: 1800}},
	}
}

// handTask takes the field of its configuration, or none.
func handTask(id string, config []byte) []byte {
	return aStruct(
		fStruct(1, fText(1, id), fText(2, "agent-1"), fText(3, "host-1"), config, fMap(5, tI32, aText("http"), be32(31000)), fI32(6, 7)),
		fI32(2, 18), fI32(3, 2),
		fList(4, aStruct(fI64(1, 1700000000000), fI32(2, 0), fText(3, "why"), fText(4, "scheduler")), aStruct(fI64(1, 1700000000001), fI32(2, 18))),
		fText(5, "ancestor"), fI32(6, 3), fText(77, "to come"))
}

func goTask(id string, config *api.TaskConfig) *api.ScheduledTask {
	return &api.ScheduledTask{
		AssignedTask: &api.AssignedTask{TaskID: api.Some(id), SlaveID: api.Some("agent-1"), SlaveHost: api.Some("host-1"), Task: config,
			AssignedPorts: map[string]int32{"http": 31000}, InstanceID: 7},
		Status: api.Some(api.ScheduleStatusPARTITIONED), FailureCount: 2,
		TaskEvents: []*api.TaskEvent{
			{Timestamp: 1700000000000, Status: api.Some(api.ScheduleStatusPENDING), Message: api.Some("why"), Scheduler: api.Some("scheduler")},
			{Timestamp: 1700000000001, Status: api.Some(api.ScheduleStatusPARTITIONED)}},
		AncestorID: api.Some("ancestor"), TimesPartitioned: 3,
	}
}

// handUpdate is the details of an update, with every field.
func handUpdate() []byte {
	key := slices.Concat(handJobKey(1), fText(2, "u1"))
	settings := fStruct(3, fI32(1, 10), fI32(2, 1), fI32(3, 2), fI32(4, 99), fI32(5, 60000), fBool(6, 1), handRange(7, 0, 3),
		fBool(8, 1), fI32(9, 5000), fBool(10, 1), fStruct(11, fStruct(3, fElems(tList, 1, tI32, be32(1), be32(9)), fBool(2, 1))))
	return aStruct(
		fStruct(1,
			fStruct(1, fText(1, "old id"), handJobKey(2), fText(3, "bob"), fStruct(4, fI32(1, 4), fI64(2, 1), fI64(3, 2)), fStruct(5, key),
				fSet(6, aStruct(fText(1, "k"), fText(2, "v")))),
			fStruct(2,
				fSet(1, aStruct(field(tStruct, 1, handConfig("preemptible")), handRange(2, 0, 4))),
				fStruct(2, field(tStruct, 1, handConfig("preferred")), handRange(2, 0, 9)), settings)),
		fList(2, aStruct(fI32(1, 0), fI64(2, 1), fText(3, "bob"), fText(4, "begun")), aStruct(fI32(1, 4), fI64(2, 2))),
		fList(3, aStruct(fI32(1, 3), fI64(2, 1), fI32(3, 1), fText(4, "done"))))
}

func goUpdate() *api.JobUpdateDetails {
	return &api.JobUpdateDetails{
		Update: &api.JobUpdate{
			Summary: &api.JobUpdateSummary{User: api.Some("bob"), Key: &api.JobUpdateKey{Job: schema.NewJobKey("www", "prod", "web"), ID: api.Some("u1")},
				State:    &api.JobUpdateState{Status: api.Some(api.JobUpdateStatusROLLED_FORWARD), CreatedTimestampMs: 1, LastModifiedTimestampMs: 2},
				Metadata: []*api.Metadata{{Key: api.Some("k"), Value: api.Some("v")}}},
			Instructions: &api.JobUpdateInstructions{
				InitialState: []*api.InstanceTaskConfig{{Task: goConfig("preemptible"), Instances: []*api.Range{{Last: 4}}}},
				DesiredState: &api.InstanceTaskConfig{Task: goConfig("preferred"), Instances: []*api.Range{{Last: 9}}},
				Settings: &api.JobUpdateSettings{UpdateGroupSize: 10, MaxPerInstanceFailures: 1, MaxFailedInstances: 2, MinWaitInInstanceRunningMs: 60000,
					RollbackOnFailure: true, UpdateOnlyTheseInstances: []*api.Range{{Last: 3}}, WaitForBatchCompletion: true,
					BlockIfNoPulsesAfterMs: api.Some[int32](5000), SlaAware: api.Some(true),
					UpdateStrategy: &api.JobUpdateStrategy{VarBatchStrategy: &api.VariableBatchJobUpdateStrategy{GroupSizes: []int32{1, 9}, AutopauseAfterBatch: true}}},
			}},
		UpdateEvents: []*api.JobUpdateEvent{
			{Status: api.Some(api.JobUpdateStatusROLLING_FORWARD), TimestampMs: 1, User: api.Some("bob"), Message: api.Some("begun")},
			{Status: api.Some(api.JobUpdateStatusROLLED_FORWARD), TimestampMs: 2}},
		InstanceEvents: []*api.JobInstanceUpdateEvent{{InstanceID: 3, TimestampMs: 1, Action: api.Some(api.JobUpdateActionINSTANCE_UPDATED), Message: api.Some("done")}},
	}
}

// handSnapshot has every section of a snapshot, retired ids, and some to come. tasks is
// the field of its tasks, or nothing.
func handSnapshot(tasks []byte) []byte {
	return aStruct(
		fI64(1, 1700000000123),
		fSet(3, aStruct(fText(1, "host-1"), fSet(2, aStruct(fText(1, "rack"), fTexts(2, aText("a"), aText("b")))), fI32(3, 3), fText(4, "agent-1"))),
		tasks,
		fSet(5, aStruct(fText(1, "old manager"),
			fStruct(3, fText(4, "* * * * *"), fI32(5, 1), field(tStruct, 6, handConfig("preferred")), fStruct(7, fText(2, "alice")), fI32(8, 4), handJobKey(9)))),
		fStruct(6, fText(1, "framework-1"), fText(2, "revision"), fText(3, "tag"), fText(4, "time"), fText(5, "user"), fText(6, "machine"),
			fStruct(7, fI32(1, 3)), fMap(8, tString, aText("build.git.tag"), aText("v0.22"))),
		fSet(8, aStruct(fText(1, "www"), fStruct(2, fDouble(1, 1.5), fI64(2, 2), fI64(3, 3), fSet(4, handResources[:3]...)))),
		fSet(9, aStruct(fStruct(1, handJobKey(1)), fText(2, "token"))), // locks
		fSet(10, aStruct(field(tStruct, 1, handUpdate()), fText(2, "lock token"))),
		fElems(tList, 11, tString, aText("CREATE TABLE")), fBool(12, 1),
		fSet(13, aStruct(fText(1, "host-1"), fStruct(2, fStruct(3, fText(1, "http://sla"), fText(2, "drain"))), fI64(3, 600), fI64(4, 1700000000000))),
		fList(14, aStruct(fText(1, "to come"))))
}

func goSnapshot(tasks ...*api.ScheduledTask) *api.Snapshot {
	quota := &api.ResourceAggregate{NumCpus: api.Some(1.5), RamMb: api.Some[int64](2), DiskMb: api.Some[int64](3), Resources: goResources()[:3]}
	return &api.Snapshot{
		Timestamp: 1700000000123,
		HostAttributes: []*api.HostAttributes{{Host: api.Some("host-1"), Attributes: []*api.Attribute{{Name: api.Some("rack"), Values: []string{"a", "b"}}},
			Mode: api.Some(api.MaintenanceModeDRAINING), SlaveID: api.Some("agent-1")}},
		Tasks: tasks,
		CronJobs: []*api.StoredCronJob{{JobConfiguration: &api.JobConfiguration{CronSchedule: api.Some("* * * * *"),
			CronCollisionPolicy: api.Some(api.CronCollisionPolicyCANCEL_NEW), TaskConfig: goConfig("preferred"), Owner: &api.Identity{User: api.Some("alice")},
			InstanceCount: 4, Key: schema.NewJobKey("www", "prod", "web")}}},
		SchedulerMetadata:   &api.SchedulerMetadata{FrameworkID: api.Some("framework-1"), Details: map[string]string{"build.git.tag": "v0.22"}},
		QuotaConfigurations: []*api.QuotaConfiguration{{Role: api.Some("www"), Quota: quota}},
		JobUpdateDetails:    []*api.StoredJobUpdateDetails{{Details: goUpdate()}},
		HostMaintenanceRequests: []*api.HostMaintenanceRequest{{Host: api.Some("host-1"), TimeoutSecs: 600, CreatedTimestampMs: 1700000000000,
			DefaultSlaPolicy: &api.SlaPolicy{CoordinatorSlaPolicy: &api.CoordinatorSlaPolicy{CoordinatorURL: api.Some("http://sla"), StatusKey: api.Some("drain")}}}},
	}
}

// zlibbed compresses with the standard library, at a level that is not ours.
func zlibbed(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := zlib.NewWriterLevel(&b, zlib.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// fBinary is a field of bytes.
func fBinary(id int, b []byte) []byte { return fText(id, string(b)) }

// A snapshot in each form that a log or a backup has it, put together by hand, reads
// back as what it stands for.
func TestSnapshotsByHand(t *testing.T) {
	whole := handSnapshot(fSet(4,
		handTask("t1", field(tStruct, 4, handConfig("preferred"))), handTask("t2", field(tStruct, 4, handConfig("preferred"))),
		handTask("t3", field(tStruct, 4, handConfig("preemptible")))))
	want := func() *api.Snapshot {
		return goSnapshot(goTask("t1", goConfig("preferred")), goTask("t2", goConfig("preferred")), goTask("t3", goConfig("preemptible")))
	}
	deduplicated := aStruct(
		field(tStruct, 1, handSnapshot(nil)),
		fList(2, aStruct(field(tStruct, 1, handTask("t1", nil)), fI32(2, 0)), aStruct(field(tStruct, 1, handTask("t2", nil)), fI32(2, 0)),
			aStruct(field(tStruct, 1, handTask("t3", nil)), fI32(2, 1))),
		fList(3, handConfig("preferred"), handConfig("preemptible")), fText(4, "to come"))

	// A backup is the bare struct.
	got, err := schema.Decode[api.Snapshot](whole)
	if err != nil || !deepEqual(got, want()) {
		t.Errorf("plain: %v\n got %+v\nwant %+v", err, got, want())
	}
	d, err := schema.Decode[api.DeduplicatedSnapshot](deduplicated)
	if err != nil {
		t.Fatal(err)
	}
	if wantPartial := goTask("t3", nil); d.PartialSnapshot.Tasks != nil || len(d.PartialTasks) != 3 || !deepEqual(d.PartialTasks[2].PartialScheduledTask, wantPartial) {
		t.Errorf("deduplicated: %+v", d)
	}
	if got, err = schema.Reduplicate(d); err != nil || !deepEqual(got, want()) {
		t.Errorf("deduplicated: %v\n got %+v\nwant %+v", err, got, want())
	}

	for name, entry := range map[string][]byte{
		"entry":                        aStruct(field(tStruct, 1, whole)),
		"deduplicated entry":           aStruct(field(tStruct, 6, deduplicated)),
		"deflated entry":               aStruct(fBinary(5, zlibbed(t, aStruct(field(tStruct, 1, whole))))),
		"deflated, deduplicated entry": aStruct(fBinary(5, zlibbed(t, aStruct(field(tStruct, 6, deduplicated))))),
	} {
		e, err := schema.Decode[api.LogEntry](entry)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if e, err = schema.ExpandLogEntry(e, 0); err != nil || !deepEqual(e, &api.LogEntry{Snapshot: want()}) {
			t.Errorf("%s: %v\n got %+v", name, err, e)
		}
	}
}

// What is no snapshot is left as it is, deflated once at most.
func TestOtherLogEntriesByHand(t *testing.T) {
	transaction := aStruct(fStruct(2, fList(1, aStruct(fStruct(7, fTexts(1, aText("t1"))))), fI32(2, 1)))
	noop, frame := aStruct(fBool(3, 1)), aStruct(fStruct(4, fStruct(2, fBinary(2, []byte{0, 1}))))
	header := aStruct(fStruct(4, fStruct(1, fI32(1, 3), fBinary(2, []byte("sixteen bytes of")))))
	twice := aStruct(fBinary(5, []byte("whatever")))
	wantTransaction := &api.LogEntry{Transaction: &api.Transaction{SchemaVersion: 1, Ops: []*api.Op{{RemoveTasks: &api.RemoveTasks{TaskIDs: []string{"t1"}}}}}}
	for name, tt := range map[string]struct {
		entry []byte
		want  *api.LogEntry
	}{
		"transaction": {transaction, wantTransaction},
		"noop":        {noop, &api.LogEntry{Noop: api.Some(true)}},
		"chunk":       {frame, &api.LogEntry{Frame: &api.Frame{Chunk: &api.FrameChunk{Data: []byte{0, 1}}}}},
		"header":      {header, &api.LogEntry{Frame: &api.Frame{Header: &api.FrameHeader{ChunkCount: 3, Checksum: []byte("sixteen bytes of")}}}},
		"of no kind":  {aStruct(fText(99, "to come")), &api.LogEntry{}},
	} {
		for _, data := range [][]byte{tt.entry, aStruct(fBinary(5, zlibbed(t, tt.entry)))} {
			e, err := schema.Decode[api.LogEntry](data)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if e, err = schema.ExpandLogEntry(e, 0); err != nil || !deepEqual(e, tt.want) {
				t.Errorf("%s: %+v, %v", name, e, err)
			}
		}
	}
	e, err := schema.Decode[api.LogEntry](aStruct(fBinary(5, zlibbed(t, twice))))
	if err != nil {
		t.Fatal(err)
	}
	if e, err = schema.ExpandLogEntry(e, 0); err != nil || string(e.DeflatedEntry) != "whatever" {
		t.Errorf("deflated twice: %+v, %v, want it inflated once", e, err)
	}
}

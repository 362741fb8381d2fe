package backup

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zlib"
	"pgregory.net/rapid"

	"github.com/scheduler-store/scheduler-store/internal/hostile"
	"github.com/scheduler-store/scheduler-store/internal/randomstate"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/schema/thriftjson"
	"github.com/scheduler-store/scheduler-store/storage"
)

var made = time.Date(2026, 11, 23, 2, 20, 17, 42e6, time.UTC)

// file counts how often it was opened, and how often it is open.
type file struct {
	data         []byte
	opened, open int
}

func (f *file) Open() (io.ReadCloser, error) {
	f.opened++
	f.open++
	return &handle{bytes.NewReader(f.data), f}, nil
}

type handle struct {
	io.Reader
	f *file
}

func (h *handle) Close() error {
	h.f.open--
	return nil
}

// read returns all ops of a file. Whatever happens, the file is closed.
func read(t rapid.TB, data []byte) ([]*api.Op, error) {
	t.Helper()
	f := &file{data: data}
	var ops []*api.Op
	for op, err := range ReadAurora(f.Open) {
		if err != nil && f.open != 0 || err == nil && f.open != 1 {
			t.Errorf("%d are open (%v)", f.open, err)
		}
		if err != nil {
			return ops, err
		}
		ops = append(ops, op)
	}
	if f.open != 0 {
		t.Errorf("%d were left open", f.open)
	}
	return ops, nil
}

func mustRead(t rapid.TB, data []byte) []*api.Op {
	t.Helper()
	ops, err := read(t, data)
	must(t, err)
	return ops
}

func write(t rapid.TB, view storage.View, details map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	must(t, WriteAurora(&out, view, made, details, nil))
	return out.Bytes()
}

func deflate(t rapid.TB, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zlib.NewWriter(&out)
	_, err := z.Write(data)
	must(t, err)
	must(t, z.Close())
	return out.Bytes()
}

func encode(t rapid.TB, v encodable) []byte {
	t.Helper()
	b, err := v.AppendBinary(nil)
	must(t, err)
	return b
}

// snapshotOf is the state as Aurora's own struct, made without the code under test.
func snapshotOf(view storage.View, details map[string]string) *api.Snapshot {
	s := &api.Snapshot{Timestamp: made.UnixMilli(), HostAttributes: []*api.HostAttributes{}, Tasks: []*api.ScheduledTask{}, CronJobs: []*api.StoredCronJob{},
		SchedulerMetadata: &api.SchedulerMetadata{Details: details}, QuotaConfigurations: []*api.QuotaConfiguration{},
		JobUpdateDetails: []*api.StoredJobUpdateDetails{}, HostMaintenanceRequests: []*api.HostMaintenanceRequest{}}
	s.HostAttributes = slices.AppendSeq(s.HostAttributes, view.Hosts().All())
	s.Tasks = slices.AppendSeq(s.Tasks, view.Tasks().All())
	for job := range view.CronJobs().All() {
		s.CronJobs = append(s.CronJobs, &api.StoredCronJob{JobConfiguration: job})
	}
	if id, ok := view.FrameworkID(); ok {
		s.SchedulerMetadata.FrameworkID = api.Some(id)
	}
	for role, quota := range view.Quotas().All() {
		s.QuotaConfigurations = append(s.QuotaConfigurations, &api.QuotaConfiguration{Role: api.Some(role), Quota: quota})
	}
	for update := range view.JobUpdates().All() {
		s.JobUpdateDetails = append(s.JobUpdateDetails, &api.StoredJobUpdateDetails{Details: update})
	}
	s.HostMaintenanceRequests = slices.AppendSeq(s.HostMaintenanceRequests, view.Maintenance().All())
	return s
}

// deduplicatedOf is Aurora's SnapshotDeduplicator.
func deduplicatedOf(s *api.Snapshot) *api.DeduplicatedSnapshot {
	partial := *s
	partial.Tasks = nil
	d := &api.DeduplicatedSnapshot{PartialSnapshot: &partial}
	for _, task := range s.Tasks {
		bare := task.Clone()
		config := bare.AssignedTask.Task
		bare.AssignedTask.Task = nil
		i := slices.IndexFunc(d.TaskConfigs, config.Equal)
		if i < 0 {
			i = len(d.TaskConfigs)
			d.TaskConfigs = append(d.TaskConfigs, config)
		}
		d.PartialTasks = append(d.PartialTasks, &api.DeduplicatedScheduledTask{PartialScheduledTask: bare, TaskConfigID: int32(i)})
	}
	return d
}

// goldenState holds one row of each kind, those of Aurora's golden operations, and 100
// tasks.
func goldenState(t rapid.TB) storage.View { return goldenStateOf(t, 100) }

func goldenStateOf(t rapid.TB, tasks int) storage.View {
	t.Helper()
	var ops []*api.Op
	for _, name := range []string{"9-saveHostAttributes", "15-saveTasks", "7-saveCronJob", "8-saveFrameworkId", "14-saveQuota",
		"10-saveJobUpdate", "11-saveJobUpdateEvent", "12-saveJobInstanceUpdateEvent", "16-saveHostMaintenanceRequest"} {
		data, err := os.ReadFile(filepath.Join("../schema/testdata/goldens", name))
		must(t, err)
		op, err := thriftjson.ReadOp(data)
		must(t, err)
		ops = append(ops, op)
		if op.SaveJobUpdateEvent != nil { // two of each kind, so that their order shows
			second := op.Clone()
			second.SaveJobUpdateEvent.Event.TimestampMs++
			ops = append(ops, second)
		}
	}
	for i := range tasks - 1 {
		task := ops[1].SaveTasks.Tasks[0].Clone()
		task.AssignedTask.TaskID = api.Some(fmt.Sprint("task", i))
		if i%3 == 0 {
			task.AssignedTask.Task.Priority = int32(i)
		}
		ops = append(ops, &api.Op{SaveTasks: &api.SaveTasks{Tasks: []*api.ScheduledTask{task}}})
	}
	return replayed(t, ops...).View()
}

// variants are a state in every layout that is read.
func variants(t rapid.TB, view storage.View) map[string][]byte {
	t.Helper()
	s := snapshotOf(view, nil)
	d := deduplicatedOf(s)
	entry, dedupEntry := encode(t, &api.LogEntry{Snapshot: s}), encode(t, &api.LogEntry{DeduplicatedSnapshot: d})
	reversed := reverseFields(t, encode(t, d))
	return map[string][]byte{
		"a snapshot":              encode(t, s),
		"a deflated snapshot":     deflate(t, encode(t, s)),
		"a deduplicated snapshot": encode(t, d),
		"a deduplicated snapshot, configurations first":   reversed,
		"a deflated deduplicated snapshot":                deflate(t, encode(t, d)),
		"an entry with a snapshot":                        entry,
		"an entry with a deduplicated snapshot":           dedupEntry,
		"a deflated entry with a snapshot":                encode(t, &api.LogEntry{DeflatedEntry: deflate(t, entry)}),
		"a deflated entry with a deduplicated snapshot":   encode(t, &api.LogEntry{DeflatedEntry: deflate(t, dedupEntry)}),
		"a deflated deflated entry with a snapshot":       deflate(t, encode(t, &api.LogEntry{DeflatedEntry: deflate(t, entry)})),
		"a snapshot with its fields from last to first":   reverseFields(t, encode(t, s)),
		"a snapshot that begins with a retired field":     append(mustHex("0e0009 0c00000001 0b0001 00000001 61 00"), encode(t, s)...),
		"a snapshot that begins with its metadata":        metadataFirst(t, s),
		"a snapshot with retired fields after the others": append(bytes.TrimSuffix(encode(t, s), []byte{0}), mustHex("0f000b 0b00000001 00000001 61 02000c 01 0b0063 00000001 61 00")...),
	}
}

// The whole way: whatever the stores can hold comes back equal, and the file is what
// Aurora's own struct would be written as.
func TestWhatIsWrittenForAuroraIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		state := replayed(t, slices.Concat(randomstate.New(rapid.Uint64().Draw(t, "seed")).Transactions(12)...)...)
		data := write(t, state.View(), map[string]string{"build": "1"})
		if want := encode(t, snapshotOf(state.View(), map[string]string{"build": "1"})); !bytes.Equal(data, want) {
			t.Fatalf("written:\n%x\nwant:\n%x", data, want)
		}
		want := contents(t, state)
		if got := contents(t, replayed(t, mustRead(t, data)...)); !slices.Equal(got, want) {
			t.Fatalf("came back as\n%q\nwas\n%q", got, want)
		}
		all := variants(t, state.View())
		name := rapid.SampledFrom(slices.Sorted(maps.Keys(all))).Draw(t, "layout")
		if got := contents(t, replayed(t, mustRead(t, all[name])...)); !slices.Equal(got, want) {
			t.Errorf("%s came back as\n%q\nwas\n%q", name, got, want)
		}
	})
}

// Aurora can decode what is written, whole, and there is no field in it that Aurora
// does not have: those of this program begin at 100.
func TestAuroraCanReadWhatIsWritten(t *testing.T) {
	view := goldenState(t)
	data := write(t, view, map[string]string{"version": "1"})
	s := new(api.Snapshot)
	must(t, s.UnmarshalBinary(data))
	if !bytes.Equal(encode(t, s), data) {
		t.Error("decoded and encoded again it is not the same")
	}
	if want := snapshotOf(view, map[string]string{"version": "1"}); !s.Equal(want) || len(s.Tasks) != 100 || len(s.JobUpdateDetails) != 1 {
		t.Errorf("decodes as %+v", s)
	}
	walkFields(t, data, func(id int16) {
		if id >= 100 || id < 1 {
			t.Errorf("field %d is in it", id)
		}
	})
	if s.Timestamp != made.UnixMilli() || s.SchedulerMetadata.Details["version"] != "1" {
		t.Errorf("timestamp %d, metadata %+v", s.Timestamp, s.SchedulerMetadata)
	}
}

// An empty state is written with every collection present and empty (§18).
func TestEmptyCollectionsArePresent(t *testing.T) {
	const want = "0a0001 0000019aae9f9c9a 0e00030c00000000 0e00040c00000000 0e00050c00000000 0c0006 0d00080b0b00000000 00" +
		"0e00080c00000000 0e000a0c00000000 0e000d0c00000000 00"
	data := write(t, replayed(t).View(), nil)
	expected := mustHex(want)
	binary.BigEndian.PutUint64(expected[3:], uint64(made.UnixMilli()))
	if !bytes.Equal(data, expected) {
		t.Errorf("%x, want %x", data, expected)
	}
	if ops := mustRead(t, data); len(ops) != 0 {
		t.Errorf("%d ops", len(ops))
	}
}

// The ops come in the order of §18: an update before its events, and these before
// those of its instances.
func TestOrderOfTheOps(t *testing.T) {
	var kinds []string
	var tasks []int
	for _, op := range mustRead(t, write(t, goldenState(t), nil)) {
		v := reflect.ValueOf(op).Elem()
		for f := range v.Type().Fields() {
			if !v.FieldByIndex(f.Index).IsNil() {
				kinds = append(kinds, f.Name)
			}
		}
		if op.SaveTasks != nil {
			tasks = append(tasks, len(op.SaveTasks.Tasks))
		}
	}
	want := []string{"SaveHostAttributes", "SaveTasks", "SaveTasks", "SaveTasks", "SaveTasks", "SaveCronJob", "SaveFrameworkID", "SaveQuota",
		"SaveJobUpdate", "SaveJobUpdateEvent", "SaveJobUpdateEvent", "SaveJobInstanceUpdateEvent", "SaveHostMaintenanceRequest"}
	if !slices.Equal(kinds, want) {
		t.Errorf("%v, want %v", kinds, want)
	}
	if !slices.Equal(tasks, []int{32, 32, 32, 4}) {
		t.Errorf("tasks in the ops: %v", tasks)
	}
}

// Large tasks make an op sooner than many do.
func TestOpsOfTasksAreBoundedInBytes(t *testing.T) {
	s := &api.Snapshot{}
	for i := range 10 {
		s.Tasks = append(s.Tasks, &api.ScheduledTask{AncestorID: api.Some(strings.Repeat("x", 100<<10)),
			AssignedTask: &api.AssignedTask{TaskID: api.Some(fmt.Sprint(i))}})
	}
	for _, op := range mustRead(t, encode(t, s)) {
		if n := len(op.SaveTasks.Tasks); n > 3 {
			t.Errorf("%d tasks of 100 KiB in one op", n)
		}
	}
}

// A file is opened once, and twice only where configurations may come after tasks.
func TestFileIsOpenedTwiceForConfigurationsOnly(t *testing.T) {
	s := snapshotOf(goldenState(t), nil)
	for want, data := range map[int][]byte{1: encode(t, s), 2: encode(t, deduplicatedOf(s))} {
		f := &file{data: data}
		for _, err := range ReadAurora(f.Open) {
			must(t, err)
		}
		if f.opened != want || f.open != 0 {
			t.Errorf("opened %d times, want %d; left open %d", f.opened, want, f.open)
		}
	}
}

func TestReaderThatStopsEarlyClosesTheFile(t *testing.T) {
	s := snapshotOf(goldenState(t), nil)
	for _, data := range [][]byte{encode(t, s), encode(t, deduplicatedOf(s))} {
		f := &file{data: data}
		n := 0
		for _, err := range ReadAurora(f.Open) {
			must(t, err)
			if n++; n == 2 {
				break
			}
		}
		if f.open != 0 {
			t.Errorf("%d were left open", f.open)
		}
	}
}

// Ops belong to who reads them: changing one changes no other.
func TestOpsShareNothing(t *testing.T) {
	d := deduplicatedOf(snapshotOf(goldenState(t), nil))
	ops := mustRead(t, encode(t, d))
	seen := map[any]bool{}
	for _, op := range ops {
		var parts []any
		switch {
		case op.SaveTasks != nil:
			for _, task := range op.SaveTasks.Tasks {
				parts = append(parts, task, task.AssignedTask.Task)
			}
		case op.SaveJobUpdate != nil:
			parts = append(parts, op.SaveJobUpdate.JobUpdate.Summary.Key)
		case op.SaveJobUpdateEvent != nil:
			parts = append(parts, op.SaveJobUpdateEvent.Key)
		case op.SaveJobInstanceUpdateEvent != nil:
			parts = append(parts, op.SaveJobInstanceUpdateEvent.Key)
		}
		for _, part := range parts {
			if seen[part] {
				t.Fatalf("%T is in two places", part)
			}
			seen[part] = true
		}
	}
}

func TestRowsAreCountedWhileWriting(t *testing.T) {
	n := 0
	must(t, WriteAurora(io.Discard, goldenState(t), made, nil, func() { n++ }))
	if n != 105 {
		t.Errorf("%d rows, want 100 tasks and one of each other kind but the framework id", n)
	}
}

// wrongLength claims a number of tasks that is not there.
type wrongLength struct{ storage.View }

func (v wrongLength) Tasks() storage.Tasks { return wrongTasks{v.View.Tasks()} }

type wrongTasks struct{ storage.Tasks }

func (t wrongTasks) Len() int { return 3 }

func TestViewThatChangesIsNotWritten(t *testing.T) {
	err := WriteAurora(io.Discard, wrongLength{goldenState(t)}, made, nil, nil)
	if err == nil || !strings.Contains(err.Error(), "tasks: 3 rows were said to be there, and 100 are") {
		t.Error(err)
	}
}

// endless yields a snapshot with so many tasks, without ever having it.
type endless struct {
	head, row, tail []byte
	rows            int
	now             []byte
}

func (e *endless) Read(p []byte) (int, error) {
	for len(e.now) == 0 {
		switch {
		case e.head != nil:
			e.now, e.head = e.head, nil
		case e.rows > 0:
			e.now = e.row
			e.rows--
		case e.tail != nil:
			e.now, e.tail = e.tail, nil
		default:
			return 0, io.EOF
		}
	}
	n := copy(p, e.now)
	e.now = e.now[n:]
	return n, nil
}

// However large a file is, a few rows of it are in memory.
func TestLargeFileIsNotHeldInMemory(t *testing.T) {
	const tasks = 200_000
	row := encode(t, &api.ScheduledTask{Status: api.Some(api.ScheduleStatusRUNNING), AssignedTask: &api.AssignedTask{TaskID: api.Some("id"),
		Task: &api.TaskConfig{Job: schema.NewJobKey("role", "prod", "job")}}})
	head := binary.BigEndian.AppendUint32(mustHex("0a0001 0000000000000001 0e0004 0c"), tasks)
	open := func() (io.ReadCloser, error) {
		return io.NopCloser(&endless{head: head, row: row, rows: tasks, tail: []byte{0}}), nil
	}
	live := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, most, n := live(), uint64(0), 0
	for op, err := range ReadAurora(open) {
		must(t, err)
		if n += len(op.SaveTasks.Tasks); n%16_000 == 0 {
			most = max(most, live())
		}
	}
	if n != tasks {
		t.Errorf("%d tasks", n)
	}
	t.Logf("%d MB of tasks, %d KB live", tasks*len(row)>>20, (int64(most)-int64(before))>>10)
	if most > before+8<<20 {
		t.Errorf("%d bytes are live, %d were before", most, before)
	}
}

// walkFields calls f with every field id in an encoded struct.
func walkFields(t *testing.T, data []byte, f func(id int16)) {
	t.Helper()
	var value func(typ byte)
	take := func(n int) []byte {
		b := data[:n]
		data = data[n:]
		return b
	}
	size := func() int { return int(binary.BigEndian.Uint32(take(4))) }
	value = func(typ byte) {
		switch typ {
		case 2, 3:
			take(1)
		case 8:
			take(4)
		case 4, 10:
			take(8)
		case 11:
			take(size())
		case 12:
			for typ := take(1)[0]; typ != 0; typ = take(1)[0] {
				f(int16(binary.BigEndian.Uint16(take(2))))
				value(typ)
			}
		case 13:
			types := take(2)
			for range size() {
				value(types[0])
				value(types[1])
			}
		case 14, 15:
			elem := take(1)[0]
			for range size() {
				value(elem)
			}
		default:
			t.Fatalf("type %d", typ)
		}
	}
	value(12)
	if len(data) != 0 {
		t.Errorf("%d bytes are left", len(data))
	}
}

// topFields cuts a struct into its fields.
func topFields(t rapid.TB, data []byte) (fields [][]byte) {
	t.Helper()
	for len(data) > 1 {
		n := fieldSize(data)
		fields = append(fields, data[:n])
		data = data[n:]
	}
	return fields
}

// fieldSize is the size of the field that data begins with: header and value.
func fieldSize(data []byte) int { return 3 + valueSize(data[0], data[3:]) }

func valueSize(typ byte, data []byte) int {
	switch typ {
	case 2, 3:
		return 1
	case 8:
		return 4
	case 4, 10:
		return 8
	case 11:
		return 4 + int(binary.BigEndian.Uint32(data))
	case 12:
		n := 0
		for data[n] != 0 {
			n += fieldSize(data[n:])
		}
		return n + 1
	}
	n, types := 5, []byte{data[0]}
	if typ == 13 {
		n, types = 6, []byte{data[0], data[1]}
	}
	for range binary.BigEndian.Uint32(data[n-4:]) {
		for _, elem := range types {
			n += valueSize(elem, data[n:])
		}
	}
	return n
}

func reverseFields(t rapid.TB, data []byte) []byte {
	fields := topFields(t, data)
	slices.Reverse(fields)
	return append(slices.Concat(fields...), 0)
}

func metadataFirst(t rapid.TB, s *api.Snapshot) []byte {
	fields := topFields(t, encode(t, s))
	i := slices.IndexFunc(fields, func(f []byte) bool { return f[0] == 12 && f[2] == 6 })
	return append(slices.Concat(fields[i], slices.Concat(fields[:i]...), slices.Concat(fields[i+1:]...)), 0)
}

// FuzzReadAurora: any bytes end in ops or in an error that says what they are; and
// what is read at once as Aurora's own struct is the same. What is not compressed takes no
// more memory than its size allows.
func FuzzReadAurora(f *testing.F) {
	small := replayed(f, smallOps(f)...).View()
	for _, data := range variants(f, small) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var ops []*api.Op
		var err error
		got := hostile.Allocated(func() { ops, err = read(t, data) })
		if got > uint64(4<<20+1000*len(data)) && !compressible(data) {
			t.Errorf("%d bytes allocated for %d", got, len(data))
		}
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		if d, err := openDocument((&file{data: data}).Open); err != nil || d.layout != bareSnapshot || d.compressed {
			return
		}
		s, err := schema.Decode[api.Snapshot](data)
		if err != nil {
			t.Fatalf("read in pieces, but as a whole: %v", err)
		}
		tasks, events := 0, 0
		for _, op := range ops {
			if op.SaveTasks != nil {
				tasks += len(op.SaveTasks.Tasks)
			}
			if op.SaveJobUpdateEvent != nil || op.SaveJobInstanceUpdateEvent != nil {
				events++
			}
		}
		for _, update := range s.JobUpdateDetails {
			events -= len(update.Details.UpdateEvents) + len(update.Details.InstanceEvents)
		}
		if tasks != len(s.Tasks) || events != 0 {
			t.Fatalf("%d tasks, want %d; %d events too many", tasks, len(s.Tasks), events)
		}
	})
}

// compressible tells whether something in these bytes may be a zlib stream.
func compressible(data []byte) bool { return bytes.IndexByte(data, 0x78) >= 0 }

func smallOps(t rapid.TB) []*api.Op {
	return mustRead(t, write(t, goldenState(t), nil))[:2]
}

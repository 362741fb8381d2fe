package schema_test

import (
	"bytes"
	stdzlib "compress/zlib"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

func opSaveFrameworkID(id string) *api.Op {
	return &api.Op{SaveFrameworkID: &api.SaveFrameworkID{ID: api.Some(id)}}
}

func TestKnownEncodings(t *testing.T) {
	tests := []struct {
		name  string
		value interface {
			AppendBinary([]byte) ([]byte, error)
			UnmarshalBinary([]byte) error
		}
		want string
	}{
		{"noop", &api.LogEntry{Noop: api.Some(true)}, "0200030100"},
		{"transaction", &api.LogEntry{Transaction: &api.Transaction{Ops: []*api.Op{opSaveFrameworkID("jake")}, SchemaVersion: 1}},
			"0c00020f00010c000000010c00010b0001000000046a616b650000080002000000010000"},
		{"prune", &api.Op{PruneJobUpdateHistory: &api.PruneJobUpdateHistory{PerJobRetainCount: 2, HistoryPruneThresholdMs: 4}},
			"0c0011080001000000020a000200000000000000040000"},
		{"remove tasks", &api.Op{RemoveTasks: &api.RemoveTasks{TaskIDs: []string{"string-value"}}},
			"0c00070e00010b000000010000000c737472696e672d76616c75650000"},
		{"empty config", &api.TaskConfig{}, "020007000" + "8000b0000000008000d00000000" + "0c001d0c0001000000"},
		{"unset and empty strings", &api.JobKey{Role: api.Some("")}, "0b00010000000000"},
		{"unset and empty sets", &api.SaveTasks{Tasks: []*api.ScheduledTask{}}, "0e00010c0000000000"},
		{"idempotency", &api.Transaction{Idempotency: &api.Idempotency{Key: api.Some("k"), Fingerprint: []byte{}}},
			"080002000000000c00640b0001000000016b0b0002000000000000"},
	}
	for _, tt := range tests {
		got, err := tt.value.AppendBinary(nil)
		if err != nil || hex.EncodeToString(got) != tt.want {
			t.Errorf("%s: encoded %x, want %s (%v)", tt.name, got, tt.want, err)
		}
		if err := tt.value.UnmarshalBinary(got); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if again, err := tt.value.AppendBinary(nil); err != nil || !bytes.Equal(again, got) {
			t.Errorf("%s: decoded and encoded %x, want %x (%v)", tt.name, again, got, err)
		}
	}
}

func TestFrameOverhead(t *testing.T) {
	data := bytes.Repeat([]byte{7}, 1000)
	chunk, err := schema.Encode(&api.LogEntry{Frame: &api.Frame{Chunk: &api.FrameChunk{Data: data}}})
	if err != nil || len(chunk) != len(data)+16 {
		t.Errorf("a chunk of %d bytes takes %d (%v)", len(data), len(chunk), err)
	}
	header, err := schema.Encode(&api.LogEntry{Frame: &api.Frame{Header: &api.FrameHeader{ChunkCount: 2, Checksum: make([]byte, 16)}}})
	if err != nil || len(header) != 39 {
		t.Errorf("a frame header takes %d bytes (%v)", len(header), err)
	}
}

func TestCodecOfNil(t *testing.T) {
	if b, err := schema.Encode((*api.Op)(nil)); b != nil || err != nil {
		t.Errorf("Encode(nil) = %v, %v", b, err)
	}
	if v, err := schema.Decode[api.Op](nil); v != nil || err != nil {
		t.Errorf("Decode(nil) = %v, %v", v, err)
	}
	_, errEncode := schema.EncodeNonNull((*api.Op)(nil))
	_, errDecode := schema.DecodeNonNull[api.Op](nil)
	_, errDeflate := schema.Deflate((*api.Op)(nil))
	_, errInflate := schema.Inflate[api.Op](nil, 0)
	for i, err := range []error{errEncode, errDecode, errDeflate, errInflate} {
		if !errors.Is(err, schema.ErrNil) {
			t.Errorf("%d: %v, want ErrNil", i, err)
		}
	}
}

func TestFaultsAreCodingErrors(t *testing.T) {
	two := opSaveFrameworkID("a")
	two.RemoveJob = &api.RemoveJob{}
	good, err := schema.Deflate(&api.LogEntry{Noop: api.Some(true)})
	if err != nil {
		t.Fatal(err)
	}
	badSum := bytes.Clone(good)
	badSum[len(badSum)-1] ^= 1
	notThrift, err := schema.Deflate(&api.LogEntry{DeflatedEntry: []byte("x")})
	if err != nil {
		t.Fatal(err)
	}

	var short bytes.Buffer
	z := stdzlib.NewWriter(&short)
	_, errWrite := z.Write([]byte{0x0c, 0, 1})
	if err := errors.Join(errWrite, z.Close()); err != nil {
		t.Fatal(err)
	}
	shortStruct := short.Bytes()

	_, errTwo := schema.Encode(two)
	_, errNone := schema.Encode(&api.Op{})
	_, errEmpty := schema.Decode[api.Op]([]byte{})
	_, errShort := schema.Decode[api.Op]([]byte{0x0c, 0, 1})
	_, errZlib := schema.Inflate[api.LogEntry]([]byte("not zlib"), 0)
	_, errCut := schema.Inflate[api.LogEntry](good[:len(good)-3], 0)
	_, errSum := schema.Inflate[api.LogEntry](badSum, 0)
	_, errLimit := schema.Inflate[api.LogEntry](notThrift, 4)
	_, errThrift := schema.Inflate[api.Transaction](shortStruct, 0)
	_, errEmptyZlib := schema.Inflate[api.LogEntry]([]byte{}, 0)
	_, errDeflate := schema.Deflate(two)
	_, errEncode := schema.EncodeNonNull(two)
	_, errDecode := schema.DecodeNonNull[api.Op]([]byte{0x0c, 0, 1})
	for i, err := range []error{errTwo, errNone, errEmpty, errShort, errZlib, errCut, errSum, errLimit, errThrift, errEmptyZlib, errDeflate, errEncode, errDecode} {
		var coding *schema.CodingError
		if !errors.As(err, &coding) {
			t.Errorf("%d: %v, want a CodingError", i, err)
		}
	}
}

func TestDeflateRoundTrip(t *testing.T) {
	want := &api.LogEntry{Transaction: &api.Transaction{Ops: []*api.Op{opSaveFrameworkID(strings.Repeat("framework", 1000))}}}
	b, err := schema.Deflate(want)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 500 || b[0] != 0x78 {
		t.Errorf("%d bytes that begin with %x, want a small zlib container", len(b), b[0])
	}
	encoded, _ := schema.Encode(want)
	for _, limit := range []int64{0, int64(len(encoded))} {
		if got, err := schema.Inflate[api.LogEntry](b, limit); err != nil || !got.Equal(want) {
			t.Errorf("limit %d: %v, %v", limit, got, err)
		}
	}
	if _, err := schema.Inflate[api.LogEntry](b, int64(len(encoded))-1); err == nil {
		t.Error("inflated beyond the limit")
	}
}

// The compressed form is the zlib container, which every zlib reads: not raw DEFLATE, and its header
// says that it was compressed fast, as level 3 is.
func TestDeflateIsAZlibContainer(t *testing.T) {
	want := &api.LogEntry{Transaction: &api.Transaction{Ops: []*api.Op{opSaveFrameworkID(strings.Repeat("framework", 1000))}}}
	encoded, err := schema.Encode(want)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := schema.Deflate(want)
	if err != nil {
		t.Fatal(err)
	}
	if ours[0] != 0x78 || ours[1] != 0x5e {
		t.Errorf("the header is %x, want 785e", ours[:2])
	}
	z, err := stdzlib.NewReader(bytes.NewReader(ours))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(z); err != nil || !bytes.Equal(got, encoded) {
		t.Errorf("the standard library reads %d bytes, want %d (%v)", len(got), len(encoded), err)
	}
	for level := stdzlib.HuffmanOnly; level <= stdzlib.BestCompression; level++ {
		var theirs bytes.Buffer
		w, err := stdzlib.NewWriterLevel(&theirs, level)
		if err != nil {
			t.Fatal(err)
		}
		_, errWrite := w.Write(encoded)
		if err := errors.Join(errWrite, w.Close()); err != nil {
			t.Fatal(err)
		}
		if got, err := schema.Inflate[api.LogEntry](theirs.Bytes(), 0); err != nil || !got.Equal(want) {
			t.Errorf("level %d: %v", level, err)
		}
	}
	if _, err := schema.Inflate[api.LogEntry](ours[2:], 0); err == nil {
		t.Error("raw DEFLATE was read")
	}
}

// Bytes behind a value are of no interest, also behind a compressed one.
func TestBytesBehindAValueAreIgnored(t *testing.T) {
	want := opSaveFrameworkID("a")
	encoded, err := schema.EncodeNonNull(want)
	if err != nil {
		t.Fatal(err)
	}
	behind := append(bytes.Clone(encoded), 0xff, 0, 12)
	var deflated bytes.Buffer
	z := stdzlib.NewWriter(&deflated)
	_, errWrite := z.Write(behind)
	if err := errors.Join(errWrite, z.Close()); err != nil {
		t.Fatal(err)
	}
	decoded, errDecode := schema.Decode[api.Op](behind)
	nonNull, errNonNull := schema.DecodeNonNull[api.Op](behind)
	inflated, errInflate := schema.Inflate[api.Op](deflated.Bytes(), 0)
	for i, got := range []*api.Op{decoded, nonNull, inflated} {
		if err := []error{errDecode, errNonNull, errInflate}[i]; err != nil || !got.Equal(want) {
			t.Errorf("%d: %v, %v", i, got, err)
		}
	}
}

// What the writer takes and the reader refuses would be lost, so the writer refuses it.
func TestEncodeRefusesWhatCannotBeReadBack(t *testing.T) {
	task := func(change func(*api.ScheduledTask)) *api.Transaction {
		task := &api.ScheduledTask{AssignedTask: &api.AssignedTask{Task: &api.TaskConfig{}}}
		change(task)
		return &api.Transaction{Ops: []*api.Op{{SaveTasks: &api.SaveTasks{Tasks: []*api.ScheduledTask{task}}}}}
	}
	tests := []struct {
		tx   *api.Transaction
		want string
	}{
		{task(func(s *api.ScheduledTask) { s.Status = api.Some(api.ScheduleStatus(99)) }),
			"ops[0].saveTasks.tasks[0].status: unknown ScheduleStatus 99"},
		{task(func(s *api.ScheduledTask) { s.AncestorID = api.Some("a\xff") }),
			`ops[0].saveTasks.tasks[0].ancestorId: "a\xff" is not UTF-8`},
		{task(func(s *api.ScheduledTask) { s.TaskEvents = []*api.TaskEvent{nil} }),
			"ops[0].saveTasks.tasks[0].taskEvents[0]: no value"},
		{task(func(s *api.ScheduledTask) { s.AssignedTask.Task.Resources = []*api.Resource{{}} }),
			"ops[0].saveTasks.tasks[0].assignedTask.task.resources[0]: Resource without a branch that this schema knows"},
		{task(func(s *api.ScheduledTask) {
			s.AssignedTask.Task.Resources = []*api.Resource{{RamMb: api.Some(int64(1)), DiskMb: api.Some(int64(1))}}
		}), "ops[0].saveTasks.tasks[0].assignedTask.task.resources[0]: Resource with 2 branches, must be one"},
		{task(func(s *api.ScheduledTask) { s.AssignedTask.Task.TaskLinks = map[string]string{"a\xff": ""} }),
			`ops[0].saveTasks.tasks[0].assignedTask.task.taskLinks["a\xff"]: "a\xff" is not UTF-8`},
		{task(func(s *api.ScheduledTask) { s.AssignedTask.AssignedPorts = map[string]int32{"\xff": 1} }),
			`ops[0].saveTasks.tasks[0].assignedTask.assignedPorts["\xff"]: "\xff" is not UTF-8`},
		{&api.Transaction{Ops: []*api.Op{{}}}, "ops[0]: Op without a branch that this schema knows"},
		{&api.Transaction{Ops: []*api.Op{nil}}, "ops[0]: no value"},
		{&api.Transaction{Ops: []*api.Op{{RemoveTasks: &api.RemoveTasks{TaskIDs: []string{"ok", "\xff"}}}}},
			`ops[0].removeTasks.taskIds[1]: "\xff" is not UTF-8`},
	}
	for _, tt := range tests {
		if err := tt.tx.Validate(); err == nil || err.Error() != tt.want {
			t.Errorf("Validate: %v, want %s", err, tt.want)
		}
		b, err := tt.tx.AppendBinary([]byte("x"))
		if err == nil || err.Error() != "encode Transaction: "+tt.want || string(b) != "x" {
			t.Errorf("AppendBinary: %q, %v, want %s", b, err, tt.want)
		}
	}
	q := &api.TaskQuery{Statuses: []api.ScheduleStatus{api.ScheduleStatusRUNNING, 99}}
	if _, err := q.AppendBinary(nil); err == nil || !strings.HasSuffix(err.Error(), "statuses[1]: unknown ScheduleStatus 99") {
		t.Error(err)
	}
}

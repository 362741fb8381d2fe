package schema_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/scheduler-store/scheduler-store/internal/hostile"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/schema/thriftjson"
)

// FuzzParseTransaction: whatever JSON a client sends, it is refused in few words, or is
// the same after it was written as JSON, and as Thrift, and read again; and nothing takes
// more memory than its size allows.
func FuzzParseTransaction(f *testing.F) {
	for _, name := range []string{"10-saveJobUpdate", "11-saveJobUpdateEvent", "12-saveJobInstanceUpdateEvent", "14-saveQuota", "15-saveTasks",
		"16-saveHostMaintenanceRequest", "17-removeHostMaintenanceRequest", "2-removeJob", "3-removeJobUpdate", "6-removeTasks", "7-saveCronJob",
		"8-saveFrameworkId", "9-saveHostAttributes"} {
		op, err := thriftjson.ReadOp(golden(f, name))
		if err != nil {
			f.Fatal(err)
		}
		b, err := schema.ToJSON(struct {
			Ops []*api.Op `json:"ops"`
		}{[]*api.Op{op}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, s := range []string{`{}`, `{"ops":null}`, `{"ops":[null]}`, `{"ops":[{"saveQuota":{"role":"a","quota":{"resources":[{"numCpus":"NaN"}]}}}]}`,
		`{"ops":[{"saveTasks":{"tasks":[{"assignedTask":{"assignedPorts":{"\u0000":1}},"status":"99"}]}}]}`, strings.Repeat("[", 100)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var tx *api.Transaction
		var err error
		got := hostile.Allocated(func() { tx, err = schema.ParseTransaction(data) })
		if got > uint64(1<<20+1000*len(data)) {
			t.Errorf("%d bytes allocated for %d", got, len(data))
		}
		if err != nil {
			if text := err.Error(); len(text) > 1000+8*len(data) || !utf8.ValidString(text) || strings.ContainsAny(text, "\n\x00") {
				t.Errorf("the error is %q", text)
			}
			return
		}
		text, err := schema.ToJSON(struct {
			Ops []*api.Op `json:"ops"`
		}{tx.Ops})
		if err != nil {
			t.Fatalf("taken, but can't be written: %v", err)
		}
		again, err := schema.ParseTransaction(text)
		if err != nil || !deepEqual(again, tx) {
			t.Fatalf("another transaction after it was written as %s: %v", text, err)
		}
		b, err := tx.AppendBinary(nil)
		if err != nil {
			t.Fatalf("taken, but can't be encoded: %v", err)
		}
		back := new(api.Transaction)
		if err := back.UnmarshalStrict(b); err != nil || !back.Equal(tx) {
			t.Fatalf("another transaction after it was encoded: %v", err)
		}
		tx.Canonicalize()
		once, err := tx.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		back.Canonicalize()
		if twice, err := back.AppendBinary(nil); err != nil || string(once) != string(twice) {
			t.Fatalf("two canonical forms: %v", err)
		}
	})
}

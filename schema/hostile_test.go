package schema_test

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"slices"
	"testing"

	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/schema/thriftjson"
	"github.com/scheduler-store/scheduler-store/schema/wire"
)

// allocation is the most that decoding n bytes may allocate: the multiple that package wire states
// for structs, and what else it takes, with room for the runtime's own.
func allocation(n int) uint64 { return uint64(n)*100 + 300<<10 }

// decodeMeasured decodes each of some variants of data and fails the test if that allocates too much.
// To measure is slow, hence several at once. It returns the errors.
func decodeMeasured[T any, V value[T]](t *testing.T, what string, variants ...[]byte) (values []V, errs []error) {
	t.Helper()
	values = make([]V, len(variants))
	errs = make([]error, len(variants))
	var limit uint64
	for i, data := range variants {
		values[i] = new(T)
		limit += allocation(len(data))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i, data := range variants {
		errs[i] = values[i].UnmarshalBinary(data)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > limit {
		t.Errorf("%s: %d bytes allocated for %d variants of %d bytes", what, got, len(variants), len(variants[0]))
	}
	return values, errs
}

// sample returns a transaction with one of each golden operation.
func sample(t testing.TB) []byte {
	t.Helper()
	tx := &api.Transaction{SchemaVersion: 1, Idempotency: &api.Idempotency{Key: api.Some("key"), Fingerprint: []byte{1, 2}}}
	for _, name := range []string{"11-saveJobUpdateEvent", "15-saveTasks", "9-saveHostAttributes", "14-saveQuota"} {
		op, err := thriftjson.ReadOp(golden(t, name))
		if err != nil {
			t.Fatal(err)
		}
		tx.Ops = append(tx.Ops, op)
	}
	b, err := schema.Encode(tx)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEveryTruncationFails(t *testing.T) {
	data := sample(t)
	var cut [][]byte
	for n := range data {
		cut = append(cut, data[:n:n])
	}
	for some := range slices.Chunk(cut, 8) {
		_, errs := decodeMeasured[api.Transaction](t, "truncated", some...)
		for i, err := range errs {
			if err == nil {
				t.Fatalf("cut to %d of %d bytes and decoded", len(some[i]), len(data))
			}
		}
	}
}

// A flipped bit gives an error or another value, which then can be encoded or is refused: no panic,
// no large allocation.
func TestEveryFlippedBit(t *testing.T) {
	data := sample(t)
	for i := range data {
		var flipped [][]byte
		for bit := range 8 {
			b := bytes.Clone(data)
			b[i] ^= 1 << bit
			flipped = append(flipped, b)
		}
		txs, errs := decodeMeasured[api.Transaction](t, "flipped", flipped...)
		for bit, tx := range txs {
			if err := errs[bit]; err != nil {
				if tx.Ops != nil || tx.SchemaVersion != 0 || tx.Idempotency != nil {
					t.Fatalf("bit %d of byte %d: a part of the value is left after %v", bit, i, err)
				}
				continue
			}
			again, err := tx.AppendBinary(nil)
			if (err == nil) != (tx.Validate() == nil) {
				t.Fatalf("bit %d of byte %d: AppendBinary says %v, Validate %v", bit, i, err, tx.Validate())
			}
			if err == nil && new(api.Transaction).UnmarshalBinary(again) != nil {
				t.Fatalf("bit %d of byte %d: what was written cannot be read", bit, i)
			}
			tx.Canonicalize()
		}
	}
}

func TestEveryLengthMadeHuge(t *testing.T) {
	data := sample(t)
	for i := range len(data) - 4 {
		var changed [][]byte
		for _, n := range []uint32{0x7fffffff, 0xffffffff, 0x80000000, 0x00ffffff, uint32(len(data))} {
			b := bytes.Clone(data)
			binary.BigEndian.PutUint32(b[i:], n)
			changed = append(changed, b)
		}
		decodeMeasured[api.Transaction](t, "huge", changed...)
	}
}

func TestManyEmptyElements(t *testing.T) {
	const n = 1 << 20
	container := func(typ, id, elem byte, size int) []byte {
		b := binary.BigEndian.AppendUint32([]byte{typ, 0, id, elem}, n)
		return append(b, make([]byte, n*size+1)...)
	}
	decodeMeasured[api.Transaction](t, "ops", container(wire.List, 1, wire.Struct, 1))
	decodeMeasured[api.SaveTasks](t, "tasks", container(wire.Set, 1, wire.Struct, 1))
	decodeMeasured[api.DeduplicatedSnapshot](t, "configs", container(wire.List, 3, wire.Struct, 1))
	decodeMeasured[api.TaskQuery](t, "keys, in slabs", container(wire.Set, 11, wire.Struct, 1))
	decodeMeasured[api.RemoveTasks](t, "strings", container(wire.Set, 1, wire.String, 4))
	decodeMeasured[api.TaskQuery](t, "numbers", container(wire.Set, 7, wire.I32, 4))
	entries := binary.BigEndian.AppendUint32([]byte{wire.Map, 0, 5, wire.String, wire.I32}, n)
	decodeMeasured[api.AssignedTask](t, "map", append(entries, make([]byte, 8*n+1)...))
	// Distinct keys fill a map for good.
	entries = entries[:9]
	for i := range uint32(n) {
		entries = binary.BigEndian.AppendUint32(append(entries, 0, 0, 0, 4, 'a'+byte(i>>15), 'a'+byte(i>>10&31), byte(i>>5&31), byte(i&31)), i)
	}
	decodeMeasured[api.AssignedTask](t, "map of distinct keys", append(entries, 0))
}

// What a conforming writer writes decodes, also where the elements are as small as they can be.
func TestManySmallElementsDecode(t *testing.T) {
	const n = 100_000
	check := func(name string, v interface {
		AppendBinary([]byte) ([]byte, error)
		UnmarshalBinary([]byte) error
	}) {
		b, err := v.AppendBinary(nil)
		if err == nil {
			err = v.UnmarshalBinary(b)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	check("volumes", &api.MesosContainer{Volumes: repeat(n, &api.Volume{})})
	check("parameters", &api.DockerContainer{Parameters: repeat(n, &api.DockerParameter{})})
	check("details", &api.Response{Details: repeat(n, &api.ResponseDetail{})})
	check("ops", &api.Transaction{Ops: repeat(n, &api.Op{RemoveLock: &api.RemoveLock{}})})
	check("configs", &api.DeduplicatedSnapshot{TaskConfigs: repeat(n, &api.TaskConfig{}), PartialTasks: repeat(n, &api.DeduplicatedScheduledTask{})})
	check("events", &api.JobUpdateDetails{UpdateEvents: repeat(n, &api.JobUpdateEvent{}), InstanceEvents: repeat(n, &api.JobInstanceUpdateEvent{})})
	check("keys", &api.Transaction{CommittedKeys: repeat(n, &api.CommittedKey{})})
	check("task events", &api.ScheduledTask{TaskEvents: repeat(n, &api.TaskEvent{})})
}

func repeat[T any](n int, v *T) []*T { return slices.Repeat([]*T{v}, n) }

func FuzzDecode(f *testing.F) {
	f.Add(sample(f))
	f.Add([]byte{0})
	f.Add([]byte{wire.Bool, 0, 3, 1, 0})
	f.Add([]byte{wire.List, 0, 1, wire.Struct, 0, 0, 0, 2, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		tx := new(api.Transaction)
		if tx.UnmarshalBinary(data) != nil {
			return
		}
		tx.Clone().Canonicalize()
		b, err := tx.AppendBinary(nil)
		if (err == nil) != (tx.Validate() == nil) {
			t.Fatalf("AppendBinary says %v, Validate %v", err, tx.Validate())
		}
		if err != nil {
			return
		}
		back := new(api.Transaction)
		if err := back.UnmarshalBinary(b); err != nil || !back.Equal(tx) {
			t.Fatalf("not the same after a round trip (%v)", err)
		}
	})
}

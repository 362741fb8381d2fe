package blob

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/scheduler-store/scheduler-store/persistence"
)

// A verification finds, as a recovery does, that a seal has taken the place of an entry.
func TestVerifyFindsASealInALostEntrysPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1).write("a")
		late := c.process()
		if err := late.reader.CatchUp(c.ctx); err != nil {
			t.Fatal(err)
		}
		object := late.reader.seal(map[persistence.Point][]byte{}, 2, [16]byte{2})
		p.writeApart(3)
		c.mem.Put(Key(1, 2), object)
		c.verified().mustName(t, "a late seal", Key(1, 2)+": a seal is here, but")
	})
}

// An entry that is whole, but of another history, is named: here two cells whose entries
// were copied over each other.
func TestVerifyFindsAnEntryOfAnotherChain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, other := newCell(t), newCell(t)
		c.leader(1).write("a", "b", "c")
		other.leader(1).write("x", "y", "z")
		c.mem.Put(Key(1, 2), other.mem.Data(Key(1, 2)))
		c.verified().mustName(t, "another's entry", Key(1, 2))
		if got, err := c.recovers(); err == nil || !strings.Contains(err.Error(), Key(1, 2)) {
			t.Errorf("recovered %q, %v", got, err)
		}
	})
}

// A manifest whose folder has no snapshot's name is a problem that is named once; the
// verification does not end by it.
func TestVerifyNamesAManifestOfNoSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.leader(1).write("a")
		const stray = "snapshot/latest/manifest.json"
		c.mem.Put(stray, []byte("{}"))
		r := c.verified()
		r.mustName(t, "a stray manifest", stray)
		if len(r.Problems) != 1 || r.Entries != 2 {
			t.Errorf("%d entries, problems %q", r.Entries, r.Problems)
		}
	})
}

// What is larger than any seal is garbage where the log was collected, and is not read.
func TestVerifyDoesNotReadLargeGarbage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1).write("a", "large", "b")
		p.snapshot()
		p.write("c")
		c.mem.Remove(Key(1, 1))
		large := append(c.mem.Data(Key(1, 2)), make([]byte, MaxSeal)...) // damaged: nobody may care
		c.mem.Put(Key(1, 2), large)
		c.mem.Remove(Key(1, 3))
		r := c.verified()
		r.mustName(t, "large garbage")
		if r.Garbage != 1 || r.GarbageBytes != int64(len(large)) {
			t.Errorf("garbage is %d, %d bytes", r.Garbage, r.GarbageBytes)
		}
	})
}

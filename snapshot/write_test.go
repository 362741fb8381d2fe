package snapshot

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/internal/checked"
	"github.com/scheduler-store/scheduler-store/internal/packed"
	"github.com/scheduler-store/scheduler-store/persistence"
)

func TestSnapshotComesBackAsItWas(t *testing.T) {
	for name, c := range map[string]struct {
		records [][]byte
		parts   []int // the number of records in each
	}{
		"nothing":                     {nil, []int{}},
		"one empty record":            {[][]byte{{}}, []int{1}},
		"a few":                       {[][]byte{[]byte("a"), {}, []byte("ccc")}, []int{3}},
		"several parts":               {large(7), []int{2, 2, 2, 1}},
		"a record larger than a part": {[][]byte{[]byte("a"), bytes.Repeat([]byte("b"), PartBytes+1), []byte("c")}, []int{1, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			cell := newCell(t)
			m, name := cell.write(source(41, c.records...))
			if got := cell.listed(nil); got != name.String() {
				t.Errorf("listed %q, want %s", got, name)
			}
			read, err := Read(cell.ctx, cell.b, testCell, name)
			if err != nil || !reflect.DeepEqual(read, m) {
				t.Fatalf("manifest came back as %+v, %v; want %+v", read, err, m)
			}
			if m.Records != len(c.records) || m.Counts["things"] != len(c.records) || m.At != point(41) || m.By != "host" || m.Reason != "test" || m.Build["go"] == "" {
				t.Errorf("manifest says %+v", m)
			}
			parts, size := []int{}, 0
			for i, p := range m.Parts {
				parts = append(parts, p.Records)
				size += len(cell.mem.Data(name.folder().partKey(i)))
				if p.RawBytes > PartBytes && p.Records > 1 {
					t.Errorf("part %d has %d bytes in %d records, want %d at most", i, p.RawBytes, p.Records, PartBytes)
				}
			}
			if !reflect.DeepEqual(parts, c.parts) {
				t.Errorf("records of the parts: %v, want %v", parts, c.parts)
			}
			if m.Bytes() != int64(size) || len(cell.mem.Keys()) != len(c.parts)+1 {
				t.Errorf("manifest says %d bytes, there are %d in %v", m.Bytes(), size, cell.mem.Keys())
			}
			cell.mustLoad(name, c.records)
		})
	}
}

// Whatever the parts take, the manifest is sent when the last of them is there.
func TestManifestIsMadeLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Ending("/part-00001"), Do: memdriver.Delay(time.Hour)})
		var there []string
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Ending(manifestFile),
			Do: memdriver.Before(func(string) { there = c.mem.Keys() })})
		c.write(source(1, large(7)...))
		if len(there) != 4 {
			t.Errorf("when the manifest was sent there was %v, want 4 parts", there)
		}
	})
}

func TestPartThatFailsLeavesNoManifest(t *testing.T) {
	for _, part := range []string{"/part-00000", "/part-00001", "/part-00003"} {
		t.Run(part, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCell(t)
				c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Ending(part), Do: memdriver.Fail})
				if _, err := Write(c.ctx, c.b, c.codec, source(1, large(7)...), 2); !errors.Is(err, memdriver.ErrInjected) {
					t.Errorf("%v, want the part's error", err)
				}
				if n := c.mem.CountOf(memdriver.Create, memdriver.Ending(manifestFile)); n != 0 {
					t.Error("a manifest was sent")
				}
			})
		})
	}
}

// Parts without a manifest mean nothing, and are in nobody's way.
func TestManifestThatFailsLeavesNothingThatCounts(t *testing.T) {
	c := newCell(t)
	_, old := c.write(source(1, []byte("old")))
	c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Ending(manifestFile), Times: 1, Do: memdriver.Fail})
	if _, err := Write(c.ctx, c.b, c.codec, source(2, []byte("new")), 2); !errors.Is(err, memdriver.ErrInjected) {
		t.Fatalf("%v, want the manifest's error", err)
	}
	if len(c.mem.Keys()) != 3 || c.listed(nil) != old.String() {
		t.Fatalf("%v is there and %s listed, want a part more and the old one", c.mem.Keys(), c.listed(nil))
	}
	_, again := c.write(source(2, []byte("new")))
	c.mustLoad(again, [][]byte{[]byte("new")})
	c.mustLoad(old, [][]byte{[]byte("old")})
}

// The replies of all of a snapshot's requests are lost: each is found to be there.
func TestLostRepliesAreSuccesses(t *testing.T) {
	c := newCell(t)
	c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Do: memdriver.LoseReply})
	_, name := c.write(source(1, large(3)...))
	c.mustLoad(name, large(3))
}

// If nobody knows whether the manifest is there, the snapshot is whole if it is.
func TestManifestWhoseOutcomeIsUnknown(t *testing.T) {
	c := newCell(t)
	c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Ending(manifestFile), Do: memdriver.LandAndFail})
	if _, err := Write(c.ctx, c.b, c.codec, source(1, large(3)...), 2); !errors.Is(err, memdriver.ErrInjected) {
		t.Fatal(err)
	}
	names, err := List(c.ctx, c.b, nil)
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	c.mustLoad(names[0], large(3))
}

func TestSourceThatFailsLeavesNoManifest(t *testing.T) {
	broken := errors.New("the state can't be read")
	c := newCell(t)
	s := source(1)
	s.Records = func(yield func([]byte, error) bool) {
		for _, r := range large(5) {
			if !yield(r, nil) {
				return
			}
		}
		yield(nil, broken)
	}
	if _, err := Write(c.ctx, c.b, c.codec, s, 2); !errors.Is(err, broken) {
		t.Errorf("%v, want the source's error", err)
	}
	if c.listed(nil) != "" {
		t.Error("there is a snapshot of half a state")
	}
}

// A record that no reader would take back must not become a snapshot that can't be
// read.
func TestRecordThatIsTooLargeIsRefused(t *testing.T) {
	c := newCell(t)
	if _, err := Write(c.ctx, c.b, c.codec, source(1, make([]byte, packed.MaxRaw/2+1)), 2); err == nil {
		t.Error("it was written")
	}
	if keys := c.mem.Keys(); len(keys) != 0 {
		t.Errorf("left behind: %v", keys)
	}
}

func TestHistoryThatHasNotBegunHasNoSnapshot(t *testing.T) {
	c := newCell(t)
	s := source(0)
	s.At.Next = 0
	if _, err := Write(c.ctx, c.b, c.codec, s, 2); err == nil || len(c.mem.Keys()) != 0 {
		t.Errorf("%v, and there is %v", err, c.mem.Keys())
	}
}

func TestWritingEndsWithItsContext(t *testing.T) {
	for name, key := range map[string]string{"in the parts": "/part-00001", "at the manifest": manifestFile} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCell(t)
				c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Ending(key), Do: memdriver.Block})
				ctx, cancel := context.WithTimeout(c.ctx, time.Minute)
				defer cancel()
				if _, err := Write(ctx, c.b, c.codec, source(1, large(9)...), 2); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v, want the deadline", err)
				}
				if c.listed(nil) != "" {
					t.Error("there is a manifest")
				}
			})
		})
	}
}

// A snapshot may be much larger than memory: parts are formed no faster than they
// are sent.
func TestPartsInMemoryAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const parallel = 3
		c := newCell(t)
		var now, most atomic.Int32
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Do: memdriver.Before(func(string) {
			most.Store(max(most.Load(), now.Add(1)))
			time.Sleep(time.Second)
			now.Add(-1)
		})})
		s := source(1)
		var taken atomic.Int32
		s.Records = counted(large(14), &taken)
		go func() {
			time.Sleep(time.Second / 2) // none has landed yet
			// What is on its way, one that waits, and the record that began the next.
			if n := taken.Load(); n > 2*(parallel+1)+1 {
				t.Errorf("%d records were taken before a part had landed, want those of %d parts", n, parallel+1)
			}
		}()
		if _, err := Write(c.ctx, c.b, c.codec, s, parallel); err != nil {
			t.Fatal(err)
		}
		if most.Load() != parallel {
			t.Errorf("up to %d uploads at once, want %d", most.Load(), parallel)
		}
	})
}

func counted(records [][]byte, taken *atomic.Int32) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for r := range each(records) {
			taken.Add(1)
			if !yield(r, nil) {
				return
			}
		}
	}
}

// After an upload has failed, the rest of the state is not walked for nothing.
func TestFailedUploadEndsTheWalk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Do: memdriver.Fail})
		s := source(1)
		var taken atomic.Int32
		s.Records = counted(large(20), &taken)
		_, err := Write(c.ctx, c.b, c.codec, s, 1)
		if err == nil || !strings.Contains(err.Error(), string(NewName(s.At).folder())[:38]) {
			t.Errorf("%q does not name the snapshot", err)
		}
		if n := taken.Load(); n > 10 {
			t.Errorf("%d records were taken", n)
		}
	})
}

// Snapshots from before the build was noted are read as they were.
func TestManifestWithoutABuildIsRead(t *testing.T) {
	cell := newCell(t)
	m, _ := cell.write(source(41, []byte("a")))
	old := *m
	old.Build, old.folder, old.hash = nil, "", persistence.Hash{}
	data, err := checked.Encode(&old)
	if err != nil || bytes.Contains(data, []byte(`"build"`)) {
		t.Fatalf("%s, %v", data, err)
	}
	var read Manifest
	if err := checked.Decode(data, formatFull, &read); err != nil || !reflect.DeepEqual(read, old) {
		t.Errorf("%+v, %v, want %+v", read, err, old)
	}
}

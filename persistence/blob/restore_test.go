package blob

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/internal/checked"
	"github.com/scheduler-store/scheduler-store/internal/packed"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// written writes a state that is to be restored where the process stands.
func (p *process) written(records ...string) *snapshot.Manifest {
	p.Helper()
	m, err := snapshot.WriteIn(p.ctx, p.log.bucket, p.log.codec, RestoreFolder(p.reader.at),
		snapshot.Source{Cell: p.log.cell.ID, At: p.reader.at, Records: each(records), By: "test", Reason: "by mistake"}, 2)
	if err != nil {
		p.Fatal(err)
	}
	return m
}

// restoring hands the restore of a state over.
func (p *process) restoring(m *snapshot.Manifest) *result {
	r := &result{record: "restore", done: make(chan struct{})}
	_, err := p.writer.Restore(m, func(ack persistence.Ack, err error) {
		r.ack, r.err = ack, err
		close(r.done)
	})
	if err != nil {
		r.err = err
		close(r.done)
	}
	return r
}

// restored makes a restore that must succeed.
func (p *process) restored(records ...string) *snapshot.Manifest {
	p.Helper()
	m := p.written(records...)
	if err := p.restoring(m).wait(); err != nil {
		p.Fatal(err)
	}
	<-p.writer.Done()
	return m
}

func TestRestoreIsTheWritersLastTransaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(3).write("a", "b")
		before := p.reader.at
		r := p.restoring(p.written("x", "y"))
		if err := r.wait(); err != nil {
			t.Fatal(err)
		}
		if want := (persistence.Commit{Transaction: 3, Position: 3, Epoch: 3}); r.ack.Commit != want || r.ack.After == nil || r.ack.After.Next != 4 {
			t.Errorf("acknowledged as %+v, want %+v and the point behind it", r.ack, want)
		}
		<-p.writer.Done()
		if err := p.writer.Err(); !errors.Is(err, ErrRestored) {
			t.Errorf("the writer ended with %v", err)
		}
		if err := p.send("c").wait(); !errors.Is(err, persistence.ErrNotCommitted) || !errors.Is(err, ErrRestored) {
			t.Errorf("a record after it: %v, want not committed and why", err)
		}
		if p.reader.at != before {
			t.Errorf("the leader's reader has gone to %v, but its state is not the new one", p.reader.at)
		}
		// This process and others have the new state, and nothing of the old.
		if err := p.reader.CatchUp(c.ctx); err != nil || p.state.has() != "x y" || p.state.at != *r.ack.After {
			t.Errorf("then it has %q at %v, %v", p.state.has(), p.state.at, err)
		}
		c.mustRecover("x y")
		p.lead(4).write("d")
		c.mustRecover("x y d")
		if next := c.headerOf(4, 5); next.First != 4 {
			t.Errorf("the transaction after the restore has number %d, want 4", next.First)
		}
	})
}

// Everything before the restore is acknowledged first, and nothing is taken after it.
func TestRestoreWaitsForAllBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1)
		c.slow(time.Minute)
		a := p.send("a")
		synctest.Wait()
		// The state is of the point behind a, which is not durable yet.
		after := p.writer.flight[0].after()
		m, err := snapshot.WriteIn(c.ctx, p.log.bucket, p.log.codec, RestoreFolder(after),
			snapshot.Source{Cell: p.log.cell.ID, At: after, Records: each([]string{"x"})}, 1)
		if err != nil {
			t.Fatal(err)
		}
		r := p.restoring(m)
		late := p.send("late")
		if err := late.wait(); !errors.Is(err, persistence.ErrNotCommitted) || !strings.Contains(err.Error(), "being restored") {
			t.Errorf("a record while it is restored: %v", err)
		}
		if again := p.restoring(m); !errors.Is(again.wait(), persistence.ErrNotCommitted) {
			t.Errorf("a second restore: %v", again.err)
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if c.mem.CountOf(memdriver.Create, memdriver.Is(Key(1, 2))) != 0 {
			t.Error("the restore was sent while the entry before was on its way")
		}
		time.Sleep(60 * time.Second)
		synctest.Wait()
		if a.wait() != nil || c.mem.CountOf(memdriver.Create, memdriver.Is(Key(1, 2))) != 1 {
			t.Fatal("the restore was not sent when all before it was acknowledged")
		}
		if err := r.wait(); err != nil || c.headerOf(1, 2).Committed != 2 {
			t.Errorf("%v, entry %+v", err, c.headerOf(1, 2))
		}
		c.mustRecover("x")
	})
}

// A restore that waits with records, which is a mistake, does not become one of them.
func TestRestoreGoesIntoNoOthersEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1)
		c.slow(time.Second)
		p.write("so that it knows how long a PUT takes")
		p.send("sent at once")
		synctest.Wait()
		waiting := p.send("waits")
		m := p.written("x")
		m.At.Transaction = 3
		r := p.restoring(m)
		if err := waiting.wait(); err != nil {
			t.Error(err)
		}
		if err := r.wait(); !errors.Is(err, persistence.ErrNotCommitted) {
			t.Errorf("the restore: %v, want not committed", err)
		}
		c.mustRecover("so that it knows how long a PUT takes sent at once waits")
	})
}

// A state of another point would undo what has come since, or what never was.
func TestRestoreOfAStateOfAnotherPointIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1).write("a")
		old := p.written("x")
		p.write("b")
		if err := p.restoring(old).wait(); !errors.Is(err, persistence.ErrNotCommitted) {
			t.Errorf("%v, want not committed", err)
		}
		p.write("c") // it failed alone
		c.mustRecover("a b c")
		// The same transaction, but before the seal.
		before := p.written("y")
		q := c.leader(2)
		if err := q.restoring(before).wait(); !errors.Is(err, persistence.ErrNotCommitted) || errors.Is(err, persistence.ErrUnknown) {
			t.Errorf("%v, want not committed", err)
		}
		c.mustRecover("a b c")
	})
}

func TestRestoreWithATooLongReasonFailsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1).write("a")
		m := p.written("x")
		m.Reason = strings.Repeat("r", p.log.options.MaxRecordBytes)
		if err := p.restoring(m).wait(); !errors.Is(err, ErrTooLarge) || !errors.Is(err, persistence.ErrNotCommitted) {
			t.Errorf("%v", err)
		}
		p.write("b")
	})
}

func TestOutcomesOfARestore(t *testing.T) {
	key := memdriver.Is(Key(1, 2))
	for name, o := range map[string]struct {
		effect memdriver.Effect
		want   error
		then   string
	}{
		"its reply is lost":         {memdriver.LoseReply, nil, "x"},
		"landed, and nobody knows":  {memdriver.LandAndFail, persistence.ErrUnknown, "x"},
		"did not land":              {memdriver.Fail, persistence.ErrUnknown, "a"},
		"denied":                    {memdriver.Deny, persistence.ErrNotCommitted, "a"},
		"another has sealed before": {nil, persistence.ErrDeposed, "a b"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCell(t)
				p := c.leader(1).write("a")
				m := p.written("x")
				if o.effect == nil {
					c.leader(2).write("b")
				} else {
					c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: key, Times: 1, Do: o.effect})
				}
				err := p.restoring(m).wait()
				if !errors.Is(err, o.want) || errors.Is(err, persistence.ErrNotCommitted) != errors.Is(o.want, persistence.ErrNotCommitted) {
					t.Errorf("%v, want %v", err, o.want)
				}
				<-p.writer.Done()
				c.mustRecover(o.then)
				c.leader(5).write("z")
				c.mustRecover(o.then + " z")
			})
		})
	}
}

// A restore whose entry never came counts for nothing, however far it got.
func TestRestoreWithoutItsEntryIsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1).write("a")
		m := p.written("x")
		c.mustRecover("a")
		c.mem.Remove(string(m.Folder()) + "/manifest.json")
		c.mustRecover("a")
		p.write("b")
		c.mustRecover("a b")
		report, err := p.log.Verify(c.ctx, nil)
		if err != nil || len(report.Problems) != 0 || report.Restores != 0 {
			t.Errorf("%+v, %v", report, err)
		}
	})
}

func TestStopAndCloseWhileRestoring(t *testing.T) {
	for name, end := range map[string]func(p *process) error{
		"stop": func(p *process) error { p.writer.Stop(errors.New("lease lost")); return nil },
		"close": func(p *process) error {
			return p.writer.Close(p.ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCell(t)
				p := c.leader(1).write("a")
				c.slow(time.Minute)
				r := p.restoring(p.written("x"))
				synctest.Wait()
				if err := end(p); err != nil {
					t.Error(err)
				}
				want := map[string]error{"stop": persistence.ErrUnknown, "close": nil}[name]
				if err := r.wait(); !errors.Is(err, want) {
					t.Errorf("%v, want %v", err, want)
				}
			})
		})
	}
}

// The acknowledgement and the order to stop come at the same time: it is known that
// the state was restored.
func TestStopAfterTheAcknowledgementOfARestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1).write("a")
		_, err := p.writer.Restore(p.written("x"), func(persistence.Ack, error) { p.writer.stop(errors.New("lease lost")) })
		if err != nil {
			t.Fatal(err)
		}
		<-p.writer.Done()
		if err := p.writer.Err(); !errors.Is(err, ErrRestored) {
			t.Errorf("the writer ended with %v", err)
		}
	})
}

// Records around a restore are fetched ahead, and applied on their own side of it.
func TestFollowerReadsThroughARestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		f := c.process()
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Under(restorePrefix), Do: memdriver.Delay(time.Second)})
		p := c.leader(1).writeApart(20)
		go func() { _ = f.reader.Follow(c.ctx, FollowOptions{}) }()
		time.Sleep(5 * time.Second)
		p.restored("x", "y")
		c.leader(2).writeApart(20)
		time.Sleep(10 * time.Second)
		want := "x y 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19"
		if got := f.state.has(); got != want || f.state.resets != 2 {
			t.Errorf("follower has %q after %d resets", got, f.state.resets)
		}
		c.mustRecover(want)
	})
}

func TestRestoreBelowASnapshotIsNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.leader(1).write("a").restored("x")
		p := c.leader(2).write("b")
		p.snapshot()
		p.write("c")
		before := c.mem.CountOf(memdriver.Get, memdriver.Under(restorePrefix))
		c.mustRecover("x b c")
		if n := c.mem.CountOf(memdriver.Get, memdriver.Under(restorePrefix)) - before; n != 0 {
			t.Errorf("the recovery made %d requests for a state that a snapshot covers", n)
		}
		// So it may be collected.
		c.collect(p.reader.at.Next - 2)
		for _, key := range c.mem.Keys() {
			if strings.HasPrefix(key, restorePrefix) {
				c.mem.Remove(key)
			}
		}
		c.mustRecover("x b c")
	})
}

// A restore without its state is damage that is named, never the end of the log, and
// nobody leads from the state before.
func TestDamagedRestoreIsNamedAndRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		m := c.leader(1).write("a").restored("x", "y")
		manifest, part := string(m.Folder())+"/manifest.json", string(m.Folder())+"/part-00000"
		other := c.otherManifest(m)
		for name, damage := range map[string]func() (object string){
			"no manifest":      func() string { c.mem.Remove(manifest); return manifest },
			"no part":          func() string { c.mem.Remove(part); return part },
			"a bit of a part":  func() string { c.flip(part); return part },
			"a bit of another": func() string { c.flip(manifest); return manifest },
			"another manifest": func() string { c.mem.Put(manifest, other); return string(m.Folder()) },
		} {
			keep := map[string][]byte{manifest: c.mem.Data(manifest), part: c.mem.Data(part)}
			object := damage()
			c.mustRefuse(object)
			candidate := c.process()
			if _, err := candidate.reader.Lead(c.ctx, 9, persistence.NewWriterID()); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s: a candidate: %v", name, err)
			}
			report, err := candidate.log.Verify(c.ctx, nil)
			if err != nil || len(report.Problems) != 1 || !strings.Contains(report.Problems[0], object) || report.Restores != 1 {
				t.Errorf("%s: verify: %+v, %v", name, report, err)
			}
			for key, data := range keep {
				c.mem.Put(key, data)
			}
			// Put right, it serves, without a new start of the process.
			if err := candidate.reader.CatchUp(c.ctx); err != nil || candidate.state.has() != "x y" {
				t.Errorf("%s: put right: %q, %v", name, candidate.state.has(), err)
			}
		}
		if report, err := c.open(Options{}).Verify(c.ctx, nil); err != nil || len(report.Problems) != 0 || report.Restores != 1 || report.Transactions != 2 || report.Entries != 3 {
			t.Errorf("verify of the whole: %+v, %v", report, err)
		}
	})
}

// otherManifest is a sound manifest for the same folder, of another state.
func (c *cell) otherManifest(m *snapshot.Manifest) []byte {
	c.Helper()
	changed := *m
	changed.Parts, changed.Records = nil, 0
	data, err := checked.Encode(&changed)
	if err != nil {
		c.Fatal(err)
	}
	return data
}

func (c *cell) flip(key string) {
	data := c.mem.Data(key)
	data[len(data)/2] ^= 1
	c.mem.Put(key, data)
}

func TestBitOfARestoreThatFlipsOnTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.leader(1).write("a").restored("x")
		for _, object := range []string{"manifest.json", "part-00000"} {
			c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: func(key string) bool {
				return strings.HasPrefix(key, restorePrefix) && strings.HasSuffix(key, object)
			}, Times: 1, Do: memdriver.Corrupt})
			c.mustRecover("x")
		}
	})
}

// A store that does not answer is no damage, and the half that was loaded is no state.
func TestStoreThatFailsWhileARestoreIsLoaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.leader(1).write("a").restored("x")
		f := c.process()
		rule := c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Under(restorePrefix), Skip: 1, Do: memdriver.Fail})
		if err := f.reader.CatchUp(c.ctx); !errors.Is(err, memdriver.ErrInjected) || errors.Is(err, ErrDamaged) {
			t.Errorf("%v, want the store's error", err)
		}
		if f.reader.begun {
			t.Error("the reader goes on from a state that is not whole")
		}
		rule.Stop()
		if err := f.reader.CatchUp(c.ctx); err != nil || f.state.has() != "x" {
			t.Errorf("then it has %q, %v", f.state.has(), err)
		}
	})
}

// A state that refuses a restore's record says so; that is no damage of the log.
func TestReaderBeginsAgainAfterARestoreThatWasNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.leader(1).write("a").restored("x", "y")
		f := c.process()
		f.state.fail = func(record string) error {
			if record == "y" {
				return errors.New("out of memory")
			}
			return nil
		}
		if err := f.reader.CatchUp(c.ctx); !errors.Is(err, ErrReplay) || errors.Is(err, ErrDamaged) {
			t.Errorf("%v, want the state's error", err)
		}
		f.state.fail = nil
		if err := f.reader.CatchUp(c.ctx); err != nil || f.state.has() != "x y" {
			t.Errorf("then it has %q, %v", f.state.has(), err)
		}
	})
}

// A slow reader comes to a restore whose state was collected, for a newer snapshot
// covers it: it begins again from there.
func TestSlowReaderMeetsARestoreThatWasCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		m := c.leader(1).write("a").restored("x")
		slow := c.process()
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Is(string(m.Folder()) + "/manifest.json"), Times: 1,
			Do: memdriver.Before(func(manifest string) {
				p := c.leader(2).write("b")
				p.snapshot()
				c.collect(p.reader.at.Next - 1)
				c.mem.Remove(manifest)
			})})
		if err := slow.reader.CatchUp(c.ctx); err != nil || slow.state.has() != "x b" {
			t.Errorf("slow reader has %q, %v", slow.state.has(), err)
		}
	})
}

// Snapshots from before a restore, from between two, and from after serve as ever.
func TestRestoresAndSnapshotsTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1).write("a")
		p.snapshot()
		p.write("b").restored("x")
		c.mustRecover("x")
		q := c.process()
		if err := q.reader.CatchUp(c.ctx); err != nil {
			t.Fatal(err)
		}
		q.snapshot() // of the very state that was restored
		q.lead(2).write("c").restored("y")
		c.mustRecover("y")
		r := c.leader(3).write("d")
		name := r.snapshot()
		r.writer.Snapshotted(name)
		r.write("e")
		c.mustRecover("y d e")
		c.collect(name.Position)
		c.mustRecover("y d e")
	})
}

// restorePoint is where the entry of sampleRestore goes.
var restorePoint = persistence.Point{Epoch: 3, Next: 7, Transaction: 40, Hash: persistence.Hash{1, 2, 3, 4, 5, 6, 7, 8, 9}}

// sampleRestore is the object of a restore at restorePoint, made with what change does
// to its header and its records.
func sampleRestore(t testing.TB, c *packed.Codec, r *Restore, change func(h *Header, records [][]byte) [][]byte) []byte {
	t.Helper()
	record, err := checked.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	h := Header{Kind: KindRestore, Position: 7, Epoch: 3, Prev: restorePoint.Hash, First: 41, Count: 1, Time: time.UnixMilli(5).UTC()}
	records := [][]byte{record}
	if change != nil {
		records = change(&h, records)
	}
	var raw []byte
	for _, r := range records {
		raw = packed.AppendRecord(raw, r)
	}
	object, _ := encode(c, &h, raw)
	return object
}

func goodRestore() Restore {
	return Restore{Format: restoreFormat, Folder: RestoreFolder(restorePoint), Manifest: persistence.Hash{9}, Reason: "why\nnot"}
}

func TestEntriesOfRestoresAreCheckedStrictly(t *testing.T) {
	c := testCodec(t)
	at, good := restorePoint, goodRestore()
	made := func(r Restore, change func(h *Header, records [][]byte) [][]byte) (*Entry, error) {
		return decode(t.Context(), c, sampleRestore(t, c, &r, change))
	}
	e, err := made(good, nil)
	if err != nil || *e.Restore != good || len(e.Records) != 0 || e.Kind.String() != "restore" {
		t.Fatalf("%+v, %v", e, err)
	}
	if want := (persistence.Point{Epoch: 3, Next: 8, Transaction: 41, Hash: e.Hash}); e.after() != want {
		t.Errorf("goes on at %v, want %v", e.after(), want)
	}
	other := at
	other.Hash[7]++
	for name, bad := range map[string]func(*Restore){
		"no folder":           func(r *Restore) { r.Folder = "" },
		"a snapshot's folder": func(r *Restore) { r.Folder = "snapshot" + good.Folder[len("restore"):] },
		"a folder within":     func(r *Restore) { r.Folder += "/x" },
		"a folder above":      func(r *Restore) { r.Folder = "restore/../" + good.Folder },
		"another position":    func(r *Restore) { r.Folder = RestoreFolder(persistence.Point{Next: 8, Hash: at.Hash}) },
		"another history":     func(r *Restore) { r.Folder = RestoreFolder(other) },
	} {
		r := good
		bad(&r)
		if e, err := made(r, nil); err == nil {
			t.Errorf("%s: %+v was accepted", name, e)
		}
	}
	for name, change := range map[string]func(*Header, [][]byte) [][]byte{
		"two counted":  func(h *Header, r [][]byte) [][]byte { h.Count = 2; return r },
		"none counted": func(h *Header, r [][]byte) [][]byte { h.Count = 0; return r },
		"no record":    func(h *Header, _ [][]byte) [][]byte { h.Count = 0; return nil },
		"two records":  func(h *Header, r [][]byte) [][]byte { h.Count = 2; return append(r, r[0]) },
		"one of two":   func(_ *Header, r [][]byte) [][]byte { return append(r, r[0]) },
		"none of one":  func(*Header, [][]byte) [][]byte { return nil },
		"no JSON":      func(*Header, [][]byte) [][]byte { return [][]byte{[]byte("{}")} },
		"a wrong bit":  func(_ *Header, r [][]byte) [][]byte { r[0][40] ^= 1; return r },
		"more behind":  func(_ *Header, r [][]byte) [][]byte { r[0] = append(r[0], '\n'); return r },
		"a transaction instead": func(*Header, [][]byte) [][]byte {
			return [][]byte{[]byte("a")}
		},
	} {
		if e, err := made(good, change); err == nil {
			t.Errorf("%s: %+v was accepted", name, e)
		}
	}
	newer := good
	newer.Format++
	if _, err := made(newer, nil); !errors.Is(err, ErrNewerFormat) {
		t.Errorf("a newer restore: %v, want %v", err, ErrNewerFormat)
	}
}

// What an older program sees of a restore: an entry that it must not pass over.
func TestRestoreOfANewerVersionIsNotCalledDamaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1).write("a")
		m := p.written("x")
		record, err := checked.Encode(&Restore{Format: restoreFormat + 1, Folder: m.Folder(), Manifest: m.Hash()})
		if err != nil {
			t.Fatal(err)
		}
		object, _ := encode(p.log.codec, &Header{Kind: KindRestore, Position: 2, Epoch: 1, Prev: p.reader.at.Hash, Committed: 2, First: 2, Count: 1,
			Time: time.Now()}, packed.AppendRecord(nil, record))
		c.mem.Put(Key(1, 2), object)
		if got, err := c.recovers(); !IsNewerFormat(err) || errors.Is(err, ErrDamaged) || errors.Is(err, bucket.ErrNotExist) || !strings.Contains(fmt.Sprint(err), Key(1, 2)) {
			t.Errorf("recovered %q, %v; want that it is newer", got, err)
		}
	})
}

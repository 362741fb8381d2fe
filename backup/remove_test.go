package backup

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/internal/packed"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/snapshot"
	"github.com/scheduler-store/scheduler-store/storage"
)

// The manifest goes first, so that nobody ever sees half a backup.
func TestRemoveBeginsWithTheManifest(t *testing.T) {
	p := newPlace(t)
	p.create("monday", thisCell, 1, "a")
	p.create("monday2", thisCell, 1, "a")
	p.mem.Put("backup/monday/part-00001", []byte("of an earlier try"))
	var deleted []string
	p.mem.Inject(memdriver.Fault{Operation: memdriver.Delete, Do: memdriver.Before(func(key string) { deleted = append(deleted, key) })})
	must(t, p.Remove(t.Context(), "monday"))
	if want := []string{"backup/monday/manifest.json", "backup/monday/part-00000", "backup/monday/part-00001"}; !slices.Equal(deleted, want) {
		t.Errorf("%v, want %v", deleted, want)
	}
	if got := p.listed(); got != "monday2" {
		t.Errorf("%s is left", got)
	}
	if err := p.Remove(t.Context(), "monday"); !errors.Is(err, ErrNotExist) {
		t.Error(err)
	}
	p.create("monday", thisCell, 2, "b") // the name is free again
}

func TestDamagedBackupCanBeRemoved(t *testing.T) {
	p := newPlace(t)
	p.create("monday", thisCell, 1, "a")
	p.mem.Put("backup/monday/manifest.json", []byte("{}"))
	must(t, p.Remove(t.Context(), "monday"))
	if keys := p.keys(); len(keys) != 0 {
		t.Errorf("%v is left", keys)
	}
}

// Removing that failed can be done again: at once while the manifest is there, and a day
// later when only parts are.
func TestRemoveFromAnyStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		p.create("monday", thisCell, 1, "a")
		fault := p.mem.Inject(memdriver.Fault{Operation: memdriver.Delete, Key: memdriver.Ending("json"), Do: memdriver.Fail})
		if err := p.Remove(t.Context(), "monday"); !errors.Is(err, memdriver.ErrInjected) || p.listed() != "monday" {
			t.Errorf("%v; %s is left", err, p.listed())
		}
		fault.Stop()
		fault = p.mem.Inject(memdriver.Fault{Operation: memdriver.Delete, Key: memdriver.Ending("part-00000"), Do: memdriver.Fail})
		if err := p.Remove(t.Context(), "monday"); !errors.Is(err, memdriver.ErrInjected) || p.listed() != "" {
			t.Errorf("%v; %s is left", err, p.listed())
		}
		fault.Stop()
		if err := p.Remove(t.Context(), "monday"); !errors.Is(err, ErrNotExist) || len(p.keys()) != 1 {
			t.Errorf("%v; %v is left", err, p.keys())
		}
		time.Sleep(orphanAge + time.Minute)
		p.create("tuesday", thisCell, 1, "a") // tells the time
		must(t, p.Remove(t.Context(), "monday"))
		if keys := p.keys(); len(keys) != 2 {
			t.Errorf("%v is left", keys)
		}
	})
}

// Automatic ones of the same cell go, oldest first; nothing else does.
func TestThin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		var names []string
		auto := func(cell string, position persistence.Position) {
			names = append(names, p.create("", cell, position).Name)
			time.Sleep(time.Minute)
		}
		auto(otherCell, 1)
		p.create("by-hand", thisCell, 1)
		for _, position := range []persistence.Position{5, 6, 3, 4} { // clocks are not to be trusted
			auto(thisCell, position)
		}
		auto(otherCell, 2)
		removed, _, err := p.Thin(t.Context(), thisCell, 4)
		if err != nil || len(removed) != 0 {
			t.Errorf("removed %v, %v", removed, err)
		}
		removed, _, err = p.Thin(t.Context(), thisCell, 2)
		if want := []string{names[3], names[4]}; err != nil || !slices.Equal(removed, want) {
			t.Errorf("removed %v, want %v; %v", removed, want, err)
		}
		if got, want := p.listed(), strings.Join([]string{names[0], "by-hand", names[1], names[2], names[5]}, " "); got != want {
			t.Errorf("left: %s, want %s", got, want)
		}
		if n := len(p.keys()); n != 10 {
			t.Errorf("%d objects are left", n)
		}
		if _, _, err := p.Thin(t.Context(), thisCell, 0); err == nil || len(p.keys()) != 10 {
			t.Errorf("keep none: %v", err)
		}
	})
}

// What can't be read stays, and the rest is thinned out all the same.
func TestThinWithADamagedBackup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		var names []string
		for i := range 4 {
			names = append(names, p.create("", thisCell, persistence.Position(i+1)).Name)
			time.Sleep(time.Second)
		}
		p.mem.Put("backup/"+names[0]+"/manifest.json", []byte("{}"))
		removed, _, err := p.Thin(t.Context(), thisCell, 2)
		if !errors.Is(err, ErrDamaged) || !slices.Equal(removed, names[1:2]) || p.listed() != names[2]+" "+names[3] || len(p.keys()) != 6 {
			t.Errorf("removed %v, %v; left %v", removed, err, p.keys())
		}
	})
}

func TestThinEndsAtTheFirstError(t *testing.T) {
	p := newPlace(t)
	for i := range 4 {
		p.create("", thisCell, persistence.Position(i+1))
	}
	fault := p.mem.Inject(memdriver.Fault{Operation: memdriver.Delete, Skip: 2, Do: memdriver.Fail})
	removed, _, err := p.Thin(t.Context(), thisCell, 1)
	if !errors.Is(err, memdriver.ErrInjected) || len(removed) != 1 || fault.Hits() != 1 {
		t.Errorf("removed %v, %v; %d tries after the first failure", removed, err, fault.Hits()-1)
	}
}

// Parts without a manifest go when they are a day older than the newest backup, and no
// sooner: they may be of one that is being made. Others' objects stay.
func TestThinRemovesOrphans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		p.mem.Put("backup/old/part-00000", []byte("x"))
		p.mem.Put("backup/growing/part-00000", []byte("x"))
		p.mem.Put("backup/README", []byte("x"))
		p.mem.Put("backup/old/part-of/notes", []byte("x"))
		p.mem.Put("backup/not ours/part-00000", []byte("x"))
		p.mem.Put("snapshot/1/part-00000", []byte("x"))
		time.Sleep(orphanAge)
		p.create("monday", thisCell, 1)
		thin := func() string {
			removed, _, err := p.Thin(t.Context(), thisCell, 1)
			if err != nil || len(removed) != 0 {
				t.Errorf("%v, %v", removed, err)
			}
			return fmt.Sprint(p.keys())
		}
		if left := thin(); !strings.Contains(left, "backup/old/part-00000") {
			t.Errorf("just a day later there is %s", left)
		}
		time.Sleep(time.Second)
		p.mem.Put("backup/growing/part-00001", []byte("x"))
		time.Sleep(time.Hour)
		if left := thin(); strings.Contains(left, "backup/old/part-00000") || !strings.Contains(left, "backup/growing/part-00000") ||
			!strings.Contains(left, "README") || !strings.Contains(left, "part-of/notes") || !strings.Contains(left, "backup/not ours/part-00000") ||
			!strings.Contains(left, "snapshot/1") || !strings.Contains(left, "monday") {
			t.Errorf("later there is %s", left)
		}
	})
}

// A pinned backup is neither removed nor thinned out until the pin expires or is taken
// away.
func TestPinnedBackupsStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, cell := newPinned(t)
		first, err := b.Create(t.Context(), "", cell)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Pin(t.Context(), snapshot.Pin{Name: first.Name, Reason: "audit", By: "ann", Expires: time.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		if err := b.Remove(t.Context(), first.Name); !errors.Is(err, ErrPinned) || !strings.Contains(err.Error(), "ann: audit") {
			t.Errorf("%v; want that ann pinned it", err)
		}
		for range 3 {
			time.Sleep(time.Second)
			if _, err := b.Create(t.Context(), "", cell); err != nil {
				t.Fatal(err)
			}
		}
		if removed, _, err := b.Thin(t.Context(), "cell", 1); err != nil || len(removed) != 2 || slices.Contains(removed, first.Name) {
			t.Errorf("removed %q, %v", removed, err)
		}
		time.Sleep(time.Hour)
		if removed, _, err := b.Thin(t.Context(), "cell", 1); err != nil || !slices.Equal(removed, []string{first.Name}) {
			t.Errorf("removed %q, %v; want the one whose pin has expired", removed, err)
		}
		if err := b.Unpin(t.Context(), "none"); !errors.Is(err, ErrNotExist) {
			t.Error(err)
		}
	})
}

// A snapshot that is pinned under a name is loaded as a backup of that name.
func TestPinnedSnapshotIsABackup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, cell := newPinned(t)
		m, err := snapshot.Write(t.Context(), b.bucket, b.codec, cell, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Pin(t.Context(), snapshot.Pin{Name: "kept", Snapshot: m.Name}); err != nil {
			t.Fatal(err)
		}
		info, err := b.Get(t.Context(), "kept")
		if err != nil || info.Transaction != m.At.Transaction || info.Name != "kept" || info.Kind != KindSnapshot || info.Snapshot != m.Name || info.Cell != "cell" ||
			info.Automatic || info.Pin == nil {
			t.Errorf("%+v, %v", info, err)
		}
		for name, of := range map[string]string{"gone": "00000000000000000001-0123456789abcdef-01234567", "none": ""} {
			if err := b.Pin(t.Context(), snapshot.Pin{Name: name, Snapshot: of}); !errors.Is(err, ErrNotExist) {
				t.Errorf("%s: %v; want that there is nothing to keep", name, err)
			}
			if _, err := snapshot.ReadPin(t.Context(), b.bucket, name); !errors.Is(err, bucket.ErrNotExist) {
				t.Errorf("%s: a pin was left: %v", name, err)
			}
		}
	})
}

// The list has what is pinned, backup or snapshot, with its pin; a pin that keeps what is
// not there is told of.
func TestListShowsPins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, cell := newPinned(t)
		m, err := snapshot.Write(t.Context(), b.bucket, b.codec, cell, 1)
		must(t, err)
		for _, name := range []string{"bare", "pinned"} {
			time.Sleep(time.Minute)
			_, err := b.Create(t.Context(), name, cell)
			must(t, err)
		}
		until := time.Now().Add(time.Hour)
		must(t, b.Pin(t.Context(), snapshot.Pin{Name: "pinned", Reason: "audit", By: "ann"}))
		must(t, b.Pin(t.Context(), snapshot.Pin{Name: "kept", Snapshot: m.Name, Reason: "trial", By: "bob", Expires: until}))
		infos, err := b.List(t.Context())
		if err != nil || namesOf(infos) != "kept bare pinned" {
			t.Fatalf("%s, %v", namesOf(infos), err)
		}
		kept, bare, pinned := infos[0], infos[1], infos[2]
		if kept.Kind != KindSnapshot || kept.Snapshot != m.Name || kept.Pin.Reason != "trial" || kept.Pin.By != "bob" || !kept.Pin.Expires.Equal(until) ||
			bare.Kind != KindBackup || bare.Pin != nil || pinned.Kind != KindBackup || pinned.Snapshot != "" || pinned.Pin.Reason != "audit" || !pinned.Pin.Expires.IsZero() {
			t.Errorf("%+v %+v %+v", kept, bare, pinned)
		}
		for _, info := range infos {
			if got, err := b.Get(t.Context(), info.Name); err != nil || !reflect.DeepEqual(got, info) {
				t.Errorf("%+v, %v; want it as in the list: %+v", got, err, info)
			}
		}
		must(t, b.bucket.Delete(t.Context(), m.Key()))
		if infos, err := b.List(t.Context()); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "pin/kept.json") || namesOf(infos) != "bare pinned" {
			t.Errorf("%s, %v", namesOf(infos), err)
		}
		time.Sleep(time.Hour) // then it may go
		if infos, err := b.List(t.Context()); err != nil || namesOf(infos) != "bare pinned" {
			t.Errorf("%s, %v", namesOf(infos), err)
		}
	})
}

func newPinned(t *testing.T) (*Backups, snapshot.Source) {
	codec, err := packed.NewCodec(1)
	if err != nil {
		t.Fatal(err)
	}
	b := New(bucket.New(memdriver.New(), "mem://test", "", bucket.Options{}), codec)
	return b, snapshot.Source{Cell: "cell", At: persistence.Point{Epoch: 1, Next: 5, Transaction: 7}, Records: func(yield func([]byte, error) bool) { yield([]byte("x"), nil) }, By: "test"}
}

// One that has expired goes with what is thinned out, also if it has a name of its own;
// one that a pin keeps stays until that has expired too.
func TestExpiredBackupsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		expiring := func(name, cell string, in time.Duration) {
			s := source(t, cell, 1, "a")
			s.Expires = time.Now().Add(in)
			info, err := p.Create(t.Context(), name, s)
			must(t, err)
			if want := s.Expires.UTC().Truncate(time.Millisecond); !info.Expires.Equal(want) {
				t.Errorf("%s expires at %v, want %v", name, info.Expires, want)
			}
		}
		expiring("hour", thisCell, time.Hour)
		expiring("pinned", thisCell, time.Hour)
		expiring("other", otherCell, time.Hour)
		expiring("day", thisCell, 24*time.Hour)
		p.create("named", thisCell, 1)
		auto := p.create("", thisCell, 1).Name
		must(t, p.Pin(t.Context(), snapshot.Pin{Name: "pinned", Reason: "audit", Expires: time.Now().Add(3 * time.Hour)}))
		thin := func(want ...string) {
			t.Helper()
			old, expired, err := p.Thin(t.Context(), thisCell, 1)
			if err != nil || len(old) != 0 || !slices.Equal(expired, want) {
				t.Errorf("removed %q and, as expired, %q, want %q; %v", old, expired, want, err)
			}
		}
		time.Sleep(time.Hour - time.Millisecond)
		thin()
		time.Sleep(time.Millisecond)
		if ids, err := p.loaded(t.Context(), "hour"); ids != "a" || err != nil {
			t.Errorf("one that has expired and is there still: %q, %v", ids, err)
		}
		thin("hour")
		if err := p.Remove(t.Context(), "pinned"); !errors.Is(err, ErrPinned) {
			t.Error(err)
		}
		time.Sleep(2 * time.Hour)
		thin("pinned")
		time.Sleep(24 * time.Hour)
		before := p.listed()
		if names, err := p.Expire(t.Context(), thisCell, true); err != nil || !slices.Equal(names, []string{"day"}) || p.listed() != before {
			t.Errorf("a dry run: %q, %v; left: %s, want %s", names, err, p.listed(), before)
		}
		if names, err := p.Expire(t.Context(), thisCell, false); err != nil || !slices.Equal(names, []string{"day"}) {
			t.Errorf("removed %q, %v", names, err)
		}
		if got, want := p.listed(), "named other "+auto; got != want {
			t.Errorf("left: %s, want %s", got, want)
		}
	})
}

// A pin that is made while the backups are read counts, and one that can't be read keeps
// everything.
func TestExpiredWhilePinned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		s := source(t, thisCell, 1)
		s.Expires = time.Now().Add(time.Hour)
		_, err := p.Create(t.Context(), "monday", s)
		must(t, err)
		time.Sleep(2 * time.Hour)
		p.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Is("backup/monday/manifest.json"), Times: 1, Do: memdriver.Before(func(string) {
			must(t, p.Pin(t.Context(), snapshot.Pin{Name: "monday", Reason: "audit"}))
		})})
		if names, err := p.Expire(t.Context(), thisCell, false); err != nil || len(names) != 0 || p.listed() != "monday" {
			t.Errorf("removed %q, %v", names, err)
		}
		must(t, p.Unpin(t.Context(), "monday"))
		p.mem.Put("pin/other.json", []byte("{}"))
		if names, err := p.Expire(t.Context(), thisCell, false); !errors.Is(err, ErrDamaged) || len(names) != 0 {
			t.Errorf("removed %q, %v; want that a pin can't be read", names, err)
		}
		if infos, err := p.List(t.Context()); !errors.Is(err, ErrDamaged) || len(infos) != 1 {
			t.Errorf("listed %q, %v", namesOf(infos), err)
		}
		p.mem.Remove("pin/other.json")
		p.create("bad", thisCell, 1)
		p.mem.Put("backup/bad/manifest.json", []byte("{}"))
		if names, err := p.Expire(t.Context(), thisCell, false); !errors.Is(err, ErrDamaged) || !slices.Equal(names, []string{"monday"}) || len(p.keys()) != 2 {
			t.Errorf("removed %q, %v; %v is left, want the damaged one", names, err, p.keys())
		}
	})
}

func TestParseExpires(t *testing.T) {
	now := time.Date(2026, 11, 23, 2, 20, 17, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"": {}, "0": {}, "0s": {}, "0d": {}, "90m": now.Add(90 * time.Minute), "30d": now.Add(720 * time.Hour),
		"2026-11-23T03:20:17+01:00": {}, "2026-11-23T04:20:17+01:00": now.Add(time.Hour),
	} {
		got, err := ParseExpires(text, now)
		if past := strings.Contains(text, "03:20"); past != (err != nil) || !past && !got.Equal(want) {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"-1h", "tomorrow", "30", "-1d", "d", "15:04", "2026-11-30"} {
		if _, err := ParseExpires(text, now); err == nil || !strings.Contains(err.Error(), "30d") {
			t.Errorf("%q: %v", text, err)
		}
	}
	p := newPlace(t)
	s := source(t, thisCell, 1)
	s.Expires = time.Now().Add(-time.Second)
	if _, err := p.Create(t.Context(), "monday", s); !errors.Is(err, storage.ErrInvalidArgument) || len(p.keys()) != 0 {
		t.Errorf("%v, %v", err, p.keys())
	}
}

package backup

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/persistence"
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
		removed, err := p.Thin(t.Context(), thisCell, 4)
		if err != nil || len(removed) != 0 {
			t.Errorf("removed %v, %v", removed, err)
		}
		removed, err = p.Thin(t.Context(), thisCell, 2)
		if want := []string{names[3], names[4]}; err != nil || !slices.Equal(removed, want) {
			t.Errorf("removed %v, want %v; %v", removed, want, err)
		}
		if got, want := p.listed(), strings.Join([]string{names[0], "by-hand", names[1], names[2], names[5]}, " "); got != want {
			t.Errorf("left: %s, want %s", got, want)
		}
		if n := len(p.keys()); n != 10 {
			t.Errorf("%d objects are left", n)
		}
		if _, err := p.Thin(t.Context(), thisCell, 0); err == nil || len(p.keys()) != 10 {
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
		removed, err := p.Thin(t.Context(), thisCell, 2)
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
	removed, err := p.Thin(t.Context(), thisCell, 1)
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
			removed, err := p.Thin(t.Context(), thisCell, 1)
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

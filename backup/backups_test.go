package backup

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/snapshot"
	"github.com/scheduler-store/scheduler-store/storage"
)

func TestNamesThatAreTaken(t *testing.T) {
	for _, name := range []string{"a", "7", "before-upgrade_2.0", "A.b", strings.Repeat("x", 128), "snapshot", "a.", "a-"} {
		if err := checkNewName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for name, want := range map[string]string{
		"": "is empty", strings.Repeat("x", 129): "it has 129 bytes, and may have 128", ".a": `begins with "."`, "-a": `begins with "-"`, "_": `begins with "_"`,
		"a..b": `has ".." in it`, "a/b": `has '/' in it`, "a b": `has ' ' in it`, "é": "begins with", "aé": `has 'é' in it`, "a\x00": `has '\x00' in it`,
		"../../etc/passwd": `begins with "."`, "a\xff": "in it", "a\\b": `has '\\' in it`,
		"scheduler-backup-": "names of automatic backups", "scheduler-backup-2026-11-23-02-20-17": "names of automatic backups",
	} {
		if err := checkNewName(name); !errors.Is(err, ErrInvalidName) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", name, err, want)
		}
	}
}

// Nothing is asked of the bucket for a name that can't be one.
func TestInvalidNamesAreRefusedByAll(t *testing.T) {
	p := newPlace(t)
	for _, name := range []string{"../x", "a/b", ".."} {
		_, create := p.Create(t.Context(), name, source(t, thisCell, 1))
		_, get := p.Get(t.Context(), name)
		_, load := p.loaded(t.Context(), name)
		for what, err := range map[string]error{"create": create, "get": get, "load": load, "remove": p.Remove(t.Context(), name)} {
			if !errors.Is(err, ErrInvalidName) {
				t.Errorf("%s %q: %v", what, name, err)
			}
		}
	}
	if n := p.mem.Count(memdriver.Any); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// The order of automatic names is that of time, whatever the zone, and no two are equal.
func TestAutomaticNames(t *testing.T) {
	at := time.Date(2026, 11, 23, 2, 20, 17, 42e6, time.UTC)
	name := newAutomaticName(at.In(time.FixedZone("there", -5*3600)))
	if !strings.HasPrefix(name, "scheduler-backup-2026-11-23-02-20-17-042-") || checkName(name) != nil || !automatic(name) {
		t.Error(name)
	}
	if other := newAutomaticName(at); other == name {
		t.Error("two are equal")
	}
	last := ""
	for _, d := range []time.Duration{0, time.Millisecond, 10 * time.Millisecond, time.Second, time.Minute, time.Hour, 24 * time.Hour, 40 * 24 * time.Hour, 400 * 24 * time.Hour} {
		next := newAutomaticName(at.Add(d))
		if next <= last {
			t.Errorf("%s does not sort after %s", next, last)
		}
		last = next
	}
}

func TestBackupComesBackAsItWas(t *testing.T) {
	p := newPlace(t)
	made := p.create("monday", thisCell, 7, "a", "b")
	p.create("tuesday", otherCell, 3)
	got, err := p.Get(t.Context(), "monday")
	must(t, err)
	if fmt.Sprint(*got) != fmt.Sprint(*made) || got.Name != "monday" || got.Cell != thisCell || got.Position != 7 || got.Transaction != 7 || got.By != "host" ||
		got.Reason != "test" || got.Automatic || got.Bytes == 0 || got.Counts["tasks"] != 2 || time.Since(got.Made) > time.Minute {
		t.Errorf("%+v, made as %+v", got, made)
	}
	if ids, err := p.loaded(t.Context(), "monday"); ids != "a b" || err != nil {
		t.Errorf("%q, %v", ids, err)
	}
	if _, err := p.Get(t.Context(), "sunday"); !errors.Is(err, ErrNotExist) {
		t.Error(err)
	}
	if _, err := p.loaded(t.Context(), "sunday"); !errors.Is(err, ErrNotExist) {
		t.Error(err)
	}
	for _, key := range p.keys() {
		if !strings.HasPrefix(key, "backup/monday/") && !strings.HasPrefix(key, "backup/tuesday/") {
			t.Errorf("object %s", key)
		}
	}
}

func TestEmptyNameMakesAnAutomaticBackup(t *testing.T) {
	p := newPlace(t)
	info := p.create("", thisCell, 1, "a")
	if !info.Automatic || !automatic(info.Name) {
		t.Errorf("%+v", info)
	}
	if again := p.create("", thisCell, 1, "a"); again.Name == info.Name {
		t.Error("the same name")
	}
	if ids, err := p.loaded(t.Context(), info.Name); ids != "a" || err != nil {
		t.Errorf("%q, %v", ids, err)
	}
}

func TestNameIsNeverOverwritten(t *testing.T) {
	p := newPlace(t)
	p.create("monday", thisCell, 1, "a")
	for _, ids := range [][]string{{"a"}, {"b"}} {
		if _, err := p.Create(t.Context(), "monday", source(t, thisCell, 1, ids...)); !errors.Is(err, ErrExists) {
			t.Error(err)
		}
	}
	if ids, _ := p.loaded(t.Context(), "monday"); ids != "a" {
		t.Errorf("it holds %q", ids)
	}
}

// Of those who make a backup of one name at once one succeeds at most, and what is there
// then is that one's.
func TestRaceForAName(t *testing.T) {
	for round := range 20 {
		synctest.Test(t, func(t *testing.T) {
			p := newPlace(t)
			p.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Ending("part-00000"), Times: 1 + round%3, Do: memdriver.Delay(time.Second)})
			p.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Ending("manifest.json"), Times: round % 4, Do: memdriver.Delay(time.Second)})
			winners := make(chan string, 5)
			var racers sync.WaitGroup
			for i := range 5 {
				id := fmt.Sprint(i / 2 * 2) // some make the same backup
				s := source(t, thisCell, 1, id)
				racers.Go(func() {
					if _, err := p.Create(t.Context(), "monday", s); err == nil {
						winners <- id
					} else if !errors.Is(err, ErrExists) {
						t.Error(err)
					}
				})
			}
			racers.Wait()
			close(winners)
			for id := range winners {
				if ids, err := p.loaded(t.Context(), "monday"); ids != id || err != nil {
					t.Errorf("%s won, and it holds %q, %v", id, ids, err)
				}
			}
		})
	}
}

// A backup exists only when it is whole. What is left of one is not used again.
func TestHalfABackupIsNone(t *testing.T) {
	for _, object := range []string{"part-00000", "manifest.json"} {
		p := newPlace(t)
		fault := p.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Ending(object), Do: memdriver.Fail})
		if _, err := p.Create(t.Context(), "monday", source(t, thisCell, 1, "a")); !errors.Is(err, memdriver.ErrInjected) {
			t.Error(err)
		}
		fault.Stop()
		if infos, err := p.List(t.Context()); len(infos) != 0 || err != nil {
			t.Errorf("listed %s, %v", namesOf(infos), err)
		}
		if _, err := p.Get(t.Context(), "monday"); !errors.Is(err, ErrNotExist) {
			t.Error(err)
		}
		_, err := p.Create(t.Context(), "monday", source(t, thisCell, 1, "a"))
		if taken := object == "manifest.json"; taken != errors.Is(err, ErrExists) || !taken && err != nil {
			t.Errorf("again after a failure at %s: %v", object, err)
		}
	}
}

func TestDamageIsFoundAndNamed(t *testing.T) {
	for _, object := range []string{"backup/monday/part-00000", "backup/monday/manifest.json"} {
		p := newPlace(t)
		p.create("monday", thisCell, 1, "a", "b")
		p.create("tuesday", thisCell, 1, "c")
		whole := p.mem.Data(object)
		for i := range whole {
			if i%7 != 0 && i != len(whole)-1 {
				continue
			}
			data := slices.Clone(whole)
			data[i] ^= 4
			p.mem.Put(object, data)
			if _, err := p.loaded(t.Context(), "monday"); !strings.Contains(fmt.Sprint(err), object) {
				t.Fatalf("byte %d of %s: %v", i, object, err)
			}
		}
		if infos, err := p.List(t.Context()); strings.HasSuffix(object, "json") != strings.Contains(fmt.Sprint(err), object) || !strings.Contains(namesOf(infos), "tuesday") {
			t.Errorf("listed %s, %v", namesOf(infos), err)
		}
	}
	p := newPlace(t)
	p.create("monday", thisCell, 1, "a")
	p.mem.Remove("backup/monday/part-00000")
	if _, err := p.loaded(t.Context(), "monday"); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "backup/monday/part-00000") {
		t.Error(err)
	}
}

// A backup under another's name is found out.
func TestBackupThatWasMovedIsDamaged(t *testing.T) {
	p := newPlace(t)
	p.create("monday", thisCell, 1, "a")
	for _, object := range []string{"/part-00000", "/manifest.json"} {
		p.mem.Put("backup/tuesday"+object, p.mem.Data("backup/monday"+object))
	}
	if _, err := p.Get(t.Context(), "tuesday"); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
}

// A LIST, one of the pins, and one GET for each backup: at once, as far as may be.
func TestListIsQuickAndOldestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		for _, name := range []string{"c", "a", "b", "scheduler", "z1", "z2", "z3", "z4"} {
			p.create(name, thisCell, 1)
			time.Sleep(time.Minute)
		}
		p.mem.Put("backup/README", []byte("not a backup"))
		p.mem.Put("backup/x/notes", []byte("nor is this"))
		p.mem.Put("backup/half/part-00000", []byte("nor this"))
		p.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Do: memdriver.Delay(time.Second)})
		start, lists, gets := time.Now(), p.mem.Count(memdriver.List), p.mem.Count(memdriver.Get)
		infos, err := p.List(t.Context())
		if err != nil || namesOf(infos) != "c a b scheduler z1 z2 z3 z4" {
			t.Errorf("%s, %v", namesOf(infos), err)
		}
		if n := p.mem.Count(memdriver.List) - lists; n != 2 {
			t.Errorf("%d LISTs", n)
		}
		if n := p.mem.Count(memdriver.Get) - gets; n != 8 {
			t.Errorf("%d GETs", n)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestListTellsWhatCantBeRead(t *testing.T) {
	p := newPlace(t)
	for _, name := range []string{"a", "b", "c"} {
		p.create(name, thisCell, 1)
	}
	p.mem.Put("backup/un known/manifest.json", []byte("{}"))
	p.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Under("backup/b/"), Do: memdriver.Fail})
	infos, err := p.List(t.Context())
	if namesOf(infos) != "a c" || !errors.Is(err, memdriver.ErrInjected) || !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "backup/un known/manifest.json") {
		t.Errorf("%s, %v", namesOf(infos), err)
	}
	p.mem.Inject(memdriver.Fault{Operation: memdriver.List, Do: memdriver.Fail})
	if infos, err := p.List(t.Context()); infos != nil || !errors.Is(err, memdriver.ErrInjected) {
		t.Errorf("%s, %v", namesOf(infos), err)
	}
}

// One that is removed while it is listed or loaded was not there.
func TestRemovedMeanwhile(t *testing.T) {
	p := newPlace(t)
	p.create("monday", thisCell, 1, "a")
	p.create("tuesday", thisCell, 1, "a")
	remove := func(string) { must(t, p.Remove(t.Context(), "monday")) }
	p.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Is("backup/monday/part-00000"), Times: 1, Do: memdriver.Before(remove)})
	if _, err := p.loaded(t.Context(), "monday"); !errors.Is(err, ErrNotExist) || errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
	p.create("monday", thisCell, 1, "a")
	p.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Is("backup/monday/manifest.json"), Times: 1, Do: memdriver.Before(remove)})
	if infos, err := p.List(t.Context()); namesOf(infos) != "tuesday" || err != nil {
		t.Errorf("%s, %v", namesOf(infos), err)
	}
}

// The consumer's refusal is not the backup's damage.
func TestConsumerThatRefuses(t *testing.T) {
	p := newPlace(t)
	_, err := p.Create(t.Context(), "monday", snapshot.Source{Cell: thisCell, At: persistence.Point{Next: 1}, Records: func(yield func([]byte, error) bool) {
		yield([]byte("no transaction"), nil)
	}})
	must(t, err)
	if _, err := p.loaded(t.Context(), "monday"); !errors.Is(err, persistence.ErrReplay) || errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
}

// Lists have reasons whole.
func TestLongReasonsAreRefused(t *testing.T) {
	p := newPlace(t)
	s := source(t, thisCell, 7, "a")
	s.Reason = strings.Repeat("x", maxReason+1)
	if _, err := p.Create(t.Context(), "long", s); !errors.Is(err, storage.ErrInvalidArgument) || len(p.keys()) != 0 {
		t.Error(err)
	}
}

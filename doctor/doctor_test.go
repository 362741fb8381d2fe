package doctor

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
)

const (
	cell   = "cells/prod"
	cells  = cell + "/cell.json"
	beside = "cells/doctor-" // what outside tries begins so
)

// besideCell matches the keys that are not the cell's.
func besideCell(key string) bool { return !strings.HasPrefix(key, cell+"/") }

// limited is a bucket in memory that refuses what is beside the cell.
func limited() *memdriver.Bucket {
	mem := memdriver.New()
	for _, op := range []memdriver.Operation{memdriver.Get, memdriver.Create, memdriver.Replace, memdriver.Delete} {
		mem.Inject(memdriver.Fault{Operation: op, Key: besideCell, Do: memdriver.Deny})
	}
	return mem
}

func storeOn(d driver.Bucket) Store {
	return Store{
		URL: "mem://m/" + cell, Kind: Memory, Bucket: "m", Prefix: cell,
		Open: func(context.Context) (driver.Bucket, error) { return d, nil },
	}
}

func examine(t *testing.T, s Store, o Options) *Report {
	t.Helper()
	report, err := Examine(t.Context(), s, o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// find returns the findings of a check.
func find(t *testing.T, r *Report, check string) []Finding {
	t.Helper()
	var found []Finding
	for _, f := range r.Findings {
		if f.Check == check {
			found = append(found, f)
		}
	}
	if found == nil {
		t.Fatalf("nothing about %q in %+v", check, r.Findings)
	}
	return found
}

// wants checks which findings are neither ok nor skipped, as "check: verdict".
func wants(t *testing.T, r *Report, want ...string) {
	t.Helper()
	var got []string
	for _, f := range r.Findings {
		if f.Verdict == OK || f.Verdict == Skipped {
			continue
		}
		got = append(got, f.Check+": "+string(f.Verdict))
		if f.Found == "" || f.Means == "" {
			t.Errorf("%s does not say what it means: %+v", f.Check, f)
		}
	}
	slices.Sort(want)
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("found %q, want %q; all: %+v", got, want, r.Findings)
	}
	unfit := slices.ContainsFunc(want, func(s string) bool { return strings.HasSuffix(s, ": unfit") })
	if r.Fit == unfit {
		t.Errorf("fit is %v", r.Fit)
	}
}

// objects are all of a bucket.
func objects(b *memdriver.Bucket) map[string]string {
	all := map[string]string{}
	for _, key := range b.Keys() {
		all[key] = string(b.Data(key))
	}
	return all
}

func TestGoodStoreIsFitAndLeftAsItWas(t *testing.T) {
	for _, role := range []Role{Writer, Operator} {
		mem := limited()
		for _, key := range []string{cells, cell + "/lease.json", cell + "/log/0000000000/00000000000000000000", cell + "/doctor/other/x", "cells/test/cell.json"} {
			mem.Put(key, []byte(key))
		}
		before := objects(mem)
		report := examine(t, storeOn(mem), Options{Role: role})
		wants(t, report)
		if after := objects(mem); !maps.Equal(before, after) {
			t.Errorf("%s: the store has %v, and had %v", role, after, before)
		}
		own := func(key string) bool {
			return !strings.HasPrefix(key, cell+"/doctor/") && !strings.HasPrefix(key, beside)
		}
		for _, op := range []memdriver.Operation{memdriver.Get, memdriver.Create, memdriver.Replace, memdriver.Delete, memdriver.List} {
			if n := mem.CountOf(op, own); n > 0 {
				t.Errorf("%s: %d requests (%s) to objects that are not the doctor's", role, n, op)
			}
		}
		if len(report.Latencies) != 4 || report.Scratch == "" {
			t.Errorf("%s: %+v", role, report)
		}
	}
}

// under matches the keys of the doctor's own that are in a folder.
func under(folder string) func(string) bool {
	return func(key string) bool { return strings.Contains(key, "/doctor/") && strings.Contains(key, "/"+folder) }
}

func TestWhatIsWrongIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		faults []memdriver.Fault
		want   []string
	}{
		"put-if-absent ignored":                {[]memdriver.Fault{{Operation: memdriver.Create, Do: memdriver.IgnoreConditions}}, []string{"conditions: unfit"}},
		"compare-and-swap ignored":             {[]memdriver.Fault{{Operation: memdriver.Replace, Key: under(""), Do: memdriver.IgnoreConditions}}, []string{"conditions: unfit"}},
		"put-if-absent that races":             {[]memdriver.Fault{{Operation: memdriver.Create, Key: under("create/5"), Skip: 9, Times: 1, Do: memdriver.IgnoreConditions}}, []string{"create race: unfit"}},
		"compare-and-swap that races":          {[]memdriver.Fault{{Operation: memdriver.Replace, Key: under("replace"), Skip: 70, Times: 1, Do: memdriver.IgnoreConditions}}, []string{"replace race: unfit"}},
		"a race that can't be decided":         {[]memdriver.Fault{{Operation: memdriver.Create, Key: under("create/5"), Skip: 9, Times: 1, Do: memdriver.Fail}}, []string{"create race: unfit"}},
		"no listing":                           {[]memdriver.Fault{{Operation: memdriver.List, Do: memdriver.Deny}}, []string{"reach: unfit"}},
		"no bucket":                            {[]memdriver.Fault{{Operation: memdriver.List, Do: memdriver.Fail, Err: driver.ErrNoBucket}}, []string{"reach: unfit"}},
		"no network":                           {[]memdriver.Fault{{Operation: memdriver.List, Do: memdriver.Fail}}, []string{"reach: unfit"}},
		"no reading":                           {[]memdriver.Fault{{Operation: memdriver.Get, Do: memdriver.Deny}}, []string{"read: unfit", "write: unfit", "latency: unfit"}},
		"no writing":                           {[]memdriver.Fault{{Operation: memdriver.Create, Do: memdriver.Deny}}, []string{"write: unfit"}},
		"no replacing":                         {[]memdriver.Fault{{Operation: memdriver.Replace, Do: memdriver.Deny}}, []string{"write: unfit"}},
		"no room":                              {[]memdriver.Fault{{Operation: memdriver.Create, Do: memdriver.Fail, Err: driver.ErrNotLanded}}, []string{"write: unfit"}},
		"no deleting":                          {[]memdriver.Fault{{Operation: memdriver.Delete, Do: memdriver.Deny}}, []string{"write: unfit", "removal: warning"}},
		"reads that change":                    {[]memdriver.Fault{{Operation: memdriver.Get, Do: memdriver.Corrupt}}, []string{"write: unfit"}},
		"a list that lacks what was just made": {[]memdriver.Fault{{Operation: memdriver.List, Key: under("live/3/4"), Do: memdriver.HideFromList}}, []string{"consistency: unfit"}},
		"a list that lacks one of many":        {[]memdriver.Fault{{Operation: memdriver.List, Key: under("page/01001"), Do: memdriver.HideFromList}}, []string{"listing: unfit", "removal: ok"}},
		"a request that fails":                 {[]memdriver.Fault{{Operation: memdriver.Replace, Key: under("latency/"), Skip: 50, Do: memdriver.Fail}}, []string{"latency: unfit"}},
	} {
		t.Run(name, func(t *testing.T) {
			mem := limited()
			for _, f := range c.faults {
				mem.Inject(f)
			}
			want := slices.DeleteFunc(c.want, func(s string) bool { return strings.HasSuffix(s, ": ok") })
			wants(t, examine(t, storeOn(mem), Options{}), want...)
		})
	}
}

// What can't be deleted is not written: only the one object that shows it.
func TestLittleIsLeftByWhoMayNotDelete(t *testing.T) {
	mem := limited()
	mem.Inject(memdriver.Fault{Operation: memdriver.Delete, Do: memdriver.Deny})
	report := examine(t, storeOn(mem), Options{})
	if n := len(mem.Keys()); n != 1 {
		t.Errorf("%d objects are left", n)
	}
	if left := find(t, report, "removal")[0]; !strings.Contains(left.Found, report.Scratch) {
		t.Errorf("what is left is not told: %s", left.Found)
	}
}

// stale answers reads as of before the last change of each object.
type stale struct {
	*memdriver.Bucket
	old func(key string) bool
}

func (s stale) Get(ctx context.Context, key string) ([]byte, driver.Version, error) {
	if s.old(key) {
		return nil, "", driver.ErrNotExist
	}
	return s.Bucket.Get(ctx, key)
}

// paged lists no more than a page, or backwards.
type paged struct {
	*memdriver.Bucket
	backwards bool
}

func (p paged) List(ctx context.Context, prefix, after string) iter.Seq2[driver.Info, error] {
	return func(yield func(driver.Info, error) bool) {
		var page []driver.Info
		for info := range p.Bucket.List(ctx, prefix, after) {
			page = append(page, info)
		}
		if p.backwards {
			slices.Reverse(page)
		} else {
			page = page[:min(len(page), 1000)]
		}
		for _, info := range page {
			if !yield(info, nil) {
				return
			}
		}
	}
}

// cached answers reads as of when an object was made, until it is deleted.
type cached struct {
	*memdriver.Bucket
	made sync.Map // data by key
}

func (c *cached) Create(ctx context.Context, key string, data []byte) (driver.Version, error) {
	version, err := c.Bucket.Create(ctx, key, data)
	if err == nil && under("live/2/")(key) {
		c.made.Store(key, data)
	}
	return version, err
}

func (c *cached) Get(ctx context.Context, key string) ([]byte, driver.Version, error) {
	data, version, err := c.Bucket.Get(ctx, key)
	if old, ok := c.made.Load(key); ok && err == nil {
		data = old.([]byte)
	}
	return data, version, err
}

// landing refuses to make what is there, and lets it land all the same, after
// the object was read once.
type landing struct {
	*memdriver.Bucket
	refused []byte
}

func (l *landing) Create(ctx context.Context, key string, data []byte) (driver.Version, error) {
	version, err := l.Bucket.Create(ctx, key, data)
	if errors.Is(err, driver.ErrExists) && under("conditions")(key) {
		l.refused = data
	}
	return version, err
}

func (l *landing) Get(ctx context.Context, key string) ([]byte, driver.Version, error) {
	data, version, err := l.Bucket.Get(ctx, key)
	if l.refused != nil && under("conditions")(key) {
		l.Put(key, l.refused)
	}
	return data, version, err
}

func TestWriteThatIsRefusedAndLandsIsFound(t *testing.T) {
	report := examine(t, storeOn(&landing{Bucket: limited()}), Options{})
	wants(t, report, "conditions: unfit")
	if f := find(t, report, "conditions")[0]; !strings.Contains(f.Found, "refused is there all the same") {
		t.Error(f.Found)
	}
}

func TestStaleReadsAndCutListsAreFound(t *testing.T) {
	wants(t, examine(t, storeOn(stale{limited(), under("live/2/")}), Options{}), "consistency: unfit")
	wants(t, examine(t, storeOn(&cached{Bucket: limited()}), Options{}), "consistency: unfit")
	wants(t, examine(t, storeOn(paged{limited(), false}), Options{}), "listing: unfit")
	// Nothing relies on the order of a list.
	report := examine(t, storeOn(paged{limited(), true}), Options{})
	wants(t, report)
	if f := find(t, report, "listing")[0]; !strings.Contains(f.Found, "not sorted") {
		t.Error(f.Found)
	}
}

func TestFollower(t *testing.T) {
	mem := reading()
	wants(t, examine(t, storeOn(mem), Options{Role: Follower}))
	if n := mem.Count(memdriver.Create); n != 1 {
		t.Errorf("a follower tried to write %d times", n)
	}

	// One that may write, and one that may only delete.
	mem = limited()
	wants(t, examine(t, storeOn(mem), Options{Role: Follower}), "refusal: unfit")
	if left := mem.Keys(); len(left) > 0 {
		t.Errorf("left %q", left)
	}
	mem = limited()
	mem.Inject(memdriver.Fault{Operation: memdriver.Create, Do: memdriver.Deny})
	wants(t, examine(t, storeOn(mem), Options{Role: Follower}), "refusal: unfit")
}

func TestRightsBesideTheCellAreFound(t *testing.T) {
	for _, role := range Roles() {
		mem := memdriver.New()
		var want []string
		if role == Follower {
			mem.Inject(memdriver.Fault{Operation: memdriver.Create, Do: memdriver.Deny})
			mem.Inject(memdriver.Fault{Operation: memdriver.Delete, Do: memdriver.Deny})
		}
		if role != Operator {
			want = append(want, "outside: warning")
		}
		wants(t, examine(t, storeOn(mem), Options{Role: role}), want...)
		if left := mem.Keys(); len(left) > 0 {
			t.Errorf("left %q", left)
		}
	}
	reading := memdriver.New()
	reading.Inject(memdriver.Fault{Operation: memdriver.Replace, Key: besideCell, Do: memdriver.Deny})
	report := examine(t, storeOn(reading), Options{})
	wants(t, report, "outside: warning")
	if f := find(t, report, "outside")[0]; !strings.Contains(f.Found, "can be read") {
		t.Error(f.Found)
	}
	blind := memdriver.New()
	blind.Inject(memdriver.Fault{Operation: memdriver.Get, Key: besideCell, Do: memdriver.Deny})
	report = examine(t, storeOn(blind), Options{})
	wants(t, report, "outside: warning")
	if f := find(t, report, "outside")[0]; !strings.Contains(f.Found, "could be written") {
		t.Error(f.Found)
	}
	whole := storeOn(memdriver.New())
	whole.Prefix = ""
	wants(t, examine(t, whole, Options{}))
}

func TestWhoHasNoCredentials(t *testing.T) {
	refusing := func(ops ...memdriver.Operation) *memdriver.Bucket {
		b := memdriver.New()
		for _, op := range ops {
			b.Inject(memdriver.Fault{Operation: op, Do: memdriver.Deny})
		}
		return b
	}
	all := []memdriver.Operation{memdriver.Get, memdriver.List, memdriver.Create, memdriver.Replace}
	for _, c := range []struct {
		open *memdriver.Bucket
		want []string
		says string
	}{
		{refusing(all...), nil, "nothing can be listed, read or written"},
		{refusing(all[1:]...), []string{"public access: unfit"}, "can be read"},
		{refusing(all[0], all[2], all[3]), []string{"public access: unfit"}, "can be listed"},
		{refusing(all[:3]...), []string{"public access: unfit"}, "can be written"},
	} {
		s := storeOn(limited())
		s.OpenAnonymous = func(context.Context) (driver.Bucket, error) { return c.open, nil }
		report := examine(t, s, Options{})
		wants(t, report, c.want...)
		if f := find(t, report, "public access")[0]; !strings.Contains(f.Found, c.says) {
			t.Errorf("%s, want %s", f.Found, c.says)
		}
	}
	s := storeOn(limited())
	s.OpenAnonymous = func(context.Context) (driver.Bucket, error) { return nil, errors.New("no network") }
	wants(t, examine(t, s, Options{}), "public access: unread")
}

func TestInterruptRemovesWhatWasWritten(t *testing.T) {
	mem := limited()
	ctx, cancel := context.WithCancel(t.Context())
	mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: under("page/00500"), Do: memdriver.After(func(string) { cancel() })})
	if _, err := Examine(ctx, storeOn(mem), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if mem.Count(memdriver.Create) < 500 {
		t.Error("it was cut off before it had written anything")
	}
	if left := mem.Keys(); len(left) > 0 {
		t.Errorf("%d objects are left", len(left))
	}

	mem.Inject(memdriver.Fault{Operation: memdriver.Delete, Do: memdriver.Deny, Key: under("page/")})
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	if _, err := Examine(ctx, storeOn(mem), Options{}); err == nil || !strings.Contains(err.Error(), "may be left under") {
		t.Errorf("what is left is not told: %v", err)
	}
}

func TestSlowStores(t *testing.T) {
	for _, c := range []struct {
		op    memdriver.Operation
		delay time.Duration
		skip  int // requests that are quick
		want  []string
	}{
		{memdriver.Any, 20 * time.Millisecond, 0, nil},
		{memdriver.Create, 600 * time.Millisecond, 90, []string{"latency: warning"}},
		{memdriver.Replace, 3 * time.Second, 90, []string{"latency: warning"}},
		{memdriver.Replace, 6 * time.Second, 0, []string{"latency: unfit"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			mem := limited()
			mem.Inject(memdriver.Fault{Operation: c.op, Key: under("latency/"), Skip: c.skip, Do: memdriver.Delay(c.delay)})
			report := examine(t, storeOn(mem), Options{})
			wants(t, report, c.want...)
			if c.op == memdriver.Any {
				if l := report.Latencies[0]; l.P50 != 20 || l.P99 != 20 {
					t.Errorf("measured %+v", l)
				}
			}
		})
	}
}

// Each kind of store has its own way to put right what is found on it.
func TestEveryKindHasItsFixes(t *testing.T) {
	for _, kind := range []Kind{S3, Compatible, GCS, Directory} {
		s := storeOn(limited())
		s.Kind = kind
		s.Open = func(context.Context) (driver.Bucket, error) { return nil, driver.ErrNoBucket }
		f := find(t, examine(t, s, Options{}), "reach")[0]
		if !strings.HasSuffix(f.Fix, "m") && !strings.Contains(f.Fix, "m ") && !strings.Contains(f.Fix, "/m") {
			t.Errorf("%s: the fix does not name the bucket: %s", kind, f.Fix)
		}
		mem := limited()
		mem.Inject(memdriver.Fault{Operation: memdriver.Create, Do: memdriver.IgnoreConditions})
		s = storeOn(mem)
		s.Kind = kind
		for _, f := range examine(t, s, Options{}).Findings {
			if f.Verdict == Unfit && f.Fix == "" {
				t.Errorf("%s: no fix for %s: %s", kind, f.Check, f.Found)
			}
		}
	}
}

package race_test

import (
	"errors"
	"testing"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/bucket/race"
)

func clients(mem *memdriver.Bucket) []*bucket.Bucket {
	return []*bucket.Bucket{bucket.New(mem, "mem://m", "", bucket.Options{}), bucket.New(mem, "mem://m", "", bucket.Options{})}
}

func TestARaceHasOneWinner(t *testing.T) {
	mem := memdriver.New()
	both := clients(mem)
	made := race.Creators(t.Context(), both, "k", 20)
	if err := made.Check(t.Context(), both[1]); err != nil {
		t.Error(err)
	}
	if n := mem.Count(memdriver.Create); n != 20 {
		t.Errorf("%d racers", n)
	}
	if err := race.Replacers(t.Context(), both, "k", made.Version, 20).Check(t.Context(), both[1]); err != nil {
		t.Error(err)
	}
}

func TestWhatIsWrongWithARace(t *testing.T) {
	for name, c := range map[string]struct {
		fault memdriver.Fault
		want  error // nil: undecided
	}{
		"two winners":       {memdriver.Fault{Operation: memdriver.Create, Skip: 4, Times: 1, Do: memdriver.IgnoreConditions}, race.ErrManyWinners},
		"nobody wins":       {memdriver.Fault{Operation: memdriver.Create, Do: memdriver.Fail, Err: bucket.ErrExists}, race.ErrOther},
		"it fails":          {memdriver.Fault{Operation: memdriver.Create, Skip: 4, Times: 1, Do: memdriver.Fail}, nil},
		"the look is wrong": {memdriver.Fault{Operation: memdriver.Get, Skip: 9, Do: memdriver.Corrupt}, race.ErrOther},
	} {
		mem := memdriver.New()
		both := clients(mem)
		mem.Inject(c.fault)
		err := race.Creators(t.Context(), both, "k", 10).Check(t.Context(), both[0])
		switch {
		case err == nil:
			t.Errorf("%s: no error", name)
		case c.want != nil && !errors.Is(err, c.want):
			t.Errorf("%s: %v", name, err)
		case c.want == nil && (errors.Is(err, race.ErrManyWinners) || errors.Is(err, race.ErrOther)):
			t.Errorf("%s: %v is taken for a proof", name, err)
		}
	}
}

package snapshot

import (
	"errors"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
)

func TestCheckerReadsEachPartOnce(t *testing.T) {
	c := newCell(t)
	m, _ := c.write(source(1, large(5)...)) // three parts
	shares := *m
	shares.folder, shares.Parts = "snapshot/later", nil
	for i, part := range m.Parts {
		part.Object = m.PartKey(i)
		shares.Parts = append(shares.Parts, part)
	}
	shares.Parts = append(shares.Parts, shares.Parts[0]) // named twice by one
	checker, read := NewChecker(c.b, c.codec), 0
	for _, m := range []*Manifest{m, &shares, m} {
		if err := checker.Check(c.ctx, m, func() { read++ }); err != nil {
			t.Fatal(err)
		}
	}
	if n := c.mem.Count(memdriver.Get); n != 3 || read != 3 || checker.Unchecked(&shares) != 0 {
		t.Errorf("%d parts were read, %d told; there are 3", n, read)
	}
	// Of two that say different things of one object, one is wrong.
	shares.Parts[1].Records++
	if err := checker.Check(c.ctx, &shares, nil); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), m.PartKey(1)) {
		t.Errorf("another number of records: %v", err)
	}
}

func TestCheckerNamesAllThatIsDamaged(t *testing.T) {
	c := newCell(t)
	m, _ := c.write(source(1, large(5)...))
	c.mem.Remove(m.PartKey(0))
	c.mem.Put(m.PartKey(2), append(c.mem.Data(m.PartKey(2)), 0))
	checker := NewChecker(c.b, c.codec)
	for range 2 { // what was found is remembered
		err := checker.Check(c.ctx, m, nil)
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), m.PartKey(0)) || !strings.Contains(err.Error(), m.PartKey(2)) || strings.Contains(err.Error(), m.PartKey(1)) {
			t.Errorf("%v", err)
		}
	}
}

// A store that does not answer is no damage, and is asked again.
func TestCheckerIsNotSureOfWhatItCantRead(t *testing.T) {
	c := newCell(t)
	m, _ := c.write(source(1, large(3)...))
	c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Is(m.PartKey(1)), Times: 1, Do: memdriver.Fail})
	checker := NewChecker(c.b, c.codec)
	if err := checker.Check(c.ctx, m, nil); !errors.Is(err, memdriver.ErrInjected) || errors.Is(err, ErrDamaged) {
		t.Errorf("%v, want the store's error", err)
	}
	if err := checker.Check(c.ctx, m, nil); err != nil || checker.Unchecked(m) != 0 {
		t.Errorf("then %v, %d unchecked", err, checker.Unchecked(m))
	}
}

package blob

import (
	"errors"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/internal/checked"
)

func TestCellIsMadeOnce(t *testing.T) {
	c := newCell(t)
	var faster *Log
	c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is(cellKey), Times: 1,
		Do: memdriver.Before(func(string) { faster = c.open(Options{}) })})
	l := c.open(Options{})
	if l.Cell() != faster.Cell() || l.cellHash != faster.cellHash {
		t.Errorf("two who opened at once see %+v and %+v", l.Cell(), faster.Cell())
	}
	if l.Cell().Window != Window || l.Cell().ID == "" {
		t.Errorf("%+v", l.Cell())
	}
	if again := c.open(Options{ReadOnly: true}); again.Cell() != l.Cell() {
		t.Errorf("opened again it is %+v, it was %+v", again.Cell(), l.Cell())
	}
}

// Whoever opens while another makes the cell, and leads, has read that there is none, and
// then finds a log.
func TestCellThatIsMadeMeanwhileIsNotDamaged(t *testing.T) {
	for _, readOnly := range []bool{false, true} {
		c := newCell(t)
		c.mem.Inject(memdriver.Fault{Operation: memdriver.List, Key: memdriver.Is(logPrefix), Times: 1,
			Do: memdriver.Before(func(string) { c.leader(1).write("a") })})
		l, err := Open(c.ctx, c.bucket(), Options{ReadOnly: readOnly})
		if err != nil {
			t.Errorf("read-only %t: %v", readOnly, err)
		} else if want := c.open(Options{ReadOnly: true}).Cell(); l.Cell() != want {
			t.Errorf("read-only %t: %+v, want %+v", readOnly, l.Cell(), want)
		}
	}
}

// Whether it was made meanwhile could not be read: that is no damage.
func TestCellThatCouldNotBeReadAgainIsNotDamaged(t *testing.T) {
	c := newCell(t)
	c.mem.Inject(memdriver.Fault{Operation: memdriver.List, Key: memdriver.Is(logPrefix), Times: 1, Do: memdriver.Before(func(string) {
		c.leader(1)
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Is(cellKey), Times: 1, Do: memdriver.Fail})
	})})
	if _, err := Open(c.ctx, c.bucket(), Options{}); err == nil || errors.Is(err, ErrDamaged) {
		t.Errorf("%v, want the store's error", err)
	}
}

func TestReadOnlyMakesNoCell(t *testing.T) {
	c := newCell(t)
	if _, err := Open(c.ctx, c.bucket(), Options{ReadOnly: true}); !errors.Is(err, ErrNoCell) {
		t.Errorf("%v, want that there is no cell", err)
	}
	if n := c.mem.Count(memdriver.Create) + c.mem.Count(memdriver.Replace); n != 0 {
		t.Errorf("%d requests that write", n)
	}
}

// A new cell.json where one was lost would hide all that is there.
func TestCellObjectThatIsLostIsNotMadeAgain(t *testing.T) {
	c := newCell(t)
	c.leader(1).write("a")
	c.mem.Remove(cellKey)
	for _, readOnly := range []bool{false, true} {
		if _, err := Open(c.ctx, c.bucket(), Options{ReadOnly: readOnly}); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), cellKey) {
			t.Errorf("read-only %t: %v, want a refusal that names %s", readOnly, err, cellKey)
		}
	}
	if c.mem.Data(cellKey) != nil {
		t.Error("it was made again")
	}
}

// The chain begins with the cell: the log of one under the cell.json of another is
// refused from its first entry on.
func TestLogOfAnotherCellIsRefused(t *testing.T) {
	c, other := newCell(t), newCell(t)
	c.leader(1).write("a")
	other.leader(1).write("b")
	c.mem.Put(cellKey, other.mem.Data(cellKey))
	c.mustRefuse(Key(0, 0))
}

func TestStoreThatIgnoresConditionsIsRefused(t *testing.T) {
	for _, operation := range []memdriver.Operation{memdriver.Create, memdriver.Replace} {
		c := newCell(t)
		c.open(Options{})
		c.mem.Inject(memdriver.Fault{Operation: operation, Do: memdriver.IgnoreConditions})
		if _, err := Open(c.ctx, c.bucket(), Options{}); !errors.Is(err, bucket.ErrConditionsIgnored) {
			t.Errorf("%s: %v", operation, err)
		}
	}
}

// The end check rests on the window, so it must be one that a writer can have had.
func TestCellOfAnotherKindIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Cell)
		want   error
	}{
		"no window":       {func(c *Cell) { c.Window = 0 }, ErrDamaged},
		"an absurd one":   {func(c *Cell) { c.Window = 1 << 20 }, ErrDamaged},
		"a newer version": {func(c *Cell) { c.Format++ }, checked.ErrNewerFormat},
	} {
		cell := newCell(t)
		made := cell.open(Options{}).Cell()
		c.change(&made)
		data, err := checked.Encode(&made)
		if err != nil {
			t.Fatal(err)
		}
		cell.mem.Put(cellKey, data)
		_, err = Open(cell.ctx, cell.bucket(), Options{})
		if !errors.Is(err, c.want) || errors.Is(err, ErrDamaged) != (c.want == ErrDamaged) || !strings.Contains(err.Error(), cellKey) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

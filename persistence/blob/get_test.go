package blob

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// leased puts a lease of an epoch there.
func (c *cell) leased(epoch persistence.Epoch) {
	c.Helper()
	c.mem.Remove(lease.Key)
	l, err := lease.Acquire(c.ctx, c.bucket(), persistence.NewWriterID(), epoch, lease.Options{})
	if err != nil {
		c.Fatal(err)
	}
	if err := l.Release(c.ctx); err != nil {
		c.Fatal(err)
	}
}

func TestGetOfOneEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCollectedCell(t)
		c.orphan(2, 18)
		l := c.open(Options{})
		listings := func() int {
			return c.mem.CountOf(memdriver.List, memdriver.Is(logPrefix))
		}
		for _, epoch := range []persistence.Epoch{0, 3, 1} { // no lease; the newest; one that was lost and made anew
			if epoch > 0 {
				c.leased(epoch)
			}
			for position, want := range map[persistence.Position]string{0: Key(0, 0), 10: Key(1, 10), 14: Key(2, 14), 17: Key(2, 17), 18: Key(3, 18), 21: Key(3, 21)} {
				before := listings()
				e, key, err := l.Get(c.ctx, position)
				if err != nil || key != want || e.Position != position {
					t.Errorf("%d: %s, %v; want %s", position, key, err, want)
				}
				if n, must := listings()-before, position > 19 && epoch != 3; must != (n > 0) {
					t.Errorf("%d with a lease of epoch %d: the log was listed %d times", position, epoch, n)
				}
			}
			if _, _, err := l.Get(c.ctx, 7); !errors.Is(err, ErrCollected) || !errors.Is(err, bucket.ErrNotExist) {
				t.Errorf("collected: %v", err)
			}
			if _, _, err := l.Get(c.ctx, 22); errors.Is(err, ErrCollected) || !errors.Is(err, bucket.ErrNotExist) {
				t.Errorf("beyond the end: %v", err)
			}
		}
		c.flip(c.newest.ManifestKey()) // it bounds nothing then
		if _, key, err := l.Get(c.ctx, 19); err != nil || key != Key(3, 19) {
			t.Errorf("%s, %v", key, err)
		}
	})
}

// Where many epochs are in question the log is listed.
func TestGetOfOneEntryAmongManyEpochs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.leader(1).write("a")
		for epoch := range persistence.Epoch(2 * fewEpochs) {
			c.leader(epoch + 2)
		}
		c.leased(2*fewEpochs + 1)
		c.orphan(1, 3)
		l := c.open(Options{})
		last := persistence.Position(2*fewEpochs + 1)
		for position, want := range map[persistence.Position]string{1: Key(1, 1), 2: Key(1, 2), 3: Key(2, 3)} {
			if _, key, err := l.Get(c.ctx, position); err != nil || key != want {
				t.Errorf("%d: %s, %v; want %s", position, key, err, want)
			}
		}
		c.leased(1) // it was lost and made anew
		if _, key, err := l.Get(c.ctx, last); err != nil || key != Key(2*fewEpochs, last) {
			t.Errorf("%s, %v", key, err)
		}
	})
}

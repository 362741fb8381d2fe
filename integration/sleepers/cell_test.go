package sleepers_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/integration/servers"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// cell is one cell that processes share, this one too.
type cell struct {
	*testing.T
	url func(name string) string // of one cell of many
}

// stores runs a test on each kind of store.
func stores(t *testing.T, test func(c *cell)) {
	servers.Each(t, func(t *testing.T, url func(cell string) string) { test(&cell{t, url}) })
}

// each runs a test once for each name, each on a cell of its own.
func (c *cell) each(names []string, test func(c *cell, name string)) {
	for i, name := range names {
		c.Run(name, func(t *testing.T) {
			test(&cell{t, func(string) string { return c.url(fmt.Sprintf("cell-%d", i)) }}, name)
		})
	}
}

// open opens the cell in this process.
func (c *cell) open(o schedulerstore.Options) *schedulerstore.Store {
	c.Helper()
	o.Lease.TTL, o.Lease.Host = ttl, "test"
	s, err := schedulerstore.Open(c.Context(), c.url("one"), o)
	if err != nil {
		c.Fatal(err)
	}
	c.Cleanup(func() { _ = s.Close(context.Background()) })
	return s
}

// breakLease has whoever holds the lease lose it, without knowing.
func (c *cell) breakLease(s *schedulerstore.Store) {
	c.Helper()
	if _, err := lease.Break(c.Context(), s.Log().Bucket()); err != nil {
		c.Fatal(err)
	}
}

// succeed makes a store the next leader, whoever leads.
func (c *cell) succeed(s *schedulerstore.Store) {
	c.Helper()
	c.breakLease(s)
	s.LookAtLease()
	if err := s.Campaign(c.Context()); err != nil {
		c.Fatal(err)
	}
}

func (c *cell) write(s *schedulerstore.Store, ids ...string) {
	c.Helper()
	for _, id := range ids {
		if err := s.Write(c.Context(), save(id)); err != nil {
			c.Fatal(err)
		}
	}
}

// snapshotAndCollect makes all garbage that a snapshot of this instant makes so, and
// removes it.
func (c *cell) snapshotAndCollect(s *schedulerstore.Store) {
	c.Helper()
	if _, err := s.Snapshot(c.Context(), "test"); err != nil {
		c.Fatal(err)
	}
	if err := collect(c.Context(), s); err != nil {
		c.Fatal(err)
	}
}

// goOn has another leader write, make a snapshot and collect, while somebody sleeps.
func (c *cell) goOn(ids ...string) *schedulerstore.Store {
	c.Helper()
	s := c.open(schedulerstore.Options{})
	if err := s.Recovered(c.Context()); err != nil {
		c.Fatal(err)
	}
	c.succeed(s)
	c.write(s, ids...)
	c.snapshotAndCollect(s)
	return s
}

// holds makes sure of what is recovered from the cell now, and that all of it is whole.
func (c *cell) holds(want string) {
	c.Helper()
	report, err := c.recovers(want).Log().Verify(c.Context(), nil)
	if err != nil {
		c.Fatal(err)
	}
	for _, problem := range report.Problems {
		c.Error(problem)
	}
}

// recovers makes sure of what is recovered from the cell now.
func (c *cell) recovers(want string) *schedulerstore.Store {
	c.Helper()
	s := c.open(schedulerstore.Options{ReadOnly: true})
	if err := s.Recovered(c.Context()); err != nil {
		c.Fatal(err)
	}
	if got := ids(s); got != want {
		c.Errorf("recovered %q, want %q", got, want)
	}
	return s
}

// objects are the keys that begin with a prefix.
func (c *cell) objects(s *schedulerstore.Store, prefix string) []string {
	c.Helper()
	var keys []string
	for info, err := range s.Log().Bucket().List(c.Context(), prefix, "") {
		if err != nil {
			c.Fatal(err)
		}
		keys = append(keys, info.Key)
	}
	slices.Sort(keys)
	return keys
}

// leader is another process that leads and has written some.
func (c *cell) leader(ids ...string) *process {
	c.Helper()
	p := start(c, c.url("one"), ttl)
	p.must(done, "lead")
	for _, id := range ids {
		p.must(done, "write "+id)
	}
	return p
}

// clean makes sure that, after a collection with nothing written since the snapshot, no
// more is there than that and the seals.
func (c *cell) clean(s *schedulerstore.Store) {
	c.Helper()
	keys, err := s.Log().Keys(c.Context())
	if err != nil {
		c.Fatal(err)
	}
	for h, err := range s.Log().Headers(c.Context(), keys) {
		if err != nil {
			c.Fatal(err)
		}
		if h.Kind != blob.KindSeal {
			c.Errorf("%s is still there", blob.Key(h.Epoch, h.Position))
		}
	}
	if names, err := snapshot.List(c.Context(), s.Log().Bucket(), nil); err != nil || len(names) != 1 {
		c.Errorf("snapshots: %v, %v; want one", names, err)
	}
	if left := c.objects(s, "restore/"); len(left) > 0 {
		c.Errorf("still there: %v", left)
	}
}

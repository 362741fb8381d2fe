package damage

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/backup"
	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/encryption"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
)

// sight is what one observer found: a state, or what is wrong.
type sight struct {
	state string // empty if there is an error
	err   error
}

// fingerprint is that of a state, with the number of its last transaction.
func fingerprint(s *durability.Storage) (string, error) {
	c, sum := s.Checkpoint(), sha256.New()
	for record, err := range c.Records() {
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%d %x\n", len(record), record)
	}
	return fmt.Sprintf("%d %x", c.At.Transaction, sum.Sum(nil)), nil
}

// recovery is a process that opens the cell to read it.
func (c *cell) recovery(ctx context.Context, mem *memdriver.Bucket) sight {
	s := durability.New(durability.Options{})
	l, err := blob.Open(ctx, bucketOf(mem), blob.Options{ReadOnly: true, Key: c.key, Prefetch: 4})
	if err == nil {
		err = l.NewReader(s).CatchUp(ctx)
	}
	return seen(s, err)
}

func seen(s *durability.Storage, err error) (found sight) {
	if err == nil {
		found.state, err = fingerprint(s)
	}
	found.err = err
	return found
}

// turning is a bucket that becomes another one.
type turning struct{ *memdriver.Bucket }

// follower is a process that read the cell when it was young, and goes on now.
func (c *cell) follower(ctx context.Context, mem *memdriver.Bucket) sight {
	s, turn := durability.New(durability.Options{}), &turning{c.early}
	l, err := blob.Open(ctx, bucket.New(turn, "mem://damage", "", bucket.Options{}), blob.Options{ReadOnly: true, Key: c.key, Prefetch: 4})
	if err != nil {
		return sight{err: err}
	}
	r := l.NewReader(s)
	if err = r.CatchUp(ctx); err == nil {
		turn.Bucket = mem
		err = r.CatchUp(ctx)
	}
	return seen(s, err)
}

// verification checks all there is: the log, the lease, the keys, and each backup.
func (c *cell) verification(ctx context.Context, mem *memdriver.Bucket) (problems []error) {
	b := bucketOf(mem)
	_, err := lease.Read(ctx, b)
	problems = append(problems, err)
	_, err = encryption.List(ctx, b)
	problems = append(problems, err)
	l, err := blob.Open(ctx, b, blob.Options{ReadOnly: true, Key: c.key, Prefetch: 4})
	if problems = append(problems, err); err != nil {
		return problems
	}
	report, err := l.Verify(ctx, nil)
	problems = append(problems, err)
	if report != nil {
		for _, p := range report.Problems {
			problems = append(problems, errors.New(p))
		}
	}
	// Backups are read as they are where the cell is lost, with no key but their own.
	keys, _, err := encryption.Open(ctx, bucketOf(memdriver.New()), "another cell", c.key, false)
	problems = append(problems, err)
	backups, elsewhere := backup.New(b, l.Codec()), backup.New(b, l.Codec().WithKeys(keys))
	infos, err := backups.List(ctx)
	problems = append(problems, err)
	for _, info := range infos {
		from := elsewhere
		if info.Name == "first" { // a snapshot
			from = backups
		}
		_, err := from.Load(ctx, info.Name, durability.New(durability.Options{}))
		problems = append(problems, err)
	}
	for _, name := range []string{"kept", "passing", "first"} { // which somebody knows that they are there
		if _, err := backups.Get(ctx, name); err != nil {
			problems = append(problems, fmt.Errorf("backup/%s, pin/%s.json: %w", name, name, err))
		}
	}
	return problems
}

// leader is a process that opens the cell, leads, writes a transaction, and ends. It then
// makes sure that a later one finds it. What it found is the state before its own write.
func (c *cell) leader(t *testing.T, mem *memdriver.Bucket) sight {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	s, err := schedulerstore.OpenBucket(ctx, bucketOf(mem), schedulerstore.Options{Key: c.key, GarbageEvery: -1, Lease: lease.Options{Host: "leader", TTL: 3 * time.Second}})
	if err != nil {
		return sight{err: err}
	}
	defer s.Close(context.Background())
	if err := s.Campaign(ctx); err != nil {
		return sight{err: err}
	}
	found := seen(s.Storage(), nil)
	before := s.Storage().Checkpoint().At.Transaction
	if err := s.Write(ctx, save("new")); err != nil {
		return sight{err: fmt.Errorf("it leads, and can't write: %w", err)}
	}
	if now := s.Storage().Checkpoint().At.Transaction; now != before+1 {
		t.Errorf("its write is transaction %d after %d", now, before)
	}
	written, err := fingerprint(s.Storage())
	if err = errors.Join(err, s.Close(context.Background())); err != nil {
		return sight{err: err}
	}
	if again := c.recovery(ctx, mem); again.err != nil || again.state != written {
		t.Errorf("what a leader wrote that found no damage is not recovered: %v", again.err)
	}
	return found
}

// names tells whether an error names an object, or the folder of the state that it is of:
// that of a restore is enough for an operator to find it.
func names(err error, key string) bool {
	folder := key
	if i := strings.LastIndexByte(key, '/'); i >= 0 && !strings.HasPrefix(key, "log/") {
		folder = key[:i]
	}
	return strings.Contains(err.Error(), key) || folder != "pin" && folder != "key" && strings.Contains(err.Error(), folder)
}

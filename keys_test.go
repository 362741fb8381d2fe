package schedulerstore

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/encryption"
	"github.com/scheduler-store/scheduler-store/garbage"
	"github.com/scheduler-store/scheduler-store/internal/packed"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/storage"
)

var key = encryption.NewLocalKeeper([32]byte{1})

// tryOpen is open without a state that is taken for granted.
func (c *cell) tryOpen(o Options) (*Store, error) {
	s, err := OpenBucket(c.Context(), bucket.New(c.mem, "mem://test", "", bucket.Options{}), o)
	if err == nil {
		c.Cleanup(func() { _ = s.Close(context.Background()) })
	}
	return s, err
}

// having are the objects that hold a text, as it is or compressed.
func having(mem *memdriver.Bucket, text string) string {
	decoder, err := zstd.NewReader(nil)
	if err != nil {
		return err.Error()
	}
	var keys []string
	for _, key := range mem.Keys() {
		data := mem.Data(key)
		if i := bytes.Index(data, []byte{0x28, 0xb5, 0x2f, 0xfd}); i >= 0 { // a frame begins so
			if raw, err := decoder.DecodeAll(data[i:], nil); err == nil {
				data = append(data, raw...)
			}
		}
		if bytes.Contains(data, []byte(text)) {
			keys = append(keys, key)
		}
	}
	return strings.Join(keys, " ")
}

// Entries, parts of snapshots, states of restores and backups, here and elsewhere: what
// they hold can be read nowhere without a key, and everywhere with it.
func TestNothingCanBeReadInTheBucket(t *testing.T) {
	const marker = "a-secret-that-nobody-may-read"
	everything := func(t *testing.T, key *encryption.Keeper) (*cell, *memdriver.Bucket) {
		c, away := newCell(t), memdriver.New()
		s := c.campaigning("one", Options{Key: key, BackupBucket: bucket.New(away, "mem://away", "", bucket.Options{})})
		c.write(s, marker)
		if _, err := s.Snapshot(t.Context(), "test"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Backup(t.Context(), "named", "test"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Restore(t.Context(), Restoration{Records: durability.RecordsOf(s.Storage().View()), Reason: "test"}); err != nil {
			t.Fatal(err)
		}
		if err := s.Campaign(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.write(s, "b")
		if got := c.holds(s, "named"); got != marker {
			t.Errorf("the backup holds %q", got)
		}
		return c, away
	}
	c, away := everything(t, nil)
	for _, kind := range []string{"log/", "snapshot/", "restore/"} { // else the test shows nothing
		if !strings.Contains(having(c.mem, marker), kind) {
			t.Fatalf("no %s has the marker where nothing is encrypted", kind)
		}
	}
	if having(away, marker) == "" {
		t.Fatal("nor has the backup")
	}

	c, away = everything(t, key)
	if leaks := having(c.mem, marker) + having(away, marker); leaks != "" {
		t.Errorf("can be read in %s", leaks)
	}
	s, err := c.tryOpen(Options{ReadOnly: true, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Recovered(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.want(s, marker+" b")
	report, err := s.Log().Verify(t.Context(), nil)
	if err != nil || len(report.Problems) > 0 {
		t.Error(report, err)
	}

	// Whoever follows must be able to read seals, and the collector must know them.
	entries, err := s.Log().Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for h, err := range s.Log().Headers(t.Context(), entries) {
		if err != nil || (h.Kind == blob.KindSeal) != (h.Compression == packed.None) {
			t.Errorf("%v at %v is stored as %v, %v", h.Kind, h.Position, h.Compression, err)
		}
	}

	// The backup alone, in another cell, needs nothing but the keeper.
	other := newCell(t)
	to := other.campaigning("two", Options{Key: key, BackupBucket: bucket.New(away, "mem://away", "", bucket.Options{})})
	if got := other.holds(to, "named"); got != marker {
		t.Errorf("elsewhere the backup holds %q", got)
	}
	if err := to.Backups().Remove(t.Context(), "named"); err != nil || len(away.Keys()) != 0 {
		t.Errorf("removed, but for %v, %v", away.Keys(), err)
	}
}

func TestPlainCellIsGivenAKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		s := c.leader("one")
		c.write(s, "plain-one")
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		blind := c.open("blind", Options{ReadOnly: true})
		if err := blind.Recovered(t.Context()); err != nil {
			t.Fatal(err)
		}
		s = c.campaigning("one", Options{Key: key})
		c.write(s, "secret-one")
		c.want(s, "plain-one secret-one")
		if having(c.mem, "plain-one") == "" || having(c.mem, "secret-one") != "" {
			t.Errorf("%q has what was there, %q what is new", having(c.mem, "plain-one"), having(c.mem, "secret-one"))
		}
		for _, o := range []Options{{}, {ReadOnly: true}} {
			if _, err := c.tryOpen(o); !errors.Is(err, encryption.ErrKeyNeeded) || !strings.Contains(err.Error(), "key/0000000001-0001.json") {
				t.Errorf("without a key: %v", err)
			}
			o.Key = encryption.NewLocalKeeper([32]byte{2})
			if _, err := c.tryOpen(o); !errors.Is(err, encryption.ErrWrongKey) || !strings.Contains(err.Error(), key.Name()) {
				t.Errorf("with another key: %v", err)
			}
		}
		// Whoever was there before can't go on, and says so; nothing is called damaged.
		time.Sleep(10 * time.Second)
		if err := blind.problem(); !errors.Is(err, encryption.ErrKeyNeeded) || errors.Is(err, blob.ErrDamaged) {
			t.Errorf("a follower without a key: %v", err)
		}
		c.want(blind, "plain-one")
	})
}

// A leader takes up a key that another process has made, within minutes; neither a commit
// nor a fail-over asks for one.
func TestRotationWhileALeaderRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		keyRequests := func() int {
			return c.mem.CountOf(memdriver.Any, func(key string) bool { return strings.HasPrefix(key, "key/") })
		}
		leader, standby := c.open("one", Options{Key: key}), c.open("two", Options{Key: key})
		for _, s := range []*Store{leader, standby} {
			if err := s.Recovered(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		before := keyRequests()
		if err := leader.Campaign(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.write(leader, "a")
		if n := keyRequests() - before; n != 0 {
			t.Errorf("%d requests for keys to lead and commit", n)
		}
		rotater, err := c.tryOpen(Options{Key: key})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := rotater.Log().Codec().Keys().Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.write(leader, "b")
		time.Sleep(refreshKeysEvery + time.Second)
		for _, s := range []*Store{leader, standby} {
			if n := s.Log().Codec().Keys().Newest(); n != 2 {
				t.Errorf("seals with key %d", n)
			}
		}
		c.write(leader, "c")
		if err := leader.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		before = keyRequests()
		if err := standby.Campaign(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.write(standby, "d")
		c.want(standby, "a b c d")
		if n := keyRequests() - before; n != 0 {
			t.Errorf("%d requests for keys in a fail-over", n)
		}
	})
}

// A key object that bodies name is part of the log: without it, damage that names it.
func TestLostKeyObject(t *testing.T) {
	c := newCell(t)
	s := c.campaigning("one", Options{Key: key})
	c.write(s, "a")
	if _, err := s.Log().Codec().Keys().Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.write(s, "b")
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	const lost = "key/0000000001-0001.json"
	data := c.mem.Data(lost)
	c.mem.Remove(lost)
	again, err := c.tryOpen(Options{Key: key, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Recovered(t.Context()); !errors.Is(err, blob.ErrDamaged) || !strings.Contains(err.Error(), lost) {
		t.Errorf("%v, want damage that names %s", err, lost)
	}
	report, err := again.Log().Verify(t.Context(), nil)
	if err != nil || len(report.Problems) == 0 || !strings.Contains(report.Problems[0], lost) {
		t.Error(report, err)
	}
	c.mem.Put(lost, data)
	again, err = c.tryOpen(Options{Key: key, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Recovered(t.Context()); err != nil {
		t.Error(err)
	}
	again.Read(func(v storage.View) {
		if v.Tasks().Len() != 2 {
			t.Errorf("%d tasks", v.Tasks().Len())
		}
	})
}

// No other data key takes the number of one that is lost: what that sealed could not be
// opened any more, even where it is put back.
func TestLostDataKeyIsNotMadeAnew(t *testing.T) {
	for _, snapshots := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := newCell(t)
			s := c.campaigning("one", Options{Key: key})
			c.write(s, "a")
			if snapshots { // and nothing behind it but a seal
				c.snapshot(s)
				if _, err := s.CollectGarbage(t.Context(), garbage.Retention{Keep: 1, Window: -1, Grace: -1}, false); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			const lost = "key/0000000001-0001.json"
			data := c.mem.Data(lost)
			c.mem.Remove(lost)
			if _, err := c.tryOpen(Options{Key: key}); !errors.Is(err, blob.ErrDamaged) || !strings.Contains(err.Error(), lost) {
				t.Errorf("%v, want damage that names %s", err, lost)
			}
			c.mem.Put(lost, data)
			again := c.campaigning("two", Options{Key: key})
			c.want(again, "a")
			if _, err := again.Log().Codec().Keys().Rotate(t.Context()); err != nil {
				t.Fatal(err)
			}
			c.write(again, "b")
			if err := again.Log().CheckKeys(t.Context()); err != nil {
				t.Error(err)
			}
			const second = "key/0000000002-0001.json"
			c.mem.Remove(second)
			if err := again.Log().CheckKeys(t.Context()); !errors.Is(err, blob.ErrDamaged) || !strings.Contains(err.Error(), second) {
				t.Errorf("%v, want damage that names %s", err, second)
			}
		})
	}
}

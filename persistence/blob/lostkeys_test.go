package blob

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/scheduler-store/scheduler-store/encryption"
)

const firstKey = "key/0000000001-0001.json"

// The first data key is not made anew where the one that sealed the newest body, or the
// newest snapshot, is lost: its number would be taken for good.
func TestLostKeyIsNotMadeAnewByOpening(t *testing.T) {
	key := encryption.NewLocalKeeper([32]byte{1})
	for what, make := range map[string]func(c *cell, p *process){
		"an entry":                 func(c *cell, p *process) { p.write("a") },
		"an entry before a seal":   func(c *cell, p *process) { p.write("a"); c.processWith(Options{Key: key}).lead(2) },
		"a snapshot, but no entry": func(c *cell, p *process) { p.write("a").snapshot(); c.collect(10) },
		"an entry, since the snapshot can't be read": func(c *cell, p *process) {
			name := p.write("a").snapshot()
			c.mem.Put(name.ManifestKey(), []byte("{}"))
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := newCell(t)
			p := c.leaderWith(Options{Key: key})
			make(c, p)
			lost := c.mem.Data(firstKey)
			c.mem.Remove(firstKey)
			_, err := Open(c.ctx, c.bucket(), Options{Key: key})
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), firstKey) || !strings.Contains(err.Error(), "put it back") {
				t.Errorf("%s: %v, want damage that names %s", what, err, firstKey)
			}
			if c.mem.Data(firstKey) != nil {
				t.Errorf("%s: the key was made anew", what)
			}
			c.mem.Put(firstKey, lost)
			if _, err := Open(c.ctx, c.bucket(), Options{Key: key}); err != nil {
				t.Errorf("%s: put back: %v", what, err)
			}
		})
	}
}

// A cell of which nothing is encrypted yet has no key that could be lost.
func TestFirstKeyOfACellThatIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.leader(1).write("a").snapshot()
		key := encryption.NewLocalKeeper([32]byte{1})
		if l := c.open(Options{Key: key, ReadOnly: true}); l.Codec().Keys().Newest() != 0 {
			t.Error("reading made a key")
		}
		if l := c.open(Options{Key: key}); l.Codec().Keys().Newest() != 1 {
			t.Error("writing made no key")
		}
		c.processWith(Options{Key: key}).lead(2).write("b")
		p := c.processWith(Options{Key: key})
		if err := p.reader.CatchUp(c.ctx); err != nil || p.state.has() != "a b" {
			t.Errorf("recovered %q, %v", p.state.has(), err)
		}
	})
}

// What is too short to say which key sealed it is damaged, and is named.
func TestCheckKeysNamesWhatIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leaderWith(Options{Key: encryption.NewLocalKeeper([32]byte{1})}).write("a")
		name := p.snapshot()
		for _, key := range []string{name.ManifestKey(), Key(1, 1)} {
			if key == name.ManifestKey() {
				key = strings.Replace(key, "manifest.json", "part-00000", 1)
			}
			good := c.mem.Data(key)
			cut := 2
			if key == Key(1, 1) {
				cut += headerSize
			}
			c.mem.Remove(key)
			c.mem.Put(key, good[:cut])
			if err := p.log.CheckKeys(c.ctx); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), key) {
				t.Errorf("%v, want damage that names %s", err, key)
			}
			c.mem.Remove(key)
			c.mem.Put(key, good)
			if err := p.log.CheckKeys(c.ctx); err != nil {
				t.Error(err)
			}
		}
	})
}

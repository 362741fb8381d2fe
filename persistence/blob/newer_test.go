package blob

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/scheduler-store/scheduler-store/encryption"
)

// changed is an entry's object with another header, whose checksum is right.
func changed(object []byte, change func(header []byte)) []byte {
	object = slices.Clone(object)
	change(object)
	binary.BigEndian.PutUint32(object[headerCRC:], crc32.Checksum(object[:headerCRC], castagnoli))
	return object
}

func newer(header []byte)       { binary.BigEndian.PutUint16(header[8:], formatVersion+1) }
func unknownKind(header []byte) { header[10] = 99 }

// An entry of a newer version is not damaged, whoever reads it: its header alone too.
func TestHeaderOfANewerVersionIsNotCalledDamaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1).write("a", "b")
		key := EntryKey{Epoch: 1, Position: 2}
		name := Key(1, 2)
		key.Size = int64(len(c.mem.Data(name)))
		c.mem.Put(name, changed(c.mem.Data(name), newer))
		for what, read := range map[string]func(context.Context) error{
			"the header": func(ctx context.Context) error {
				for _, err := range p.log.Headers(ctx, []EntryKey{key}) {
					return err
				}
				return nil
			},
			"whether it is a seal": func(ctx context.Context) error { _, err := p.log.IsSeal(ctx, key); return err },
			"the entry":            func(ctx context.Context) error { _, err := p.log.Read(ctx, key); return err },
			"the history": func(ctx context.Context) error {
				for _, err := range p.log.History(ctx, 2, 2) {
					return err
				}
				return nil
			},
			"the log": func(ctx context.Context) error { _, err := c.recovers(); return err },
		} {
			if err := read(c.ctx); !errors.Is(err, ErrNewerFormat) || errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}

// Where it can't be told what an entry beyond says, nobody takes the gap before it for
// the end of the log.
func TestEntryOfANewerVersionBeyondAGapIsNotPassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.leader(1).write("a", "b")
		c.mem.Remove(Key(1, 1))
		c.mem.Put(Key(1, 2), changed(c.mem.Data(Key(1, 2)), newer))
		if got, err := c.recovers(); !errors.Is(err, ErrNewerFormat) || !strings.Contains(err.Error(), Key(1, 2)) {
			t.Errorf("recovered %q, %v", got, err)
		}
	})
}

// An entry of a kind that is not known may be one that is kept for ever.
func TestEntryOfAnUnknownKindMayBeASeal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1).write("a")
		c.mem.Put(Key(1, 1), changed(c.mem.Data(Key(1, 1)), unknownKind))
		seal, err := p.log.IsSeal(c.ctx, EntryKey{Epoch: 1, Position: 1, Size: 1})
		if seal || !errors.Is(err, ErrNewerFormat) || !strings.Contains(err.Error(), Key(1, 1)) {
			t.Errorf("a seal: %t, %v", seal, err)
		}
	})
}

// The key of a newer version's entry may be lost: it is not passed over either.
func TestLostKeyBeforeAnEntryOfANewerVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		key := encryption.NewLocalKeeper([32]byte{1})
		c.leaderWith(Options{Key: key}).write("a")
		c.mem.Put(Key(1, 1), changed(c.mem.Data(Key(1, 1)), newer))
		c.mem.Remove(firstKey)
		if _, err := Open(c.ctx, c.bucket(), Options{Key: key}); !errors.Is(err, ErrNewerFormat) || c.mem.Data(firstKey) != nil {
			t.Errorf("%v, the key was made anew: %t", err, c.mem.Data(firstKey) != nil)
		}
	})
}

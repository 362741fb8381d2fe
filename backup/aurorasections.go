package backup

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/schema/wire"
)

// section is a field of a Snapshot.
type section struct {
	name string
	typ  byte
	// ops makes the ops of one row.
	ops func(p *pass, row []byte) error
}

// sectionOf returns the section with the id of a key, and false for all others, such as
// the retired ones: they are skipped.
func sectionOf(key uint32) (section, bool) {
	switch uint16(key) {
	case 1:
		return section{"timestamp", wire.I64, nil}, true
	case 3:
		return section{"hostAttributes", wire.Set, (*pass).host}, true
	case 4:
		return section{"tasks", wire.Set, (*pass).task}, true
	case 5:
		return section{"cronJobs", wire.Set, (*pass).cronJob}, true
	case 6:
		return section{"schedulerMetadata", wire.Struct, (*pass).metadata}, true
	case 8:
		return section{"quotaConfigurations", wire.Set, (*pass).quota}, true
	case 10:
		return section{"jobUpdateDetails", wire.Set, (*pass).jobUpdate}, true
	case 13:
		return section{"hostMaintenanceRequests", wire.Set, (*pass).maintenance}, true
	}
	return section{}, false
}

// pass is one way through a document. Without yield it decodes nothing, and takes the
// configurations only.
type pass struct {
	s       *wire.Scanner
	yield   func(*api.Op) error
	configs [][]byte // encoded
	held    int      // bytes of configs

	tasks []*api.ScheduledTask // of the op that is being filled
	bytes int
}

// fields walks over the fields of a struct. Known ones must have their type, and come
// once; each is handed to read, all others are skipped.
func (p *pass) fields(known func(key uint32) (name string, typ byte), read func(key uint32) error) error {
	seen := map[uint16]bool{}
	for key := p.s.Field(); key != 0; key = p.s.Field() {
		name, typ := known(key)
		var err error
		switch {
		case name == "":
			name = fmt.Sprintf("field %d", int16(key))
			p.s.Skip()
		case typ != byte(key>>16):
			p.s.Fail("it has type %d, want %d", key>>16, typ)
		case seen[uint16(key)]:
			p.s.Fail("it comes a second time")
		default:
			seen[uint16(key)] = true
			err = read(key)
		}
		if err == nil && p.s.Err() != nil {
			err = wire.In(name, p.s.Err())
		}
		if err != nil {
			return err
		}
	}
	return p.s.Err()
}

// snapshot reads a Snapshot.
func (p *pass) snapshot() error {
	return p.fields(func(key uint32) (string, byte) {
		s, _ := sectionOf(key)
		return s.name, s.typ
	}, func(key uint32) error {
		s, _ := sectionOf(key)
		if p.yield == nil {
			s.ops = nil
		}
		switch s.typ {
		case wire.Set:
			if err := p.rows(s.name, s.ops); err != nil {
				return err
			}
			return p.flush()
		case wire.Struct:
			return wire.In(s.name, p.row(s.ops))
		}
		p.s.Skip()
		return nil
	})
}

// deduplicated reads a DeduplicatedSnapshot (Aurora: SnapshotDeduplicator.reduplicate).
func (p *pass) deduplicated() error {
	const partialSnapshot, partialTasks, taskConfigs = "partialSnapshot", "partialTasks", "taskConfigs"
	whole := false
	err := p.fields(func(key uint32) (string, byte) {
		switch uint16(key) {
		case 1:
			return partialSnapshot, wire.Struct
		case 2:
			return partialTasks, wire.List
		case 3:
			return taskConfigs, wire.List
		}
		return "", 0
	}, func(key uint32) error {
		switch uint16(key) {
		case 1:
			whole = true
			return wire.In(partialSnapshot, p.snapshot())
		case 2:
			ops := (*pass).partialTask
			if p.yield == nil {
				ops = nil
			}
			if err := p.rows(partialTasks, ops); err != nil {
				return err
			}
			return p.flush()
		}
		if p.yield != nil {
			p.s.Skip() // an earlier pass took them
			return nil
		}
		return p.rows(taskConfigs, (*pass).config)
	})
	if err == nil && !whole {
		p.s.Fail("there is no %s", partialSnapshot)
		err = p.s.Err()
	}
	return err
}

// rows hands the rows of a set or a list to ops.
func (p *pass) rows(name string, ops func(*pass, []byte) error) error {
	elem, n := p.s.Container()
	if n > 0 && elem != wire.Struct {
		p.s.Fail("it has elements of type %d, want structs", elem)
	}
	if err := p.s.Err(); err != nil {
		return wire.In(name, err)
	}
	for i := range n {
		if err := p.row(ops); err != nil {
			return wire.InElem(name, i, err)
		}
	}
	return nil
}

// row hands one row to ops, if there are any. An error says where it begins.
func (p *pass) row(ops func(*pass, []byte) error) error {
	start := p.s.Offset()
	row := p.s.Struct()
	err := p.s.Err()
	if err == nil && ops != nil {
		err = ops(p, row)
	}
	if err == nil || errors.Is(err, errStopped) {
		return err
	}
	return fmt.Errorf("from byte %d on: %w", start, err)
}

func (p *pass) config(row []byte) error {
	if p.held += len(row); p.held > maxConfigs {
		return fmt.Errorf("configurations of more than the %d bytes allowed", maxConfigs)
	}
	p.configs = append(p.configs, bytes.Clone(row))
	return nil
}

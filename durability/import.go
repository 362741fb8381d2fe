package durability

import (
	"fmt"
	"iter"
	"reflect"
	"strings"

	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// Imported counts what an import took and left out.
type Imported struct {
	// Ops were taken.
	Ops int
	// HostsWithoutAgent were left out, as a replay does.
	HostsWithoutAgent int
	// Retired ops were left out.
	Retired int
}

// Import makes records of a stream of ops that may be old: each is backfilled, made
// canonical and tried, so that what it yields is sure to replay. It is as lenient as a
// replay is. It holds no more than a record of them and the keys of the job updates.
// The ops belong to it, and change. count may be nil, and is right after the end. An
// error, of the stream or of an op, is the last that is yielded; it names the op by
// its number, from 1, and its kind.
func Import(ops iter.Seq2[*api.Op, error], tiers schema.Tiers, count *Imported) iter.Seq2[[]byte, error] {
	if count == nil {
		count = new(Imported)
	}
	return func(yield func([]byte, error) bool) {
		*count = Imported{}
		i := newImporter(tiers, count)
		i.records.yield = func(record []byte, err error) bool {
			if err == nil {
				err = i.check(record)
			}
			if err != nil {
				yield(nil, fmt.Errorf("record of ops up to number %d: %w", i.number, err))
				return false
			}
			return yield(record, nil)
		}
		for op, err := range ops {
			i.number++
			if err == nil {
				err = i.take(op)
			}
			if i.records.stopped {
				return
			}
			if err != nil {
				yield(nil, fmt.Errorf("op %d%s: %w", i.number, ofKind(op), err))
				return
			}
		}
		i.flush()
	}
}

// importer is an import on its way.
type importer struct {
	backfill Backfill
	proof    *proof
	number   int // of the op in hand
	records  recordWriter
	// run is tasks that were saved one after another. It merges as the ops of a
	// transaction do.
	run   opList
	count *Imported
}

func newImporter(tiers schema.Tiers, count *Imported) *importer {
	return &importer{backfill: Backfill{Tiers: tiers, Replay: true}, count: count, proof: newProof()}
}

func (i *importer) take(op *api.Op) error {
	if op == nil {
		return fmt.Errorf("%w: it is empty", storage.ErrNullArgument)
	}
	if err := op.Validate(); err != nil { // it could not be written
		return fmt.Errorf("%w: %w", storage.ErrInvalidArgument, err)
	}
	switch {
	case op.SaveLock != nil, op.RemoveLock != nil, op.PruneJobUpdateHistory != nil:
		i.count.Retired++
		return nil
	case op.SaveHostAttributes != nil:
		if host := op.SaveHostAttributes.HostAttributes; host == nil || !host.SlaveID.Set {
			i.count.HostsWithoutAgent++
			return nil
		}
	}
	if err := i.backfill.op(op); err != nil {
		return err
	}
	if err := i.proof.try(op); err != nil {
		return err
	}
	i.count.Ops++
	if op.SaveTasks == nil {
		i.endRun()
		i.records.add(op)
		return nil
	}
	for _, task := range op.SaveTasks.Tasks {
		i.run.add(&api.Op{SaveTasks: &api.SaveTasks{Tasks: []*api.ScheduledTask{task}}})
		if len(i.run.ops[0].SaveTasks.Tasks) >= tasksPerRecord {
			i.endRun()
		}
	}
	return nil
}

// endRun writes the tasks of a run. The next may have the same tasks, so its records
// are others.
func (i *importer) endRun() {
	if len(i.run.ops) == 0 {
		return
	}
	for _, task := range i.run.ops[0].SaveTasks.Tasks {
		i.records.task(task)
	}
	i.run = opList{}
	i.records.flush()
}

func (i *importer) flush() {
	i.endRun()
	i.records.flush()
}

// check makes sure that a record can be read.
func (i *importer) check(record []byte) error {
	t, err := decode(record)
	if err != nil {
		return err
	}
	return i.backfill.transaction(t)
}

// ofKind returns the op's kind in parentheses, if it has one.
func ofKind(op *api.Op) string {
	if op == nil {
		return ""
	}
	v := reflect.ValueOf(op).Elem()
	for f, value := range v.Fields() {
		if !value.IsNil() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			return " (" + name + ")"
		}
	}
	return " (of no known kind)"
}

// tasksPerOp is how many tasks an op of Ops has at most: so many configurations of
// their own it may have, though in the record they had one together.
const tasksPerOp = 32

// Ops yields the ops in the records of a whole state or a log, in order, so that they
// can be imported elsewhere. Deduplicated tasks are in ops like all others; those with
// one configuration share it. Idempotency keys are left out. An error, of the stream
// or of a record, is the last that is yielded.
func Ops(records iter.Seq2[[]byte, error]) iter.Seq2[*api.Op, error] {
	return func(yield func(*api.Op, error) bool) {
		number := 0
		for record, err := range records {
			number++
			var ops []*api.Op
			if err == nil {
				ops, err = opsOf(record)
			}
			if err != nil {
				yield(nil, fmt.Errorf("record %d: %w", number, err))
				return
			}
			for _, op := range ops {
				if !yield(op, nil) {
					return
				}
			}
		}
	}
}

func opsOf(record []byte) ([]*api.Op, error) {
	t, err := decode(record)
	if err != nil {
		return nil, err
	}
	ops, d := t.Ops, t.DeduplicatedTasks
	if d == nil {
		return ops, nil
	}
	tasks, err := schema.JoinTasks(d.PartialTasks, d.TaskConfigs)
	for len(tasks) > 0 {
		n := min(len(tasks), tasksPerOp)
		ops, tasks = append(ops, &api.Op{SaveTasks: &api.SaveTasks{Tasks: tasks[:n:n]}}), tasks[n:]
	}
	return ops, err
}

package durability

import (
	"fmt"

	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// replay is a state on its way: the transactions of one entry, or of a snapshot,
// before it is whole.
type replay struct {
	tx      *storage.Tx
	keys    keys
	number  persistence.TransactionNumber
	last    *Pending
	records int
	// restart is the number at which this state started over, 0 if it goes on from
	// the durable one.
	restart persistence.TransactionNumber
	changes []replayed
	changed *changed
}

// replayed is a change that nobody knows of yet, whose record has size bytes.
type replayed struct {
	change *Change
	size   int
}

var _ persistence.Consumer = (*Storage)(nil)

// Reset starts over. Readers keep what they see until the new state is whole.
func (s *Storage) Reset(at persistence.Point) error {
	last := persistence.Commit{Transaction: at.Transaction, Epoch: at.Epoch}
	if at.Next > 0 {
		last.Position = at.Next - 1
	}
	s.replay = &replay{tx: s.empty().Begin(), keys: newKeys(), number: at.Transaction, last: settled(last), restart: at.Transaction,
		changed: newChanged(at.Transaction)}
	return nil
}

// Prepare decodes a batch's records and brings them into the form that the stores
// take. It needs no state and may run for many batches at once.
func (s *Storage) Prepare(batch persistence.Batch) (func() error, error) {
	transactions, err := s.decode(&batch)
	if err != nil {
		return nil, err
	}
	return func() error { return s.applyBatch(&batch, transactions) }, nil
}

// ChangesOf returns what the records of a log's entry tell those who watch: without
// events, for which the state before would be needed.
func (s *Storage) ChangesOf(batch persistence.Batch) ([]*Change, error) {
	transactions, err := s.decode(&batch)
	if err != nil {
		return nil, err
	}
	changes := make([]*Change, len(transactions))
	for i, t := range transactions {
		changes[i] = changeOf(&batch, i, t)
	}
	return changes, nil
}

func changeOf(batch *persistence.Batch, i int, t *api.Transaction) *Change {
	ops := t.Ops
	if ops == nil {
		ops = []*api.Op{}
	}
	return &Change{Commit: batch.Commit(i), Time: batch.Time, Ops: ops}
}

func (s *Storage) decode(batch *persistence.Batch) ([]*api.Transaction, error) {
	transactions := make([]*api.Transaction, len(batch.Records))
	for i, record := range batch.Records {
		t, err := decode(record)
		if err == nil {
			err = Backfill{Tiers: s.tiers, Replay: true}.transaction(t)
		}
		if err != nil {
			return nil, fmt.Errorf("record %d: %w", i, err)
		}
		transactions[i] = t
	}
	return transactions, nil
}

func (s *Storage) applyBatch(batch *persistence.Batch, transactions []*api.Transaction) error {
	r, known := s.begin(), s.feed.number()
	for i, t := range transactions {
		if !batch.Snapshot && batch.Commit(i).Transaction > known {
			change := changeOf(batch, i, t)
			change.Events = eventsOf(r.tx.Tasks(), r.tx.Hosts(), t.Ops)
			r.changes = append(r.changes, replayed{change, len(batch.Records[i])})
		}
		for j, op := range t.Ops {
			if s.alike != nil && op.SaveTasks != nil {
				shareTasks(s.alike.Tasks(), op.SaveTasks.Tasks)
			}
			if err := replayOp(r.tx, op); err != nil {
				return fmt.Errorf("record %d, op %d: %w", i, j, err)
			}
			if op.SaveTasks != nil && !batch.Snapshot { // nobody is told of what comes with a snapshot
				shareConfigs(r.tx.Tasks(), op.SaveTasks.Tasks)
			}
		}
		if batch.Snapshot {
			r.restoreKeys(t.CommittedKeys)
			continue
		}
		c := batch.Commit(i)
		r.changed.note(c.Transaction, t.Ops)
		r.number, r.last = c.Transaction, settled(c)
		if id := t.Idempotency; id != nil && id.Key.Set {
			r.keys = r.keys.with(id.Key.Value, &keyed{fingerprint: id.Fingerprint, pending: r.last, number: c.Transaction})
		}
	}
	r.records += len(transactions)
	return nil
}

// begin returns the state on its way, a new one on top of the durable state if
// there is none.
func (s *Storage) begin() *replay {
	if s.replay == nil {
		v := s.durable.Load()
		s.replay = &replay{tx: v.stores.Begin(), keys: v.keys, number: v.number, last: v.pending, changed: v.changed}
	}
	return s.replay
}

// restoreKeys takes the keys of a state. One of a transaction that this history has not
// come to is another cell's: it would push out those to come.
func (r *replay) restoreKeys(committed []*api.CommittedKey) {
	for _, k := range committed {
		if k.Transaction > int64(r.number) {
			continue
		}
		c := persistence.Commit{Transaction: persistence.TransactionNumber(k.Transaction),
			Position: persistence.Position(k.Position), Epoch: persistence.Epoch(k.Epoch)}
		r.keys = r.keys.with(k.Key.Value, &keyed{fingerprint: k.Fingerprint, pending: settled(c), number: c.Transaction})
	}
}

// Loaded makes the state that was replayed the durable one, unless it is older than
// that: a reader that began again catches up first, so that nobody sees time go
// backwards.
func (s *Storage) Loaded(at persistence.Point) {
	r := s.begin()
	if r.number < s.durable.Load().number {
		s.replay = r
		return
	}
	s.replay = nil
	s.metrics.replayed.Add(float64(r.records))
	s.publish(&version{stores: r.tx.Commit(), keys: r.keys, number: r.number, pending: r.last, changed: r.changed}, &at)
	// A state that started over before what is known has come back to it: nothing
	// is missing. Else what came between is.
	if r.restart > s.feed.number() {
		s.feed.publish(&Change{Commit: r.last.commit, Reset: true}, 0)
	}
	for _, c := range r.changes {
		s.feed.publish(c.change, c.size)
	}
}

// decode reads a record.
func decode(record []byte) (*api.Transaction, error) {
	t := new(api.Transaction)
	if err := t.UnmarshalBinary(record); err != nil {
		return nil, err
	}
	if t.SchemaVersion > api.CurrentSchemaVersion {
		return nil, fmt.Errorf("%w: schema %d, this program knows up to %d", persistence.ErrNewerFormat, t.SchemaVersion, api.CurrentSchemaVersion)
	}
	return t, nil
}

// transaction backfills what a record has and makes it canonical. Its deduplicated
// tasks become one more op; those with one configuration share it.
func (b Backfill) transaction(t *api.Transaction) error {
	for i, op := range t.Ops {
		if err := b.op(op); err != nil {
			return fmt.Errorf("op %d: %w", i, err)
		}
	}
	d := t.DeduplicatedTasks
	if d == nil {
		return nil
	}
	for i, config := range d.TaskConfigs {
		if err := b.config(config); err != nil {
			return fmt.Errorf("deduplicatedTasks.taskConfigs[%d]: %w", i, err)
		}
		config.Canonicalize()
	}
	for _, p := range d.PartialTasks {
		p.PartialScheduledTask.Canonicalize()
	}
	tasks, err := schema.JoinTasks(d.PartialTasks, d.TaskConfigs)
	if err != nil {
		return fmt.Errorf("deduplicatedTasks: %w", err)
	}
	t.Ops, t.DeduplicatedTasks = append(t.Ops, &api.Op{SaveTasks: &api.SaveTasks{Tasks: tasks}}), nil
	return nil
}

// op backfills an op's values and makes them canonical.
func (b Backfill) op(op *api.Op) error {
	if op == nil {
		return fmt.Errorf("%w: empty op", storage.ErrNullArgument)
	}
	var err error
	switch {
	case op.SaveTasks != nil:
		for _, task := range op.SaveTasks.Tasks {
			if err = b.Task(task); err != nil {
				break
			}
		}
	case op.SaveCronJob != nil && op.SaveCronJob.JobConfig != nil:
		err = b.CronJob(op.SaveCronJob.JobConfig)
	case op.SaveQuota != nil && op.SaveQuota.Quota != nil:
		err = b.Quota(op.SaveQuota.Quota)
	case op.SaveJobUpdate != nil && op.SaveJobUpdate.JobUpdate != nil:
		err = b.JobUpdate(op.SaveJobUpdate.JobUpdate)
	}
	if err != nil {
		return err
	}
	op.Canonicalize()
	return nil
}

// replayOp applies one recovered op to the stores (Aurora: Loader). It is as
// lenient as Aurora's with what older versions wrote.
func replayOp(tx *storage.Tx, op *api.Op) error {
	switch {
	case op.SaveFrameworkID != nil:
		return tx.SaveFrameworkID(op.SaveFrameworkID.ID.Value)
	case op.SaveCronJob != nil:
		return tx.CronJobs().Save(op.SaveCronJob.JobConfig)
	case op.RemoveJob != nil:
		return tx.CronJobs().Remove(op.RemoveJob.JobKey)
	case op.SaveTasks != nil:
		return tx.Tasks().Save(op.SaveTasks.Tasks...)
	case op.RemoveTasks != nil:
		return tx.Tasks().Delete(op.RemoveTasks.TaskIDs...)
	case op.SaveQuota != nil:
		return tx.Quotas().Save(op.SaveQuota.Role.Value, op.SaveQuota.Quota)
	case op.RemoveQuota != nil:
		return tx.Quotas().Remove(op.RemoveQuota.Role.Value)
	case op.SaveHostAttributes != nil:
		attributes := op.SaveHostAttributes.HostAttributes
		if attributes == nil || !attributes.SlaveID.Set {
			return nil // old data has records of hosts without an agent
		}
		_, err := tx.Hosts().Save(attributes)
		return err
	case op.SaveJobUpdate != nil:
		return tx.JobUpdates().Save(op.SaveJobUpdate.JobUpdate)
	case op.SaveJobUpdateEvent != nil:
		return tx.JobUpdates().SaveEvent(op.SaveJobUpdateEvent.Key, op.SaveJobUpdateEvent.Event)
	case op.SaveJobInstanceUpdateEvent != nil:
		return tx.JobUpdates().SaveInstanceEvent(op.SaveJobInstanceUpdateEvent.Key, op.SaveJobInstanceUpdateEvent.Event)
	case op.RemoveJobUpdate != nil:
		return tx.JobUpdates().Remove(op.RemoveJobUpdate.Keys...)
	case op.SaveHostMaintenanceRequest != nil:
		return tx.Maintenance().Save(op.SaveHostMaintenanceRequest.HostMaintenanceRequest)
	case op.RemoveHostMaintenanceRequest != nil:
		return tx.Maintenance().Remove(op.RemoveHostMaintenanceRequest.Host.Value)
	case op.SaveLock != nil, op.RemoveLock != nil, op.PruneJobUpdateHistory != nil:
		return nil // retired: read and ignored
	}
	return fmt.Errorf("%w: op of an unknown kind; was it written by a newer version?", storage.ErrInvalidArgument)
}

package durability

import (
	"fmt"

	"github.com/scheduler-store/scheduler-store/persistence"
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
}

var _ persistence.Consumer = (*Storage)(nil)

// Reset starts over. Readers keep what they see until the new state is whole.
func (s *Storage) Reset(at persistence.Point) error {
	last := persistence.Commit{Transaction: at.Transaction, Epoch: at.Epoch}
	if at.Next > 0 {
		last.Position = at.Next - 1
	}
	s.replay = &replay{tx: storage.NewState(storage.Options{}).Begin(), keys: newKeys(), number: at.Transaction, last: settled(last)}
	return nil
}

// Prepare decodes a batch's records and brings them into the form that the stores
// take. It needs no state and may run for many batches at once.
func (s *Storage) Prepare(batch persistence.Batch) (func() error, error) {
	transactions := make([]*api.Transaction, len(batch.Records))
	for i, record := range batch.Records {
		t := new(api.Transaction)
		if err := t.UnmarshalBinary(record); err != nil {
			return nil, fmt.Errorf("record %d: %w", i, err)
		}
		if t.SchemaVersion > api.CurrentSchemaVersion {
			return nil, fmt.Errorf("record %d: %w: schema %d, this program knows up to %d", i, persistence.ErrNewerFormat, t.SchemaVersion, api.CurrentSchemaVersion)
		}
		for j, op := range t.Ops {
			if err := s.prepareOp(op); err != nil {
				return nil, fmt.Errorf("record %d, op %d: %w", i, j, err)
			}
		}
		transactions[i] = t
	}
	return func() error { return s.applyBatch(&batch, transactions) }, nil
}

func (s *Storage) applyBatch(batch *persistence.Batch, transactions []*api.Transaction) error {
	r := s.begin()
	for i, t := range transactions {
		for j, op := range t.Ops {
			if err := replayOp(r.tx, op); err != nil {
				return fmt.Errorf("record %d, op %d: %w", i, j, err)
			}
		}
		if batch.Snapshot {
			r.restoreKeys(t.CommittedKeys)
			continue
		}
		c := batch.Commit(i)
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
		s.replay = &replay{tx: v.stores.Begin(), keys: v.keys, number: v.number, last: v.pending}
	}
	return s.replay
}

func (r *replay) restoreKeys(committed []*api.CommittedKey) {
	for _, k := range committed {
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
	s.publish(&version{stores: r.tx.Commit(), keys: r.keys, number: r.number, pending: r.last}, &at)
}

// prepareOp backfills an op's values and makes them canonical.
func (s *Storage) prepareOp(op *api.Op) error {
	if op == nil {
		return fmt.Errorf("%w: empty op", storage.ErrNullArgument)
	}
	backfill := Backfill{Tiers: s.tiers, Replay: true}
	var err error
	switch {
	case op.SaveTasks != nil:
		for _, task := range op.SaveTasks.Tasks {
			if err = backfill.Task(task); err != nil {
				break
			}
		}
	case op.SaveCronJob != nil && op.SaveCronJob.JobConfig != nil:
		err = backfill.CronJob(op.SaveCronJob.JobConfig)
	case op.SaveQuota != nil && op.SaveQuota.Quota != nil:
		err = backfill.Quota(op.SaveQuota.Quota)
	case op.SaveJobUpdate != nil && op.SaveJobUpdate.JobUpdate != nil:
		err = backfill.JobUpdate(op.SaveJobUpdate.JobUpdate)
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

package simulation

import (
	"context"
	"fmt"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/simulation/check"
	"github.com/scheduler-store/scheduler-store/storage"
)

// client makes one call after another. All of it is the driver's, but for the call
// itself, which has a goroutine.
type client struct {
	run   *run
	name  string
	calls int
	open  *check.Op // the call that has not returned
	// again is a write whose outcome is unknown, which is tried once more with its key.
	again *check.Op
}

// callLater plans the next call.
func (c *client) callLater() {
	think := c.run.profile.think
	c.run.after(c.run.between(think/2, think*3/2), c.call)
}

// call draws a call and sends it to a process.
func (c *client) call() {
	r := c.run
	if r.quiet || r.over {
		return
	}
	p := r.choose()
	if p == nil {
		c.callLater()
		return
	}
	c.calls++
	op := &check.Op{Client: c.name, Process: p.link.name, Invoked: r.now(), Returned: -1}
	c.open = op
	switch {
	case c.again != nil:
		op.Kind, op.Key, op.Wrote = check.Write, c.again.Key, c.again.Wrote
		c.again = nil
	case r.chance(r.profile.reads):
		op.Kind = check.Read
	case !r.healed && r.chance(r.profile.restores):
		op.Kind, op.Wrote = check.Restore, c.values(r.profile.registers)
	default:
		op.Kind, op.Wrote = check.Write, c.values(1+r.rand.IntN(min(3, r.profile.registers)))
		if r.chance(r.profile.keys) {
			op.Key = fmt.Sprintf("%s-%d", c.name, c.calls)
		}
	}
	l := p.link
	reads := r.draws(min(2, r.profile.registers))
	r.after(r.latency(p)/4, func() { c.reach(p, l, op, reads) })
}

// choose draws the process that is called: one that says that it leads, mostly.
func (r *run) choose() *process {
	var running, leading []*process
	for _, p := range r.processes {
		if p.running && !p.readOnly && p.opened() != nil {
			running = append(running, p)
			if p.leads() {
				leading = append(leading, p)
			}
		}
	}
	switch {
	case len(leading) > 0 && !r.chance(0.05):
		return leading[r.rand.IntN(len(leading))]
	case len(running) > 0 && r.chance(0.3):
		return running[r.rand.IntN(len(running))]
	}
	return nil
}

// draws draws so many registers.
func (r *run) draws(n int) []string {
	var registers []string
	for _, i := range r.rand.Perm(r.profile.registers)[:n] {
		registers = append(registers, register(i))
	}
	return registers
}

func register(i int) string { return string(rune('r' + i)) }

// values draws what a call writes. No other call writes these values.
func (c *client) values(n int) map[string]string {
	wrote := map[string]string{}
	for i, register := range c.run.draws(n) {
		wrote[register] = fmt.Sprintf("%s.%d.%d", c.name, c.calls, i)
	}
	return wrote
}

// reach lets a call come to its process.
func (c *client) reach(p *process, l *link, op *check.Op, reads []string) {
	switch {
	case p.frozen && p.link == l:
		p.held = append(p.held, func() { c.reach(p, l, op, reads) })
		return
	case l.dead() || p.opened() == nil: // the connection is refused
		op.Outcome = check.Failed
		c.returned(op)
		return
	}
	s := p.opened()
	c.run.goroutines.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), c.run.profile.patience)
		defer cancel()
		var err error
		switch op.Kind {
		case check.Read:
			err = readRegisters(s, op)
		case check.Restore:
			op.Commit, err = s.Restore(ctx, schedulerstore.Restoration{Records: check.Records(op.Wrote), Reason: "simulation"})
		case check.Write:
			op.Commit, err = write(ctx, s, op, reads)
		}
		op.Outcome = check.OutcomeOf(err)
		c.run.finish(c.name, func() { c.answer(p, l, op) })
	})
}

func readRegisters(s *schedulerstore.Store, op *check.Op) error {
	view, number, err := s.LinearizableSnapshot()
	if err == nil {
		op.Saw, op.Commit.Transaction = check.RegistersOf(view), number
	}
	return err
}

func write(ctx context.Context, s *schedulerstore.Store, op *check.Op, reads []string) (commit persistence.Commit, err error) {
	pending, err := s.Submit(ctx, func(_ context.Context, tx storage.Mutable) error {
		op.Saw = map[string]string{}
		for _, register := range reads {
			op.Saw[register] = ""
			if host, ok := tx.Hosts().Fetch(register); ok {
				op.Saw[register] = host.SlaveID.Value
			}
		}
		return check.Save(tx, op.Wrote)
	}, durability.WriteOptions{Key: op.Key})
	if err != nil {
		return commit, err
	}
	return pending.Wait(ctx)
}

// answer brings the answer of a call on its way.
func (c *client) answer(p *process, l *link, op *check.Op) {
	switch {
	case l.dead():
		c.unheard(op)
		return
	case p.frozen && p.link == l:
		p.held = append(p.held, func() { c.answer(p, l, op) })
		return
	}
	c.run.after(c.run.latency(p)/4, func() { c.returned(op) })
}

// returned notes that a call has returned, and plans the next one.
func (c *client) returned(op *check.Op) {
	op.Returned = c.run.now()
	c.tell(op)
	if op.Kind == check.Write && op.Outcome == check.Unknown && op.Key != "" && c.run.chance(0.7) {
		c.again = op
	}
	c.callLater()
}

// unheard notes a call that nobody answers.
func (c *client) unheard(op *check.Op) {
	op.Outcome = check.Unknown
	c.tell(op)
	c.callLater()
}

// tell adds a call to the history, once it has returned or never will.
func (c *client) tell(op *check.Op) {
	c.open = nil
	c.run.history.Ops = append(c.run.history.Ops, *op)
	c.run.timeline.add(c.name, "%s", op)
	if op.Kind != check.Read && op.Outcome == check.Committed {
		c.run.committed = max(c.run.committed, op.Invoked)
	}
}

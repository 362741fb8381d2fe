package check

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
)

// parseKey reads the key of an entry.
func parseKey(key string) (epoch persistence.Epoch, position persistence.Position, ok bool) {
	_, err := fmt.Sscanf(key, logPrefix+"%d/%d", &epoch, &position)
	return epoch, position, err == nil && blob.Key(epoch, position) == key
}

// writers knows whose each epoch is.
type writers struct {
	scratch *memdriver.Bucket // holds one object at a time, to be decoded
	log     *blob.Log         // over scratch; nil before there is a cell
	of      map[persistence.Epoch]*landed
}

// landed is an entry that was seen.
type landed struct {
	*blob.Entry
	process string
}

func newWriters() *writers {
	return &writers{scratch: memdriver.New(), of: map[persistence.Epoch]*landed{}}
}

// land makes sure that an epoch's key space has one writer, for what is no part of the
// history too: put-if-absent protects nobody from a second one.
func (w *writers) land(ctx context.Context, l *Landing, v *violations) error {
	if l.Key == cellKey && l.Body != nil && w.log == nil {
		w.scratch.Put(l.Key, l.Body)
		log, err := blob.Open(ctx, bucket.New(w.scratch, "mem://scratch", "", bucket.Options{}), blob.Options{ReadOnly: true})
		w.log = log
		return err
	}
	if l.Body == nil || w.log == nil || !strings.HasPrefix(l.Key, logPrefix) {
		return nil
	}
	epoch, position, ok := parseKey(l.Key)
	if !ok {
		v.add("writer", l.At, "%s landed %s, which is no entry's key", l.Process, l.Key)
		return nil
	}
	w.scratch.Put(l.Key, l.Body)
	e, err := w.log.Read(ctx, blob.EntryKey{Epoch: epoch, Position: position})
	w.scratch.Remove(l.Key)
	if err != nil {
		v.add("writer", l.At, "%s landed %s: %v", l.Process, l.Key, err)
		return nil
	}
	if e.Kind == blob.KindSeal {
		return nil // which is the next leader's
	}
	first := w.of[epoch]
	if first == nil {
		w.of[epoch] = &landed{e, l.Process}
	} else if first.Writer != e.Writer {
		v.add("writer", l.At, "%s (writer %s) landed %s; %s (writer %s) has written in that epoch", l.Process, e.Writer, l.Key, first.process, first.Writer)
	}
	return nil
}

// checkReigns makes sure that an epoch has one leader, and that only a leader answers
// linearizable reads: none that another has followed who has answered some.
func checkReigns(h *History, v *violations) {
	of := map[persistence.Epoch]string{}
	for _, r := range h.Reigns {
		if other, ok := of[r.Epoch]; ok && other != r.Process {
			v.add("two leaders", r.From, "%s and %s lead in epoch %d", other, r.Process, r.Epoch)
		}
		of[r.Epoch] = r.Process
	}
	excused := excuses(h)
	type answer struct {
		*Op
		epoch persistence.Epoch
	}
	var answers []answer
	for i := range h.Ops {
		op := &h.Ops[i]
		if op.Kind != Read || op.outcome() != Committed {
			continue
		}
		r := reignOf(h, op)
		if r == nil {
			v.add("no leader", op.Returned, "%v was answered, but %s does not lead", op, op.Process)
			continue
		}
		answers = append(answers, answer{op, r.Epoch})
	}
	slices.SortStableFunc(answers, func(a, b answer) int { return cmp.Compare(a.Returned, b.Returned) })
	for _, late := range answers {
		for _, early := range answers {
			if early.Returned < late.Invoked && early.epoch > late.epoch && !excused(late.Op) {
				v.add("two leaders", late.Returned, "%v answered by the leader of epoch %d after %v, by that of epoch %d", late.Op, late.epoch, early.Op, early.epoch)
				break
			}
		}
	}
}

// reignOf is the reign in which an op was called, the newest of those that touch it.
func reignOf(h *History, op *Op) *Reign {
	var found *Reign
	for i := range h.Reigns {
		r := &h.Reigns[i]
		if r.Process == op.Process && r.From <= op.Returned && (r.To < 0 || r.To >= op.Invoked) && (found == nil || r.Epoch > found.Epoch) {
			found = r
		}
	}
	return found
}

// excuses tells of a read whether it may be stale: its leader's lease was broken, or
// lost, and it does not know yet. That may have been before its reign, which begins only
// once the log is sealed.
func excuses(h *History) func(*Op) bool {
	return func(op *Op) bool {
		r := reignOf(h, op)
		return slices.ContainsFunc(h.Breaks, func(b Break) bool {
			return r != nil && r.Epoch == b.Epoch && b.From <= op.Returned && op.Invoked <= b.To
		})
	}
}

// checkDurable makes sure that what was acknowledged was durable before, and not beyond
// the seal of its epoch.
func checkDurable(g *ghost, h *History, v *violations) {
	for i := range h.Ops {
		op := &h.Ops[i]
		if op.Kind == Read || op.outcome() != Committed {
			continue
		}
		if seal, sealed := g.sealOf(op.Commit.Epoch); sealed && op.Commit.Position >= seal {
			v.add("beyond the seal", op.Returned, "%v: epoch %d was sealed at position %d", op, op.Commit.Epoch, seal)
		}
		if n := op.Commit.Transaction; g.find(n) != nil && g.durableAt(n) > op.Returned {
			v.add("too early", op.Returned, "%v: it was not durable before %v", op, g.durableAt(n))
		}
	}
}

// checkShutOut makes sure that what clients were told is not committed never will be:
// neither is it in the history by a request of a try that was told so, nor does it lie
// where the history may go on.
func checkShutOut(g *ghost, all []*tried, damaged bool, v *violations) {
	if g.log == nil || damaged {
		return
	}
	refused := map[string]*tried{}
	for _, t := range all {
		for value := range values(t.wrote()) {
			if t.outcome == NotCommitted {
				refused[value] = t
			}
		}
		checkSender(g, t, v)
	}
	end := g.end()
	for key := range g.by {
		epoch, position, ok := parseKey(key)
		if !ok || epoch != end.Epoch || position < end.Next {
			continue
		}
		e, err := g.log.Read(context.Background(), blob.EntryKey{Epoch: epoch, Position: position})
		if err != nil || e.Writer != g.leader {
			continue // it does not fit, whatever comes before it
		}
		for _, record := range e.Records {
			t, err := readTransaction(record)
			if err != nil {
				continue
			}
			for value := range values(t.Wrote) {
				if refused := refused[value]; refused != nil {
					v.add("resurrected", refused.shown(), "%v, but it lies in %s, and the history may go on there", refused, key)
				}
			}
		}
	}
}

// checkSender makes sure that a transaction is in the history by the process of a try
// whose outcome allows it.
func checkSender(g *ghost, t *tried, v *violations) {
	for _, found := range g.having(t.wrote()) {
		sender := g.places[g.from[found.Transaction-1]].process
		if sender == "" || t.outcome == NotCommitted {
			continue // the first is unknown, the second told already
		}
		if !slices.ContainsFunc(t.ops, func(op *Op) bool {
			o := op.outcome()
			return op.Process == sender && (o == Committed || o == Unknown)
		}) {
			v.add("resurrected", t.shown(), "%v: transaction %d is by %s, where no try was committed or of unknown outcome", t, found.Transaction, sender)
		}
	}
}

// last is the time of a run's last event.
func (h *History) last() time.Duration {
	var last time.Duration
	if n := len(h.Landings); n > 0 {
		last = h.Landings[n-1].At
	}
	for i := range h.Ops {
		last = max(last, h.Ops[i].Invoked, h.Ops[i].Returned)
	}
	return last
}

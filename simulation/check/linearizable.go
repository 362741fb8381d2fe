package check

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// The clients' operations alone, with nothing known of the log: is there any order in
// which they can have happened one after another, each between its call and its answer?
// porcupine searches for one. A transaction may write several registers and a read sees
// all, so the state is that of all registers and the history is not partitioned.
//
// A transaction of unknown outcome may take effect at any time up to the end, or never.
// If nobody saw any of its values, it is left out: leaving it out is taking it for one
// that never took effect, and since nobody read what it wrote, nobody can miss it. If
// somebody did, it took effect before that one was answered. Both keep what is
// concurrent few, and neither changes the answer.

// step is what porcupine is given of one operation.
type step struct {
	kind  Kind
	wrote map[string]string
	// saw are what its tries read: one of them must be what was there.
	saw []map[string]string
	// never allows that it has no effect at all.
	never bool
	text  string
}

// registerState is a state of the model. It never changes.
type registerState struct {
	registers map[string]string
	text      string
}

func newRegisterState(registers map[string]string) registerState {
	return registerState{registers, registersText(registers)}
}

var seed = maphash.MakeSeed()

var model = porcupine.Model{
	Init: func() any { return newRegisterState(nil) },
	Step: func(state, input, _ any) (bool, any) {
		s, in := state.(registerState), input.(step)
		return in.take(s)
	},
	Equal:             func(a, b any) bool { return a.(registerState).text == b.(registerState).text },
	Hash:              func(s any) uint64 { return maphash.String(seed, s.(registerState).text) },
	DescribeOperation: func(input, _ any) string { return input.(step).text },
	DescribeState:     func(s any) string { return s.(registerState).text },
}

// take tells whether the operation can happen in a state, and what that becomes.
func (in step) take(s registerState) (bool, registerState) {
	if in.kind == Read {
		return maps.Equal(s.registers, in.saw[0]), s
	}
	if !slices.ContainsFunc(in.saw, func(saw map[string]string) bool {
		for register, value := range saw {
			if s.registers[register] != value {
				return false
			}
		}
		return true
	}) {
		return in.never, s // where it can't have happened, it did not
	}
	t := Transaction{Wrote: in.wrote, Restore: in.kind == Restore}
	return true, newRegisterState(t.after(s.registers))
}

// sights say of each value when an operation that saw it was answered first. One that is
// only in maybe was seen by a try of several, of which nobody knows which took effect.
type sights struct {
	by    map[string]time.Duration
	maybe map[string]bool
}

func (s *sights) see(registers map[string]string, at time.Duration) {
	for value := range values(registers) {
		if earlier, ok := s.by[value]; !ok || at < earlier {
			s.by[value] = at
		}
	}
}

// seeWork notes what the work of a transaction saw that took effect by a time.
func (s *sights) seeWork(t *tried, at time.Duration) {
	if len(t.ops) == 1 {
		s.see(t.ops[0].Saw, at)
		return
	}
	for _, op := range t.ops {
		maps.Copy(s.maybe, values(op.Saw))
	}
}

// of is when a transaction had taken effect for sure, as somebody saw it. It is forever
// if that may have been never, and false if nobody can have seen it.
func (s *sights) of(t *tried) (by time.Duration, ok bool) {
	by = forever
	for value := range values(t.wrote()) {
		if at, was := s.by[value]; was {
			by, ok = min(by, at), true
		}
		ok = ok || s.maybe[value]
	}
	return by, ok
}

const forever = time.Duration(math.MaxInt64)

// operations are what porcupine is given, by their calls.
func operations(h *History, all []*tried) []porcupine.Operation {
	excused := excuses(h)
	s := &sights{map[string]time.Duration{}, map[string]bool{}}
	var ops []porcupine.Operation
	clients := map[string]int{}
	add := func(op *Op, in step, end time.Duration) {
		if _, ok := clients[op.Client]; !ok {
			clients[op.Client] = len(clients)
		}
		ops = append(ops, porcupine.Operation{ClientId: clients[op.Client], Input: in, Call: int64(op.Invoked), Return: int64(end)})
	}
	for i := range h.Ops {
		if op := &h.Ops[i]; op.Kind == Read && op.outcome() == Committed && !excused(op) {
			s.see(op.Saw, op.Returned)
			add(op, step{kind: Read, saw: []map[string]string{op.Saw}, text: "read " + registersText(op.Saw)}, op.Returned)
		}
	}
	for _, t := range all {
		if t.committed != nil {
			s.seeWork(t, t.committed.Returned)
			add(t.ops[0], t.step(), t.committed.Returned)
		}
	}
	for _, t := range s.unknown(all) {
		by, _ := s.of(t)
		in := t.step()
		in.never = by == forever
		add(t.ops[0], in, by)
	}
	slices.SortStableFunc(ops, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	return ops
}

// unknown are the transactions of unknown outcome that somebody may have seen, also
// if that was another such only.
func (s *sights) unknown(all []*tried) []*tried {
	var found []*tried
	noted := map[*tried]time.Duration{}
	for more := true; more; {
		more = false
		for _, t := range all {
			by, ok := s.of(t)
			if earlier, was := noted[t]; t.outcome != Unknown || !ok || was && earlier <= by {
				continue
			} else if !was {
				found = append(found, t)
			}
			noted[t], more = by, true
			if by < forever {
				s.seeWork(t, by)
			} else { // it may have seen something, if it ever was
				for _, op := range t.ops {
					maps.Copy(s.maybe, values(op.Saw))
				}
			}
		}
	}
	return found
}

func (t *tried) step() step {
	in := step{kind: t.ops[0].Kind, wrote: t.wrote(), text: fmt.Sprintf("%s %s, %s", t.ops[0].Kind, registersText(t.wrote()), t.outcome)}
	for _, op := range t.ops {
		in.saw = append(in.saw, op.Saw)
	}
	return in
}

// linearizable asks porcupine.
func (r *Result) linearizable(h *History, all []*tried, o Options, v *violations) {
	if o.Patience <= 0 {
		o.Patience = 10 * time.Second
	}
	ops := operations(h, all)
	for _, op := range ops {
		if op.Return < op.Call { // seen before it was called; porcupine takes that for a mistake
			v.add("future", time.Duration(op.Return), "%s was seen before it was called, at %v", op.Input.(step).text, time.Duration(op.Call))
			return
		}
	}
	switch porcupine.CheckOperationsTimeout(model, ops, o.Patience) {
	case porcupine.Unknown:
		r.Undecided = true
	case porcupine.Illegal:
		text := "there is no order in which the clients' operations can have happened"
		if o.Folder != "" {
			path, err := draw(ops, o)
			if err != nil {
				text += fmt.Sprintf(" (they could not be drawn: %v)", err)
			} else {
				r.Drawing = path
				text += ": see " + path
			}
		}
		v.add("not linearizable", h.last(), "%s", text)
	}
}

// draw makes a page that shows the operations, and how far an order was found.
func draw(ops []porcupine.Operation, o Options) (path string, err error) {
	if err := os.MkdirAll(o.Folder, 0o755); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(o.Folder, "clients-*.html")
	if err != nil {
		return "", err
	}
	_, info := porcupine.CheckOperationsVerbose(model, ops, o.Patience)
	if err := porcupine.Visualize(model, info, f); err != nil {
		f.Close()
		return "", err
	}
	return filepath.Clean(f.Name()), f.Close()
}

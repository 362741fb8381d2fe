package check

import (
	"fmt"
	"testing"
	"time"
)

// asks checks ops by porcupine alone.
func asks(ops []Op, patience time.Duration) (*Result, violations) {
	var r Result
	var v violations
	r.linearizable(&History{Ops: ops}, gather(ops), Options{Patience: patience}, &v)
	return &r, v
}

func TestClientsAloneAreLinearizable(t *testing.T) {
	write := func(from, to int, o Outcome, registers string) Op {
		return Op{Client: fmt.Sprint(from), Invoked: time.Duration(from), Returned: time.Duration(to), Outcome: o, Wrote: wrote(registers)}
	}
	keyed := func(op Op, saw string) Op { op.Key, op.Saw = "k", wrote(saw); return op }
	read := func(from, to int, registers string) Op {
		return Op{Client: "r", Kind: Read, Invoked: time.Duration(from), Returned: time.Duration(to), Outcome: Committed, Saw: wrote(registers)}
	}
	for name, test := range map[string]struct {
		ops   []Op
		right bool
	}{
		"one after another":                {[]Op{write(1, 2, Committed, "a=1"), read(3, 4, "a=1")}, true},
		"answered, not seen":               {[]Op{write(1, 2, Committed, "a=1"), read(3, 4, "")}, false},
		"on its way, not seen":             {[]Op{write(1, 4, Committed, "a=1"), read(3, 5, "")}, true},
		"at the same instant":              {[]Op{write(1, 3, Committed, "a=1"), read(3, 4, "")}, true},
		"unknown, seen later":              {[]Op{write(1, 2, Unknown, "a=1"), read(3, 4, ""), read(5, 6, "a=1")}, true},
		"unknown, seen and gone":           {[]Op{write(1, 2, Unknown, "a=1"), read(3, 4, "a=1"), read(5, 6, "")}, false},
		"unknown, seen before its call":    {[]Op{write(5, 6, Unknown, "a=1"), read(3, 4, "a=1")}, false},
		"unknown, over a later one":        {[]Op{write(1, 2, Unknown, "a=1"), write(3, 4, Committed, "a=2"), read(5, 6, "a=1")}, true},
		"never answered, seen":             {[]Op{write(1, -1, Committed, "a=1"), read(3, 4, "a=1")}, true},
		"not committed, seen":              {[]Op{write(1, 2, NotCommitted, "a=1"), read(3, 4, "a=1")}, false},
		"deposed, seen":                    {[]Op{write(1, 2, Deposed, "a=1"), read(3, 4, "a=1")}, false},
		"half of a transaction":            {[]Op{write(1, 9, Committed, "a=1 b=1"), read(3, 4, "a=1")}, false},
		"two registers, two orders":        {[]Op{write(1, 9, Committed, "a=1"), write(2, 9, Committed, "b=2"), read(3, 4, "a=1"), read(3, 4, "b=2")}, false},
		"a restore unsets":                 {[]Op{write(1, 2, Committed, "a=1"), {Kind: Restore, Invoked: 3, Returned: 4, Outcome: Committed, Wrote: wrote("b=2")}, read(5, 6, "b=2")}, true},
		"a restore that leaves something":  {[]Op{write(1, 2, Committed, "a=1"), {Kind: Restore, Invoked: 3, Returned: 4, Outcome: Committed, Wrote: wrote("b=2")}, read(5, 6, "a=1 b=2")}, false},
		"a retry, once":                    {[]Op{keyed(write(1, 2, Unknown, "a=1"), ""), write(3, 4, Committed, "a=2"), keyed(write(5, 6, Committed, "a=1"), ""), read(7, 8, "a=1")}, true},
		"a retry that had its effect":      {[]Op{keyed(write(1, 2, Unknown, "a=1"), ""), write(3, 4, Committed, "a=2"), keyed(write(5, 6, Committed, "a=1"), ""), read(7, 8, "a=2")}, true},
		"a retry, twice":                   {[]Op{keyed(write(1, 2, Unknown, "a=1"), ""), read(3, 4, "a=1"), write(5, 6, Committed, "a=2"), keyed(write(7, 8, Committed, "a=1"), ""), read(9, 10, "a=1")}, false},
		"a work that saw what was not":     {[]Op{write(1, 2, Committed, "a=1"), {Invoked: 3, Returned: 4, Outcome: Committed, Saw: wrote("a=0"), Wrote: wrote("b=1")}}, false},
		"a work that saw what was unknown": {[]Op{write(1, 2, Unknown, "a=1"), {Invoked: 3, Returned: 4, Outcome: Committed, Saw: wrote("a=1"), Wrote: wrote("b=1")}, read(5, 6, "a=1 b=1")}, true},
		"a first try may have seen what was lost with it": {[]Op{write(1, 2, Unknown, "a=1"), keyed(write(1, 2, Unknown, "b=1"), "a=1"),
			keyed(write(3, 4, Committed, "b=1"), "a="), read(5, 6, "b=1")}, true},
		"what was lost had read what is no more": {[]Op{write(1, 2, Committed, "c=3"), {Invoked: 3, Returned: 4, Outcome: Unknown, Saw: wrote("c=3"), Wrote: wrote("a=1")},
			keyed(write(3, 4, Unknown, "b=2"), "a=1"), keyed(write(5, 6, Committed, "b=2"), "a="), write(7, 8, Committed, "c=4"), read(9, 10, "b=2 c=4")}, true},
		"what was unknown was seen by what was unknown": {[]Op{write(1, 2, Unknown, "a=1"),
			{Invoked: 1, Returned: 2, Outcome: Unknown, Saw: wrote("a=1"), Wrote: wrote("b=1")}, write(3, 4, Committed, "a=2"), read(5, 6, "a=2"), read(7, 8, "a=2 b=1")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			r, found := asks(test.ops, time.Minute)
			if (len(found) == 0) != test.right || r.Undecided {
				t.Errorf("found %v, undecided %v", found, r.Undecided)
			}
		})
	}
}

// A search that does not end in time is told, and is no answer.
func TestUndecidedIsToldAndNeverPassed(t *testing.T) {
	var ops []Op
	for i := range 40 {
		ops = append(ops, Op{Client: fmt.Sprint(i), Invoked: 1, Returned: 100, Outcome: Committed, Wrote: wrote(fmt.Sprintf("r%d=%d", i, i))})
	}
	ops = append(ops, Op{Client: "r", Kind: Read, Invoked: 200, Returned: 300, Outcome: Committed, Saw: wrote("r1=1")})
	r, found := asks(ops, time.Millisecond)
	if !r.Undecided || len(found) > 0 {
		t.Errorf("undecided %v, found %v", r.Undecided, found)
	}
	if v := r.verdict(); len(v) != 1 || v[0].Rule != "undecided" {
		t.Errorf("it is passed: %v", v)
	}
}

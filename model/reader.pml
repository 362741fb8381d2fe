#ifdef READER
/* ---- reads only; recovers, then follows, then recovers again -------------------------------- */
proctype Reader() {
	KEPT_LOCALS
	byte d, p, off, ev, a0;
START:
#ifdef KEEP
	atomic { lst = man };
LOADING:
#endif
	atomic { load(); a0 = ackN }
READ:
	atomic {
		if
		:: p >= P -> goto DONE
		:: else
		fi;
		if
		:: C(d,p) == 0 -> SAY(("process %d: log/%d/%d is absent\n", _pid, d, p)); goto ABSENT
		:: ISENT(C(d,p)) && off < NONE -> goto GONE
		:: ISENT(C(d,p)) && off == NONE && !HASSTATE(C(d,p)) ->
			SAY(("process %d: the state that log/%d/%d restores is gone\n", _pid, d, p));
#ifdef RESTORE_NO_LOOK
			REFUSE;
#endif
			goto GONE
		:: ISENT(C(d,p)) && off == NONE && HASSTATE(C(d,p)) ->
			SAY(("process %d: reads log/%d/%d, an entry\n", _pid, d, p));
			if :: C(d,p) != F[p] -> off = p :: else fi;
			DROPPED
			p++
		:: ISSEAL(C(d,p)) ->
			SAY(("process %d: reads log/%d/%d, a seal naming epoch %d\n", _pid, d, p, NEXT(C(d,p))));
			CROSSING
			if :: off == NONE && C(d,p) != F[p] -> off = p :: else fi;
			d = NEXT(C(d,p)); p++
		fi;
		goto READ
	}
ABSENT:
	if
	:: atomic {
#ifdef ATOMIC_LIST
		EVIDENCE;
		if
		:: ev == 1 -> ev = 0; goto AGAIN
		:: else
		fi;
#endif
#ifndef NO_SNAP_BEFORE
		PAGE_BY_PAGE
		if
		:: STALE(p) -> BEGIN_AGAIN(DONE)
		:: else
		fi;
#endif
		/* complete: exactly a prefix of the history, and all that was acknowledged when it began (P1 P2) */
		SAY(("reader: recovery complete, end is log/%d/%d\n", d, p));
		CHECK(2, off == NONE && p <= Flen);
		CHECK(1, p >= a0);
#ifdef READER_SNAPSHOTS
#ifdef KEEP
#error "a reader's snapshots are modelled with one that is kept"
#endif
		if
		:: p > snapN -> snapN = p; snapE = d; SAY(("reader: SNAPSHOT up to position %d\n", p-1))
		:: true
		fi;
#endif
		goto DONE
	   }
#if !defined(ATOMIC_LIST) && !defined(NO_END_CHECK)
	:: atomic {
		EVIDENCE;
		if :: ev == 1 -> ev = 0; goto AGAIN :: else -> goto ABSENT fi
	   }
#endif
	fi;
AGAIN:
#ifndef NO_REGET
	atomic { if :: C(d,p) != 0 -> goto READ :: else fi };
#endif
GONE:
	atomic {
		PAGE_BY_PAGE
		if
		:: STALE(p) -> BEGIN_AGAIN(DONE)
		:: else -> SAY(("process %d: REFUSES, log/%d/%d is missing\n", _pid, d, p)); REFUSE; goto DONE
		fi
	};
DONE:
	if
	:: atomic { a0 = ackN; goto READ }
	:: atomic { RESET; goto START }
	fi
}
#endif

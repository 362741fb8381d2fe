/*
 * Snapshots that go on from each other, those who collect them, and pins (docs/protocol.md §8), for spin 6.
 * The log is no more than a number here: how much of it is collected. log.pml has the rest.
 *
 * Nothing is trusted to hold off another process: two leaders make snapshots at once, and
 * every PUT of a manifest and every DELETE, once sent, may land at any later time, and again. So one collector
 * that goes on for ever does what any number of them do, one of which sleeps.
 *
 * Sizes: S snapshots by their positions, the first M of them by the leader before; K are kept
 * Rules   FLOOR (proposed): a collector says below which position it collects before it reads the pins again,
 *         and who pins reads that after the pin is there; it pins only what lasts
 * Mutations NO_LASTING, NO_SECOND_PINS, ORPHANS_ANYWHERE, MANIFEST_FIRST
 * Environment PINNER: somebody pins a snapshot
 */
#ifndef S
#define S 4
#endif
#ifndef M
#define M 2
#endif
#ifndef K
#define K 1
#endif

#define BIT(set,n) (((set)>>(n))&1)
#define LOW(n)     ((1<<(n))-1)

byte man, mput, landed;         /* manifests: there; whose PUT was sent; that have been there */
byte part;                      /* own parts that are there */
byte nm[5];                     /* the parts that a snapshot names */
byte t;                         /* scratch, 0 between steps */
byte dman, dpart;               /* DELETEs that were sent */
byte pins, told;                /* pins that are there; that somebody was told of */
byte floorN;                    /* FLOOR: the highest that a collector has said */
byte entN;                      /* the log's entries below are collected */
#define WHOLE(n) (BIT(man,n) && (nm[n] & ~part) == 0)

#ifdef TRACE
#define SAY(s)         printf s
#else
#define SAY(s)         skip
#endif
#define CHECK(n, cond) if :: !(cond) -> printf("*** property %d does not hold\n", n); assert(false) :: else fi

/* the k-th newest of a set, 0 if there are not so many */
inline newest(set, k, n) {
	d_step {
	n = S+1; t = k;
	do
	:: n > 0 && t > 0 -> n--; if :: n > 0 && BIT(set,n) -> t-- :: else fi
	:: else -> break
	od;
	t = 0
	}
}

/* 1 if all listed snapshots between n and a part's own folder name that part: no late DELETE takes it */
inline lasting(set, n, ok) {
	d_step {
	ok = 1; t = 1;
	do
	:: t < n ->              /* part or snapshot t: those that n names below t, t must name */
		if :: BIT(set,t) && (nm[n] & LOW(t) & ~nm[t]) != 0 -> ok = 0 :: else fi;
		t++
	:: else -> break
	od;
	t = 0
#ifdef NO_LASTING
	; ok = 1
#endif
	}
}


#define NETN(n) \
	:: atomic { BIT(mput,n) && !BIT(man,n) -> man = man | (1<<(n)); landed = landed | (1<<(n)); \
		SAY(("store: the manifest of snapshot %d is there\n", n)); \
		CHECK(8, (man >> ((n)+1)) != 0 || BIT(part,n) || BIT(dpart,n)) } \
	:: atomic { BIT(dman,n) && BIT(man,n) -> man = man & ~(1<<(n)); SAY(("store: a DELETE of the manifest of snapshot %d lands\n", n)) } \
	:: atomic { BIT(dpart,n) && BIT(part,n) -> part = part & ~(1<<(n)); SAY(("store: a DELETE of the parts of snapshot %d lands\n", n)) }

#define LOSTPIN(n) (BIT(told,n) && !WHOLE(n))

active proctype Net() {
endnet:
	do
	NETN(1) NETN(2) NETN(3) NETN(4)
	/* what is left of the log can be recovered from */
	:: atomic { entN > 0 && !(WHOLE(1) && entN <= 1 || WHOLE(2) && entN <= 2 || WHOLE(3) && entN <= 3 || WHOLE(4)) -> CHECK(1, false) }
	/* what somebody was told to be pinned is there */
	:: atomic { LOSTPIN(1) || LOSTPIN(2) || LOSTPIN(3) || LOSTPIN(4) -> CHECK(9, false) }
#ifdef GOAL
#if GOAL == 1                   /* the log is collected up to a snapshot that rests on parts of an older one */
	:: atomic { entN > 2 && BIT(nm[entN],1) && !BIT(man,1) && WHOLE(entN) -> CHECK(0, false) }
#endif
#if GOAL == 2                   /* an older snapshot is pinned, and collected around */
	:: atomic { BIT(told,1) && entN > 2 && WHOLE(1) && !BIT(man,2) && BIT(landed,2) -> CHECK(0, false) }
#endif
#endif
	od
}

/* a leader makes snapshots of later and later positions; base is the one in hand */
proctype Maker(byte n; byte upto) {
	byte base, top;
	atomic { newest(man, 1, base); top = 0 };
	do
	:: n <= upto ->
		atomic {
			newest(man, 1, top);       /* the LIST */
			if
			:: base > 0 && top == base ->
				nm[n] = nm[base] | (1<<n); SAY(("maker %d: snapshot %d goes on from %d\n", _pid, n, base))
			:: nm[n] = 1<<n; SAY(("maker %d: snapshot %d is full\n", _pid, n))
			fi;
			top = 0
		};
#ifdef MANIFEST_FIRST
		atomic { mput = mput | (1<<n) };
		atomic { part = part | (1<<n) };
#else
		atomic { part = part | (1<<n); mput = mput | (1<<n); SAY(("maker %d: its parts are there, it sends its manifest\n", _pid)) };
#endif
		if
		:: atomic { BIT(landed,n) -> base = n }
		:: true                            /* the answer does not come */
		fi;
		n++
	:: break
	od;
	atomic { base = 0; n = 0; upto = 0 }
}

proctype Collector() {
	byte lm, lp, lpart, old, top, ok, x;
PLAN:
#ifdef PINNER
	atomic { lp = pins };
#endif
	atomic {
		lm = man; lpart = part;
		newest(lm, 1, top); newest(lm, K, old);
		if
		:: old == 0 -> goto STOP
		:: else
		fi;
		lasting(lm, top, ok); if :: !ok -> goto STOP :: else fi;
		lasting(lm, old, ok); if :: !ok -> goto STOP :: else fi;
		ok = 0
	};
	atomic { if :: !WHOLE(top) || !WHOLE(old) -> goto STOP :: else fi; SAY(("collector %d: relies on snapshots %d to %d\n", _pid, old, top)) };
#ifdef FLOOR
	atomic { if :: floorN < old -> floorN = old :: else fi };
#endif
#if defined(PINNER) && !defined(NO_SECOND_PINS)
	atomic { if :: (pins & ~lp & LOW(old)) != 0 -> goto STOP :: else fi };
#endif
	atomic { lp = lp & LOW(old); dman = dman | (lm & LOW(old) & ~lp); SAY(("collector %d: sends DELETEs of the older manifests\n", _pid)) };
	atomic { (man & lm & LOW(old) & ~lp) == 0 };       /* deleted, and listed to be gone */
	atomic { if :: !BIT(man,top) || !WHOLE(old) -> goto STOP :: else fi };  /* and the log goes later */
	atomic { if :: entN < old -> entN = old; SAY(("collector %d: deletes the log below %d\n", _pid, old)) :: else fi };
	atomic { if :: !BIT(man,top) || !WHOLE(old) -> goto STOP :: else fi };
	atomic {                                           /* parts that no manifest which stays names */
		ok = 0; x = 1;
		do
		:: x <= S -> if :: BIT(lm,x) && (x >= old || BIT(lp,x)) -> ok = ok | nm[x] :: else fi; x++
		:: else -> break
		od;
#ifdef ORPHANS_ANYWHERE
		dpart = dpart | (lpart & ~ok);
#else
		dpart = dpart | (lpart & LOW(old) & ~ok);
#endif
		SAY(("collector %d: sends DELETEs of the parts that nobody names\n", _pid))
	};
STOP:
	atomic { lm = 0; lp = 0; lpart = 0; old = 0; top = 0; ok = 0; x = 0; if :: goto PLAN :: goto END fi };
END:
	skip
}

#ifdef PINNER
proctype Pinner() {
	byte n, ok;
	atomic {
		if
		:: BIT(man,1) -> n = 1
		:: BIT(man,2) -> n = 2
		:: BIT(man,3) -> n = 3
		:: BIT(man,4) -> n = 4
		fi;
		pins = pins | (1<<n); SAY(("pinner: the pin of snapshot %d is there\n", n))
	};
#ifdef FLOOR
	atomic { if :: n < floorN -> goto GONE :: else fi };
	atomic { lasting(man, n, ok); if :: !ok -> goto GONE :: else fi };
#endif
	atomic {                                           /* it is read back, whole */
		if
		:: WHOLE(n) -> told = told | (1<<n); SAY(("pinner: is told that snapshot %d is pinned\n", n)); goto END
		:: else
		fi
	};
GONE:
	atomic { pins = pins & ~(1<<n); SAY(("pinner: is told that snapshot %d is gone\n", n)) };
END:
	atomic { n = 0; ok = 0 }
}
#endif

init {
	atomic {
		run Maker(1, M);
		run Maker(M+1, S);
		run Collector();
#ifdef PINNER
		run Pinner();
#endif
	}
}

/* ---- reading: shared by recoverers and followers -------------------------------------------- */

/* newest snapshot (or none): where to go on */
#ifdef KEEP
#define KEPT_LOCALS short lst; byte bs; bit kb; PAGE_LOCALS RESTORE_LOCALS
#define KEPT_RESET  lst = 0; kb = 0; bs = 0
inline load() {                 /* lst: what the LIST showed; the newest of those that can be read */
	y = P;
	do
	:: y > 0 && !BIT(lst,y) -> y--
	:: else -> break
	od;
	lst = lst & ~(1<<y);
	if
	:: y > 0 && !WHOLE(y) ->
		SAY(("process %d: the snapshot up to %d can't be read\n", _pid, y-1));
		CHECK(8, y != snapN || y == bad);  /* the newest is whole, if no accident damaged it */
		if :: y == bad -> kb = 1 :: else fi;
		y = 0;
		goto LOADING
	:: else
	fi;
	p = y; off = NONE; lst = 0; y = 0;
	epoch_at(p, d);
	CHECK(2, p <= Flen);                       /* whoever begins from a snapshot has a prefix of the history */
	bs = p;                                    /* the snapshot in hand */
	LOADED
	SAY(("process %d: begins at log/%d/%d (snapshot: up to %d)\n", _pid, d, p, p-1))
}
#else
#define KEPT_LOCALS
#define KEPT_RESET skip
inline load() {
	p = snapN; d = snapE; off = NONE;
	SAY(("process %d: begins at log/%d/%d (newest snapshot: up to %d)\n", _pid, d, p, snapN-1));
#ifdef SNAPSHOT_UNACKED
	s0 = snapN;
	if
	:: snapN > 0 && !(snapN <= Flen && F[snapN-1] == snapT) -> off = 0
	:: else
	fi
#endif
}
#endif

/* §9.5: before a seal is crossed, its epoch is listed beyond it */
#ifdef CROSS
#ifdef ATOMIC_LIST
#define SHOWS_NOTHING else
#else
#define SHOWS_NOTHING true
#endif
#ifdef CROSS_NO_LOOK
#define CROSSED REFUSE;
#else
#define CROSSED
#endif
#define CROSSING \
	d_step { beyond_seal() }; \
	if \
	:: ev == 1 -> ev = 0; CROSSED goto GONE \
	:: SHOWS_NOTHING -> ev = 0 \
	fi;
#else
#define CROSSING
#endif

/* protocol §9.3: does anything after the absent (d,p) show that something must have been there? */
#ifdef NO_END_CHECK
#define EVIDENCE ev = 0
#else
#define EVIDENCE d_step { evidence() }
#endif
inline evidence() {
	ev = 0;
	x = p+1;
	do
	:: x < P ->
		if
		:: ISSEAL(C(d,x)) || (ISENT(C(d,x)) && (x >= p+W || CBIT(C(d,x)))) -> ev = 1
		:: else
		fi;
		x++
	:: else -> break
	od;
	x = (d+1)*P;
	do
	:: x < E*P ->
		if :: cell[x] != 0 -> ev = 1 :: else fi;
		x++
	:: else -> break
	od;
#ifdef LEASE_DURABLE
	if :: leaseN > p -> ev = 1 :: else fi;
#endif
	x = 0
}

/* §9.5: does anything in the epoch of the seal at (d,p) show that an entry must have been there? */
inline beyond_seal() {
	ev = 0;
	x = p+1;
	do
	:: x < P ->
		if
		:: ISSEAL(C(d,x)) || (ISENT(C(d,x)) && (x >= p+W || CBIT(C(d,x)))) -> ev = 1
		:: else
		fi;
		x++
	:: else -> break
	od;
	x = 0
}

/* the newest snapshot is not on the reader's own chain: it lies at or beyond the position that the
   reader is at, or its chain hash is not the reader's own at that position */
#ifdef SNAPSHOT_UNACKED
#define STALE(pos) (snapN > s0 && !(snapN <= (pos) && off >= snapN))
#define RESET d = 0; p = 0; off = 0; s0 = 0
#elif defined(NO_CHAIN_CHECK)
#define STALE(pos) (SHOWN > (pos))
#define RESET d = 0; p = 0; off = 0
#else
#define STALE(pos) (SHOWN > (pos) || off < SHOWN)
#define RESET d = 0; p = 0; off = 0
#endif

/* what the LIST of manifests shows as the newest: at once, or (PAGES, manifests.pml) as its pages tell */
#ifndef PAGES
#ifdef FALLBACK_FORGETS         /* mutation: who fell back to an older snapshot compares with that */
#define SHOWN ((kb && snapN == bad) -> bs : snapN)
#else
#define SHOWN snapN
#endif
#define PAGE_BY_PAGE
#endif

/* the look has found a newer snapshot off the reader's chain: it begins again from that */
#ifdef KEEP
#ifdef NO_SECOND_TRY            /* mutation: one that came late, and was not listed when the reader began, is not tried */
#define NONE_UNTRIED true
#else
#define NONE_UNTRIED ((man & ~(1<<bad)) >> (bs+1)) == 0
#endif
#define BEGIN_AGAIN(end) \
	if \
	:: kb && SHOWN == bad && NONE_UNTRIED -> SAY(("process %d: REFUSES, the newest snapshot is damaged and the log does not reach it\n", _pid)); \
		CHECK(5, KEEP == 1 || lost != 0); kb = 0; goto end \
	:: else -> SAY(("process %d: a newer snapshot; begins again\n", _pid)); RESET; goto START \
	fi
#else
#define BEGIN_AGAIN(end) SAY(("process %d: a newer snapshot; begins again\n", _pid)); RESET; goto START
#endif

/* nothing was damaged: refusing is wrong (P5) */
#define REFUSE CHECK(5, lost != 0)


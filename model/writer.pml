/* an answer for entry k of writer i: landed, or "exists", read and compared */
inline answer(k) {
	if
#if defined(EXISTS_MEANS_SUCCESS)
	:: true ->
#elif defined(EXISTS_MEANS_FAILURE)
	:: C(ep[i],base[i]+k) == MINE(i,k) ->          /* the reply to the first try came */
#else
	:: C(ep[i],base[i]+k) == MINE(i,k) ->
#endif
		okm[i] = okm[i] | (1<<k);
#ifdef ACK_OUT_OF_ORDER
		if :: k > nack[i] -> ack(i,k) :: else fi;
#endif
		do
		:: nack[i] < nsent[i] && ((okm[i]>>nack[i])&1) ->
			ack(i,nack[i]);
			okm[i] = okm[i] & ~(1<<nack[i]);
			nack[i]++
		:: else -> break
		od
#if defined(EXISTS_MEANS_FAILURE)
	:: true ->                                     /* it was lost; the second try says "exists" */
#elif defined(EXISTS_MEANS_SUCCESS)
#else
	:: else ->                                     /* the seal: deposed. What was bound from there on is not committed */
#endif
#ifndef EXISTS_MEANS_SUCCESS
		c = k;
		do
		:: c < nsent[i] -> claim_not_committed(i,c,base[i]+k); c++
		:: else -> break
		od;
		c = 0;
		goto DEAD
#endif
	fi
}
#define ANSWER(k) \
	:: atomic { k >= nack[i] && k < nsent[i] && !((okm[i]>>k)&1) && C(ep[i],base[i]+k) != 0 -> answer(k) }

/* ---- a writer: one incarnation, one epoch -------------------------------------------------- */
proctype Writer(byte i) {
	KEPT_LOCALS
	byte d, p, off, ev;
#ifdef SNAPSHOT_UNACKED
	byte s0;
#endif
#ifdef LEASE_LOSS
	atomic {                                   /* any epoch at all, even one that another has */
		if
		:: ep[i] = 1
#if MAXE > 1
		:: ep[i] = 2
#endif
#if MAXE > 2
		:: ep[i] = 3
#endif
		fi
	}
#endif
START:
#ifdef KEEP
	atomic { lst = man };
LOADING:
#endif
	atomic { load() }
READ:
	atomic {
		if
		:: p >= P -> goto DEAD             /* outside the model's bounds */
		:: else
		fi;
		if
		:: C(d,p) == 0 -> SAY(("process %d: log/%d/%d is absent\n", _pid, d, p));
#ifdef SEAL_AT_ONCE                                /* (to tell two holes apart: GET, LIST and PUT are one step) */
			EVIDENCE;
			if
			:: ev == 0 && d < ep[i] -> land(d, p, MYSEAL(i)); goto SEALSENT
			:: else -> ev = 0
			fi;
#endif
			goto ABSENT
		:: ISENT(C(d,p)) && off < NONE ->      /* what was read is off the history: the chain's hash does not fit */
			goto GONE
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
		:: ISSEAL(C(d,p)) && C(d,p) != MYSEAL(i) && NEXT(C(d,p)) >= ep[i] ->
#ifdef LEASE_LOSS
#ifdef EQUAL_EPOCH_GOES_ON
			if
			:: NEXT(C(d,p)) == ep[i] -> p++; goto LEADS
			:: else
			fi;
#endif
			/* rule 6.1: acquire again with a larger epoch (only while no seal was sent: else a new incarnation) */
			if
			:: NEXT(C(d,p)) < MAXE && NOSEALSENT(i) -> ep[i] = NEXT(C(d,p))+1
			:: else -> goto DEAD
			fi
#else
			goto DEAD                          /* deposed */
#endif
		:: ISSEAL(C(d,p)) && C(d,p) == MYSEAL(i) -> goto DEAD    /* an old request of mine landed below: open again */
		:: ISSEAL(C(d,p)) && NEXT(C(d,p)) < ep[i] ->
			SAY(("process %d: reads log/%d/%d, a seal naming epoch %d\n", _pid, d, p, NEXT(C(d,p))));
			CROSSING
			if :: off == NONE && C(d,p) != F[p] -> off = p :: else fi;
			d = NEXT(C(d,p)); p++
		fi;
		goto READ
	}
ABSENT:
	if
	:: atomic {                                /* the LIST shows nothing: p looks like the end */
#ifdef ATOMIC_LIST
		EVIDENCE;
		if
		:: ev == 1 -> ev = 0; goto AGAIN
		:: else
		fi;
#endif
#ifndef NO_SNAP_BEFORE
		PAGE_BY_PAGE
		if                                 /* A1: nothing newer covers what I read */
		:: STALE(p) -> BEGIN_AGAIN(DEAD)
		:: else
		fi;
#endif
		if
		:: d >= ep[i] ->
#ifdef LEASE_LOSS
			if
			:: d < MAXE && NOSEALSENT(i) -> ep[i] = d+1
			:: else -> goto DEAD
			fi
#else
			goto DEAD
#endif
		:: else
		fi;
		SAY(("writer %d (epoch %d): sends its seal for log/%d/%d\n", i, ep[i], d, p));
		SENDSEAL(i,d,p); goto SEALSENT
	   }
#if !defined(ATOMIC_LIST) && !defined(NO_END_CHECK)
	:: atomic {                                /* the LIST shows something later */
		EVIDENCE;
		if :: ev == 1 -> ev = 0; goto AGAIN :: else -> goto ABSENT fi
	   }
#endif
	fi;
AGAIN:                                             /* ask for p once more (A5) */
#ifndef NO_REGET
	atomic { if :: C(d,p) != 0 -> goto READ :: else fi };
#endif
GONE:
	atomic {                                   /* it is gone: covered by a newer snapshot, or damage */
		PAGE_BY_PAGE
		if
		:: STALE(p) -> BEGIN_AGAIN(DEAD)
		:: else -> SAY(("process %d: REFUSES, log/%d/%d is missing\n", _pid, d, p)); REFUSE; goto DEAD
		fi
	};
SEALSENT:
	if
#ifdef RERECOVER
	:: atomic { RESET; goto START }            /* unknown: recover once more, same epoch */
#endif
	:: atomic {                                /* success, or "exists" and read */
		C(d,p) != 0 ->
		if
		:: C(d,p) == MYSEAL(i) -> skip
#ifdef SEAL_WITHOUT_RECOVERY_REREAD
		:: C(d,p) != MYSEAL(i) && ISENT(C(d,p)) -> if :: off == NONE -> off = p :: else fi; p++;
			SAY(("writer %d (epoch %d): sends its seal for log/%d/%d without reading\n", i, ep[i], d, p));
			SENDSEAL(i,d,p); goto SEALSENT
		:: C(d,p) != MYSEAL(i) && ISSEAL(C(d,p)) -> goto READ
#else
		:: C(d,p) != MYSEAL(i) -> goto READ
#endif
		fi;
#ifdef CROSS_OWN
		if                                 /* §9.5 for one's own seal too: at once with A2, in any order */
		:: d_step { beyond_seal() }
		:: ev = 2
		fi;
#endif
#ifndef NO_SNAP_AFTER
		PAGE_BY_PAGE
		if                                 /* A2: once more, now that the seal is there */
		:: STALE(p) -> SAY(("writer %d (epoch %d): a newer snapshot; gives its epoch up\n", i, ep[i])); goto DEAD
		:: else
		fi;
#endif
#ifdef CROSS_OWN
		if
		:: ev == 2 -> d_step { beyond_seal() }
		:: else
		fi;
		if
		:: ev == 1 -> ev = 0; SAY(("writer %d (epoch %d): REFUSES, its seal log/%d/%d is in a lost entry's place\n", i, ep[i], d, p));
			REFUSE; goto DEAD
		:: else
		fi;
#endif
		/* recovery is complete: its state is exactly the history up to its own seal */
		SAY(("writer %d (epoch %d): LEADS, sealed log/%d/%d\n", i, ep[i], d, p));
		CHECK(2, off == NONE);
		CHECK(1, p < Flen && F[p] == MYSEAL(i))
	   }
	fi;
LEADS:
	atomic { base[i] = p+1; RESET }
	do
	:: atomic {                                /* a free slot: bind a position and send */
		nsent[i] < VMAX(i) && base[i]+nsent[i] < P &&
		(!RESTORES(i,nsent[i]) || nack[i] == nsent[i]) &&      /* a restore goes alone */
#ifdef SLOT_WINDOW
		nsent[i]-nack[i]-(okm[i]&1)-((okm[i]>>1)&1)-((okm[i]>>2)&1) < W
#else
		nsent[i]-nack[i] < W
#endif
		->
		if :: nack[i] == nsent[i] -> cbm[i] = cbm[i] | (1<<nsent[i]) :: else fi;
		SENDRESTORE
		SAY(("writer %d (epoch %d): sends value %d for position %d\n", i, ep[i], nsent[i], base[i]+nsent[i]));
		nsent[i]++
	   }
	ANSWER(0)
#if V0 > 1 || V1 > 1 || V2 > 1
	ANSWER(1)
#endif
#if V0 > 2 || V1 > 2
	ANSWER(2)
#endif
#ifdef LEASE_DURABLE
	:: atomic { RENEWS > leaseN -> leaseN = RENEWS; SAY(("writer %d (epoch %d): its lease says that %d positions are durable\n", i, ep[i], leaseN)) }
#endif
#ifdef KEEP
	:: atomic {                                /* parts, then the manifest's PUT */
		!BIT(mput,base[i]+nack[i]) && !(nack[i] > 0 && RESTORES(i,nack[i]-1)) ->
		y = base[i]+nack[i];
		SAY(("writer %d (epoch %d): has written the parts of a SNAPSHOT up to position %d, sends its manifest\n", i, ep[i], y-1));
		CHECK(2, y <= Flen && F[y-1] == (nack[i] == 0 -> MYSEAL(i) : MINE(i,nack[i]-1)));
		INCREMENTAL
		mput = mput | (1<<y); part = part | (1<<y);
		y = 0
	   }
#elif !defined(NO_GC)
	:: atomic {                                /* a snapshot of acknowledged state */
#ifdef SNAPSHOT_UNACKED
		base[i]+nsent[i] > snapN ->
		snapN = base[i]+nsent[i]; snapE = ep[i];
		SAY(("writer %d (epoch %d): SNAPSHOT up to position %d\n", i, ep[i], snapN-1));
		snapT = (nsent[i] == 0 -> MYSEAL(i) : MINE(i,nsent[i]-1))
#else
		base[i]+nack[i] > snapN ->
		snapN = base[i]+nack[i]; snapE = ep[i];
		SAY(("writer %d (epoch %d): SNAPSHOT up to position %d\n", i, ep[i], snapN-1));
		CHECK(2, snapN <= Flen && F[snapN-1] == (nack[i] == 0 -> MYSEAL(i) : MINE(i,nack[i]-1)))
#endif
	   }
#endif
#ifdef NEW_BYTES_SAME_POSITION
	:: atomic {                                /* outcome unknown: put the record into a bigger group at the same position */
		nack[i] < nsent[i] && !VAR(i,nack[i]) && !((okm[i]>>nack[i])&1) -> varm[i] = varm[i] | (1<<nack[i]);
		SAY(("writer %d: binds position %d to other bytes\n", i, base[i]+nack[i]))
	   }
#endif
	od;
DEAD:
	atomic { RESET; KEPT_RESET }
}


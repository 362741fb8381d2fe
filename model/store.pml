/* ---- objects: one byte each --------------------------------------------------------- */
#define ENT(w,k,v,b)  (64 | ((w)<<4) | ((v)<<3) | ((b)<<2) | (k))   /* writer, value, bytes' variant, committed */
#define SEAL(n,w)     (128 | ((n)<<3) | (w))                        /* next epoch, its writer */
#define ISENT(c)      (((c) & 192) == 64)
#define ISSEAL(c)     (((c) & 128) == 128)
#define BIT(set,n)    (((set)>>(n))&1)
#define CBIT(c)       (((c) >> 2) & 1)      /* 1: committed = position-1 ; 0: committed = position-2 */
#define EWRITER(c)    (((c) >> 4) & 3)
#define NEXT(c)       (((c) >> 3) & 7)
#define SWRITER(c)    ((c) & 7)

#define C(d,p)        cell[(d)*P+(p)]
byte cell[E*P];                 /* the bucket's log/ prefix; 0 = absent */
byte snapN, snapE;              /* newest snapshot: first position and epoch to go on from; 0,0 = none */
#ifdef LEASE_DURABLE
byte leaseN;                    /* as many positions does the lease say to be durable */
#endif
#ifdef RESTORE                  /* a set of writers: the last value of each is a restore entry */
byte rst;                       /* states of restores that are there: a set of writers */
#define RESTORES(i,k) (BIT(RESTORE,i) && (k) == VMAX(i)-1)
#define HASSTATE(c)   (!RESTORES(EWRITER(c),(c)&3) || BIT(rst,EWRITER(c)))
#else
#define RESTORES(i,k) false
#define HASSTATE(c)   true
#endif

/* ---- what the network may still do: requests never die ------------------------------- */
byte ep[N], base[N];            /* a writer's epoch, and first position once it leads */
byte nsent[N], nack[N];         /* values whose PUT was sent / acknowledged */
byte okm[N];                    /* known to have landed, not yet acknowledged */
byte cbm[N];                    /* committed bit bound into each entry's bytes */
#ifdef NEW_BYTES_SAME_POSITION
byte varm[N];                   /* mutation: position re-bound to other bytes */
#define VAR(i,k) ((varm[i]>>(k))&1)
#else
#define VAR(i,k) 0
#endif
short ss[N*E];                  /* seals sent: per writer and epoch, a set of positions */
#define SS(i,d) ss[(i)*E+(d)]
#if MAXE > 2
#define NOSEALSENT(i) (SS(i,0) == 0 && SS(i,1) == 0 && SS(i,2) == 0 && SS(i,3) == 0)
#elif MAXE > 1
#define NOSEALSENT(i) (SS(i,0) == 0 && SS(i,1) == 0 && SS(i,2) == 0)
#else
#define NOSEALSENT(i) (SS(i,0) == 0 && SS(i,1) == 0)
#endif
#define MINE(i,k)  ENT(i,k,VAR(i,k),(cbm[i]>>(k))&1)
#define MYSEAL(i)  SEAL(ep[i],i)
#define VMAX(i) ((i)==0 -> V0 : ((i)==1 -> V1 : ((i)==2 -> V2 : V3)))

/* ---- ghosts ---------------------------------------------------------------------------
 * F is the one history: from log/0/0 through the first object that ever landed at each key,
 * for as long as there is no gap. By construction it only grows. Everything that a recovery
 * or an acknowledgement relies on is compared with it.
 */
byte F[P];
byte Flen, Fep, Fwr;
byte Fs[E];                     /* where each epoch was sealed, + 1; 0 = not */
byte ackN;                      /* 1 + highest acknowledged position */
#ifdef DAMAGE
byte lost;                      /* 1 + position of the object that an accident deleted */
#else
#define lost 0
#endif
#ifdef SNAPSHOT_UNACKED
byte snapT;                     /* the last entry inside the snapshot */
#endif

#define NONE P                  /* reader: nothing read so far differs from F */

byte c, x, y;                   /* scratch, 0 between steps */

#ifdef TRACE                    /* counterexamples in words: spin -t -DTRACE ... */
#define SAY(s)           printf s
#else
#define SAY(s)           skip
#endif
#define CHECK(n, cond)   if :: !(cond) -> printf("*** property %d does not hold\n", n); assert(false) :: else fi

/* something landed at (D,PP), which was absent */
inline land(D, PP, what) {
	SAY(("store: log/%d/%d becomes ", D, PP));
	if
	:: ISSEAL(what) -> SAY(("the seal of writer %d that names epoch %d\n", SWRITER(what), NEXT(what)))
	:: else -> SAY(("writer %d's value %d (bytes %d)\n", EWRITER(what), (what)&3, ((what)>>3)&1))
	fi;
	C(D,PP) = what;
	if
	:: (D) == Fep && (PP) == Flen ->
		do
		:: Flen < P && C(Fep,Flen) != 0 ->
			c = C(Fep,Flen);
			F[Flen] = c;
			if
			:: ISSEAL(c) ->
				CHECK(2, NEXT(c) > Fep);             /* epochs only grow */
				Fs[Fep] = Flen+1;
#ifndef DELETE_SEALS
				x = 0;
				do
				:: x < N -> SS(x,Fep) = SS(x,Fep) & ~(1<<Flen); x++
				:: else -> break
				od;
#endif
				Fep = NEXT(c); Fwr = SWRITER(c)
			:: else ->
				CHECK(4, Fep > 0 && EWRITER(c) == Fwr);  /* only the named writer: what a seal shut out never comes back */
				x = 0;
				do                                   /* exactly once */
				:: x < Flen -> CHECK(1, F[x] != c); x++
				:: else -> break
				od
			fi;
			Flen++
		:: else -> break
		od
	:: else
	fi;
	c = 0; x = 0
}

/* entry k of writer i is acknowledged */
inline ack(i, k) {
	y = base[i]+(k);
	SAY(("writer %d (epoch %d): ACKNOWLEDGES value %d at position %d\n", i, ep[i], k, y));
	CHECK(6, Fs[ep[i]] == 0 || y < Fs[ep[i]]-1);
	CHECK(1, y < Flen);                                /* it and all before it are there, in order */
	CHECK(3, F[y] == MINE(i,k));
	if :: y+1 > ackN -> ackN = y+1 :: else fi;
	y = 0
}

/* writer i, which met a seal, tells a caller "deposed: not committed" for its entry k (P7) */
inline claim_not_committed(i, k, sealed) {
	y = base[i]+(k);
	if
	:: lost != 0                                       /* an object was lost: no promise about what is told */
#ifndef NO_CLAIM_CHECK
	:: snapN > sealed                                  /* A3: that key may have been collected: "unknown" */
#endif
	:: else -> SAY(("writer %d (epoch %d): says 'deposed (not committed)' for position %d\n", i, ep[i], y));
		CHECK(7, Fs[ep[i]] != 0 && Fs[ep[i]]-1 <= y)
	fi;
	y = 0
}

/* a seal is on its way. Where the history has a seal already (which nothing deletes) it can never land:
   not kept, to have fewer states */
inline sendseal(i, D, PP) {
	if
#ifndef DELETE_SEALS
	:: Fs[D] == (PP)+1 -> skip
#endif
	:: else -> SS(i,D) = SS(i,D) | (1<<(PP))
	fi
}
#define SENDSEAL(i,D,PP) sendseal(i,D,PP)


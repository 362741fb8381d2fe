/* ---- the network: delayed and repeated requests, the collector ------------------------- */
#define LANDENT(i,k) \
	:: atomic { (k) < nsent[i] && C(ep[i],base[i]+(k)) == 0 -> land(ep[i], base[i]+(k), MINE(i,k)) }
#ifdef NEW_BYTES_SAME_POSITION
#define LANDOLD(i,k) \
	:: atomic { (k) < nsent[i] && VAR(i,k) && C(ep[i],base[i]+(k)) == 0 -> land(ep[i], base[i]+(k), ENT(i,k,0,(cbm[i]>>(k))&1)) }
#else
#define LANDOLD(i,k)
#endif
#define LANDSEAL(i,D,PP) \
	:: atomic { ((SS(i,D)>>(PP))&1) && C(D,PP) == 0 -> land(D, PP, MYSEAL(i)) }

#ifdef KEEP
#define COVERED(PP) ((PP) < entN)       /* collector.pml */
#else
#define COVERED(PP) ((PP) < snapN)
#endif
/* collector: any leader, past or present, may delete, at any later time and unconditionally,
   what was garbage once: an object at or below a snapshot which is no seal of the history.
   (An orphan seal may be hit by a delete meant for the entry it replaced.) */
#ifdef DELETE_SEALS
#define GARBAGE(D,PP) (COVERED(PP) && C(D,PP) != 0)
#else
#define GARBAGE(D,PP) (COVERED(PP) && C(D,PP) != 0 && !(ISSEAL(C(D,PP)) && Fs[D] == (PP)+1))
#endif
#ifdef NO_GC
#define COLLECT(D,PP)
#else
#define COLLECT(D,PP) \
	:: atomic { GARBAGE(D,PP) -> C(D,PP) = 0; SAY(("collector: deletes log/%d/%d\n", D, PP)) }
#endif
#ifdef GC_BEYOND_SEAL   /* "objects beyond a seal", by whatever seal a LIST and GET show */
#define BEYOND(D,PP) \
	:: atomic { ISENT(C(D,PP)) && sealbelow(D,PP) -> C(D,PP) = 0; SAY(("collector: deletes log/%d/%d, 'beyond a seal'\n", D, PP)) }
#define sealbelow(D,PP) (ISSEAL(C(D,((PP)>0->(PP)-1:0))) || ISSEAL(C(D,((PP)>1->(PP)-2:0))) || ISSEAL(C(D,((PP)>2->(PP)-3:0))))
#else
#define BEYOND(D,PP)
#endif

#define EACH_P(M,A) M(A,1) M(A,2) M(A,3) M(A,4) M(A,5) EACH_P6(M,A) EACH_P7(M,A) EACH_P8(M,A) EACH_P9(M,A)
#if P > 6
#define EACH_P6(M,A) M(A,6)
#else
#define EACH_P6(M,A)
#endif
#if P > 7
#define EACH_P7(M,A) M(A,7)
#else
#define EACH_P7(M,A)
#endif
#if P > 8
#define EACH_P8(M,A) M(A,8)
#else
#define EACH_P8(M,A)
#endif
#if P > 9
#define EACH_P9(M,A) M(A,9)
#else
#define EACH_P9(M,A)
#endif
#define EACH_PS(I,D) \
	LANDSEAL(I,D,1) LANDSEAL(I,D,2) LANDSEAL(I,D,3) LANDSEAL(I,D,4) LANDSEAL(I,D,5) \
	EACH_PS6(I,D) EACH_PS7(I,D)
#if P > 6
#define EACH_PS6(I,D) LANDSEAL(I,D,6)
#else
#define EACH_PS6(I,D)
#endif
#if P > 7
#define EACH_PS7(I,D) LANDSEAL(I,D,7)
#else
#define EACH_PS7(I,D)
#endif

#ifdef HOLE_FILLED              /* a seal that was in flight may land where the accident made room */
#define NOT_FILLED(D,PP) skip
#else
#define NOT_FILLED(D,PP) \
	x = 0; \
	do \
	:: x < N -> SS(x,D) = SS(x,D) & ~(1<<(PP)); x++ \
	:: else -> break \
	od
#endif

#if N > 2
#define GOAL1 (nack[0] == V0 && nack[1] == V1 && nack[2] == V2)
#else
#define GOAL1 (nack[0] == V0 && nack[1] == V1)
#endif

active proctype Net() {
endnet:
	do
	LANDENT(0,0) LANDOLD(0,0)
#if V0 > 1
	LANDENT(0,1) LANDOLD(0,1)
#endif
#if V0 > 2
	LANDENT(0,2) LANDOLD(0,2)
#endif
	LANDSEAL(0,0,0)
#ifdef LEASE_LOSS
	EACH_PS(0,1)
#if MAXE > 2
	EACH_PS(0,2)
#endif
#endif
#if N > 1
	LANDENT(1,0) LANDOLD(1,0)
#if V1 > 1
	LANDENT(1,1) LANDOLD(1,1)
#endif
#if V1 > 2
	LANDENT(1,2) LANDOLD(1,2)
#endif
	LANDSEAL(1,0,0)
	EACH_PS(1,1)
#if defined(LEASE_LOSS) && MAXE > 2
	EACH_PS(1,2)
#endif
#endif
#if N > 2
#if V2 > 0
	LANDENT(2,0) LANDOLD(2,0)
#endif
#if V2 > 1
	LANDENT(2,1) LANDOLD(2,1)
#endif
	LANDSEAL(2,0,0)
	EACH_PS(2,1)
	EACH_PS(2,2)
#endif
#if N > 3
#if V3 > 0
	LANDENT(3,0) LANDOLD(3,0)
#endif
	LANDSEAL(3,0,0)
	EACH_PS(3,1)
	EACH_PS(3,2)
	EACH_PS(3,3)
#endif
	COLLECT(0,0)
	EACH_P(COLLECT,1) EACH_P(BEYOND,1)
#if MAXE > 1
	EACH_P(COLLECT,2) EACH_P(BEYOND,2)
#endif
#if MAXE > 2
	EACH_P(COLLECT,3) EACH_P(BEYOND,3)
#endif
#if MAXE > 3
	EACH_P(COLLECT,4)
#endif
#ifdef KEEP
	COLLECTOR
#endif
#ifdef LEASE_FORGETS            /* mutation: the lease object is deleted when it is released */
	:: atomic { leaseN > 0 -> leaseN = 0; SAY(("lease: deleted\n")) }
#endif
#ifdef GOAL                     /* not vacuous: these must be reachable */
#if GOAL == 1                   /* every writer led and had all its values acknowledged */
	:: atomic { GOAL1 -> CHECK(0, false) }
#endif
#if GOAL == 2                   /* epochs whose leader never wrote, sealed in their turn */
	:: atomic { Flen > 3 && ISSEAL(F[0]) && ISSEAL(F[1]) && ISSEAL(F[2]) && ISENT(F[3]) -> CHECK(0, false) }
#endif
#if GOAL == 3                   /* an orphan seal, and a leader that goes on all the same */
	:: atomic { Flen > 3 && ISENT(F[1]) && ISSEAL(C(1,1)) && ackN > 3 -> CHECK(0, false) }
#endif
#if GOAL == 4                   /* a deleted entry came back by an old request */
	:: atomic { snapN > 2 && C(1,1) == F[1] && C(1,2) == 0 && ISENT(F[2]) && ISENT(F[1]) && Fep == 2 -> CHECK(0, false) }
#endif
#if GOAL == 5                   /* a manifest is back that was collected, and its snapshot is no more */
	:: atomic { entN > 1 && BIT(man,1) && !BIT(part,1) -> CHECK(0, false) }
#endif
#if GOAL == 6                   /* the newest snapshot is damaged, the log is collected up to the other, and the next leader writes */
	:: atomic { bad > 0 && bad == snapN && entN > 1 && C(1,1) == 0 && Fs[1] != 0 && Fep == 2 && Flen > Fs[1] -> CHECK(0, false) }
#endif
#if GOAL == 7                   /* one restore, and another that undoes it, are acknowledged */
	:: atomic { nack[0] == 1 && nack[1] == 1 && RESTORES(0,0) && RESTORES(1,0) -> CHECK(0, false) }
#endif
#if GOAL == 8                   /* the state of a restore was collected after its entry */
	:: atomic { nack[0] == 1 && rst == 0 -> CHECK(0, false) }
#endif
#endif
#ifdef DAMAGE
	:: atomic { lost == 0 ->
		/* position x of the history: no snapshot covers it and something later shows that it was there */
		y = snapN; x = 0;
		c = snapE;
		do
		:: y < Flen ->
			if
			:: ISENT(F[y]) && C(c,y) != 0 && x == 0 &&
			   ( (Fs[c] > y+1 && C(c,Fs[c]-1) != 0)
			     || (y+1 < P && ISENT(C(c,y+1)) && CBIT(C(c,y+1)))
			     || (y+2 < P && ISENT(C(c,y+2)))
#ifdef LEASE_DURABLE
			     || leaseN > y
#endif
			   ) -> x = y+1; lost = x; C(c,y) = 0; NOT_FILLED(c,y); SAY(("ACCIDENT: log/%d/%d is gone\n", c, y)); break
			:: ISENT(F[y]) -> skip
			:: ISSEAL(F[y]) -> c = NEXT(F[y])
			fi;
			y++
		:: else -> break
		od;
		c = 0; x = 0; y = 0
	   }
#endif
	od
}


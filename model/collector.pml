/* ---- several snapshots, made in steps, and their collector (KEEP) ------------------------------
 * A snapshot is known by the position n to go on from; as the history has one prefix of that length,
 * two of the same n are equal. Its parts are there before its manifest is sent, and that PUT may land
 * at any later time, again too, also when the collector has been there.
 */
#ifdef KEEP
short man;                      /* manifests that are there: a set of n */
short mput;                     /* those whose PUT was sent */
short part;                     /* those whose parts are there */
byte bad;                       /* the one that an accident damaged; 0 = none */
byte keptN;                     /* a collector found this to be the oldest kept: manifests below it go */
byte entN;                      /* ... and then saw no manifest below it: entries, parts, states of restores go */
#define WHOLE(n) (BIT(man,n) && BIT(part,n) && (n) != bad)

/* the epoch to go on in, of a snapshot up to position n-1 */
inline epoch_at(n, e) {
	d_step {
	e = 0; x = 0;
	do
	:: x < (n) -> if :: ISSEAL(F[x]) -> e = NEXT(F[x]) :: else fi; x++
	:: else -> break
	od;
	x = 0
	}
}

#define LANDMAN(n) \
	:: atomic { BIT(mput,n) && !BIT(man,n) -> man = man | (1<<(n)); \
		SAY(("store: the manifest of the snapshot up to %d is there\n", (n)-1)); \
		if :: (n) > snapN -> snapN = (n); epoch_at(n, snapE) :: else fi }

/* a collector lists the manifests, and relies on the KEEP-th newest, which with the newest it reads back whole */
#define PLAN \
	:: atomic { snapN > keptN && WHOLE(snapN) -> \
		x = P+1; c = KEEP; \
		do \
		:: x > 0 && c > 0 -> x--; if :: BIT(man,x) -> c-- :: else fi \
		:: else -> break \
		od; \
		if \
		:: c == 0 && x > keptN && WHOLE(x) -> keptN = x; SAY(("collector: the oldest kept snapshot is that up to %d\n", x-1)) \
		:: else \
		fi; \
		x = 0; c = 0 }

#define DELMAN(n) \
	:: atomic { (n) < keptN && BIT(man,n) -> man = man & ~(1<<(n)); \
		SAY(("collector: deletes the manifest of the snapshot up to %d\n", (n)-1)) }

#ifdef MANIFESTS_LAST           /* in any order */
#define CLEARED true
#else
#define CLEARED (man & ((1<<keptN)-1)) == 0
#endif
#define LISTGONE \
	:: atomic { entN < keptN && CLEARED -> entN = keptN }

/* parts that no manifest names */
#ifdef ORPHANS_ANYWHERE         /* mutation: wherever they are */
#define NOPART(n) (!BIT(man,n) || (n) < entN)
#elif defined(ORPHANS_BELOW_NEWEST)
#define NOPART(n) (!BIT(man,n) && (n) < snapN || (n) < entN)
#else
#define NOPART(n) ((n) < entN)
#endif
#define DELPART(n) \
	:: atomic { BIT(part,n) && NOPART(n) -> part = part & ~(1<<(n)); \
		SAY(("collector: deletes the parts of the snapshot up to %d\n", (n)-1)) }

#ifdef SPOIL                    /* one snapshot is damaged by accident */
#define DAMAGED(n) \
	:: atomic { bad == 0 && BIT(man,n) -> bad = (n); SAY(("ACCIDENT: the snapshot up to %d is damaged\n", (n)-1)) }
#else
#define DAMAGED(n)
#endif

#define SNAPSHOT(n) LANDMAN(n) DELMAN(n) DELPART(n) DAMAGED(n)
#define SNAPSHOTS SNAPSHOT(1) SNAPSHOT(2) SNAPSHOT(3) SNAPSHOT(4) SNAPSHOT(5) SNAPSHOTS6 SNAPSHOTS7 SNAPSHOTS8
#if P > 5
#define SNAPSHOTS6 SNAPSHOT(6)
#else
#define SNAPSHOTS6
#endif
#if P > 6
#define SNAPSHOTS7 SNAPSHOT(7)
#else
#define SNAPSHOTS7
#endif
#if P > 7
#define SNAPSHOTS8 SNAPSHOT(8)
#else
#define SNAPSHOTS8
#endif

/* states of restores: once their entry is covered, and gone */
#ifdef RESTORE
#define AT(i)      (base[i]+VMAX(i)-1)
#if MAXE > 2
#define NOENTRY(q) (!ISENT(C(1,q)) && !ISENT(C(2,q)) && !ISENT(C(3,q)))
#else
#define NOENTRY(q) (!ISENT(C(1,q)) && !ISENT(C(2,q)))
#endif
#ifdef RESTORE_ORPHAN           /* mutation: one that no entry names, wherever it is */
#define NOSTATE(q) (NOENTRY(q))
#elif defined(RESTORE_FIRST)    /* before its entry */
#define NOSTATE(q) ((q) < keptN)
#else
#define NOSTATE(q) ((q) < entN && NOENTRY(q))
#endif
#define DELSTATE(i) \
	:: atomic { BIT(rst,i) && NOSTATE(AT(i)) -> rst = rst & ~(1<<(i)); \
		SAY(("collector: deletes the state of writer %d's restore\n", i)) }
#if N > 2
#define STATES DELSTATE(0) DELSTATE(1) DELSTATE(2)
#else
#define STATES DELSTATE(0) DELSTATE(1)
#endif
#else
#define STATES
#endif

#define COLLECTOR SNAPSHOTS PLAN LISTGONE STATES

/* ---- a LIST of manifests in two pages: what is made and deleted between them is seen as it comes ---- */
#ifdef PAGES
#define PAGE_LOCALS byte nw, pg;
#define SHOWN nw
#ifdef UNSORTED                 /* the page with the greater names first */
#define ONPAGE1(n) ((n) > pg)
#else
#define ONPAGE1(n) ((n) <= pg)
#endif
inline page1() {
	nw = 0;
	if
	:: pg = 1 :: pg = 2 :: pg = 3 :: pg = 4
#if P > 5
	:: pg = 5
#endif
	fi;
	d_step {
	y = P;
	do
	:: y > 0 && !(BIT(man,y) && ONPAGE1(y)) -> y--
	:: else -> break
	od;
	nw = y; y = 0
	}
}
inline page2() {
	d_step {
	y = P;
	do
	:: y > 0 && !(BIT(man,y) && !ONPAGE1(y)) -> y--
	:: else -> break
	od;
	if :: y > nw -> nw = y :: else fi;
	y = 0; pg = 0
	}
}
#define PAGE_BY_PAGE skip }; atomic { page1() }; atomic { page2();
#else
#define PAGE_LOCALS
#endif

/* ---- restores: what a process knows of them ---------------------------------------------------- */
#ifdef RESTORE
/* gr: one behind the last restore that was applied since the snapshot in hand */
#define RESTORE_LOCALS byte gr;
#define LOADED gr = 0;
#define DROPPED if :: RESTORES(EWRITER(C(d,p)),C(d,p)&3) -> gr = p+1; \
	SAY(("process %d: log/%d/%d is a restore, it drops its state and loads that one\n", _pid, d, p)) :: else fi;
#ifdef RESTORE_AS_SNAPSHOT      /* mutation: the state lies where recovery looks */
#define SENDRESTORE \
	if \
	:: RESTORES(i,nsent[i]) -> rst = rst | (1<<i); y = base[i]+nsent[i]+1; \
		man = man | (1<<y); mput = mput | (1<<y); part = part | (1<<y); \
		if :: y > snapN -> snapN = y; snapE = ep[i] :: else fi; y = 0 \
	:: else \
	fi;
#else
#define SENDRESTORE if :: RESTORES(i,nsent[i]) -> rst = rst | (1<<i) :: else fi;
#endif
/* an incremental snapshot from the one in hand: right only if no restore lies between the two */
#ifdef BASE_BEFORE_RESTORE
#define GOESON true
#else
#define GOESON (bs > 0 && bs >= gr)
#endif
#define INCREMENTAL \
	if \
	:: GOESON -> \
		x = bs; \
		do \
		:: x < y -> CHECK(2, !(ISENT(F[x]) && RESTORES(EWRITER(F[x]),F[x]&3))); x++ \
		:: else -> break \
		od; \
		x = 0 \
	:: true                 /* a full one */ \
	fi;
#else
#define RESTORE_LOCALS
#define LOADED
#define DROPPED
#define SENDRESTORE
#define INCREMENTAL
#endif
#else
#define DROPPED
#define SENDRESTORE
#endif

/* what a renewal of the lease says to be durable */
#ifdef LEASE_EARLY              /* mutation: what was sent */
#define RENEWS (base[i]+nsent[i])
#else
#define RENEWS (base[i]+nack[i])
#endif

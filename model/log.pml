/*
 * A single-writer transaction log on an object store: the protocol of docs/protocol.md, for spin 6.
 * README.md says what is modelled, and what was found.
 *
 *   store.pml      objects, the history that they make (a ghost), what is promised of it
 *   network.pml    requests that come late and again, the collector of one kept snapshot, accidents
 *   collector.pml  several snapshots, made and collected in steps; restores; LISTs in pages
 *   reading.pml    what recoverers and followers have in common
 *   writer.pml     a leader, from its recovery to its end
 *   reader.pml     a read-only recovery that goes on as a follower
 *
 * The protocol
 *   (none)          as it is
 *   AS_WRITTEN      as its first draft was: without the looks at the newest manifest
 *   CROSS           §9.5: what lies beyond a seal is listed before it is crossed;
 *   CROSS_OWN         and beyond one's own seal, before it is the end
 *   LEASE_DURABLE   §9.3: the lease says how much is durable
 *   KEEP=k          §8: k snapshots are kept, each made of parts and a manifest, in steps (default: the
 *                   newest one alone is there, and is made in one step)
 *   RESTORE=set     with KEEP: the last value of each writer of the set is a restore
 * Environment
 *   NO_GC           no garbage collection
 *   LEASE_LOSS      the lease object may vanish: epochs restart, may be handed out twice
 *   DAMAGE          one entry that recovery needs is deleted by accident (with ATOMIC_LIST);
 *   HOLE_FILLED       and a seal in flight may land in its place (a second fault)
 *   SPOIL           with KEEP: one snapshot is damaged by accident
 *   READER          adds a read-only recoverer that goes on as a follower;
 *   READER_SNAPSHOTS  and may make snapshots of what it recovered
 *   RERECOVER       a recoverer whose seal's outcome is unknown may recover again, same epoch
 *   ATOMIC_LIST     a LIST of the log is one atomic read (default: it may miss anything)
 *   PAGES           with KEEP: a LIST of manifests is two reads, sorted by name;
 *   UNSORTED          or not
 * Sizes: N writers, V0 V1 V2 V3 values each, W window, P positions, MAXE largest epoch
 * Every other flag is a mutation: check.sh and README.md name them.
 */

#ifndef N
#define N 2
#endif
#ifndef V0
#define V0 2
#endif
#ifndef V1
#define V1 2
#endif
#ifndef V2
#define V2 1
#endif
#ifndef V3
#define V3 0
#endif
#ifndef W
#define W 2
#endif
#ifndef P
#define P 7
#endif
#ifndef MAXE
#define MAXE N
#endif
#define E (MAXE+1)

#ifdef AS_WRITTEN
#define NO_SNAP_BEFORE
#define NO_SNAP_AFTER
#define NO_CLAIM_CHECK
#endif

#include "store.pml"
#include "collector.pml"
#include "network.pml"
#include "reading.pml"
#include "writer.pml"
#include "reader.pml"

init {
	atomic {
		x = 0;
		do
		:: x < N -> ep[x] = x+1; x++
		:: else -> break
		od;
		x = 0;
		Fwr = 7;
		run Writer(0);
#if N > 1
		run Writer(1);
#endif
#if N > 2
		run Writer(2);
#endif
#if N > 3
		run Writer(3);
#endif
#ifdef READER
		run Reader();
#endif
	}
}

// Package garbage removes from a cell what recovery, and a window of time before now,
// need no more (protocol §8): old snapshots, the log's entries that a kept snapshot
// covers, the states of restores, and parts that no manifest names.
//
// One snapshot decides: the oldest that is kept. All that is at its position or after
// stays; what is before it goes, by position alone. Seals stay for ever, whatever their
// position: a writer that sleeps through all of this, and wakes with a PUT in its hand,
// must meet the seal of its epoch. So an entry goes only once it is known to be no seal.
//
//	snapshots   ○      ○      ◆ oldest kept       ○        ○ newest
//	log         ···|··········│··|·······················|············ (| are seals)
//	            ◄── garbage ──┘  seals stay
//
// Nothing goes before it is proved that what stays suffices, and the proof is made again
// before each batch. The order makes it safe to be cut off anywhere: the manifests of
// old snapshots go before anything that they need, the state of a restore after the
// entry that names it. The next run finds the rest by itself; nothing is remembered
// between two.
package garbage

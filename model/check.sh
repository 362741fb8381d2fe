#!/bin/bash
# Runs the model checker over log.pml with what it includes, and over garbage.pml. Needs spin (6.5) and gcc.
#   ./check.sh            the quick set: every proof that takes seconds, every mutation and hole
#   ./check.sh full       the large proofs too (some minutes, up to 3 GB)
#   ./check.sh tools      only makes sure that they are there
#   ./check.sh one NAME   one line of the tables below, with its counterexample in words
#   TRACES=FILE ./check.sh …   also writes all counterexamples to FILE
#   ROWS=FILE ./check.sh …     also writes the lines to FILE, with tabs between the columns
# A line passes when the checker says what the line expects; the exit status is 1 if any does not.
set -u
mode=${1:-quick}; only=${2:-}
for tool in spin gcc; do
	command -v "$tool" >/dev/null || { echo "the model checker needs $tool; install the package of that name (Debian: apt-get install spin gcc)" >&2; exit 1; }
done
here=$(cd "$(dirname "$0")" && pwd)
case $mode in
tools) exit 0 ;;
quick | full | one) ;;
*) echo "usage: $0 [quick | full | one NAME | tools]" >&2; exit 1 ;;
esac
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
bad=0 ran=0 file=log.pml
[ -n "${TRACES:-}" ] && : >"$TRACES"
[ -n "${ROWS:-}" ] && : >"$ROWS"

row() {
	printf '%-24s %-8s %-8s %12s %8s  %s\n' "$@"
	[ -z "${ROWS:-}" ] || (IFS=$'\t'; echo "$*") >>"$ROWS"
}

# process numbers to names: 2 is writer 0, …; after the last writer comes the reader
names() {
	local n; n=$(printf '%s\n' "$@" | sed -n 's/^-DN=//p')
	awk -v n="$n" '/^process [0-9]+/ { i = $2 - 2; sub(/^process [0-9]+:?/, i < n ? "writer " i ":" : "reader:") } { print }'
}

# run NAME holds|fails FLAGS…
run() {
	local name=$1 expect=$2; shift 2
	[ -n "$only" ] && [ "$only" != "$name" ] && return
	local d=$work/$name opt="-O2 -DCOLLAPSE" got states secs
	[ "$expect" = fails ] && opt="-O1 -DBFS"   # the shortest counterexample
	ran=1
	mkdir "$d" && cd "$d" && cp "$here"/*.pml . || exit 1
	spin -DTRACE "$@" -a "$file" >spin.out 2>&1 || { cat spin.out; exit 1; }
	# shellcheck disable=SC2086 # several options
	gcc -w $opt -DSAFETY -DVECTORSZ=2048 -DMEMLIM=3072 -o pan pan.c || exit 1
	nice -n 15 ./pan -E -m2000000 -Q30 >pan.out 2>&1
	states=$(awk '/states, stored/{print $1}' pan.out)
	secs=$(awk '/elapsed time/{print $4}' pan.out)
	if grep -qE 'limit|exceeded|too small|max search depth|out of memory' pan.out; then got=unsure
	elif grep -q 'errors: 0' pan.out; then got=holds
	elif [ -f "$file.trail" ]; then got=fails
	else got=unsure; fi
	local what=
	if [ $got = fails ]; then
		spin -DTRACE "$@" -t "$file" 2>&1 |
			grep -E '^ *(process|writer|reader|store|collector|lease|maker|pinner|ACCIDENT|\*\*\*)' |
			sed 's/^ *//; s/becomes  */becomes /' | names "$@" >words
		what=$(sed -n 's/^\*\*\* //p' words)
		[ -n "${TRACES:-}" ] && { echo "== $name: $*"; cat words; echo; } >>"$TRACES"
		[ -n "$only" ] && cat words
	fi
	[ $got = "$expect" ] || { bad=1; what="NOT AS EXPECTED ($expect) $what"; }
	row "$name" "$expect" "$got" "${states:--}" "${secs:--}" "$* ${what:+[$what]}"
	cd "$here" && rm -r "$d"
}
full() { [ "$mode" = quick ] || run "$@"; }
garbage() { file=garbage.pml; run "$@"; file=log.pml; }
garbage_full() { [ "$mode" = quick ] || garbage "$@"; }

row name expected result states seconds 'flags [property]'

# -- the protocol, with the newest snapshot kept: no violation
run  two-writers    holds -DN=2 -DV0=2 -DV1=2 -DP=7 -DRERECOVER
run  window-3       holds -DN=2 -DV0=3 -DV1=3 -DP=9 -DW=3 -DRERECOVER
run  reader         holds -DN=2 -DV0=2 -DV1=2 -DP=7 -DREADER -DRERECOVER
run  reader-snapshots holds -DN=2 -DV0=2 -DV1=2 -DP=7 -DREADER -DREADER_SNAPSHOTS -DRERECOVER
run  three-writers  holds -DN=3 -DV0=2 -DV1=1 -DV2=1 -DP=8 -DRERECOVER
run  four-writers   holds -DN=4 -DV0=1 -DV1=1 -DV2=0 -DV3=0 -DP=7
run  lease-lost     holds -DN=3 -DV0=1 -DV1=1 -DV2=1 -DP=7 -DMAXE=3 -DLEASE_LOSS
run  lease-lost-2   holds -DN=2 -DV0=2 -DV1=2 -DP=7 -DMAXE=3 -DLEASE_LOSS -DRERECOVER
run  damage         holds -DN=2 -DV0=3 -DV1=1 -DP=7 -DDAMAGE -DATOMIC_LIST
full three-writers-2  holds -DN=3 -DV0=2 -DV1=2 -DV2=1 -DP=9 -DRERECOVER
full three-and-reader holds -DN=3 -DV0=2 -DV1=1 -DV2=0 -DP=7 -DREADER
full lease-and-reader holds -DN=2 -DV0=2 -DV1=2 -DP=7 -DMAXE=3 -DLEASE_LOSS -DREADER -DRERECOVER
full damage-3         holds -DN=3 -DV0=3 -DV1=1 -DV2=0 -DP=8 -DDAMAGE -DATOMIC_LIST
full damage-reader    holds -DN=2 -DV0=3 -DV1=1 -DP=7 -DDAMAGE -DATOMIC_LIST -DREADER

# -- the first draft of the protocol, without a collector: the core is right
run  core           holds -DAS_WRITTEN -DNO_GC -DN=3 -DV0=2 -DV1=2 -DV2=1 -DP=9 -DRERECOVER
run  core-reader    holds -DAS_WRITTEN -DNO_GC -DN=3 -DV0=2 -DV1=2 -DV2=0 -DP=8 -DREADER
run  core-lease     holds -DAS_WRITTEN -DNO_GC -DN=3 -DV0=1 -DV1=1 -DV2=1 -DP=7 -DMAXE=3 -DLEASE_LOSS -DRERECOVER
run  core-damage    holds -DAS_WRITTEN -DNO_GC -DN=3 -DV0=3 -DV1=1 -DV2=1 -DP=9 -DDAMAGE -DATOMIC_LIST

# -- the first draft, with one: holes
run  H1-slow-standby   fails -DNO_SNAP_BEFORE -DNO_SNAP_AFTER -DSEAL_AT_ONCE -DN=2 -DV0=1 -DV1=0 -DP=5
run  H1-slow-reader    fails -DNO_SNAP_BEFORE -DN=2 -DV0=2 -DV1=0 -DP=5 -DREADER
run  H1-refuses        fails -DNO_SNAP_BEFORE -DN=3 -DV0=1 -DV1=0 -DV2=0 -DP=5
run  H1-chain          fails -DNO_CHAIN_CHECK -DN=3 -DV0=1 -DV1=0 -DV2=0 -DP=6
run  H2-late-seal      fails -DNO_SNAP_AFTER -DN=2 -DV0=1 -DV1=0 -DP=5
run  H3-false-answer   fails -DNO_CLAIM_CHECK -DN=3 -DV0=1 -DV1=0 -DV2=0 -DP=5
run  H4-slot-window    fails -DSLOT_WINDOW -DN=2 -DV0=3 -DV1=0 -DP=6
run  H5-no-second-look fails -DNO_REGET -DN=2 -DV0=2 -DV1=1 -DP=6
run  H6-beyond-a-seal  fails -DGC_BEYOND_SEAL -DN=2 -DV0=2 -DV1=0 -DP=6
run  H7-equal-epoch    fails -DEQUAL_EPOCH_GOES_ON -DLEASE_LOSS -DMAXE=2 -DN=2 -DV0=1 -DV1=1 -DP=5
run  M-no-list-beyond   fails -DDAMAGE -DHOLE_FILLED -DATOMIC_LIST -DN=2 -DV0=2 -DV1=0 -DP=6

# -- mutations: the checker has teeth
run  M-delete-seals     fails -DDELETE_SEALS -DN=2 -DV0=1 -DV1=0 -DP=5
run  M-ack-order        fails -DACK_OUT_OF_ORDER -DN=2 -DV0=2 -DV1=0 -DP=6
run  M-no-end-check     fails -DNO_END_CHECK -DDAMAGE -DATOMIC_LIST -DN=2 -DV0=2 -DV1=0 -DP=6
run  M-exists-success   fails -DEXISTS_MEANS_SUCCESS -DN=2 -DV0=1 -DV1=0 -DP=5
run  M-exists-failure   fails -DEXISTS_MEANS_FAILURE -DN=2 -DV0=1 -DV1=0 -DP=5
run  M-snapshot-unacked fails -DSNAPSHOT_UNACKED -DN=2 -DV0=1 -DV1=0 -DP=5
run  M-new-bytes        fails -DNEW_BYTES_SAME_POSITION -DN=2 -DV0=1 -DV1=0 -DP=5
run  M-no-reread        fails -DSEAL_WITHOUT_RECOVERY_REREAD -DN=2 -DV0=1 -DV1=0 -DP=5

# -- §9.5: what lies beyond a seal is listed before it is crossed; §9.3: what the lease says to be durable
run  beyond-seals   holds -DCROSS -DCROSS_OWN -DN=2 -DV0=2 -DV1=1 -DP=7 -DREADER
run  two-faults     holds -DCROSS -DCROSS_OWN -DDAMAGE -DHOLE_FILLED -DATOMIC_LIST -DN=2 -DV0=2 -DV1=1 -DP=6
run  M-own-seal-not-crossed fails -DCROSS -DDAMAGE -DHOLE_FILLED -DATOMIC_LIST -DN=2 -DV0=2 -DV1=0 -DP=6
run  M-crossing-no-look fails -DCROSS -DCROSS_NO_LOOK -DN=3 -DV0=2 -DV1=0 -DV2=0 -DP=6
run  lease-says     holds -DLEASE_DURABLE -DN=2 -DV0=2 -DV1=2 -DP=7 -DRERECOVER
run  lease-damage   holds -DLEASE_DURABLE -DDAMAGE -DATOMIC_LIST -DN=2 -DV0=2 -DV1=1 -DP=6
run  M-lease-deleted  fails -DLEASE_DURABLE -DLEASE_FORGETS -DDAMAGE -DATOMIC_LIST -DN=2 -DV0=1 -DV1=0 -DP=5
run  M-lease-early    fails -DLEASE_DURABLE -DLEASE_EARLY -DN=2 -DV0=1 -DV1=0 -DP=5

# -- §8: several snapshots, made of parts and a manifest that may come late, collected in steps
run  kept           holds -DKEEP=2 -DN=2 -DV0=2 -DV1=2 -DP=7
run  kept-reader    holds -DKEEP=2 -DN=2 -DV0=2 -DV1=0 -DP=6 -DREADER
run  kept-spoiled   holds -DKEEP=2 -DSPOIL -DN=2 -DV0=2 -DV1=1 -DP=6
run  kept-in-pages  holds -DKEEP=1 -DPAGES -DN=2 -DV0=2 -DV1=1 -DP=6
run  manifests-last holds -DKEEP=2 -DMANIFESTS_LAST -DSPOIL -DN=2 -DV0=2 -DV1=1 -DP=6
run  orphans-below-newest holds -DKEEP=2 -DORPHANS_BELOW_NEWEST -DSPOIL -DN=2 -DV0=2 -DV1=1 -DP=6
run  M-orphans-anywhere fails -DKEEP=1 -DORPHANS_ANYWHERE -DN=2 -DV0=1 -DV1=0 -DP=5
run  M-no-second-try fails -DKEEP=2 -DSPOIL -DNO_SECOND_TRY -DN=2 -DV0=2 -DV1=0 -DP=6
run  M-fallback-forgets fails -DKEEP=1 -DSPOIL -DFALLBACK_FORGETS -DN=2 -DV0=1 -DV1=0 -DP=5
run  limit-unsorted-pages fails -DKEEP=1 -DPAGES -DUNSORTED -DN=2 -DV0=2 -DV1=0 -DP=6

# -- §8: restores
run  restore        holds -DKEEP=1 -DRESTORE=1 -DN=2 -DV0=2 -DV1=1 -DP=6
run  restore-undone holds -DKEEP=1 -DRESTORE=3 -DN=2 -DV0=2 -DV1=1 -DP=7
run  restore-reader holds -DKEEP=1 -DRESTORE=1 -DREADER -DN=2 -DV0=2 -DV1=0 -DP=6
run  restore-state-first holds -DKEEP=1 -DRESTORE=1 -DRESTORE_FIRST -DN=2 -DV0=2 -DV1=1 -DP=6
run  M-restore-orphan fails -DKEEP=1 -DRESTORE=1 -DRESTORE_ORPHAN -DN=2 -DV0=1 -DV1=0 -DP=6
run  M-restore-no-look fails -DKEEP=1 -DRESTORE=1 -DRESTORE_NO_LOOK -DREADER -DN=2 -DV0=1 -DV1=0 -DP=6
run  M-restore-as-snapshot fails -DKEEP=1 -DRESTORE=1 -DRESTORE_AS_SNAPSHOT -DN=2 -DV0=1 -DV1=0 -DP=6
run  M-base-before-restore fails -DKEEP=1 -DRESTORE=1 -DBASE_BEFORE_RESTORE -DN=2 -DV0=1 -DV1=0 -DP=6

# -- §8: snapshots that go on from each other, two leaders' at once, late DELETEs, pins (garbage.pml)
garbage shared-parts      holds -DS=3 -DM=1
garbage shared-parts-late holds -DS=3 -DM=2
garbage shared-parts-two  holds -DS=3 -DM=1 -DK=2
garbage goal-shared-parts fails -DGOAL=1 -DS=3 -DM=1
garbage goal-pinned       fails -DGOAL=2 -DS=3 -DM=1 -DPINNER -DFLOOR
garbage M-no-lasting      fails -DS=3 -DNO_LASTING
garbage M-no-second-pins  fails -DS=3 -DM=1 -DPINNER -DFLOOR -DNO_SECOND_PINS
garbage M-parts-anywhere  fails -DS=2 -DM=1 -DORPHANS_ANYWHERE
garbage M-manifest-first  fails -DS=2 -DM=1 -DMANIFEST_FIRST
garbage limit-late-pin    fails -DS=3 -DM=1 -DPINNER
garbage_full proposed-floor    holds -DS=3 -DM=1 -DPINNER -DFLOOR

# -- not vacuous: each of these must be reachable ("property 0" is the goal)
run  goal-all-acked     fails -DGOAL=1 -DN=3 -DV0=2 -DV1=1 -DV2=1 -DP=8
run  goal-empty-epochs  fails -DGOAL=2 -DN=3 -DV0=0 -DV1=0 -DV2=1 -DP=5
run  goal-orphan-seal   fails -DGOAL=3 -DN=2 -DV0=2 -DV1=1 -DP=7
run  goal-orphan-entry  fails -DGOAL=4 -DN=2 -DV0=2 -DV1=1 -DP=7
run  goal-late-manifest fails -DGOAL=5 -DKEEP=1 -DN=2 -DV0=1 -DV1=0 -DP=5
run  goal-fallback      fails -DGOAL=6 -DKEEP=2 -DSPOIL -DN=2 -DV0=2 -DV1=1 -DP=6
run  goal-restore       fails -DGOAL=7 -DKEEP=1 -DRESTORE=3 -DN=2 -DV0=1 -DV1=1 -DP=6
run  goal-state-gone    fails -DGOAL=8 -DKEEP=1 -DRESTORE=1 -DN=2 -DV0=1 -DV1=0 -DP=6

[ $ran = 1 ] || { echo "no line has the name $only" >&2; exit 1; }
exit $bad

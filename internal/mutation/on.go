//go:build mutations

package mutation

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
)

// Variable names the environment variable that switches mutations on from the start; it
// has their names with commas between them.
const Variable = "SCHEDULER_STORE_MUTATION"

// All are the mutations.
var All = []Name{
	NoLook, NoLookAtTheEnd, NoLookAfterTheSeal, PositionFitsTheChain, NoSecondGet, EqualEpochGoesOn, NoEndCheck, SealMetIsNotRead, NoListBeyondSeals,
	NothingCoversDeposed, WindowOfSlots, LandingAcknowledges, ExistsIsSuccess, ExistsIsFailure, NewBytes,
	SnapshotOfTheUnacknowledged, SealsAreCollected, BeyondASealIsGarbage, ManifestBeforeParts, PartsOfTheFuture, EntriesBeforeManifests,
	ReleaseDeletes, LeaseByTheWallClock, LeaseWithoutDeadline,
}

// on are the mutations that are switched on.
var on = fromEnvironment()

func fromEnvironment() *atomic.Pointer[[]Name] {
	p := new(atomic.Pointer[[]Name])
	names := []Name{}
	for text := range strings.SplitSeq(os.Getenv(Variable), ",") {
		if name := Name(text); slices.Contains(All, name) {
			names = append(names, name)
		} else if name != "" {
			panic(fmt.Sprintf("%s has %q, which is none of %q", Variable, name, All))
		}
	}
	p.Store(&names)
	return p
}

// On tells whether a rule is broken.
func On(name Name) bool { return slices.Contains(*on.Load(), name) }

// Set breaks these rules, and no others, in the whole process from now on.
func Set(names ...Name) { on.Store(&names) }

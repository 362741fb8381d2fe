//go:build mutations

package mutation

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestAllHasEachOnce(t *testing.T) {
	want, got := names(t), slices.Clone(All)
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) || len(slices.Compact(got)) != len(All) {
		t.Errorf("All is\n%q, the constants are\n%q", got, want)
	}
}

func TestSet(t *testing.T) {
	t.Cleanup(func() { Set() })
	Set(NoLook, ExistsIsSuccess)
	if !On(NoLook) || !On(ExistsIsSuccess) || On(ExistsIsFailure) {
		t.Errorf("%v", *on.Load())
	}
	Set()
	if On(NoLook) {
		t.Errorf("%v", *on.Load())
	}
}

// The same, so that TestProductionHasNoMutations is known to find them.
func TestMutantsHaveMutations(t *testing.T) {
	program := command(t, "-tags", "mutations")
	for _, name := range append(names(t), Variable) {
		if !bytes.Contains(program, []byte(name)) {
			t.Errorf("the command has no mutation %s", name)
		}
	}
	for _, name := range helpers(t) {
		if !bytes.Contains(program, []byte("."+name+"\x00")) {
			t.Errorf("the command has no function %s", name)
		}
	}
}

// caughtBy are tests that fail because a rule is broken, one for each.
var caughtBy = []struct {
	mutation      Name
	folder, tests string
}{
	{NoLook, "persistence/blob", "TestSlowStandbyFindsTheSnapshotThatCoversItsEnd"},
	{NoLookAtTheEnd, "persistence/blob", "TestIdleFollowerFindsThatItsEndWasCollected"},
	{NoLookAfterTheSeal, "persistence/blob", "TestSealOnACollectedKeyIsVoid"},
	{PositionFitsTheChain, "persistence/blob", "TestFalseBranchIsLeft"},
	{NoSecondGet, "persistence/blob", "TestEntriesThatComeWhileTheEndIsChecked"},
	{EqualEpochGoesOn, "persistence/blob", "TestEpochThatTheLogHasPassedCantLead"},
	{NoEndCheck, "persistence/blob", "TestMissingEntryIsNeverTakenForTheEnd"},
	{SealMetIsNotRead, "persistence/blob", "TestEntryThatTheSealMeetsIsKept"},
	{NoListBeyondSeals, "persistence/blob", "TestSealInALostEntrysPlaceIsDamage"},
	{NothingCoversDeposed, "persistence/blob", "TestNothingIsClaimedOfWhatASnapshotCovers"},
	{WindowOfSlots, "persistence/blob", "TestWindowIsOfPositions"},
	{LandingAcknowledges, "persistence/blob", "TestAcknowledgedInOrder"},
	{ExistsIsSuccess, "persistence/blob", "TestOutcomes"},
	{ExistsIsFailure, "persistence/blob", "TestLostReplyIsASuccess"},
	{NewBytes, "persistence/blob", "TestOutcomes"},
	{SealsAreCollected, "garbage", "TestSealsStay"},
	{BeyondASealIsGarbage, "garbage", "TestEntriesBeyondALateSealStay"},
	{ManifestBeforeParts, "snapshot", "TestManifestIsMadeLast"},
	{PartsOfTheFuture, "garbage", "TestPartsWithoutAManifest"},
	{EntriesBeforeManifests, "garbage", "TestManifestsGoFirst"},
	{ReleaseDeletes, "lease", "TestRelease"},
	{LeaseByTheWallClock, "lease", "TestWallClocksThatJump"},
	{LeaseWithoutDeadline, "lease", "TestNotHeldRightAfterAPause"},
	{SnapshotOfTheUnacknowledged, ".", "TestSnapshotIsOfWhatIsAcknowledged"},
}

// Each mutation breaks its rule: a test of that rule fails with it, and not without.
func TestUnitTestsFindEach(t *testing.T) {
	programs := map[string]string{}
	program := func(folder string) string {
		if programs[folder] == "" {
			programs[folder] = filepath.Join(t.TempDir(), "tests")
			build := exec.Command("go", "test", "-c", "-tags", "mutations", "-o", programs[folder], "./"+folder)
			build.Dir = module
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		}
		return programs[folder]
	}
	tried := map[Name]bool{}
	for _, c := range caughtBy {
		tried[c.mutation] = true
		t.Run(string(c.mutation), func(t *testing.T) {
			run := func(mutation Name) (string, error) {
				// A rule that is broken may leave a test waiting for ever.
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				test := exec.CommandContext(ctx, program(c.folder), "-test.run", "^"+c.tests+"$", "-test.v")
				test.Dir, test.Env = filepath.Join(module, c.folder), append(os.Environ(), Variable+"="+string(mutation))
				out, err := test.CombinedOutput()
				return string(out), err
			}
			if out, err := run(""); err != nil || !bytes.Contains([]byte(out), []byte("--- PASS: "+c.tests)) {
				t.Fatalf("without it: %v\n%s", err, out)
			}
			if out, err := run(c.mutation); err == nil || !bytes.Contains([]byte(out), []byte("=== RUN   "+c.tests)) {
				t.Errorf("%s does not find it: %v\n%s", c.tests, err, out)
			}
		})
	}
	for _, name := range All {
		if !tried[name] {
			t.Errorf("no test is known that finds %s", name)
		}
	}
}

const patience = 2 * time.Minute

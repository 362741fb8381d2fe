package persistence

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
)

func TestNumbersPrintAsNumbers(t *testing.T) {
	if got := fmt.Sprint(Position(math.MaxUint64), Epoch(7), TransactionNumber(0)); got != "18446744073709551615 7 0" {
		t.Error(got)
	}
	if got, want := fmt.Sprint(Point{Epoch: 2, Next: 10, Transaction: 41, Hash: Hash{1}}), "epoch 2 position 10 transaction 41"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestWriterIDsComeBackAsTheyWere(t *testing.T) {
	id := WriterID{0xab, 1, 15: 0xff}
	const text = "ab0100000000000000000000000000ff"
	if id.String() != text {
		t.Errorf("prints as %s, want %s", id, text)
	}
	var again WriterID
	if err := again.UnmarshalText([]byte(text)); err != nil || again != id {
		t.Errorf("came back as %s, %v", again, err)
	}
	if one, two := NewWriterID(), NewWriterID(); one == two {
		t.Error("two writers have one id")
	}
}

func TestHashesComeBackAsTheyWere(t *testing.T) {
	hash := Hash{0xab, 1, 31: 0xff}
	if want := "ab01" + strings.Repeat("00", 29) + "ff"; hash.String() != want {
		t.Errorf("prints as %s, want %s", hash, want)
	}
	var again Hash
	if err := again.UnmarshalText([]byte(hash.String())); err != nil || again != hash {
		t.Errorf("came back as %s, %v", again, err)
	}
}

func TestWhatIsNoIDIsRefused(t *testing.T) {
	for _, text := range []string{"", "ab", strings.Repeat("0", 31), strings.Repeat("0", 33), strings.Repeat("0", 63),
		strings.Repeat("0", 65), strings.Repeat("0", 31) + "g", strings.Repeat("0", 63) + "g", strings.Repeat(" ", 32)} {
		if err := new(WriterID).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was taken for a writer's id", text)
		}
		if err := new(Hash).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was taken for a hash", text)
		}
	}
}

// Points stand in manifests, so their form must stay.
func TestPointsComeBackAsTheyWere(t *testing.T) {
	at := Point{Epoch: 2, Next: math.MaxUint64, Transaction: 41, Hash: Hash{0xab}}
	const text = `{"epoch":2,"next":18446744073709551615,"transaction":41,"hash":"ab00000000000000000000000000000000000000000000000000000000000000"}`
	got, err := json.Marshal(at)
	if err != nil || string(got) != text {
		t.Errorf("%s, %v; want %s", got, err, text)
	}
	var again Point
	if err := json.Unmarshal(got, &again); err != nil || again != at {
		t.Errorf("came back as %v, %v", again, err)
	}
}

// A caller asks with errors.Is which of the outcomes it has; deposed is a kind of
// not committed, and nothing is both that and unknown.
func TestOutcomesAreToldApart(t *testing.T) {
	for _, c := range []struct {
		err                            error
		notCommitted, deposed, unknown bool
	}{
		{ErrNotCommitted, true, false, false},
		{ErrDeposed, true, true, false},
		{ErrUnknown, false, false, true},
	} {
		err := fmt.Errorf("write: %w", c.err)
		if errors.Is(err, ErrNotCommitted) != c.notCommitted || errors.Is(err, ErrDeposed) != c.deposed || errors.Is(err, ErrUnknown) != c.unknown {
			t.Errorf("%v is taken for another", err)
		}
	}
}

func TestRecordsOfABatchAreNumberedFromItsFirst(t *testing.T) {
	b := Batch{First: 41, Position: 7, Epoch: 3}
	if got, want := b.Commit(2), (Commit{Transaction: 43, Position: 7, Epoch: 3}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

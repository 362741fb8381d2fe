package snapshot

import (
	"errors"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/internal/checked"
)

// What a pin that can't be read keeps is not known, so all who ask for the pins are
// refused, and the object is named.
func TestPinsInDoubtAreNamed(t *testing.T) {
	mem := memdriver.New()
	b := bucket.New(mem, "mem://test", "", bucket.Options{})
	pin := func(p Pin) []byte {
		p.Format = max(p.Format, pinFormat)
		object, err := checked.Encode(&p)
		if err != nil {
			t.Fatal(err)
		}
		return object
	}
	if err := WritePin(t.Context(), b, Pin{Name: "good", Reason: "because"}); err != nil {
		t.Fatal(err)
	}
	for what, bad := range map[string]struct {
		key  string
		data []byte
		want error
		text string
	}{
		"no pin":                {"pin/notes.txt", []byte("x"), ErrDamaged, "remove it"},
		"in a folder":           {"pin/a/b.json", []byte("x"), ErrDamaged, "remove it"},
		"no JSON":               {"pin/bad.json", []byte("x"), ErrDamaged, "pin/bad.json"},
		"another's name":        {"pin/bad.json", pin(Pin{Name: "good"}), ErrDamaged, `"good"`},
		"keeps what is no name": {"pin/bad.json", pin(Pin{Name: "bad", Snapshot: "latest"}), ErrDamaged, "latest"},
		"of a newer version":    {"pin/bad.json", pin(Pin{Name: "bad", Format: pinFormat + 1}), checked.ErrNewerFormat, "pin/bad.json"},
	} {
		mem.Put(bad.key, bad.data)
		_, err := Pins(t.Context(), b)
		if !errors.Is(err, bad.want) || !strings.Contains(err.Error(), bad.key) || !strings.Contains(err.Error(), bad.text) {
			t.Errorf("%s: %v, want %v that names %s and says %q", what, err, bad.want, bad.key, bad.text)
		}
		if bad.want == checked.ErrNewerFormat && errors.Is(err, ErrDamaged) {
			t.Errorf("%s: called damaged", what)
		}
		mem.Remove(bad.key)
	}
	pins, err := Pins(t.Context(), b)
	if err != nil || len(pins) != 1 || pins[0].Name != "good" {
		t.Fatal(pins, err)
	}
	// One that goes between the listing and its reading keeps nothing.
	mem.Inject(memdriver.Fault{Operation: memdriver.Get, Times: 1, Do: memdriver.Before(func(key string) { mem.Remove(key) })})
	if pins, err := Pins(t.Context(), b); err != nil || len(pins) != 0 {
		t.Errorf("%v, %v", pins, err)
	}
	for range 2 {
		if err := RemovePin(t.Context(), b, "good"); err != nil {
			t.Error(err)
		}
	}
	if err := WritePin(t.Context(), b, Pin{Name: "bad", Snapshot: "latest"}); err == nil || len(mem.Keys()) != 0 {
		t.Errorf("a pin of what is no snapshot was made: %v, %v", err, mem.Keys())
	}
}

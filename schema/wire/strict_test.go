package wire

import "testing"

// Only a strict reader takes an unknown enum number for a fault, and it keeps the first fault.
func TestUnknownEnumNumber(t *testing.T) {
	lenient := NewReader(nil)
	lenient.UnknownEnum("Mode", 7)
	if err := lenient.Err(); err != nil {
		t.Error(err)
	}
	strict := NewStrictReader(nil)
	strict.UnknownEnum("Mode", 7)
	strict.UnknownEnum("Mode", 8)
	if err := strict.Err(); err == nil || err.Error() != "at byte 0: unknown Mode 7" {
		t.Error(err)
	}
}

package thriftjson

import (
	"encoding/hex"
	"testing"
)

func TestToBinary(t *testing.T) {
	tests := []struct{ json, want string }{
		{`{}`, "00"},
		{`{"3": {"tf": 1}, "2": {"i16": -2}, "1": {"i8": 1}}`, "03000101" + "060002fffe" + "02000301" + "00"},
		{`{"1": {"i64": 9007199254740993}}`, "0a0001002000000000000100"},
		{`{"1": {"dbl": 2.0}, "2": {"dbl": "NaN"}}`, "0400014000000000000000" + "0400027ff8000000000001" + "00"},
		{`{"1": {"map": ["i32", "str", 2, {"2": "b", "1": "a"}]}}`, "0d0001080b00000002" + "00000001" + "0000000161" + "00000002" + "0000000162" + "00"},
		{`{"1": {"lst": ["set", 1, ["i32", 2, 1, 2]]}}`, "0f00010e00000001" + "0800000002" + "0000000100000002" + "00"},
	}
	for _, tt := range tests {
		got, err := ToBinary([]byte(tt.json))
		if err != nil || hex.EncodeToString(got) != tt.want {
			t.Errorf("%s: %x, want %s (%v)", tt.json, got, tt.want, err)
		}
	}
}

func TestToBinaryRefuses(t *testing.T) {
	for _, text := range []string{
		``, `[]`, `{"x": {"tf": 1}}`, `{"1": {}}`, `{"1": {"tf": 1, "i32": 2}}`, `{"1": {"what": 1}}`, `{"1": {"i32": "x"}}`,
		`{"1": {"str": 1}}`, `{"1": {"set": ["str", 2, "a"]}}`, `{"1": {"map": ["str", "str", 2, {"a": "b"}]}}`, `{"1": {"lst": ["what", 1, 1]}}`,
	} {
		if got, err := ToBinary([]byte(text)); err == nil {
			t.Errorf("%s: %x, want an error", text, got)
		}
	}
}

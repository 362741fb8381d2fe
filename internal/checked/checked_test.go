package checked_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/internal/checked"
)

type part struct {
	Key  string `json:"key"`
	Size int64  `json:"size"`
}

type sample struct {
	Format int            `json:"format"`
	Name   string         `json:"name"`
	Big    uint64         `json:"big"`
	Time   time.Time      `json:"time"`
	Parts  []part         `json:"parts"`
	Counts map[string]int `json:"counts"`
	Note   string         `json:"note,omitzero"`
}

func newSample() sample {
	return sample{
		Format: 3, Name: "a <b> & \"c\" é\u2028", Big: 1<<64 - 1,
		Time:   time.Date(2026, 2, 3, 4, 5, 6, 7_000_000, time.UTC),
		Parts:  []part{{"x", 1}, {"y", 2}},
		Counts: map[string]int{"b": 2, "a": 1, "c": 3},
	}
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	data, err := checked.Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// resum gives changed text the checksum that it should have.
func resum(body string) []byte {
	return fmt.Appendf(nil, "%s,\n  \"sha256\": \"%x\"\n}\n",
		strings.TrimSuffix(body, "\n}\n"), sha256.Sum256([]byte(body)))
}

func bodyOf(data []byte) string {
	body, _, _ := strings.Cut(string(data), ",\n  \"sha256\"")
	return body + "\n}\n"
}

func TestRoundTrip(t *testing.T) {
	for _, want := range []sample{newSample(), {Format: 3}, {Format: 3, Note: "n"}} {
		data := encode(t, want)
		for range 20 { // map order must not show
			if !bytes.Equal(encode(t, &want), data) {
				t.Fatal("two ways to write one value")
			}
		}
		var got sample
		if err := checked.Decode(data, 3, &got); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(encode(t, got), data) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	}
}

func TestForm(t *testing.T) {
	got := string(encode(t, struct {
		Format int   `json:"format"`
		List   []int `json:"list"`
	}{1, []int{1, 2}}))
	const want = `{
  "format": 1,
  "list": [
    1,
    2
  ],
  "sha256": "60ba4759254094a6f2ec8f41f7fa5d5abeb9537f37a031c3962ea1bc23eafa88"
}
`
	if got != want {
		t.Fatalf("got %s", got)
	}
	if !bytes.Equal(resum(bodyOf([]byte(got))), []byte(got)) {
		t.Fatal("the tests count the sum in another way")
	}
}

func TestEveryFlippedBitIsFound(t *testing.T) {
	data := encode(t, newSample())
	for i := range data {
		for bit := range 8 {
			wrong := bytes.Clone(data)
			wrong[i] ^= 1 << bit
			var got sample
			if err := checked.Decode(wrong, 3, &got); err == nil {
				t.Errorf("bit %d of byte %d (%q, now %q) was not found", bit, i, data[i], wrong[i])
			}
			if !reflect.DeepEqual(got, sample{}) {
				t.Errorf("bit %d of byte %d: the value was touched", bit, i)
			}
		}
	}
}

func TestEveryCutAndExtensionIsFound(t *testing.T) {
	data := encode(t, newSample())
	var got sample
	for i := range data {
		if err := checked.Decode(data[:i], 3, &got); !errors.Is(err, checked.ErrDamaged) {
			t.Errorf("the first %d bytes alone: %v", i, err)
		}
	}
	for _, more := range []string{"\n", " ", "x", "\x00", string(data)} {
		if err := checked.Decode(append(bytes.Clone(data), more...), 3, &got); !errors.Is(err, checked.ErrDamaged) {
			t.Errorf("%.5q at the end: %v", more, err)
		}
	}
}

// The checksum is right in all of these.
func TestOtherFormsAreRefused(t *testing.T) {
	body := bodyOf(encode(t, newSample()))
	for what, change := range map[string][2]string{
		"unknown member": {`"big"`, `"more": 1, "big"`},
		"spaces":         {`"big": `, `"big":  `},
		"twice the same": {`  "big"`, "  \"name\": \"x\",\n  \"big\""},
		"missing member": {"  \"big\": 18446744073709551615,\n", ""},
		"other number":   {"18446744073709551615", "1e2"},
		"too large":      {"18446744073709551615", "18446744073709551616"},
		"order in map":   {"\"a\": 1,\n    \"b\": 2", "\"b\": 2,\n    \"a\": 1"},
		"other spelling": {"<b>", `\u003cb>`},
		"case of a name": {`"name"`, `"Name"`},
		"null":           {"18446744073709551615", "null"},
	} {
		changed := strings.Replace(body, change[0], change[1], 1)
		if changed == body {
			t.Fatalf("%s: nothing to change", what)
		}
		var got sample
		if err := checked.Decode(resum(changed), 3, &got); !errors.Is(err, checked.ErrDamaged) {
			t.Errorf("%s: %v", what, err)
		}
	}
	swapped := strings.Replace(body, `"format": 3`, `"name": "x"`, 1)
	var got sample
	if err := checked.Decode(resum(swapped), 3, &got); !errors.Is(err, checked.ErrDamaged) {
		t.Errorf("format not first: %v", err)
	}
}

func TestNewerFormatComesFirst(t *testing.T) {
	for _, newer := range []string{
		string(encode(t, struct {
			Format  int `json:"format"`
			Unknown int `json:"unknown"`
		}{4, 1})),
		`{"format":4,"no":"checksum"}`,
		`{"format": 4, cut`,
	} {
		var got sample
		err := checked.Decode([]byte(newer), 3, &got)
		if !errors.Is(err, checked.ErrNewerFormat) || errors.Is(err, checked.ErrDamaged) {
			t.Errorf("%s: %v", newer, err)
			continue
		}
		if s := err.Error(); !strings.Contains(s, "format 4") || !strings.Contains(s, "knows 3") {
			t.Errorf("both numbers are not in: %s", s)
		}
	}
	older := newSample()
	older.Format = 2
	var got sample
	if err := checked.Decode(encode(t, older), 3, &got); err == nil || errors.Is(err, checked.ErrNewerFormat) {
		t.Errorf("older format: %v", err)
	}
}

func TestWhatCantBeWrittenIsRefused(t *testing.T) {
	for _, v := range []any{
		1, nil, struct{}{}, sample{}, sample{Format: -1}, sample{Format: 1, Name: "\xff"},
		struct {
			Name   string `json:"name"`
			Format int    `json:"format"`
		}{"x", 1},
		struct {
			Format string `json:"format"`
		}{"1"},
	} {
		if data, err := checked.Encode(v); err == nil {
			t.Errorf("%+v was written as %s", v, data)
		}
	}
}

func TestNothingMakesDecodePanic(t *testing.T) {
	for _, s := range []string{"", "{", "{}", "[]", "null", "1", `{"format"`, `{"format":`, `{"format":99999999999999999999}`,
		`{"format":1.5}`, `{"format":"1"}`, `{"format":{}}`, "\xff"} {
		var got sample
		if err := checked.Decode([]byte(s), 3, &got); !errors.Is(err, checked.ErrDamaged) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	data, err := checked.Encode(newSample())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"format":4}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var got sample
		if checked.Decode(data, 3, &got) == nil && !bytes.Equal(encode(t, got), data) {
			t.Fatalf("taken, but written again it is different: %q", data)
		}
	})
}

// What has several formats is read in each of them, and in no other.
func TestSeveralFormats(t *testing.T) {
	for format, want := range map[int]error{1: errOlder, 2: nil, 3: nil, 4: nil, 5: checked.ErrNewerFormat} {
		v := newSample()
		v.Format = format
		var got sample
		err := checked.DecodeAny(encode(t, v), 2, 4, &got)
		switch {
		case want == nil && (err != nil || got.Format != format):
			t.Errorf("format %d: %+v, %v", format, got, err)
		case want == errOlder && (err == nil || !strings.Contains(err.Error(), "older than format 2")):
			t.Errorf("format %d: %v", format, err)
		case want == checked.ErrNewerFormat && !errors.Is(err, want):
			t.Errorf("format %d: %v", format, err)
		}
	}
}

var errOlder = errors.New("older")

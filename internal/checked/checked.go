// Package checked writes small JSON objects in which any wrong bit is found.
//
// An object is indented JSON with a format number first and a checksum last:
//
//	{
//	  "format": 1,
//	  "epoch": 7,
//	  "sha256": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
//	}
//
// The checksum is the SHA-256 of the object as it would be without that member,
// final newline included, so it can also be checked by hand:
//
//	jq 'del(.sha256)' lease.json | sha256sum
//
// There is one way only to write a value. Decode takes nothing but the very bytes
// that Encode makes, so it also refuses members that it does not know, another
// order, other spaces, and anything after the end.
package checked

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

var (
	// ErrNewerFormat: the object was written by a later version of this program.
	ErrNewerFormat = errors.New("newer format")
	// ErrDamaged: the object is not what was written.
	ErrDamaged = errors.New("damaged")
)

// The checksum replaces the end of the object.
const (
	end      = "\n}\n"
	sumStart = ",\n  \"sha256\": \""
	sumEnd   = "\"\n}\n"
	tailSize = len(sumStart) + 2*sha256.Size + len(sumEnd)
)

// Encode writes v, a struct or a pointer to one whose first member is an integer
// "format", with its checksum.
func Encode(v any) ([]byte, error) {
	body, err := encodeBody(v)
	if err != nil {
		return nil, err
	}
	if _, err := formatOf(body); err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return append(bytes.TrimSuffix(body, []byte(end)), tailOf(body)...), nil
}

// Decode reads into v what Encode wrote, or leaves v alone and returns an error
// that says what is wrong: one that matches ErrNewerFormat if the object's format
// is larger than the one given, whatever the rest of it is; one that matches
// ErrDamaged if the object can't have been written like this.
func Decode[T any](data []byte, format int, v *T) error {
	return DecodeAny(data, format, format, v)
}

// DecodeAny is Decode for what has several formats, from oldest to newest. That v has
// what belongs to the format which it says it has is for the caller to check.
func DecodeAny[T any](data []byte, oldest, format int, v *T) error {
	found, err := formatOf(data)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	body, sumErr := checkSum(data)
	switch {
	case found > format && sumErr != nil:
		return fmt.Errorf("%w: the object has format %d and this program knows %d: use a newer version of it (but the object may be damaged as well: %v)",
			ErrNewerFormat, found, format, sumErr)
	case found > format:
		return fmt.Errorf("%w: the object has format %d and this program knows %d: use a newer version of it",
			ErrNewerFormat, found, format)
	case sumErr != nil:
		return fmt.Errorf("%w: %w", ErrDamaged, sumErr)
	case found < oldest:
		return fmt.Errorf("the object has format %d, older than format %d, which this program reads", found, oldest)
	}
	var fresh T
	if err := json.Unmarshal(body, &fresh, json.RejectUnknownMembers(true)); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	// The checksum is right, so this is no accident of storage; but bytes that
	// were written in another way may mean other things to another reader.
	again, err := encodeBody(&fresh)
	if err != nil {
		return fmt.Errorf("%w: it can't be written again: %w", ErrDamaged, err)
	}
	if !bytes.Equal(again, body) {
		return fmt.Errorf("%w: it is not in the one form allowed: written again it differs from byte %d on",
			ErrDamaged, firstDifference(again, body))
	}
	*v = fresh
	return nil
}

func encodeBody(v any) ([]byte, error) {
	body, err := json.Marshal(v, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return append(body, '\n'), nil
}

// tailOf is what stands in an object instead of the end of its body.
func tailOf(body []byte) []byte {
	return fmt.Appendf(nil, "%s%x%s", sumStart, sha256.Sum256(body), sumEnd)
}

// checkSum takes the checksum out of an object of any format.
func checkSum(data []byte) (body []byte, err error) {
	cut := len(data) - tailSize
	if cut < 0 || !bytes.HasPrefix(data[cut:], []byte(sumStart)) || !bytes.HasSuffix(data, []byte(sumEnd)) {
		return nil, fmt.Errorf("its %d bytes do not end with a sha256 member", len(data))
	}
	body = append(bytes.Clone(data[:cut]), end...)
	if want := tailOf(body); !bytes.Equal(want, data[cut:]) {
		said := data[cut+len(sumStart) : len(data)-len(sumEnd)]
		return nil, fmt.Errorf("its sha256 says %q, but what was read has %x", said, sha256.Sum256(body))
	}
	return body, nil
}

// formatOf reads the first member of an object, and no further.
func formatOf(data []byte) (int, error) {
	d := jsontext.NewDecoder(bytes.NewReader(data))
	if token, err := d.ReadToken(); err != nil || token.Kind() != '{' {
		return 0, errors.New("it is not a JSON object")
	}
	if name, err := d.ReadToken(); err != nil || name.Kind() != '"' || name.String() != "format" {
		return 0, errors.New(`its first member is not "format"`)
	}
	value, err := d.ReadValue()
	if err != nil {
		return 0, fmt.Errorf("its format is no number: %w", err)
	}
	var format int
	if err := json.Unmarshal(value, &format); err != nil || format < 1 {
		return 0, fmt.Errorf("its format is %.20s, not a number from 1 on", value)
	}
	return format, nil
}

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

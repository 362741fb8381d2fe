package driver

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// ErrInvalidKey: a key that not every store can hold.
var ErrInvalidKey = errors.New("invalid key")

// maxKeyBytes is what S3 and GCS allow, prefix included.
const maxKeyBytes = 1024

// escape is what gocloud.dev begins its escapes with.
const escape = "__0x"

// CheckKey says whether every kind of store can hold the key: 1 to 1024 bytes of
// UTF-8 without control characters and "__0x", in slash-separated elements none
// of which is empty, "." or "..". A directory could not hold others, and
// gocloud.dev would store some of them under another name.
func CheckKey(key string) error {
	switch {
	case key == "":
		return fmt.Errorf("%w: it is empty", ErrInvalidKey)
	case len(key) > maxKeyBytes:
		return fmt.Errorf("%w: %.40q… has %d bytes; at most %d are allowed", ErrInvalidKey, key, len(key), maxKeyBytes)
	case !utf8.ValidString(key):
		return fmt.Errorf("%w: %q is not UTF-8", ErrInvalidKey, key)
	case strings.ContainsFunc(key, isControl):
		return fmt.Errorf("%w: %q has a control character", ErrInvalidKey, key)
	case strings.Contains(key, escape):
		return fmt.Errorf("%w: %q has %q in it", ErrInvalidKey, key, escape)
	}
	for element := range strings.SplitSeq(key, "/") {
		if element == "" || element == "." || element == ".." {
			return fmt.Errorf("%w: %q has the element %q between slashes", ErrInvalidKey, key, element)
		}
	}
	return nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

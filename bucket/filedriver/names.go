package filedriver

import (
	"path"
	"strings"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
)

// A key's elements are the names of directories and of a file. Bytes that a
// shell or a file system may take amiss are written %XX, and so is a leading dot:
// names that start with a dot are this package's own.

// place is where an object's file is, relative to the root.
type place struct {
	directory string // "." is the root
	name      string
}

func (p place) path() string { return path.Join(p.directory, p.name) }

func locate(key string) (place, error) {
	if err := driver.CheckKey(key); err != nil {
		return place{}, err
	}
	directory, name := path.Split(key)
	return place{encodeDirectory(directory), encodeName(name)}, nil
}

// encodeDirectory is for keys and prefixes up to a slash; "" is the root.
func encodeDirectory(prefix string) string {
	elements := strings.Split(strings.TrimSuffix(prefix, "/"), "/")
	for i, element := range elements {
		elements[i] = encodeName(element)
	}
	return path.Join(append([]string{"."}, elements...)...)
}

const hexDigits = "0123456789ABCDEF"

func encodeName(element string) string {
	var b strings.Builder
	for i := range len(element) {
		c := element[i]
		if isPlain(c) && (c != '.' || i > 0) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hexDigits[c>>4])
		b.WriteByte(hexDigits[c&15])
	}
	return b.String()
}

func isPlain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c >= 0x80 || strings.IndexByte("-_.=+~,@:", c) >= 0
}

// decodeName is the element of a name that encodeName made; ok is false for
// this package's own files and for whatever else was put into the directory.
func decodeName(name string) (element string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c == '%' {
			if i+2 >= len(name) {
				return "", false
			}
			high, low := strings.IndexByte(hexDigits, name[i+1]), strings.IndexByte(hexDigits, name[i+2])
			if high < 0 || low < 0 {
				return "", false
			}
			c = byte(high<<4 | low)
			i += 2
		}
		b.WriteByte(c)
	}
	element = b.String()
	return element, driver.CheckKey(element) == nil && encodeName(element) == name
}

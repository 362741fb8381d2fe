package backup

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/scheduler-store/scheduler-store/snapshot"
)

const (
	prefix = "backup/"
	// automaticPrefix is what the names of automatic backups begin with, and no others.
	// It is Aurora's.
	automaticPrefix = "scheduler-backup-"
	maxName         = 128
)

func folderOf(name string) snapshot.Folder { return snapshot.Folder(prefix + name) }

// newAutomaticName makes a name of the time: names sort as times do, and no two are the
// same. Aurora's end with the minute and are in local time, so that they repeat; these
// are in UTC and have milliseconds and 32 random bits.
func newAutomaticName(t time.Time) string {
	var nonce [4]byte
	rand.Read(nonce[:])
	text := t.UTC().Format("2006-01-02-15-04-05.000")
	return automaticPrefix + strings.Replace(text, ".", "-", 1) + "-" + hex.EncodeToString(nonce[:])
}

func automatic(name string) bool { return strings.HasPrefix(name, automaticPrefix) }

// checkName tells what is wrong with a name that is to be looked up.
func checkName(name string) error {
	invalid := func(what string) error {
		return fmt.Errorf("%w: %q %s; it takes 1 to %d of A-Z a-z 0-9 . _ - and begins with a letter or a digit", ErrInvalidName, name, what, maxName)
	}
	switch {
	case name == "":
		return invalid("is empty")
	case len(name) > maxName:
		return fmt.Errorf("%w: it has %d bytes, and may have %d", ErrInvalidName, len(name), maxName)
	case !alphanumeric(name[0]):
		return invalid(fmt.Sprintf("begins with %q", name[:1]))
	case strings.Contains(name, ".."):
		return invalid(`has ".." in it`)
	}
	for _, c := range name {
		if c > 0x7f || !alphanumeric(byte(c)) && !strings.ContainsRune("._-", c) {
			return invalid(fmt.Sprintf("has %q in it", c))
		}
	}
	return nil
}

// checkNewName tells what is wrong with a name that an operator chose for a new backup.
func checkNewName(name string) error {
	if automatic(name) {
		return fmt.Errorf("%w: %q begins with %q, as the names of automatic backups do, which go by themselves", ErrInvalidName, name, automaticPrefix)
	}
	return checkName(name)
}

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

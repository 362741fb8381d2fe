// Package encryption seals what a cell keeps, so that whoever can read the bucket but
// has no key learns no more than sizes, times and host names.
//
//	keeper (KMS, Vault, a key in a file)  wraps and unwraps data keys; never sees data
//	data key (AES-256, random)            in memory; in the bucket only wrapped: key/<number>-<wrapping>.json
//	body                                  key's number | nonce | XAES-256-GCM of the records
//
// The bodies of entries and of the parts of snapshots, backups and restores are sealed
// by the newest data key. All others stay for reading. What says nothing of the state
// is not encrypted: cell.json, the lease, seals, headers and manifests. See
// docs/encryption.md.
//
// A Ring holds a cell's data keys. Each is unwrapped once: no keeper is asked in a
// commit.
package encryption

import (
	"errors"
	"fmt"
)

var (
	// ErrLocked: a data key can't be had now, so a body that may be whole can't be
	// read. The reason is behind it: ErrKeyNeeded, ErrWrongKey, or what kept the bucket
	// or the keeper from answering, which may pass.
	ErrLocked = errors.New("the data key can't be had")
	// ErrKeyNeeded: something is encrypted, and no key was given.
	ErrKeyNeeded = errors.New("it is encrypted, and no key was given; give it with --key")
	// ErrWrongKey: the key that was given does not unwrap a data key, or may not.
	ErrWrongKey = errors.New("the key does not unwrap it")
)

// ObjectError names a key object that is missing or wrong: damage.
type ObjectError struct {
	Object string
	Reason error
}

func (e *ObjectError) Error() string { return fmt.Sprintf("key object %s: %v", e.Object, e.Reason) }

func (e *ObjectError) Unwrap() error { return e.Reason }

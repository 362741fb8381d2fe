package storage

import (
	"errors"
	"fmt"
)

// The kinds of errors that stores return; errors.Is finds them. The error itself names
// the object and what is wrong with it. A store call that returns an error has changed
// nothing.
var (
	// ErrInvalidArgument: the value or query given can never be accepted.
	ErrInvalidArgument = errors.New("invalid argument")

	// ErrNullArgument: something mandatory is missing. It is an ErrInvalidArgument too.
	ErrNullArgument = fmt.Errorf("%w: missing", ErrInvalidArgument)

	// ErrNotFound: what was to be changed is not there.
	ErrNotFound = errors.New("not found")

	// ErrIllegalState: the change would break what always holds of a store.
	ErrIllegalState = errors.New("illegal state")
)

// storeError is a message of one kind. The kind is not part of the text: the messages
// that clients know from elsewhere stay as they are.
type storeError struct {
	kind error
	text string
}

func (e *storeError) Error() string { return e.text }

func (e *storeError) Unwrap() error { return e.kind }

func errorf(kind error, format string, args ...any) error {
	return &storeError{kind, fmt.Sprintf(format, args...)}
}

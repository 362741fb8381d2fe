package schema

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zlib"
)

// ErrNil is what functions return that were given nil where a value must be.
var ErrNil = errors.New("nil where a value must be")

// DefaultInflateLimit is the most bytes that Inflate decompresses unless told otherwise.
const DefaultInflateLimit = 1 << 30

// deflateLevel is what the format's other writers use: most of the gain for little time.
const deflateLevel = 3

// CodingError is trouble with encoding, decoding, compression or a checksum: the bytes, or the
// value to be encoded, are at fault, so trying again does not help.
type CodingError struct{ Err error }

func (e *CodingError) Error() string { return e.Err.Error() }

func (e *CodingError) Unwrap() error { return e.Err }

// Message is a pointer to one of the structs of package api.
type Message[T any] interface {
	*T
	AppendBinary([]byte) ([]byte, error)
	UnmarshalBinary([]byte) error
}

// Encode returns the Thrift Binary encoding of v, and nil for nil. Errors are a *CodingError.
func Encode[T any, M Message[T]](v M) ([]byte, error) {
	if v == nil {
		return nil, nil
	}
	return EncodeNonNull(v)
}

// EncodeNonNull does what Encode does, but nil is ErrNil.
func EncodeNonNull[T any, M Message[T]](v M) ([]byte, error) {
	if v == nil {
		return nil, fmt.Errorf("encode %T: %w", v, ErrNil)
	}
	b, err := v.AppendBinary(nil)
	if err != nil {
		return nil, &CodingError{err}
	}
	return b, nil
}

// Decode returns the value that data begins with, and nil for nil: Decode[api.Op](data). Bytes after
// the value are ignored. Errors are a *CodingError.
func Decode[T any, M Message[T]](data []byte) (*T, error) {
	if data == nil {
		return nil, nil
	}
	return DecodeNonNull[T, M](data)
}

// DecodeNonNull does what Decode does, but nil is ErrNil.
func DecodeNonNull[T any, M Message[T]](data []byte) (*T, error) {
	v := M(new(T))
	if data == nil {
		return nil, fmt.Errorf("decode %T: %w", v, ErrNil)
	}
	if err := v.UnmarshalBinary(data); err != nil {
		return nil, &CodingError{err}
	}
	return v, nil
}

// Deflate returns the encoding of v in a zlib container (RFC 1950). nil is ErrNil; other errors are a
// *CodingError.
func Deflate[T any, M Message[T]](v M) ([]byte, error) {
	b, err := EncodeNonNull(v)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	z, err := zlib.NewWriterLevel(&out, deflateLevel)
	if err != nil {
		return nil, &CodingError{err}
	}
	if _, err := z.Write(b); err != nil {
		return nil, &CodingError{err}
	}
	if err := z.Close(); err != nil {
		return nil, &CodingError{err}
	}
	return out.Bytes(), nil
}

// Inflate returns the value that Deflate was given. Data that decompresses to more than limit bytes
// is refused, since a few bytes can stand for very many; limit 0 means DefaultInflateLimit. nil is
// ErrNil; other errors are a *CodingError.
func Inflate[T any, M Message[T]](data []byte, limit int64) (*T, error) {
	if data == nil {
		return nil, fmt.Errorf("inflate %T: %w", M(nil), ErrNil)
	}
	if limit <= 0 {
		limit = DefaultInflateLimit
	}
	z, err := zlib.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, &CodingError{fmt.Errorf("inflate %d bytes: %w", len(data), err)}
	}
	b, err := io.ReadAll(io.LimitReader(z, limit+1))
	if err != nil {
		return nil, &CodingError{fmt.Errorf("inflate %d bytes: %w", len(data), err)}
	}
	if int64(len(b)) > limit {
		return nil, &CodingError{fmt.Errorf("inflate %d bytes: more than the %d bytes allowed", len(data), limit)}
	}
	return DecodeNonNull[T, M](b)
}

package wire

import (
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Optional is a value that may be unset. The zero value is unset, and an unset one has the zero
// Value, so that two of them compare by ==. In JSON null stands for unset.
type Optional[T any] struct {
	Value T
	Set   bool
}

// Some returns an Optional that is set to v.
func Some[T any](v T) Optional[T] { return Optional[T]{Value: v, Set: true} }

// Get returns the value, or the zero value when unset.
func (o Optional[T]) Get() T {
	if !o.Set {
		var zero T
		return zero
	}
	return o.Value
}

// Or returns the value, or other when unset.
func (o Optional[T]) Or(other T) T {
	if !o.Set {
		return other
	}
	return o.Value
}

// Fill sets an unset value to zero.
func (o *Optional[T]) Fill() {
	if !o.Set {
		var zero T
		*o = Some(zero)
	}
}

// IsZero reports whether o is unset; the JSON option omitzero asks for it.
func (o Optional[T]) IsZero() bool { return !o.Set }

// String returns the value as text, or "unset".
func (o Optional[T]) String() string {
	if !o.Set {
		return "unset"
	}
	return fmt.Sprint(o.Value)
}

// MarshalJSONTo writes the value or null.
func (o Optional[T]) MarshalJSONTo(enc *jsontext.Encoder) error {
	if !o.Set {
		return enc.WriteToken(jsontext.Null)
	}
	return json.MarshalEncode(enc, &o.Value)
}

// UnmarshalJSONFrom reads what MarshalJSONTo writes.
func (o *Optional[T]) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	*o = Optional[T]{}
	if dec.PeekKind() == 'n' {
		_, err := dec.ReadToken()
		return err
	}
	if err := json.UnmarshalDecode(dec, &o.Value); err != nil {
		return err
	}
	o.Set = true
	return nil
}

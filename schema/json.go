package schema

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/schema/wire"
)

// ErrNoOps: a transaction does nothing.
var ErrNoOps = errors.New("empty; a transaction has at least one")

// ParseTransaction reads {"ops":[…]} with the field names of the IDL and enums by name. Whatever is
// not exactly that is refused: unknown and repeated members, other types, unknown enum names, null
// in place of a number or of an element, data after the end, no operations (ErrNoOps), and those that
// Validate refuses.
// Errors name the place, as in ops[0].saveTasks.tasks[2].status, and are mostly *wire.PathError.
func ParseTransaction(data []byte) (*api.Transaction, error) {
	// Not an api.Transaction: what else is in one is not for clients to say.
	var in struct {
		Ops []*api.Op `json:"ops"`
	}
	if err := FromJSON(data, &in); err != nil {
		return nil, err
	}
	if in.Ops == nil {
		return nil, &wire.PathError{Path: "ops", Err: errors.New("missing; a transaction is {\"ops\":[…]}")}
	}
	if len(in.Ops) == 0 {
		return nil, &wire.PathError{Path: "ops", Err: ErrNoOps}
	}
	tx := &api.Transaction{Ops: in.Ops, SchemaVersion: api.CurrentSchemaVersion}
	if err := tx.Validate(); err != nil {
		return nil, err
	}
	return tx, nil
}

// ToJSON returns v, a value of package api or a struct of such, as JSON. Equal Go values give equal
// bytes. It fails on strings that are not UTF-8.
func ToJSON(v any) ([]byte, error) {
	b, err := json.Marshal(v, JSONOptions())
	if err != nil {
		return nil, fmt.Errorf("write JSON: %w", err)
	}
	return b, nil
}

// FromJSON reads what ToJSON wrote into v, a pointer, as strictly as ParseTransaction does, except
// that it calls Validate only when v has it.
func FromJSON(data []byte, v any) error {
	if err := json.Unmarshal(data, v, JSONOptions()); err != nil {
		return jsonError(err)
	}
	if v, ok := v.(interface{ Validate() error }); ok {
		return v.Validate()
	}
	return nil
}

// JSONOptions returns the options of ToJSON and FromJSON, for use with encoders and decoders. Numbers
// that JSON lacks are written as the strings "NaN", "Infinity" and "-Infinity", so that whatever was
// stored can be shown.
func JSONOptions() json.Options { return jsonOptions }

// jsonOptions never change. They are made once: that costs as much as reading a small transaction.
var jsonOptions = json.JoinOptions(
	json.Deterministic(true),
	json.RejectUnknownMembers(true),
	json.WithMarshalers(json.MarshalToFunc(func(enc *jsontext.Encoder, f float64) error {
		return enc.WriteToken(jsontext.Float(f))
	})),
	json.WithUnmarshalers(json.JoinUnmarshalers(
		noNull[bool](), noNull[int32](), noNull[int64](), noNull[string](), json.UnmarshalFromFunc(readDouble),
	)),
)

// noNull refuses null for a value that cannot be unset, which would else become zero. An Optional
// sees null first and is not affected.
func noNull[T any]() *json.Unmarshalers {
	return json.UnmarshalFromFunc(func(dec *jsontext.Decoder, _ *T) error {
		if dec.PeekKind() == 'n' {
			return errors.New("null where a value must be")
		}
		return errors.ErrUnsupported // what comes is read in the usual way
	})
}

// readDouble reads the three numbers that JSON lacks, and refuses null.
func readDouble(dec *jsontext.Decoder, f *float64) error {
	switch dec.PeekKind() {
	case 'n':
		return errors.New("null where a value must be")
	case '"':
		token, err := dec.ReadToken()
		if err != nil {
			return err
		}
		switch s := token.String(); s {
		case "NaN", "Infinity", "-Infinity":
			*f, err = strconv.ParseFloat(s, 64)
			return err
		default:
			return fmt.Errorf("string %q where a number must be", s)
		}
	}
	return errors.ErrUnsupported
}

// jsonError turns an error of the JSON package into one that names the place as Validate does.
func jsonError(err error) error {
	var semantic *json.SemanticError
	var syntactic *jsontext.SyntacticError
	switch {
	case errors.As(err, &semantic):
		return atPointer(semantic.JSONPointer, semanticFault(semantic))
	case errors.As(err, &syntactic):
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return atPointer(syntactic.JSONPointer, errors.New("member given twice"))
		}
		return atPointer(syntactic.JSONPointer, fmt.Errorf("not JSON at byte %d: %w", syntactic.ByteOffset, syntactic.Err))
	}
	return fmt.Errorf("read JSON: %w", err)
}

func semanticFault(e *json.SemanticError) error {
	switch {
	case errors.Is(e.Err, json.ErrUnknownName):
		return errors.New("unknown member")
	case e.JSONKind != 0 && e.GoType != nil && (e.Err == nil || e.JSONKind != wantKind(e.GoType)):
		return fmt.Errorf("%s where %s must be", kindName(e.JSONKind), typeName(e.GoType))
	case e.Err != nil && len(e.JSONValue) > 0 && e.JSONKind == '0':
		return fmt.Errorf("%s is not %s: %w", e.JSONValue, typeName(e.GoType), e.Err)
	case e.Err != nil:
		return e.Err
	}
	return errors.New(e.Error())
}

// wantKind returns the kind of JSON value that a Go type is read from, or 0 if there are several.
func wantKind(t reflect.Type) jsontext.Kind {
	if _, ok := reflect.New(t).Interface().(interface{ UnmarshalText([]byte) error }); ok {
		return '"'
	}
	switch t.Kind() {
	case reflect.Int32, reflect.Int64, reflect.Float64:
		return '0'
	case reflect.String:
		return '"'
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return '"'
		}
		return '['
	case reflect.Map, reflect.Struct, reflect.Pointer:
		return '{'
	}
	return 0
}

func kindName(k jsontext.Kind) string {
	switch k {
	case 'n':
		return "null"
	case 't', 'f':
		return k.String()
	case '"':
		return "a string"
	case '0':
		return "a number"
	case '[':
		return "an array"
	case '{':
		return "an object"
	}
	return "a value of another kind"
}

func typeName(t reflect.Type) string {
	if t == nil {
		return "a value of another kind"
	}
	if wantKind(t) == '"' && t.Kind() == reflect.Int32 {
		return "the name of a " + t.Name()
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int32:
		return "a whole number of 32 bits"
	case reflect.Int64:
		return "a whole number of 64 bits"
	case reflect.Float64:
		return "a number"
	}
	return kindName(wantKind(t))
}

// atPointer writes a JSON pointer in the notation of the other errors: /ops/0/x becomes ops[0].x.
func atPointer(p jsontext.Pointer, err error) error {
	var path strings.Builder
	for token := range p.Tokens() {
		switch {
		case strings.Trim(token, "0123456789") == "":
			fmt.Fprintf(&path, "[%s]", token)
		case !ValidIdentifier(token):
			fmt.Fprintf(&path, "[%q]", token)
		default:
			if path.Len() > 0 {
				path.WriteByte('.')
			}
			path.WriteString(token)
		}
	}
	if path.Len() == 0 {
		return err
	}
	return &wire.PathError{Path: path.String(), Err: err}
}

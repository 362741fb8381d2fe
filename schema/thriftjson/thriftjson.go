// Package thriftjson reads Thrift's JSON protocol. That is a form for tests and for the eye: the
// golden operations are kept in it. A struct is an object from field ids to values, each value an
// object from its type to itself:
//
//	{"7": {"rec": {"1": {"set": ["str", 1, "task-1"]}}}}
//
// The package turns it into the Binary protocol, without knowledge of the schema, and lets package
// api read that; so what is read went the way that stored records go.
package thriftjson

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/schema/wire"
)

// ReadOp reads one operation.
func ReadOp(data []byte) (*api.Op, error) {
	b, err := ToBinary(data)
	if err != nil {
		return nil, err
	}
	op := new(api.Op)
	if err := op.UnmarshalBinary(b); err != nil {
		return nil, err
	}
	return op, nil
}

// ToBinary turns a struct into the Binary protocol, fields by ascending id. In the JSON protocol
// binary looks like a string that is base64; it stays such a string.
func ToBinary(data []byte) ([]byte, error) {
	b, err := appendStruct(nil, data)
	if err != nil {
		return nil, fmt.Errorf("thrift JSON: %w", err)
	}
	return b, nil
}

var types = map[string]byte{
	"tf": wire.Bool, "i8": wire.Byte, "i16": wire.I16, "i32": wire.I32, "i64": wire.I64, "dbl": wire.Double,
	"str": wire.String, "rec": wire.Struct, "map": wire.Map, "set": wire.Set, "lst": wire.List,
}

func appendStruct(b []byte, data json.RawMessage) ([]byte, error) {
	var fields map[string]map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, err
	}
	ids := map[int64]map[string]json.RawMessage{}
	for name, f := range fields {
		id, err := strconv.ParseInt(name, 10, 16)
		if err != nil || len(f) != 1 {
			return nil, fmt.Errorf("field %q: want an id and one value", name)
		}
		ids[id] = f
	}
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		for name, value := range ids[id] {
			var err error
			b = append(b, types[name], byte(id>>8), byte(id))
			if b, err = appendValue(b, types[name], value); err != nil {
				return nil, fmt.Errorf("field %d: %w", id, err)
			}
		}
	}
	return append(b, wire.Stop), nil
}

func appendValue(b []byte, typ byte, data json.RawMessage) ([]byte, error) {
	switch typ {
	case wire.Struct:
		return appendStruct(b, data)
	case wire.Set, wire.List:
		return appendElements(b, data)
	case wire.Map:
		return appendMap(b, data)
	case wire.Double:
		f, err := number(data, func(s string) (float64, error) { return strconv.ParseFloat(s, 64) })
		return binary.BigEndian.AppendUint64(b, math.Float64bits(f)), err
	case wire.String:
		var s string
		err := json.Unmarshal(data, &s)
		return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...), err
	case wire.Bool, wire.Byte, wire.I16, wire.I32, wire.I64:
		n, err := number(data, func(s string) (int64, error) { return strconv.ParseInt(s, 10, 64) })
		wide := binary.BigEndian.AppendUint64(nil, uint64(n))
		size := map[byte]int{wire.Bool: 1, wire.Byte: 1, wire.I16: 2, wire.I32: 4, wire.I64: 8}[typ]
		return append(b, wide[8-size:]...), err
	}
	return nil, fmt.Errorf("unknown type, value %s", data)
}

// number parses a number; those that are keys of a map, or not finite, stand in quotes.
func number[T any](data json.RawMessage, parse func(string) (T, error)) (T, error) {
	s := string(data)
	if unquoted, err := strconv.Unquote(s); err == nil {
		s = unquoted
	}
	return parse(s)
}

// appendElements appends a list: [type, size, elements …].
func appendElements(b []byte, data json.RawMessage) ([]byte, error) {
	var parts []json.RawMessage
	if err := json.Unmarshal(data, &parts); err != nil {
		return nil, err
	}
	var name string
	var size int
	if len(parts) < 2 || json.Unmarshal(parts[0], &name) != nil || json.Unmarshal(parts[1], &size) != nil || size != len(parts)-2 {
		return nil, fmt.Errorf("container %.40s: want its type, its size and as many elements", data)
	}
	b = binary.BigEndian.AppendUint32(append(b, types[name]), uint32(size))
	for i, part := range parts[2:] {
		var err error
		if b, err = appendValue(b, types[name], part); err != nil {
			return nil, fmt.Errorf("element %d: %w", i, err)
		}
	}
	return b, nil
}

// appendMap appends a map: [key type, value type, size, {key: value …}].
func appendMap(b []byte, data json.RawMessage) ([]byte, error) {
	var parts []json.RawMessage
	if err := json.Unmarshal(data, &parts); err != nil {
		return nil, err
	}
	var key, value string
	var size int
	var entries map[string]json.RawMessage
	if len(parts) != 4 || json.Unmarshal(parts[0], &key) != nil || json.Unmarshal(parts[1], &value) != nil ||
		json.Unmarshal(parts[2], &size) != nil || json.Unmarshal(parts[3], &entries) != nil || size != len(entries) {
		return nil, fmt.Errorf("map %.40s: want its types, its size and as many entries", data)
	}
	b = binary.BigEndian.AppendUint32(append(b, types[key], types[value]), uint32(size))
	for _, k := range slices.Sorted(maps.Keys(entries)) {
		var err error
		if b, err = appendValue(b, types[key], json.RawMessage(strconv.Quote(k))); err != nil {
			return nil, err
		}
		if b, err = appendValue(b, types[value], entries[k]); err != nil {
			return nil, fmt.Errorf("entry %q: %w", k, err)
		}
	}
	return b, nil
}

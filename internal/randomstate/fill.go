package randomstate

import (
	"math"
	"reflect"
)

// fill gives every field of a struct of package api a random value, or none.
func (s *Source) fill(v any) { s.structure(reflect.ValueOf(v).Elem(), 0) }

func (s *Source) structure(v reflect.Value, depth int) {
	if isUnion(v.Type()) {
		s.value(v.Field(s.IntN(v.NumField())), depth+1, true)
		return
	}
	for i := range v.NumField() {
		s.value(v.Field(i), depth+1, false)
	}
}

// isUnion tells whether a type's branches are its fields: the unions of the schema
// that rows hold.
func isUnion(t reflect.Type) bool {
	switch t.Name() {
	case "Resource", "TaskConstraint", "Container", "Image", "SlaPolicy", "JobUpdateStrategy":
		return true
	}
	return false
}

// isOptional tells whether a type is an Optional: its value comes first.
func isOptional(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.NumField() == 2 && t.Field(1).Name == "Set"
}

func (s *Source) value(v reflect.Value, depth int, must bool) {
	switch t := v.Type(); {
	case isOptional(t):
		if must || s.IntN(3) > 0 {
			v.Field(0).Set(s.scalar(t.Field(0).Type))
			v.Field(1).SetBool(true)
		}
	case t.Kind() == reflect.Pointer:
		if must || s.IntN(10) < 8-depth {
			v.Set(reflect.New(t.Elem()))
			s.structure(v.Elem(), depth)
		}
	case t.Kind() == reflect.Slice && (must || s.IntN(3) > 0):
		n := s.IntN(4)
		v.Set(reflect.MakeSlice(t, n, n))
		for i := range n {
			s.value(v.Index(i), depth+1, true)
		}
	case t.Kind() == reflect.Map && (must || s.IntN(3) > 0):
		v.Set(reflect.MakeMap(t))
		for range s.IntN(4) {
			v.SetMapIndex(s.scalar(t.Key()), s.scalar(t.Elem()))
		}
	case t.Kind() != reflect.Slice && t.Kind() != reflect.Map:
		v.Set(s.scalar(t))
	}
}

func (s *Source) scalar(t reflect.Type) reflect.Value {
	v := reflect.New(t).Elem()
	switch t.Kind() {
	case reflect.Bool:
		v.SetBool(s.IntN(2) == 0)
	case reflect.Uint8:
		v.SetUint(s.Uint64N(256))
	case reflect.Int32:
		if known, ok := v.Addr().Interface().(interface{ IsKnown() bool }); ok { // an enum
			for v.SetInt(s.Int64N(19)); !known.IsKnown(); {
				v.SetInt(s.Int64N(19))
			}
			break
		}
		v.SetInt(int64(pick[int32](s, 0, 1, 7, -1, math.MaxInt32, math.MinInt32)))
	case reflect.Int64:
		v.SetInt(pick[int64](s, 0, 1, 1_500_000_000_000, -1, math.MaxInt64, math.MinInt64))
	case reflect.Float64:
		v.SetFloat(pick(s, 0, 0.1, 2, -3.5, math.Inf(1), math.SmallestNonzeroFloat64))
	case reflect.String:
		v.SetString(pick(s, "", "a", "b", "ab", "b ", "zoë", "\x00", "日本", "<&>\"\\"))
	default:
		panic("no scalar: " + t.String())
	}
	return v
}

package schema_test

import (
	"bytes"
	"reflect"
	"testing"
)

// filled returns a struct with every field set and not zero; of a union, the given branch.
func (s idlSchema) filled(typ reflect.Type, branch int) reflect.Value {
	v := reflect.New(typ)
	for i := range typ.NumField() {
		if !s.union(typ) || i == branch {
			s.fillOne(v.Elem().Field(i))
		}
	}
	return v
}

func (s idlSchema) fillOne(v reflect.Value) {
	if _, ok := isOptional(v.Type()); ok {
		v.Field(1).SetBool(true)
		v = v.Field(0)
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(s.filled(v.Type().Elem(), 1%v.Type().Elem().NumField()))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		s.fillOne(v.Index(0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		value := reflect.New(v.Type().Elem()).Elem()
		s.fillOne(value)
		v.SetMapIndex(reflect.ValueOf("key"), value)
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(1)
	case reflect.Uint8:
		v.SetUint(1)
	default:
		v.SetInt(1) // which every enum knows
	}
}

// TestEveryFieldCounts makes sure that no method forgets a field: a value without it is another
// value, for Equal and on the wire.
func TestEveryFieldCounts(t *testing.T) {
	idl := readIDL(t)
	seen := map[reflect.Type]bool{}
	var visit func(reflect.Type)
	visit = func(typ reflect.Type) {
		if seen[typ] {
			return
		}
		seen[typ] = true
		for i := range typ.NumField() {
			idl.checkField(t, typ, i)
			inner := typ.Field(i).Type
			if inner.Kind() == reflect.Slice {
				inner = inner.Elem()
			}
			if inner.Kind() == reflect.Pointer {
				visit(inner.Elem())
			}
		}
	}
	for _, v := range topLevel() {
		visit(reflect.TypeOf(v).Elem())
	}
}

func (s idlSchema) checkField(t *testing.T, typ reflect.Type, i int) {
	with, without := s.filled(typ, i), s.filled(typ, i)
	without.Elem().Field(i).SetZero()
	if s.union(typ) {
		without = s.filled(typ, (i+1)%typ.NumField())
		if typ.NumField() == 1 {
			without.Elem().SetZero()
		}
	}
	type method interface {
		AppendBinary([]byte) ([]byte, error)
		AppendCanonical([]byte) []byte
		UnmarshalBinary([]byte) error
	}
	name := typ.Name() + "." + typ.Field(i).Name
	a, b := with.Interface().(method), without.Interface().(method)
	for _, pair := range [][2]reflect.Value{{with, without}, {without, with}} {
		if pair[0].MethodByName("Equal").Call([]reflect.Value{pair[1]})[0].Bool() {
			t.Errorf("%s: Equal does not look at it", name)
		}
	}
	if bytes.Equal(a.AppendCanonical(nil), b.AppendCanonical(nil)) {
		t.Errorf("%s: not in the canonical bytes", name)
	}
	encoded, err := a.AppendBinary(nil)
	back := reflect.New(typ)
	if err == nil {
		err = back.Interface().(method).UnmarshalBinary(encoded)
	}
	if err != nil || !deepEqual(back.Interface(), with.Interface()) {
		t.Errorf("%s: %+v after a round trip (%v)", name, back, err)
	}
	if clone := with.MethodByName("Clone").Call(nil)[0]; !deepEqual(clone.Interface(), with.Interface()) {
		t.Errorf("%s: %+v in the clone", name, clone)
	}
}

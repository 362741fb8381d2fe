package schema_test

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// random fills values with what rapid draws: every branch, every way to be unset or empty, and few
// different strings and numbers, so that elements repeat.
type random struct {
	t   *rapid.T
	idl idlSchema
}

func (r random) chance(percent int) bool { return rapid.IntRange(0, 99).Draw(r.t, "chance") < percent }

func (r random) fill(v reflect.Value, depth int) {
	typ := v.Type()
	if r.idl.union(typ) {
		r.value(v.Field(rapid.IntRange(0, typ.NumField()-1).Draw(r.t, "branch")), depth+1, true)
		return
	}
	for i := range typ.NumField() {
		r.value(v.Field(i), depth+1, false)
	}
}

func (r random) value(v reflect.Value, depth int, must bool) {
	typ := v.Type()
	if inner, ok := isOptional(typ); ok {
		if must || r.chance(60) {
			v.Field(1).SetBool(true)
			v.Field(0).Set(r.scalar(inner))
		}
		return
	}
	switch typ.Kind() {
	case reflect.Pointer:
		if must || r.chance(75-5*depth) {
			v.Set(reflect.New(typ.Elem()))
			r.fill(v.Elem(), depth)
		}
	case reflect.Slice:
		if must || r.chance(70) {
			n := r.size(depth)
			v.Set(reflect.MakeSlice(typ, n, n))
			for i := range n {
				r.value(v.Index(i), depth+1, true)
			}
		}
	case reflect.Map:
		if must || r.chance(70) {
			v.Set(reflect.MakeMap(typ))
			for range r.size(depth) {
				v.SetMapIndex(r.scalar(typ.Key()), r.scalar(typ.Elem()))
			}
		}
	default:
		v.Set(r.scalar(typ))
	}
}

func (r random) size(depth int) int { return rapid.IntRange(0, max(1, 4-depth/2)).Draw(r.t, "size") }

func (r random) scalar(typ reflect.Type) reflect.Value {
	v := reflect.New(typ).Elem()
	switch typ.Kind() {
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(r.t, "bool"))
	case reflect.Uint8:
		v.SetUint(uint64(rapid.Byte().Draw(r.t, "byte")))
	case reflect.Int32:
		if typ.PkgPath() != "" {
			for n := rapid.Int64Range(0, 18).Draw(r.t, "enum"); ; n = (n + 1) % 19 {
				v.SetInt(n)
				if v.Interface().(interface{ IsKnown() bool }).IsKnown() {
					return v
				}
			}
		}
		v.SetInt(int64(rapid.SampledFrom([]int32{0, 1, 2, -1, math.MaxInt32, math.MinInt32}).Draw(r.t, "i32")))
	case reflect.Int64:
		v.SetInt(rapid.SampledFrom([]int64{0, 1, 2, -1, 1 << 55, math.MaxInt64, math.MinInt64}).Draw(r.t, "i64"))
	case reflect.Float64:
		v.SetFloat(rapid.SampledFrom([]float64{0, math.Copysign(0, -1), 0.1, 2, math.NaN(), math.Inf(1), math.Inf(-1)}).Draw(r.t, "double"))
	case reflect.String:
		v.SetString(rapid.SampledFrom([]string{"", "a", "b", "ab", "b ", "zoë", "\x00", "日本"}).Draw(r.t, "string"))
	default:
		panic("no scalar: " + typ.String())
	}
	return v
}

// scramble changes v in ways that leave its canonical form as it is, here and there.
func (r random) scramble(v reflect.Value) {
	typ := v.Type()
	for f := range typ.Fields() {
		spec, fv := r.idl.field(typ, f), v.FieldByIndex(f.Index)
		if inner, ok := isOptional(f.Type); ok {
			scalar := inner.Kind() != reflect.String && inner.PkgPath() == ""
			zero := fv.Field(0).IsZero() // negative zero is not
			if scalar && zero && !spec.legacy && !r.idl.union(typ) && r.chance(50) {
				fv.Field(1).SetBool(!fv.Field(1).Bool())
			}
			continue
		}
		switch f.Type.Kind() {
		case reflect.Pointer:
			if !fv.IsNil() {
				r.scramble(fv.Elem())
			}
		case reflect.Map, reflect.Slice:
			r.scrambleContainer(fv, strings.HasPrefix(spec.typ, "set<"), spec.typ == "binary")
		}
	}
}

func (r random) scrambleContainer(v reflect.Value, set, binary bool) {
	switch {
	case binary:
	case v.Len() == 0 && r.chance(50):
		if !v.IsNil() {
			v.SetZero()
		} else if v.Kind() == reflect.Map {
			v.Set(reflect.MakeMap(v.Type()))
		} else {
			v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		}
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			if e := v.Index(i); e.Kind() == reflect.Pointer {
				r.scramble(e.Elem())
			}
		}
		if set && v.Len() > 0 {
			if r.chance(40) {
				v.Set(reflect.Append(v, v.Index(rapid.IntRange(0, v.Len()-1).Draw(r.t, "repeat"))))
			}
			swap := reflect.Swapper(v.Interface())
			for i := v.Len() - 1; i > 0; i-- {
				swap(i, rapid.IntRange(0, i).Draw(r.t, "swap"))
			}
		}
	}
}

// canonicalText states the canonical form by the rules alone, without any encoding.
func (s idlSchema) canonicalText(v reflect.Value) string {
	var b strings.Builder
	typ := v.Type()
	fmt.Fprintf(&b, "%s{", typ.Name())
	for f := range typ.Fields() {
		fmt.Fprintf(&b, "%s: %s; ", f.Name, s.fieldText(typ, f, v.FieldByIndex(f.Index)))
	}
	return b.String() + "}"
}

func (s idlSchema) fieldText(typ reflect.Type, f reflect.StructField, v reflect.Value) string {
	spec := s.field(typ, f)
	if inner, ok := isOptional(f.Type); ok {
		stays := inner.Kind() == reflect.String || inner.PkgPath() != "" || spec.legacy || s.union(typ)
		if !v.Field(1).Bool() && stays {
			return "unset"
		}
		return scalarText(v.Field(0))
	}
	switch {
	case f.Type.Kind() == reflect.Pointer && v.IsNil() && f.Name == "Container":
		return "Container{Mesos: MesosContainer{Image: unset; Volumes: []; }; Docker: unset; }"
	case f.Type.Kind() == reflect.Pointer && v.IsNil():
		return "unset"
	case f.Type.Kind() == reflect.Pointer:
		return s.canonicalText(v.Elem())
	case f.Type.Kind() == reflect.Map:
		return fmt.Sprintf("%q", v.Interface()) // fmt sorts the keys
	case spec.typ == "binary":
		return fmt.Sprintf("%v %x", v.IsNil(), v.Bytes())
	case f.Type.Kind() != reflect.Slice:
		return scalarText(v)
	}
	var elems []string
	for i := range v.Len() {
		if e := v.Index(i); e.Kind() == reflect.Pointer {
			elems = append(elems, s.canonicalText(e.Elem()))
		} else {
			elems = append(elems, scalarText(e))
		}
	}
	if strings.HasPrefix(spec.typ, "set<") {
		slices.Sort(elems)
		elems = slices.Compact(elems)
	}
	return fmt.Sprint(elems)
}

func scalarText(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Float64:
		return fmt.Sprintf("%016x", math.Float64bits(v.Float()))
	case reflect.String:
		return fmt.Sprintf("%q", v.String())
	}
	return fmt.Sprint(v.Interface())
}

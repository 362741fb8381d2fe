package schema_test

import (
	"bytes"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

type value[T any] interface {
	*T
	AppendBinary([]byte) ([]byte, error)
	AppendCanonical([]byte) []byte
	UnmarshalBinary([]byte) error
	Clone() *T
	Canonicalize()
	Equal(*T) bool
	Validate() error
}

// TestProperties checks, for random values of every type, what the methods promise.
func TestProperties(t *testing.T) {
	idl := readIDL(t)
	t.Run("LogEntry", properties[api.LogEntry](idl))
	t.Run("Transaction", properties[api.Transaction](idl))
	t.Run("Op", properties[api.Op](idl))
	t.Run("ScheduledTask", properties[api.ScheduledTask](idl))
	t.Run("JobUpdateDetails", properties[api.JobUpdateDetails](idl))
	t.Run("HostAttributes", properties[api.HostAttributes](idl))
	t.Run("ResourceAggregate", properties[api.ResourceAggregate](idl))
	t.Run("TaskQuery", properties[api.TaskQuery](idl))
	t.Run("JobUpdateQuery", properties[api.JobUpdateQuery](idl))
	t.Run("InstanceKey", properties[api.InstanceKey](idl))
	t.Run("Response", properties[api.Response](idl))
}

func properties[T any, V value[T]](idl idlSchema) func(*testing.T) {
	return func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			r := random{t, idl}
			v := V(new(T))
			r.fill(reflect.ValueOf(v).Elem(), 0)
			if err := v.Validate(); err != nil {
				t.Fatalf("Validate: %v", err)
			}
			checkRoundTrip(t, v)
			checkClone(t, v)
			checkCanonical(t, r, v)
			checkEqual(t, r, v)
		})
	}
}

// checkRoundTrip: nothing is lost or added between a value, its bytes and its JSON, canonical or not.
func checkRoundTrip[T any, V value[T]](t *rapid.T, v V) {
	b, err := v.AppendBinary([]byte("before"))
	if err != nil {
		t.Fatalf("AppendBinary: %v", err)
	}
	b = bytes.TrimPrefix(b, []byte("before"))
	back := V(new(T))
	if err := back.UnmarshalBinary(append(bytes.Clone(b), "after"...)); err != nil {
		t.Fatalf("UnmarshalBinary: %v", err)
	}
	want := V(v.Clone())
	fillContainers(reflect.ValueOf(want).Elem())
	if !deepEqual(back, want) {
		t.Fatalf("decoded %#v, want %#v", back, want)
	}
	again, err := back.AppendBinary(nil)
	if err != nil || !bytes.Equal(again, b) {
		t.Fatalf("encoded again %x, want %x (%v)", again, b, err)
	}
	text, err := schema.ToJSON(v)
	if err != nil {
		t.Fatalf("ToJSON: %v", err)
	}
	fromText := V(new(T))
	if err := schema.FromJSON(text, fromText); err != nil {
		t.Fatalf("FromJSON %s: %v", text, err)
	}
	if got, err := fromText.AppendBinary(nil); err != nil || !bytes.Equal(got, b) {
		t.Fatalf("by way of JSON %x, want %x (%v)", got, b, err)
	}
}

// checkClone: a copy is equal in each detail, and what happens to one does not show in the other.
func checkClone[T any, V value[T]](t *rapid.T, v V) {
	before, _ := v.AppendBinary(nil)
	c := V(v.Clone())
	if !deepEqual(c, v) {
		t.Fatalf("clone %#v, want %#v", c, v)
	}
	spoil(reflect.ValueOf(c).Elem())
	if after, _ := v.AppendBinary(nil); !bytes.Equal(after, before) {
		t.Fatalf("a change of the clone shows in the original")
	}
}

// checkCanonical: the canonical form is stable, equals what it was made from, and what is written of
// it is what AppendCanonical writes.
func checkCanonical[T any, V value[T]](t *rapid.T, r random, v V) {
	want := v.AppendCanonical(nil)
	before, _ := v.AppendBinary(nil)
	c := V(v.Clone())
	c.Canonicalize()
	got, err := c.AppendBinary(nil)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("canonicalized and encoded %x, AppendCanonical %x (%v)", got, want, err)
	}
	again := V(c.Clone())
	again.Canonicalize()
	if !deepEqual(again, c) {
		t.Fatalf("canonicalized twice %#v, once %#v", again, c)
	}
	if !c.Equal((*T)(v)) || !v.Equal((*T)(c)) || !v.Equal((*T)(v)) || v.Equal(nil) {
		t.Fatal("a value does not equal its canonical form, or equals nil")
	}
	if after, _ := v.AppendBinary(nil); !bytes.Equal(after, before) {
		t.Fatal("Equal or AppendCanonical changed the value")
	}
	text := r.idl.canonicalText(reflect.ValueOf(v).Elem())
	if got := r.idl.canonicalText(reflect.ValueOf(c).Elem()); got != text {
		t.Fatalf("canonicalized %s, want %s", got, text)
	}
}

// checkEqual: Equal says what the rules say, of values that should be equal and of any other two.
func checkEqual[T any, V value[T]](t *rapid.T, r random, v V) {
	same := V(v.Clone())
	r.scramble(reflect.ValueOf(same).Elem())
	if !v.Equal((*T)(same)) || !bytes.Equal(v.AppendCanonical(nil), same.AppendCanonical(nil)) {
		t.Fatalf("not equal though only order, repetitions or absence differ:\n%#v\n%#v", v, same)
	}
	other := V(new(T))
	r.fill(reflect.ValueOf(other).Elem(), 0)
	changed := V(v.Clone())
	changeOne(r, reflect.ValueOf(changed).Elem())
	for _, o := range []V{other, changed} {
		text, otherText := r.idl.canonicalText(reflect.ValueOf(v).Elem()), r.idl.canonicalText(reflect.ValueOf(o).Elem())
		if got := v.Equal((*T)(o)); got != (text == otherText) {
			t.Fatalf("Equal is %v for\n%s\n%s", got, text, otherText)
		}
	}
}

// changeOne gives one field, somewhere, another value.
func changeOne(r random, v reflect.Value) {
	f := v.Field(rapid.IntRange(0, v.NumField()-1).Draw(r.t, "changed"))
	if f.Kind() == reflect.Pointer && !f.IsNil() && r.chance(80) {
		changeOne(r, f.Elem())
		return
	}
	if f.Kind() == reflect.Slice && f.Len() > 0 && f.Index(0).Kind() == reflect.Pointer && r.chance(80) {
		changeOne(r, f.Index(0).Elem())
		return
	}
	f.SetZero()
	r.value(f, 3, r.idl.union(v.Type()))
}

// fillContainers gives each TaskConfig the container it has by default, as decoding does.
func fillContainers(v reflect.Value) {
	if c, ok := v.Addr().Interface().(*api.TaskConfig); ok && c.Container == nil {
		c.Container = &api.Container{Mesos: &api.MesosContainer{}}
	}
	walk(v, fillContainers)
}

// spoil changes everything that can be reached.
func spoil(v reflect.Value) {
	walk(v, spoil)
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.Map:
			f.Clear()
		case reflect.Slice:
			for j := range f.Len() {
				f.Index(j).SetZero()
			}
		}
		v.Field(i).SetZero()
	}
}

// walk calls visit for each struct directly within v.
func walk(v reflect.Value, visit func(reflect.Value)) {
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.Pointer:
			if !f.IsNil() {
				visit(f.Elem())
			}
		case reflect.Slice:
			for j := range f.Len() {
				if e := f.Index(j); e.Kind() == reflect.Pointer && !e.IsNil() {
					visit(e.Elem())
				}
			}
		}
	}
}

// deepEqual is reflect.DeepEqual, which tells nil from empty, but with NaN equal to itself.
func deepEqual(a, b any) bool { return deepEqualValues(reflect.ValueOf(a), reflect.ValueOf(b)) }

func deepEqualValues(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Float64:
		return scalarText(a) == scalarText(b)
	case reflect.Pointer:
		return a.IsNil() == b.IsNil() && (a.IsNil() || deepEqualValues(a.Elem(), b.Elem()))
	case reflect.Struct:
		for i := range a.NumField() {
			if !deepEqualValues(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice:
		if a.IsNil() != b.IsNil() || a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !deepEqualValues(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

package schema_test

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/schema/api"
)

// idlField is what a line of the IDL says of a field, read without the generator.
type idlField struct {
	typ    string // as in set<string>
	plain  bool   // without keyword
	legacy bool
}

// idlSchema has what Go types do not tell: which slices are sets and which structs are unions.
// Names of structs are in lower case, since Id becomes ID in Go.
type idlSchema struct {
	unions map[string]bool
	fields map[string]map[string]idlField
}

func readIDL(t testing.TB) idlSchema {
	t.Helper()
	s := idlSchema{map[string]bool{}, map[string]map[string]idlField{}}
	head := regexp.MustCompile(`^(struct|union) (\w+)`)
	field := regexp.MustCompile(`^\s+\d+: (optional )?(.*?) (\w+)( = .*| \(.*)?$`)
	for _, name := range []string{"api", "query", "storage"} {
		text, err := os.ReadFile("idl/" + name + ".thrift")
		if err != nil {
			t.Fatal(err)
		}
		current := ""
		for line := range strings.Lines(string(text)) {
			line = strings.TrimRight(line, "\n")
			if m := head.FindStringSubmatch(line); m != nil {
				current = strings.ToLower(m[2])
				s.unions[current] = m[1] == "union"
				s.fields[current] = map[string]idlField{}
			}
			if m := field.FindStringSubmatch(line); m != nil {
				s.fields[current][m[3]] = idlField{
					typ: strings.ReplaceAll(m[2], "api.", ""), plain: m[1] == "", legacy: strings.Contains(m[4], "legacy"),
				}
			}
		}
	}
	return s
}

func (s idlSchema) union(t reflect.Type) bool { return s.unions[strings.ToLower(t.Name())] }

func (s idlSchema) field(t reflect.Type, f reflect.StructField) idlField {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return s.fields[strings.ToLower(t.Name())][name]
}

// isOptional reports whether t is an Optional, and of what.
func isOptional(t reflect.Type) (reflect.Type, bool) {
	if t.Kind() == reflect.Struct && strings.HasPrefix(t.Name(), "Optional[") {
		return t.Field(0).Type, true
	}
	return nil, false
}

// topLevel lists values that between them hold every type of the schema.
func topLevel() []any {
	return []any{
		new(api.LogEntry), new(api.TaskQuery), new(api.JobUpdateQuery), new(api.InstanceKey), new(api.Response),
	}
}

func TestEveryFieldOfTheIDLHasItsGoType(t *testing.T) {
	idl := readIDL(t)
	seen := map[reflect.Type]bool{}
	var visit func(reflect.Type)
	visit = func(typ reflect.Type) {
		if seen[typ] || typ.Kind() != reflect.Struct {
			return
		}
		seen[typ] = true
		for f := range typ.Fields() {
			spec := idl.field(typ, f)
			if got, want := goTypeOf(f.Type), wantGoType(spec, idl.union(typ)); got != want {
				t.Errorf("%s.%s is %s, want %s for %q", typ.Name(), f.Name, got, want, spec.typ)
			}
			inner := f.Type
			for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice {
				inner = inner.Elem()
			}
			if _, opt := isOptional(inner); !opt {
				visit(inner)
			}
		}
		if got, want := typ.NumField(), len(idl.fields[strings.ToLower(typ.Name())]); got != want {
			t.Errorf("%s has %d fields, the IDL %d", typ.Name(), got, want)
		}
	}
	for _, v := range topLevel() {
		visit(reflect.TypeOf(v).Elem())
	}
	if len(seen) != len(idl.fields) {
		t.Errorf("%d structs reached, the IDL has %d", len(seen), len(idl.fields))
	}
}

func goTypeOf(t reflect.Type) string {
	if inner, ok := isOptional(t); ok {
		return "Optional " + goTypeOf(inner)
	}
	return strings.ToLower(strings.ReplaceAll(t.String(), "api.", ""))
}

func wantGoType(f idlField, union bool) string {
	base := map[string]string{"bool": "bool", "i32": "int32", "i64": "int64", "double": "float64", "string": "string", "binary": "[]uint8"}
	enums := map[string]bool{"ScheduleStatus": true, "JobUpdateStatus": true, "JobUpdateAction": true, "MaintenanceMode": true,
		"CronCollisionPolicy": true, "Mode": true, "ResponseCode": true}
	elem := func(name string) string {
		switch {
		case base[name] != "":
			return base[name]
		case enums[name]:
			return strings.ToLower(name)
		}
		return "*" + strings.ToLower(name)
	}
	if i := strings.IndexByte(f.typ, '<'); i >= 0 {
		inner := strings.TrimSuffix(f.typ[i+1:], ">")
		if value, ok := strings.CutPrefix(inner, "string, "); ok {
			return "map[string]" + elem(value)
		}
		return "[]" + elem(inner)
	}
	scalar := f.typ == "bool" || f.typ == "i32" || f.typ == "i64" || f.typ == "double"
	switch {
	case f.typ == "binary", scalar && f.plain && !union, base[f.typ] == "" && !enums[f.typ]:
		return elem(f.typ)
	}
	return "Optional " + elem(f.typ)
}

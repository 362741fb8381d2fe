package main

import "fmt"

func emitDoc(p *printer, m *model) {
	p.line(`// Package api holds the types of the schema, generated from the Thrift IDL.
//
// A field that may be unset is an Optional (numbers and bools that the IDL calls optional, strings,
// enums), a pointer (structs, unions) or a slice or map, nil when unset and empty when present and
// empty. A union is a struct with one field for each branch, of which exactly one is set.
//
// Each struct T has these methods, all on *T and none safe while another goroutine changes the value:
//
//	AppendBinary     appends the Thrift Binary encoding
//	AppendCanonical  appends that of the canonical form: equal values, equal bytes
//	UnmarshalBinary  replaces the value by a decoded one
//	UnmarshalStrict  does so, but refuses unknown enum numbers; only where the IDL says strict
//	Clone            copies deeply
//	Canonicalize     brings the value into canonical form
//	Equal            compares canonical forms
//	Validate         finds what could not be written and read back
//
// A field with a default in the IDL has that default when it is nil.
package api

import "github.com/scheduler-store/scheduler-store/schema/wire"

// Optional is a value that may be unset.
type Optional[T any] = wire.Optional[T]

// Some returns an Optional that is set to v.
func Some[T any](v T) Optional[T] { return wire.Some(v) }
`)
	for _, c := range m.consts {
		p.line("// %s: %s", constName(c.Name), doc(c.ReservedComments))
		p.line("const %s int32 = %d\n", constName(c.Name), c.Value.TypedValue.GetInt())
	}
}

func goType(t typ) string {
	switch t.kind {
	case kindList, kindSet:
		return "[]" + goType(*t.elem)
	case kindMap:
		return "map[string]" + goType(*t.elem)
	case kindStruct:
		return "*" + t.name
	case kindEnum:
		return t.name
	}
	return [...]string{"bool", "int32", "int64", "float64", "string", "[]byte"}[t.kind]
}

func emitTypes(p *printer, m *model) {
	p.line("package api\n")
	for _, s := range m.structs {
		what := "is a struct of the schema."
		if s.union {
			what = "is a union: exactly one field is set."
		}
		p.line("// %s %s", s.name, what)
		if s.doc != "" {
			p.line("//\n// %s", s.doc)
		}
		p.line("type %s struct {", s.name)
		for _, f := range s.fields {
			if f.doc != "" {
				p.line("// %s", f.doc)
			}
			t := goType(f.typ)
			if f.optional() {
				t = "Optional[" + t + "]"
			}
			p.line("%s %s `json:\"%s%s\"`", f.go_, t, f.idl, jsonOption(f))
		}
		p.line("}\n")
	}
}

// jsonOption follows the rule of presence: a plain scalar is always there.
func jsonOption(f *field) string {
	if f.plain {
		return ""
	}
	return ",omitzero"
}

func emitEnums(p *printer, m *model) {
	p.line("package api\n\nimport (\n\"fmt\"\n\"strconv\"\n\"strings\"\n)\n")
	for _, e := range m.enums {
		p.line("// %s is an enum of the schema. %s", e.name, e.doc)
		p.line("type %s int32\n\nconst (", e.name)
		for _, v := range e.values {
			p.line("%s%s %s = %d", e.name, v.Name, e.name, v.Value)
		}
		p.line(")\n")
		p.line("// %sValues returns the values in the order of the IDL.", e.name)
		p.line("func %sValues() []%s {\nreturn []%s{", e.name, e.name, e.name)
		for _, v := range e.values {
			p.line("%s%s,", e.name, v.Name)
		}
		p.line("}\n}\n")
		p.line("func (v %s) name() string {\nswitch v {", e.name)
		for _, v := range e.values {
			p.line("case %s%s:\nreturn %q", e.name, v.Name, v.Name)
		}
		p.line("}\nreturn \"\"\n}\n")
		p.line(`// IsKnown reports whether the schema has the value.
func (v %[1]s) IsKnown() bool { return v.name() != "" }

// String returns the name, or the number of an unknown value.
func (v %[1]s) String() string { return enumString(v.name(), int32(v)) }

// MarshalText returns what String returns.
func (v %[1]s) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads a name.
func (v *%[1]s) UnmarshalText(text []byte) error {
	return parseEnum(v, text, "%[1]s", %[1]sValues())
}
`, e.name)
	}
	p.line(`func enumString(name string, number int32) string {
	if name == "" {
		return strconv.Itoa(int(number))
	}
	return name
}

func parseEnum[T interface{ ~int32; String() string }](v *T, text []byte, enum string, values []T) error {
	names := make([]string, len(values))
	for i, value := range values {
		names[i] = value.String()
		if names[i] == string(text) {
			*v = value
			return nil
		}
	}
	return fmt.Errorf("unknown %%s %%q, want one of %%s", enum, text, strings.Join(names, ", "))
}
`)
}

func emitMethods(p *printer, m *model) {
	p.line("package api\n\nimport (\n\"fmt\"\n\n\"github.com/scheduler-store/scheduler-store/schema/wire\"\n)\n")
	p.line(`// encodeError says why a value could not be encoded.
func encodeError(name string, fault error) error {
	if fault == nil {
		return fmt.Errorf("encode %%s: a part has more than 2147483647 bytes or elements", name)
	}
	return fmt.Errorf("encode %%s: %%w", name, fault)
}
`)
	for _, s := range m.structs {
		p.line(`// AppendBinary appends the encoding to b. It refuses what Validate refuses, and then returns b as
// it was. Sets are written in the order they have.
func (x *%[1]s) AppendBinary(b []byte) ([]byte, error) {
	w := wire.NewWriter(b, wire.AsIs)
	x.write(&w)
	if w.Failed() {
		return b, encodeError("%[1]s", x.Validate())
	}
	return w.Buf(), nil
}

// AppendCanonical appends the encoding of the canonical form to b. The bytes of two valid values are
// equal exactly when the values are Equal.
func (x *%[1]s) AppendCanonical(b []byte) []byte {
	w := wire.NewWriter(b, wire.Canonical)
	x.write(&w)
	return w.Buf()
}

// UnmarshalBinary replaces x by the value that data begins with; bytes after it are ignored. After
// an error x is empty. Nothing in x refers to data.
func (x *%[1]s) UnmarshalBinary(data []byte) error {
	*x = %[1]s{}
	r := wire.NewReader(data)
	x.read(&r)
	if err := r.Err(); err != nil {
		*x = %[1]s{}
		return fmt.Errorf("decode %[1]s: %%w", err)
	}
	return nil
}
`, s.name)
		if s.strict {
			p.line(`// UnmarshalStrict does what UnmarshalBinary does, but an enum number that the schema does not know
// is an error too, where it would else leave a field unset.
func (x *%[1]s) UnmarshalStrict(data []byte) error {
	*x = %[1]s{}
	r := wire.NewStrictReader(data)
	x.read(&r)
	if err := r.Err(); err != nil {
		*x = %[1]s{}
		return fmt.Errorf("decode %[1]s: %%w", err)
	}
	return nil
}
`, s.name)
		}
	}
}

// defaultFunc returns the name of the function that makes the default of a field.
func defaultFunc(s *structure, f *field) string { return fmt.Sprintf("default%s%s", s.name, f.go_) }

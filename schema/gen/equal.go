package main

import "strings"

func emitEqual(p *printer, m *model) {
	p.line("package api\n\nimport (\n\"bytes\"\n\"maps\"\n\"slices\"\n\n\"github.com/scheduler-store/scheduler-store/schema/wire\"\n)\n")
	p.line(`// equalAll compares lists element by element.
func equalAll[T any, P interface{ *T; Equal(*T) bool }](a, b []*T) bool {
	return slices.EqualFunc(a, b, func(a, b *T) bool { return P(a).Equal(b) })
}

func equalBytes(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }
`)
	for _, s := range m.structs {
		p.line("// Equal reports whether x and o have the same canonical form. Only nil equals nil.")
		p.line("func (x *%s) Equal(o *%s) bool {\nif x == nil || o == nil || x == o {\nreturn x == o\n}", s.name, s.name)
		for _, f := range s.fields {
			if f.dflt != nil {
				p.line("x%[1]s, o%[1]s := x.%[1]s, o.%[1]s", f.go_)
				p.line("if x%[1]s == nil {\nx%[1]s = %[2]s()\n}\nif o%[1]s == nil {\no%[1]s = %[2]s()\n}", f.go_, defaultFunc(s, f))
			}
		}
		var terms []string
		for _, f := range s.fields {
			terms = append(terms, equalTerm(s, f))
		}
		p.line("return %s\n}\n", strings.Join(terms, " &&\n"))
	}
}

// equalTerm returns the condition under which a field is equal in x and o.
func equalTerm(s *structure, f *field) string {
	x, o := "x."+f.go_, "o."+f.go_
	args := "(" + x + ", " + o + ")"
	switch k := f.typ.kind; {
	case f.plain && k == kindDouble:
		return "wire.SameDouble" + args
	case f.plain:
		return x + " == " + o
	case f.optional():
		return equalOptional(f, x, o, k.scalar() && !s.union && !f.legacy)
	case f.dflt != nil:
		return "x" + f.go_ + ".Equal(o" + f.go_ + ")"
	case k == kindStruct:
		return x + ".Equal(" + o + ")"
	case k == kindBinary:
		return "equalBytes" + args
	case k == kindMap:
		return "maps.Equal" + args
	case k == kindSet && f.typ.elem.kind == kindStruct:
		return "wire.SameStructs(" + x + ", " + o + ", (*" + f.typ.elem.name + ").Equal, (*" + f.typ.elem.name + ").write)"
	case k == kindSet && f.typ.elem.kind == kindString:
		return "wire.SameStrings" + args
	case k == kindSet:
		return "wire.SameNumbers" + args
	case f.typ.elem.kind == kindStruct:
		return "equalAll" + args
	}
	return "slices.Equal" + args
}

// equalOptional compares Optionals; where unset means zero, by value alone.
func equalOptional(f *field, x, o string, unsetIsZero bool) string {
	same := "wire.Same(" + x + ", " + o + ")"
	byValue := x + ".Get() == " + o + ".Get()"
	if f.typ.kind == kindDouble {
		byValue = "wire.SameDouble(" + x + ".Get(), " + o + ".Get())"
		same = x + ".Set == " + o + ".Set && " + byValue
	}
	if unsetIsZero {
		return byValue
	}
	return same
}

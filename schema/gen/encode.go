package main

import (
	"fmt"

	"github.com/cloudwego/thriftgo/parser"
)

func emitEncode(p *printer, m *model) {
	p.line("package api\n\nimport \"github.com/scheduler-store/scheduler-store/schema/wire\"\n")
	for _, s := range m.structs {
		p.line("func (x *%s) write(w *wire.Writer) {", s.name)
		if s.union {
			p.line("branches := 0")
		}
		for _, f := range s.fields {
			if s.union {
				p.line("if %s {\nbranches++", f.set())
				writeValue(p, f)
				p.line("}")
			} else {
				writeField(p, s, f)
			}
		}
		if s.union {
			p.line("if branches != 1 {\nw.Fail()\n}")
		}
		p.line("w.Stop()\n}\n")
		for _, f := range s.fields {
			if f.dflt != nil {
				p.line("func %s() %s {\nreturn %s\n}\n", defaultFunc(s, f), goType(f.typ), literal(m, f.typ, f.dflt))
			}
		}
	}
}

func writeField(p *printer, s *structure, f *field) {
	k := f.typ.kind
	switch {
	case f.plain:
		writeValue(p, f)
	case (k.scalar() || k == kindString) && !f.legacy:
		p.line("w.Opt%s(%s, x.%s)", k.wireType(), f.key(), f.go_)
	case f.dflt != nil:
		p.line("w.Key(%s)", f.key())
		p.line("if x.%s != nil {\nx.%s.write(w)\n} else {\n%s().write(w)\n}", f.go_, f.go_, defaultFunc(s, f))
	case k >= kindList:
		p.line("if %s || w.Canonical() {", f.set())
		writeContainer(p, f)
		p.line("}")
	default:
		p.line("if %s {", f.set())
		writeValue(p, f)
		p.line("}")
	}
}

// writeValue writes a field that is set and not a container.
func writeValue(p *printer, f *field) {
	v := "x." + f.go_
	if f.optional() {
		v += ".Value"
	}
	switch k := f.typ.kind; k {
	case kindStruct:
		p.line("w.Key(%s)\n%s.write(w)", f.key(), v)
	case kindBinary:
		p.line("w.Bytes(%s, %s)", f.key(), v)
	case kindEnum:
		p.line("if !%s.IsKnown() {\nw.Fail()\n}", v)
		p.line("w.I32(%s, int32(%s))", f.key(), v)
	default:
		p.line("w.%s(%s, %s)", k.wireType(), f.key(), v)
	}
}

func writeContainer(p *printer, f *field) {
	elem := f.typ.elem.kind
	switch f.typ.kind {
	case kindMap:
		p.line("w.Map(%s, wire.String, wire.%s, len(x.%s))", f.key(), elem.wireType(), f.go_)
		p.line("var keys [16]string")
		p.line("for _, k := range wire.SortedKeys(keys[:0], x.%s) {", f.go_)
		p.line("w.ElemString(k)\nw.Elem%s(x.%s[k])\n}", elem.wireType(), f.go_)
		return
	case kindSet:
		p.line("set := w.BeginSet(%s, wire.%s, len(x.%s))", f.key(), elem.wireType(), f.go_)
	case kindList:
		p.line("w.Container(%s, wire.%s, len(x.%s))", f.key(), elem.wireType(), f.go_)
	}
	p.line("for _, e := range x.%s {", f.go_)
	if f.typ.kind == kindSet {
		p.line("w.Elem()")
	}
	switch elem {
	case kindStruct:
		p.line("if e == nil {\nw.ElemNil()\ncontinue\n}\ne.write(w)")
	case kindEnum:
		p.line("if !e.IsKnown() {\nw.Fail()\n}\nw.ElemI32(int32(e))")
	default:
		p.line("w.Elem%s(e)", elem.wireType())
	}
	p.line("}")
	if f.typ.kind == kindSet {
		p.line("w.EndSet(set)")
	}
}

// literal returns the Go expression for a default: a struct by the names of its fields.
func literal(m *model, t typ, v *parser.ConstValue) string {
	if t.kind != kindStruct || v.Type != parser.ConstType_ConstMap {
		panic(fmt.Sprintf("default of %s: only structs are supported", goType(t)))
	}
	out := "&" + t.name + "{"
	for _, entry := range v.TypedValue.Map {
		for _, f := range m.byName[t.name].fields {
			if f.idl == entry.Key.TypedValue.GetLiteral() {
				out += f.go_ + ": " + literal(m, f.typ, entry.Value)
			}
		}
	}
	return out + "}"
}

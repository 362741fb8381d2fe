package main

func emitDecode(p *printer, m *model) {
	p.line("package api\n\nimport \"github.com/scheduler-store/scheduler-store/schema/wire\"\n")
	p.line(`// enumField reads a number as a field: unset when the schema does not know it.
func enumField[T interface{ ~int32; IsKnown() bool }](r *wire.Reader, name string) Optional[T] {
	v := T(r.I32())
	if !v.IsKnown() {
		r.UnknownEnum(name, int32(v))
		return Optional[T]{}
	}
	return Some(v)
}
`)
	for _, s := range m.structs {
		p.line("func (x *%s) read(r *wire.Reader) {", s.name)
		if s.union {
			p.line("branches := 0")
		}
		p.line("for {\nswitch r.Field() {\ncase 0:")
		for _, f := range s.fields {
			if f.dflt != nil {
				p.line("if x.%s == nil {\nx.%s = %s()\n}", f.go_, f.go_, defaultFunc(s, f))
			}
		}
		p.line("return")
		for _, f := range s.fields {
			p.line("case %s:", f.key())
			readField(p, m, f)
			if s.union {
				p.line("branches++")
			}
		}
		p.line("default:\nr.Skip()\n}")
		if s.union {
			p.line("if branches > 1 {\nr.Fail(\"%s with more than one branch\")\n}", s.name)
		}
		p.line("}\n}\n")
	}
}

func readField(p *printer, m *model, f *field) {
	value := ""
	switch k := f.typ.kind; k {
	case kindStruct:
		p.line("x.%s = wire.New[%s](r)\nx.%s.read(r)", f.go_, f.typ.name, f.go_)
		return
	case kindEnum:
		p.line("x.%s = enumField[%s](r, %q)", f.go_, f.typ.name, f.typ.name)
		return
	case kindList, kindSet:
		readContainer(p, m, f)
		return
	case kindMap:
		readMap(p, f)
		return
	case kindBinary:
		value = "r.Bytes()"
	default:
		value = "r." + k.wireType() + "()"
	}
	if f.optional() {
		value = "Some(" + value + ")"
	}
	p.line("x.%s = %s", f.go_, value)
}

func readContainer(p *printer, m *model, f *field) {
	elem := *f.typ.elem
	p.line("if n := r.Container(wire.%s); n >= 0 {", elem.kind.wireType())
	p.line("s := wire.Room[%s](r, n)", goType(elem))
	slab := elem.kind == kindStruct && m.byName[elem.name].leaf()
	if slab {
		p.line("var slab wire.Slab[%s]", elem.name)
	}
	p.line("for i := 0; i < n && !r.Failed(); i++ {")
	switch {
	case slab:
		p.line("e := slab.Next(r, n-i)\ne.read(r)\ns = append(s, e)")
	case elem.kind == kindStruct:
		p.line("e := wire.New[%s](r)\ne.read(r)\ns = append(s, e)", elem.name)
	case elem.kind == kindEnum:
		p.line("if e := enumField[%s](r, %q); e.Set {\ns = append(s, e.Value)\n}", elem.name, elem.name)
	default:
		p.line("s = append(s, r.%s())", elem.kind.wireType())
	}
	p.line("}\nx.%s = s\n}", f.go_)
}

func readMap(p *printer, f *field) {
	elem := f.typ.elem.kind
	p.line("if n := r.Map(wire.String, wire.%s); n >= 0 {", elem.wireType())
	p.line("m := wire.RoomMap[%s](r, n)", goType(*f.typ.elem))
	p.line("for i := 0; i < n && !r.Failed(); i++ {\nk := r.String()\nm[k] = r.%s()\n}", elem.wireType())
	p.line("x.%s = m\n}", f.go_)
}

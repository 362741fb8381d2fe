package main

func emitCanonical(p *printer, m *model) {
	p.line("package api\n\nimport \"github.com/scheduler-store/scheduler-store/schema/wire\"\n")
	for _, s := range m.structs {
		p.line(`// Canonicalize brings x into canonical form in place, all parts included: unset containers become
// present and empty, unset bools and numbers present and zero, sets ordered and free of repetitions.
// Strings, enums, structs and unions that are unset stay so. A nil x is left alone.`)
		p.line("func (x *%s) Canonicalize() {\nif x == nil {\nreturn\n}", s.name)
		for _, f := range s.fields {
			canonicalizeField(p, s, f)
		}
		p.line("}\n")
	}
}

func canonicalizeField(p *printer, s *structure, f *field) {
	switch k := f.typ.kind; {
	case f.optional():
		if k.scalar() && !s.union && !f.legacy {
			p.line("x.%s.Fill()", f.go_)
		}
	case k == kindStruct:
		if f.dflt != nil {
			p.line("if x.%s == nil {\nx.%s = %s()\n}", f.go_, f.go_, defaultFunc(s, f))
		}
		p.line("x.%s.Canonicalize()", f.go_)
	case k == kindMap:
		p.line("if x.%s == nil {\nx.%s = %s{}\n}", f.go_, f.go_, goType(f.typ))
	case k == kindList || k == kindSet:
		canonicalizeContainer(p, f)
	}
}

func canonicalizeContainer(p *printer, f *field) {
	p.line("if x.%s == nil {\nx.%s = %s{}\n}", f.go_, f.go_, goType(f.typ))
	elem := f.typ.elem
	if elem.kind == kindStruct {
		p.line("for _, e := range x.%s {\ne.Canonicalize()\n}", f.go_)
	}
	if f.typ.kind != kindSet {
		return
	}
	switch elem.kind {
	case kindStruct:
		p.line("x.%s = wire.SortStructs(x.%s, (*%s).write)", f.go_, f.go_, elem.name)
	case kindString:
		p.line("x.%s = wire.SortStrings(x.%s)", f.go_, f.go_)
	default:
		p.line("x.%s = wire.SortNumbers(x.%s)", f.go_, f.go_)
	}
}

package main

func emitClone(p *printer, m *model) {
	p.line("package api\n\nimport (\n\"maps\"\n\"slices\"\n)\n")
	p.line(`// cloneAll copies the elements of a container deeply. A nil one stays nil.
func cloneAll[T any, P interface{ *T; Clone() *T }](s []*T) []*T {
	if s == nil {
		return nil
	}
	out := make([]*T, len(s))
	for i, e := range s {
		out[i] = P(e).Clone()
	}
	return out
}

// cloneLeaves does what cloneAll does for structs that are copied by assignment.
func cloneLeaves[T any](s []*T) []*T {
	if s == nil {
		return nil
	}
	out := make([]*T, len(s))
	values := make([]T, len(s))
	for i, e := range s {
		if e != nil {
			values[i] = *e
			out[i] = &values[i]
		}
	}
	return out
}
`)
	for _, s := range m.structs {
		p.line("// Clone returns a copy that shares nothing that can change. The copy of nil is nil.")
		p.line("func (x *%s) Clone() *%s {\nif x == nil {\nreturn nil\n}\nc := *x", s.name, s.name)
		for _, f := range s.fields {
			switch f.typ.kind {
			case kindStruct:
				p.line("c.%s = x.%s.Clone()", f.go_, f.go_)
			case kindBinary:
				p.line("c.%s = slices.Clone(x.%s)", f.go_, f.go_)
			case kindMap:
				p.line("c.%s = maps.Clone(x.%s)", f.go_, f.go_)
			case kindList, kindSet:
				p.line("c.%s = %s(x.%s)", f.go_, cloneFunc(m, *f.typ.elem), f.go_)
			}
		}
		p.line("return &c\n}\n")
	}
}

func cloneFunc(m *model, elem typ) string {
	switch {
	case elem.kind != kindStruct:
		return "slices.Clone"
	case m.byName[elem.name].leaf():
		return "cloneLeaves"
	}
	return "cloneAll"
}

package main

func emitValidate(p *printer, m *model) {
	p.line("package api\n\nimport (\n\"errors\"\n\n\"github.com/scheduler-store/scheduler-store/schema/wire\"\n)\n")
	p.line("var errNilElement = errors.New(\"no value\")\n")
	for _, s := range m.structs {
		p.line(`// Validate returns an error, a *wire.PathError when it is about a part of x, if x could not be
// written and read back: a union with no branch or several, an enum number that the schema does not
// know, a string that is not UTF-8, a nil in a container. A nil x is valid.`)
		p.line("func (x *%s) Validate() error {\nif x == nil {\nreturn nil\n}", s.name)
		if s.union {
			p.line("branches := 0")
			for _, f := range s.fields {
				p.line("if %s {\nbranches++\n}", f.set())
			}
			p.line("if err := wire.CheckBranches(branches, %q); err != nil {\nreturn err\n}", s.name)
		}
		for _, f := range s.fields {
			validateField(p, f)
		}
		p.line("return nil\n}\n")
	}
}

func validateField(p *printer, f *field) {
	switch f.typ.kind {
	case kindString:
		check(p, "wire.CheckOptional(x."+f.go_+")", "wire.In(\""+f.idl+"\", err)")
	case kindEnum:
		check(p, "wire.CheckEnum(x."+f.go_+", \""+f.typ.name+"\")", "wire.In(\""+f.idl+"\", err)")
	case kindStruct:
		check(p, "x."+f.go_+".Validate()", "wire.In(\""+f.idl+"\", err)")
	case kindMap:
		at := "wire.InEntry(\"" + f.idl + "\", k, err)"
		if f.typ.elem.kind == kindString {
			p.line("for k, v := range x.%s {", f.go_)
			check(p, "wire.CheckString(v)", at)
		} else {
			p.line("for k := range x.%s {", f.go_)
		}
		check(p, "wire.CheckString(k)", at)
		p.line("}")
	case kindList, kindSet:
		validateElements(p, f)
	}
}

func validateElements(p *printer, f *field) {
	at := "wire.InElem(\"" + f.idl + "\", i, err)"
	if f.typ.elem.kind == kindI32 {
		return
	}
	p.line("for i, e := range x.%s {", f.go_)
	switch elem := f.typ.elem; elem.kind {
	case kindStruct:
		p.line("if e == nil {\nreturn wire.InElem(%q, i, errNilElement)\n}", f.idl)
		check(p, "e.Validate()", at)
	case kindEnum:
		check(p, "wire.CheckEnum(Some(e), \""+elem.name+"\")", at)
	case kindString:
		check(p, "wire.CheckString(e)", at)
	}
	p.line("}")
}

func check(p *printer, call, wrapped string) {
	p.line("if err := %s; err != nil {\nreturn %s\n}", call, wrapped)
}

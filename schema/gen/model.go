package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/cloudwego/thriftgo/parser"
)

type kind int

const (
	kindBool kind = iota
	kindI32
	kindI64
	kindDouble
	kindString
	kindBinary
	kindEnum
	kindStruct // also unions
	kindList
	kindSet
	kindMap
)

func (k kind) scalar() bool { return k <= kindDouble }

// wireType returns the name of the type code in package wire.
func (k kind) wireType() string {
	return [...]string{"Bool", "I32", "I64", "Double", "String", "String", "I32", "Struct", "List", "Set", "Map"}[k]
}

type typ struct {
	kind kind
	name string // Go name of an enum or struct
	elem *typ   // of a list, set or map
}

type field struct {
	id       int32
	idl, go_ string
	doc      string
	typ      typ
	legacy   bool               // stays unset in the canonical form
	plain    bool               // a scalar without keyword
	dflt     *parser.ConstValue // or nil
}

// optional reports whether the Go field is an Optional.
func (f *field) optional() bool {
	return !f.plain && (f.typ.kind.scalar() || f.typ.kind == kindString || f.typ.kind == kindEnum)
}

// set returns the condition under which the field is set.
func (f *field) set() string {
	if f.optional() {
		return "x." + f.go_ + ".Set"
	}
	return "x." + f.go_ + " != nil"
}

func (f *field) key() string {
	return fmt.Sprintf("wire.%s<<16|%d", f.typ.kind.wireType(), f.id)
}

type structure struct {
	name, idl, doc string
	union          bool
	strict         bool     // has UnmarshalStrict
	fields         []*field // by id
}

// leaf reports whether no field points to another struct or container.
func (s *structure) leaf() bool {
	return !slices.ContainsFunc(s.fields, func(f *field) bool { return f.typ.kind >= kindStruct || f.typ.kind == kindBinary })
}

type enum struct {
	name, doc string
	values    []*parser.EnumValue
}

type model struct {
	consts  []*parser.Constant
	enums   []*enum
	structs []*structure
	byName  map[string]*structure // by Go name
	isEnum  map[string]bool       // by Go name
}

// load parses the files. Names of types are shared among them: all become one Go package.
func load(paths []string) (*model, error) {
	m := &model{byName: map[string]*structure{}, isEnum: map[string]bool{}}
	var parsed []*parser.StructLike
	for _, path := range paths {
		file, err := parser.ParseFile(path, nil, false)
		if err != nil {
			return nil, err
		}
		if len(file.Typedefs)+len(file.Exceptions)+len(file.Services) > 0 {
			return nil, fmt.Errorf("%s: typedefs, exceptions and services are not supported", path)
		}
		m.consts = append(m.consts, file.Constants...)
		for _, e := range file.Enums {
			name := goName(e.Name)
			m.enums = append(m.enums, &enum{name, doc(e.ReservedComments), e.Values})
			m.isEnum[name] = true
		}
		// The parser keeps structs and unions apart.
		for _, s := range append(slices.Clone(file.Structs), file.Unions...) {
			if name := goName(s.Name); m.byName[name] != nil || m.isEnum[name] {
				return nil, fmt.Errorf("%s: a second type %s", path, name)
			}
			m.byName[goName(s.Name)] = &structure{name: goName(s.Name), idl: s.Name, doc: doc(s.ReservedComments), union: s.Category == "union"}
			parsed = append(parsed, s)
		}
	}
	for _, s := range parsed {
		out := m.byName[goName(s.Name)]
		if err := out.annotate(s.Annotations); err != nil {
			return nil, fmt.Errorf("%s: %w", s.Name, err)
		}
		if err := m.addFields(out, s); err != nil {
			return nil, fmt.Errorf("%s: %w", s.Name, err)
		}
		m.structs = append(m.structs, out)
	}
	slices.SortFunc(m.structs, func(a, b *structure) int { return strings.Compare(a.name, b.name) })
	slices.SortFunc(m.enums, func(a, b *enum) int { return strings.Compare(a.name, b.name) })
	return m, nil
}

func (m *model) addFields(out *structure, s *parser.StructLike) error {
	for _, pf := range s.Fields {
		t, err := m.resolve(pf.Type)
		if err != nil {
			return fmt.Errorf("%s: %w", pf.Name, err)
		}
		f := &field{id: pf.ID, idl: pf.Name, go_: goName(pf.Name), doc: doc(pf.ReservedComments), typ: t, dflt: pf.Default}
		if err := f.annotate(pf.Annotations); err != nil {
			return fmt.Errorf("%s: %w", pf.Name, err)
		}
		if err := out.add(f, pf.Requiredness); err != nil {
			return fmt.Errorf("%s: %w", pf.Name, err)
		}
	}
	slices.SortFunc(out.fields, func(a, b *field) int { return int(a.id - b.id) })
	return nil
}

func (f *field) annotate(annotations parser.Annotations) error {
	for _, a := range annotations {
		if a.Key != "legacy" || !f.typ.kind.scalar() {
			return fmt.Errorf("annotation %s is not supported here", a.Key)
		}
		f.legacy = true
	}
	return nil
}

func (s *structure) annotate(annotations parser.Annotations) error {
	for _, a := range annotations {
		if a.Key != "strict" || s.union {
			return fmt.Errorf("annotation %s is not supported here", a.Key)
		}
		s.strict = true
	}
	return nil
}

// add checks the rules of presence, which stand at the top of api.thrift.
func (s *structure) add(f *field, req parser.FieldType) error {
	switch {
	case f.id <= 0 || f.id > 1<<15-1:
		return fmt.Errorf("id %d, must be from 1 to 32767", f.id)
	case slices.ContainsFunc(s.fields, func(o *field) bool { return o.id == f.id || o.go_ == f.go_ }):
		return errors.New("id or name used twice")
	case req == parser.FieldType_Required:
		return errors.New("no field of this schema is required")
	case s.union && f.typ.kind >= kindList:
		return errors.New("containers are not supported as branches of a union")
	case s.union: // the parser may call these optional
	case req == parser.FieldType_Default && !f.typ.kind.scalar():
		return errors.New("must be optional: only bool and numbers may go without")
	case req == parser.FieldType_Default:
		f.plain = true
	}
	if f.dflt != nil && f.typ.kind != kindStruct {
		return errors.New("a default is supported only for a struct or union")
	}
	s.fields = append(s.fields, f)
	return nil
}

var baseTypes = map[string]kind{
	"bool": kindBool, "i32": kindI32, "i64": kindI64, "double": kindDouble, "string": kindString, "binary": kindBinary,
}

func (m *model) resolve(t *parser.Type) (typ, error) {
	if k, ok := baseTypes[t.Name]; ok {
		return typ{kind: k}, nil
	}
	switch t.Name {
	case "list", "set":
		k := kindList
		if t.Name == "set" {
			k = kindSet
		}
		elem, err := m.resolve(t.ValueType)
		if err != nil {
			return typ{}, err
		}
		switch elem.kind {
		case kindString, kindI32, kindEnum, kindStruct:
			return typ{kind: k, elem: &elem}, nil
		}
		return typ{}, fmt.Errorf("a %s of %s is not supported", t.Name, t.ValueType.Name)
	case "map":
		elem, err := m.resolve(t.ValueType)
		if err != nil || t.KeyType.Name != "string" || elem.kind != kindString && elem.kind != kindI32 {
			return typ{}, errors.New("a map must have string keys, and string or i32 values")
		}
		return typ{kind: kindMap, elem: &elem}, nil
	}
	name := goName(t.Name[strings.LastIndexByte(t.Name, '.')+1:])
	switch {
	case m.isEnum[name]:
		return typ{kind: kindEnum, name: name}, nil
	case m.byName[name] != nil:
		return typ{kind: kindStruct, name: name}, nil
	}
	return typ{}, fmt.Errorf("type %s is unknown or not supported", t.Name)
}

// goName turns a name of the IDL into an exported Go name: taskId becomes TaskID.
func goName(idl string) string {
	var b strings.Builder
	for _, word := range words(strings.ToUpper(idl[:1]) + idl[1:]) {
		switch word {
		case "Id", "Url", "Uri":
			word = strings.ToUpper(word)
		case "Ids", "Uris":
			word = strings.ToUpper(word[:len(word)-1]) + "s"
		}
		b.WriteString(word)
	}
	return b.String()
}

// constName turns CURRENT_SCHEMA_VERSION into CurrentSchemaVersion.
func constName(idl string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(strings.ToLower(idl), "_") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

// words cuts a name before each upper-case letter.
func words(name string) []string {
	var out []string
	start := 0
	for i, r := range name {
		if i > 0 && unicode.IsUpper(r) {
			out = append(out, name[start:i])
			start = i
		}
	}
	return append(out, name[start:])
}

// doc returns the text of the last /** */ comment, which is the one about the item; others divide
// the file or note retired ids.
func doc(comments string) string {
	i := strings.LastIndex(comments, "/**")
	if i < 0 {
		return ""
	}
	text, _, _ := strings.Cut(comments[i+3:], "*/")
	return strings.Join(strings.Fields(text), " ")
}

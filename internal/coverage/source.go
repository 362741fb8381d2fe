package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// key names a block by what stays when lines are moved: its function, and the text
// that it begins with.
type key struct {
	where string // folder/file.go:function
	text  string
}

// source is one file of the module, parsed once.
type source struct {
	lines     []string
	functions []function
}

type function struct {
	name       string
	begin, end int // lines
}

func readSource(path string) (*source, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, path, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	s := &source{lines: strings.Split(string(text), "\n")}
	for _, declaration := range parsed.Decls {
		if f, ok := declaration.(*ast.FuncDecl); ok {
			s.functions = append(s.functions, function{nameOf(f), files.Position(f.Pos()).Line, files.Position(f.End()).Line})
		}
	}
	return s, nil
}

// nameOf is a function's name, or Type.method.
func nameOf(f *ast.FuncDecl) string {
	if f.Recv == nil || len(f.Recv.List) == 0 {
		return f.Name.Name
	}
	receiver := f.Recv.List[0].Type
	if star, ok := receiver.(*ast.StarExpr); ok {
		receiver = star.X
	}
	if generic, ok := receiver.(*ast.IndexExpr); ok {
		receiver = generic.X
	}
	if name, ok := receiver.(*ast.Ident); ok {
		return name.Name + "." + f.Name.Name
	}
	return f.Name.Name
}

// has tells whether a block can be of this text.
func (s *source) has(block span) bool {
	return block.line <= len(s.lines) && block.column <= len(s.lines[block.line-1])+1
}

// keyOf is the key of a block of this file.
func (s *source) keyOf(path string, block span) key {
	name := "a variable"
	for _, f := range s.functions {
		if f.begin <= block.line && block.line <= f.end {
			name = f.name
		}
	}
	return key{path + ":" + name, s.begin(block)}
}

// begin is the line a block begins in. If that tests no more than an error, the line
// before it belongs to it: it says whose error.
func (s *source) begin(block span) string {
	text := s.line(block.line)
	// After an if, a block may begin at the end of a line, as what follows on the next.
	if before, _, _ := strings.Cut(s.lines[block.line-1][block.column-1:], "//"); strings.TrimSpace(before) == "" {
		if strings.HasPrefix(text, "case ") {
			return text + " " + s.line(block.line+1)
		}
		return s.line(block.line + 1)
	}
	if strings.HasPrefix(text, "if err != nil") {
		return s.line(block.line-1) + "; " + text
	}
	return text
}

// line is a line without what a table of Markdown can't hold.
func (s *source) line(n int) string {
	if n < 1 || n > len(s.lines) {
		return ""
	}
	return strings.ReplaceAll(strings.TrimSpace(s.lines[n-1]), "|", "¦")
}

// share is a package's coverage.
type share struct {
	name             string
	statements, runs int
}

func (s share) percent() float64 {
	return 100 * float64(s.runs) / float64(max(s.statements, 1))
}

// measured is what the profiles say of the module.
type measured struct {
	packages  []share
	known     map[key]bool // each block's key: true if all blocks of it have run
	uncovered map[key][]span
}

// isDropped tells whether a block breaks a rule for the tests that must notice it (see
// package mutation). The compiler drops it from every program, so it is no part of one.
func isDropped(path, text string) bool {
	const on = "mutation.On("
	return filepath.Base(path) == "mutated.go" || strings.Contains(strings.ReplaceAll(text, "!"+on, ""), on)
}

// measure looks at a profile of the module whose root is there.
func measure(p profile, module, root string) (*measured, error) {
	m := &measured{known: map[key]bool{}, uncovered: map[key][]span{}}
	shares, sources := map[string]*share{}, map[string]*source{}
	for block, count := range p {
		path, ok := strings.CutPrefix(block.file, module+"/")
		if !ok {
			return nil, fmt.Errorf("%s is not of the module %s", block.file, module)
		}
		if sources[path] == nil {
			s, err := readSource(filepath.Join(root, path))
			if err != nil {
				return nil, err
			}
			sources[path] = s
		}
		if !sources[path].has(block) {
			return nil, fmt.Errorf("%s has changed since a profile was made: it has no line %d, column %d", path, block.line, block.column)
		}
		k := sources[path].keyOf(path, block)
		if count == 0 && isDropped(path, k.text) {
			continue
		}
		folder := filepath.Dir(path)
		if shares[folder] == nil {
			shares[folder] = &share{name: folder}
		}
		shares[folder].statements += block.statements
		if count > 0 {
			shares[folder].runs += block.statements
			if _, ok := m.known[k]; !ok {
				m.known[k] = true
			}
		} else if block.statements > 0 {
			m.known[k] = false
			m.uncovered[k] = append(m.uncovered[k], block)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(shares)) {
		m.packages = append(m.packages, *shares[name])
	}
	for _, blocks := range m.uncovered {
		slices.SortFunc(blocks, func(a, b span) int { return cmp.Compare(a.line, b.line) })
	}
	return m, nil
}

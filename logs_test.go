package schedulerstore

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Fields that a handler adds itself.
var reservedFields = []string{"time", "level", "msg", "source"}

// levels are the methods by which the code logs.
var levels = map[string]string{"Debug": "debug", "Info": "info", "Warn": "warn", "Error": "error"}

// logLines are what the code of this module can log: for each message its level and fields.
type logLines map[string]string

// collect takes the log calls of one file.
func (l logLines) collect(t *testing.T, path string) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	fieldsOf := map[string][]string{} // of functions that return a list of fields
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil {
			fieldsOf[f.Name.Name] = listed(f)
		}
	}
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || levels[method.Sel.Name] == "" || !isLogger(method.X) {
				return true
			}
			at := files.Position(call.Pos())
			message, ok := text(call.Args[0])
			if !ok {
				t.Errorf("%v: a message that is not a constant can't be looked for", at)
				return true
			}
			fields := keys(t, at, call, f, fieldsOf)
			for _, field := range fields {
				if !regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`).MatchString(field) || slices.Contains(reservedFields, field) {
					t.Errorf("%v: %q is no good name of a field", at, field)
				}
			}
			line := levels[method.Sel.Name] + " | " + strings.Join(fields, ", ")
			if other, ok := l[message]; ok && other != line {
				t.Errorf("%v: %q is also logged as %s", at, message, other)
			}
			l[message] = line
			return true
		})
	}
}

// isLogger tells whether an expression names a logger, as they are named here.
func isLogger(x ast.Expr) bool {
	name := ""
	switch x := x.(type) {
	case *ast.Ident:
		name = x.Name
	case *ast.SelectorExpr:
		name = x.Sel.Name
	}
	return strings.EqualFold(name, "logger")
}

func text(x ast.Expr) (string, bool) {
	literal, ok := x.(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(literal.Value)
	return s, err == nil
}

// keys are the names of the fields of one call, in a function.
func keys(t *testing.T, at token.Position, call *ast.CallExpr, f *ast.FuncDecl, fieldsOf map[string][]string) []string {
	if call.Ellipsis == token.NoPos {
		return pairs(t, at, call.Args[1:])
	}
	switch last := call.Args[len(call.Args)-1].(type) {
	case *ast.Ident:
		return listed(f)
	case *ast.CallExpr:
		if name, ok := last.Fun.(*ast.Ident); ok && name.Name == "append" {
			return append(listed(f), pairs(t, at, last.Args[1:])...)
		} else if ok && fieldsOf[name.Name] != nil {
			return fieldsOf[name.Name]
		}
	}
	t.Errorf("%v: it can't be told which fields this has", at)
	return nil
}

func pairs(t *testing.T, at token.Position, args []ast.Expr) []string {
	var names []string
	for i := 0; i < len(args); i += 2 {
		name, ok := text(args[i])
		if !ok {
			t.Errorf("%v: a field whose name is not a constant can't be looked for", at)
		}
		names = append(names, name)
	}
	return names
}

// listed are the names in the list of fields that a function makes, in an assignment of
// []any{…} and in those that append to it.
func listed(f *ast.FuncDecl) []string {
	var names []string
	add := func(args []ast.Expr) {
		for i := 0; i < len(args); i += 2 {
			switch x := args[i].(type) {
			case *ast.CallExpr: // slog.Uint64("name", …)
				i--
				if name, ok := text(x.Args[0]); ok {
					names = append(names, name)
				}
			default:
				if name, ok := text(x); ok {
					names = append(names, name)
				}
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		assignment, ok := n.(*ast.AssignStmt)
		if !ok || len(assignment.Rhs) != 1 {
			return true
		}
		switch x := assignment.Rhs[0].(type) {
		case *ast.CompositeLit:
			list, ok := x.Type.(*ast.ArrayType)
			if !ok {
				return true
			}
			if element, ok := list.Elt.(*ast.Ident); ok && element.Name == "any" {
				add(x.Elts)
			}
		case *ast.CallExpr:
			if name, ok := x.Fun.(*ast.Ident); ok && name.Name == "append" && names != nil {
				add(x.Args[1:])
			}
		}
		return true
	})
	return names
}

// Who searches a log, or alerts on it, goes by the messages and the fields. The document
// has all of them, and the code no other.
func TestLogLinesAreInTheDocument(t *testing.T) {
	lines := logLines{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != "." || slices.Contains([]string{"integration", "bench", "simulation", "internal", "testdata", "gen"}, d.Name())):
			return filepath.SkipDir // other programs
		case strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go"):
			lines.collect(t, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	document, err := os.ReadFile("docs/observability.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(document), "\n## The log\n")
	section, _, _ = strings.Cut(section, "\n## ")
	rows := map[string]string{}
	for _, row := range regexp.MustCompile(`(?m)^\| (.+?) \| (debug|info|warn|error) \| (.*?) ?\| .+ \|$`).FindAllStringSubmatch(section, -1) {
		rows[row[1]] = row[2] + " | " + row[3]
	}
	for _, message := range slices.Sorted(maps.Keys(lines)) {
		if rows[message] != lines[message] {
			t.Errorf("docs/observability.md should have the row\n| %s | %s | … |\nit has %q", message, lines[message], rows[message])
		}
	}
	for message := range rows {
		if lines[message] == "" {
			t.Errorf("docs/observability.md has the row %q, which nothing logs", message)
		}
	}
	// Each field is explained once.
	fields := map[string]bool{}
	for _, line := range lines {
		_, names, _ := strings.Cut(line, " | ")
		for name := range strings.SplitSeq(names, ", ") {
			fields[name] = name != ""
		}
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if fields[name] && !strings.Contains(section, fmt.Sprintf("\n| `%s` | ", name)) {
			t.Errorf("docs/observability.md does not explain the field %s", name)
		}
	}
}

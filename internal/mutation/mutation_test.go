package mutation

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

const module = "../.."

// names are the constants of mutation.go, as the source has them.
func names(t *testing.T) []Name {
	t.Helper()
	var names []Name
	file, err := parser.ParseFile(token.NewFileSet(), "mutation.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			name, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, Name(name))
		}
		return true
	})
	if len(names) < 20 {
		t.Fatalf("only %d constants were found", len(names))
	}
	return names
}

// helpers are the functions that only mutations call.
func helpers(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(module + "/*/mutated.go")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob(module + "/*/*/mutated.go")
	if err != nil {
		t.Fatal(err)
	}
	var helpers []string
	for _, path := range append(files, more...) {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				helpers = append(helpers, f.Name.Name)
			}
		}
	}
	if len(helpers) < 5 {
		t.Fatalf("only %q were found", helpers)
	}
	return helpers
}

// command builds the command and returns what it consists of.
func command(t *testing.T, flags ...string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "command")
	build := exec.Command("go", append(append([]string{"build", "-o", path}, flags...), "./cmd/scheduler-store")...)
	build.Dir = module
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// What is built without the tag has neither a mutation in it nor a way to switch one on.
func TestProductionHasNoMutations(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the command")
	}
	program := command(t)
	for _, name := range names(t) {
		if bytes.Contains(program, []byte(name)) {
			t.Errorf("the command has the mutation %s", name)
		}
	}
	for _, name := range helpers(t) {
		if bytes.Contains(program, []byte("."+name+"\x00")) {
			t.Errorf("the command has the function %s", name)
		}
	}
	if bytes.Contains(program, []byte("SCHEDULER_STORE_MUTATION")) {
		t.Error("the command looks for a mutation in its environment")
	}
}

package terraform

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// modules are the folders below terraform/ that have a main.tf: modules and examples.
func modules(t *testing.T) (found []string) {
	t.Helper()
	tree := os.DirFS(filepath.Join(root, "terraform"))
	err := fs.WalkDir(tree, ".", func(name string, _ fs.DirEntry, err error) error {
		if path.Base(name) == "main.tf" {
			found = append(found, path.Join("terraform", path.Dir(name)))
		}
		return err
	})
	if err != nil || len(found) < 6 {
		t.Fatalf("modules and examples: %q, %v", found, err)
	}
	return found
}

func TestModulesAreValid(t *testing.T) {
	w := newWorkspace(t)
	for _, folder := range modules(t) {
		t.Run(strings.TrimPrefix(folder, "terraform/"), func(t *testing.T) {
			w := &workspace{t: t, binary: w.binary, dir: w.dir, config: w.config}
			w.tofu(folder, "init", "-no-color", "-backend=false")
			w.tofu(folder, "validate", "-no-color")
		})
	}
}

// Runs the modules' own tests, in *.tftest.hcl, with mocked providers.
func TestWithMockedProviders(t *testing.T) {
	w := newWorkspace(t)
	for _, name := range []string{"s3", "gcs"} {
		t.Run(name, func(t *testing.T) {
			w := &workspace{t: t, binary: w.binary, dir: w.dir, config: w.config}
			folder := path.Join("terraform", name)
			w.tofu(folder, "init", "-no-color")
			said := w.tofu(folder, "test", "-no-color")
			t.Log(said)
			if !strings.Contains(said, "passed") || strings.Contains(said, " 0 passed") {
				t.Errorf("no test ran")
			}
		})
	}
}

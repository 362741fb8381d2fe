package terraform

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

const root = "../.." // of the project

// workspace is a copy of terraform/, so that nothing of OpenTofu is left in the project,
// and a mirror of the providers that make has built.
type workspace struct {
	t      testing.TB
	binary string
	dir    string // holds the copy, as terraform/
	config string // OpenTofu's own
}

// variable is set by make terraform-test.
const variable = "SCHEDULER_STORE_TERRAFORM"

// newWorkspace skips the test outside make terraform-test.
func newWorkspace(t testing.TB) *workspace {
	t.Helper()
	if os.Getenv(variable) == "" {
		t.Skip("run make terraform-test, or set " + variable + " once it has built OpenTofu")
	}
	w := &workspace{t: t, binary: binary(t, "tofu"), dir: t.TempDir()}
	if err := os.CopyFS(filepath.Join(w.dir, "terraform"), os.DirFS(filepath.Join(root, "terraform"))); err != nil {
		t.Fatal(err)
	}
	mirror := filepath.Join(w.dir, "mirror")
	for _, p := range []struct{ source, version, binary string }{
		{"aminueza/minio", "3.3.0", "terraform-provider-minio"},
		{"hashicorp/aws", "6.0.0", "terraform-provider-stub"},
		{"hashicorp/google", "7.0.0", "terraform-provider-stub"},
	} {
		folder := filepath.Join(mirror, "registry.opentofu.org", p.source, p.version, runtime.GOOS+"_"+runtime.GOARCH)
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("terraform-provider-%s_v%s", filepath.Base(p.source), p.version)
		if err := os.Symlink(binary(t, p.binary), filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	w.config = filepath.Join(w.dir, "tofu.rc")
	w.write("tofu.rc", fmt.Sprintf("provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\ndisable_checkpoint = true\n", mirror))
	return w
}

// binary is a file that make has built in .cache/bin.
func binary(t testing.TB, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(root, ".cache", "bin", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: run make terraform-test", err)
	}
	return path
}

// write writes a file of the workspace.
func (w *workspace) write(name, text string) {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// tofu runs a command in a folder of the workspace. It fails the test unless the command
// ends well.
func (w *workspace) tofu(folder string, args ...string) string {
	w.t.Helper()
	stdout, text, err := w.try(folder, args...)
	if err != nil {
		w.t.Fatalf("tofu %q in %s: %v\n%s", args, folder, err, text)
	}
	return stdout
}

// try is tofu for a command that may fail: text is all that it said.
func (w *workspace) try(folder string, args ...string) (stdout, text string, err error) {
	c := exec.CommandContext(w.t.Context(), w.binary, append([]string{"-chdir=" + filepath.Join(w.dir, folder)}, args...)...)
	c.Env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+w.config, "TF_IN_AUTOMATION=1", "TF_INPUT=0", "CHECKPOINT_DISABLE=1")
	var out, all bytes.Buffer
	c.Stdout, c.Stderr = &out, &all
	err = c.Run()
	return out.String(), out.String() + all.String(), err
}

// output reads one output of what was applied in a folder.
func (w *workspace) output(folder, name string, into any) {
	w.t.Helper()
	if err := json.Unmarshal([]byte(w.tofu(folder, "output", "-json", name)), into); err != nil {
		w.t.Fatalf("output %s: %v", name, err)
	}
}

// apply applies what is in a folder, and then shows that a second plan has no change.
func (w *workspace) apply(folder string, args ...string) {
	w.t.Helper()
	w.tofu(folder, "init", "-no-color")
	w.tofu(folder, append([]string{"apply", "-no-color", "-auto-approve"}, args...)...)
	if _, text, err := w.try(folder, append([]string{"plan", "-no-color", "-detailed-exitcode"}, args...)...); err != nil {
		w.t.Fatalf("a plan after apply has changes, or failed: %v\n%s", err, text)
	}
}

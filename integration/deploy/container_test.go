package deploy

import (
	"bytes"
	"context"
	"crypto/x509"
	"debug/elf"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/integration/servers"
)

// The project's root.
const root = "../.."

const (
	builtVersion = "v0.0.0-test"
	builtCommit  = "0123456789abcdef0123456789abcdef01234567"
)

var (
	buildOnce  sync.Once
	built      *image
	buildError error
	buildTook  time.Duration
)

// TestMain removes what was built for all tests.
func TestMain(m *testing.M) {
	status := m.Run()
	if built != nil {
		_ = os.RemoveAll(filepath.Dir(built.root))
	}
	os.Exit(status)
}

// theImage is what the Containerfile makes. It is built once, and must not be changed.
func theImage(t *testing.T) *image {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can start a process in another root directory")
	}
	buildOnce.Do(func() {
		scratch, err := os.MkdirTemp("", "image")
		if err != nil {
			buildError = err
			return
		}
		// Another user starts what lies there.
		if buildError = os.Chmod(scratch, 0o755); buildError != nil {
			return
		}
		start := time.Now()
		built, buildError = build(filepath.Join(root, "deploy/container/Containerfile"), root, scratch,
			map[string]string{"VERSION": builtVersion, "COMMIT": builtCommit, "TARGETARCH": runtime.GOARCH})
		buildTook = time.Since(start)
	})
	if buildError != nil {
		t.Fatal(buildError)
	}
	return built
}

// tree is a copy of the image's tree for one test. The binary is linked.
func (i *image) tree(t *testing.T) string {
	t.Helper()
	tree := filepath.Join(filepath.Dir(i.root), strings.ReplaceAll(t.Name(), "/", "-"))
	if err := copyTree(i.root, tree, []string{"scheduler-store"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(tree) })
	if err := os.Link(filepath.Join(i.root, "scheduler-store"), filepath.Join(tree, "scheduler-store")); err != nil {
		t.Fatal(err)
	}
	return tree
}

// ids are the numbers of the image's user and group.
func (i *image) ids() (user, group uint32, err error) {
	u, g, ok := strings.Cut(i.user, ":")
	un, uerr := strconv.ParseUint(u, 10, 32)
	gn, gerr := strconv.ParseUint(g, 10, 32)
	if !ok || uerr != nil || gerr != nil || un == 0 || gn == 0 {
		return 0, 0, fmt.Errorf("USER is %q; want numbers, and not root's", i.user)
	}
	return uint32(un), uint32(gn), nil
}

// process is one of the image in a tree, with no variables but those given.
func (i *image) process(t *testing.T, tree string, environment []string, args ...string) *exec.Cmd {
	t.Helper()
	user, group, err := i.ids()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(i.entry[0], append(slices.Clone(i.entry[1:]), args...)...)
	c.Dir, c.Env = "/", append([]string{}, environment...)
	c.SysProcAttr = &syscall.SysProcAttr{Chroot: tree, Credential: &syscall.Credential{Uid: user, Gid: group}}
	return c
}

// The Containerfile's steps give a tree of three files, in which the daemon runs as a user
// that can write nowhere but in its volume.
func TestContainer(t *testing.T) {
	i := theImage(t)
	t.Logf("built in %v", buildTook.Round(time.Second))

	var files []string
	err := filepath.WalkDir(i.root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, strings.TrimPrefix(path, i.root))
		}
		return err
	})
	want := []string{"/etc/passwd", "/etc/ssl/certs/ca-certificates.crt", "/scheduler-store"}
	if err != nil || !slices.Equal(files, want) {
		t.Errorf("the image holds %q, %v; want %q", files, err, want)
	}
	isStatic(t, filepath.Join(i.root, "scheduler-store"))

	user, group, err := i.ids()
	if err != nil {
		t.Fatal(err)
	}
	passwd, err := os.ReadFile(filepath.Join(i.root, "etc/passwd"))
	if entry := fmt.Sprintf("scheduler-store:x:%d:%d:", user, group); err != nil || !strings.HasPrefix(string(passwd), entry) {
		t.Errorf("etc/passwd is %q, %v; want %q first", passwd, err, entry)
	}

	tree := i.tree(t)
	said, err := i.process(t, tree, nil, "version", "--output", "json").CombinedOutput()
	if err != nil {
		t.Fatalf("version: %s %v", said, err)
	}
	isOf(t, said, builtVersion, builtCommit)

	// A volume, as the engine would mount it.
	data := filepath.Join(tree, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(data, int(user), int(group)); err != nil {
		t.Fatal(err)
	}
	before := listing(t, tree)
	c := i.process(t, tree, []string{"SCHEDULER_STORE_URL=/data/cell", "SCHEDULER_STORE_LISTEN=127.0.0.1:0"}, i.command...)
	d := servers.StartServing(t, c)
	for path, status := range map[string]int{"/healthz": 200, "/readyz": 200, "/leaderz": 200} {
		d.WaitFor(path, status)
	}
	if ids := statusOf(t, d.Pid, "Uid"); !slices.Equal(ids, []string{fmt.Sprint(user), fmt.Sprint(user), fmt.Sprint(user), fmt.Sprint(user)}) {
		t.Errorf("it runs as %q", ids)
	}
	if at, err := os.Readlink(fmt.Sprintf("/proc/%d/root", d.Pid)); err != nil || at != tree {
		t.Errorf("its root directory is %s, %v", at, err)
	}
	if status, answer, err := d.Save("a"); err != nil || status != http.StatusOK {
		t.Fatal(status, answer, err)
	}
	d.Signal(syscall.SIGTERM)
	<-d.Ended()
	if after := listing(t, tree); !slices.Equal(before, after) {
		t.Errorf("it changed its tree:\n%q\n%q", before, after)
	}
	said, err = i.process(t, tree, nil, "lease", "show", "--store", "/data/cell").CombinedOutput()
	if err != nil || !strings.Contains(string(said), "released") {
		t.Errorf("after SIGTERM the lease is: %s %v", said, err)
	}
}

// isOf makes sure of what a binary has said of itself.
func isOf(t *testing.T, said []byte, version, commit string) {
	t.Helper()
	var of struct {
		Version, Commit string
		Modified        bool
	}
	if err := json.Unmarshal(said, &of); err != nil || of.Version != version || of.Commit != commit || of.Modified {
		t.Errorf("it says of itself: %s (%v); want version %s of commit %s", said, err, version, commit)
	}
}

// isStatic makes sure that a binary needs no other file to start.
func isStatic(t *testing.T, path string) {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("%s has a segment %v: it is not static", path, p.Type)
		}
	}
	if needed, err := f.ImportedLibraries(); err == nil && len(needed) > 0 {
		t.Errorf("%s needs %q", path, needed)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %d bytes, %.0f MiB", filepath.Base(path), info.Size(), float64(info.Size())/(1<<20))
	if info.Size() > 64<<20 {
		t.Errorf("%s has %d bytes, want 64 MiB at most", path, info.Size())
	}
}

// listing are the names, modes and sizes below a directory, but for what is in data.
func listing(t *testing.T, tree string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(tree, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if path == filepath.Join(tree, "data") {
			return filepath.SkipDir
		}
		all = append(all, fmt.Sprint(path, info.Mode(), info.Size()))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func statusOf(t *testing.T, pid int, field string) []string {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.Fields(value)
		}
	}
	t.Fatalf("no %s in %s", field, status)
	return nil
}

// waitFor waits until a GET has a status.
func waitFor(t *testing.T, url string, status int) {
	t.Helper()
	var last any
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		response, err := http.Get(url)
		if err != nil {
			last = err
			continue
		}
		response.Body.Close()
		if last = response.Status; response.StatusCode == status {
			return
		}
	}
	t.Fatalf("%s: %v, want %d", url, last, status)
}

// What the image trusts is what is in its file of authorities, and those are the system's.
func TestContainerTrustsItsAuthorities(t *testing.T) {
	i := theImage(t)
	authorities := filepath.Join(i.root, "etc/ssl/certs/ca-certificates.crt")
	bundle, err := os.ReadFile(authorities)
	if err != nil {
		t.Fatal(err)
	}
	known := 0
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			t.Error(err)
		}
		known++
	}
	if known < 50 {
		t.Errorf("%d authorities", known)
	}

	for _, trusted := range []bool{false, true} {
		t.Run(fmt.Sprint(trusted), func(t *testing.T) {
			tree := i.tree(t)
			came := make(chan bool, 100)
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				came <- true
				http.NotFound(w, nil)
			}))
			server.Config.ErrorLog = log.New(writer(func(p []byte) (int, error) {
				if bytes.Contains(p, []byte("TLS handshake error")) {
					came <- false
				}
				return len(p), nil
			}), "", 0)
			server.StartTLS()
			defer server.Close()
			if trusted {
				own := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
				if err := os.WriteFile(filepath.Join(tree, "etc/ssl/certs/ca-certificates.crt"), append(slices.Clone(bundle), own...), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			c := i.process(t, tree, []string{"AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b", "AWS_EC2_METADATA_DISABLED=true"},
				"state", "--store", servers.S3URL(server.URL, "bucket", "cell"))
			servers.KeepLog(t, c)
			servers.StartProcess(t, c)
			if got := <-came; got != trusted {
				t.Errorf("the request came through: %v, want %v", got, trusted)
			}
		})
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// The parser and what carries out can fail.
func TestContainerfilesThatAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"a RUN in scratch":        "FROM scratch\nRUN true",
		"a RUN that fails":        "FROM golang\nRUN false",
		"an unknown instruction":  "FROM golang\nHEALTHCHECK CMD true",
		"a stage that is missing": "FROM scratch\nCOPY --from=build /a /",
		"RUN before FROM":         "RUN true\nFROM golang",
	} {
		file := filepath.Join(t.TempDir(), "Containerfile")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := build(file, root, t.TempDir(), nil); err == nil {
			t.Errorf("%s went through", name)
		}
	}
}

// runIn runs a command to its end, and fails the test if that fails.
func runIn(t *testing.T, directory string, environment []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Env = directory, append(os.Environ(), environment...)
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	if err := c.Run(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, said.String())
	}
	return said.String()
}

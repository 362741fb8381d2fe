package deploy

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The last commit, cloned into two places and built with other file modes and another time
// zone, gives the same archives. Only this machine's platform: the others are made the same
// way.
func TestReleaseRepeats(t *testing.T) {
	directory := t.TempDir()
	var sums []string
	for i, settings := range []string{"umask 022; TZ=UTC", "umask 077; TZ=Asia/Tokyo LC_ALL=C.UTF-8"} {
		clone := filepath.Join(directory, strings.Repeat("deeper/", i), "clone")
		runIn(t, ".", nil, "git", "clone", "-q", root, clone)
		runIn(t, clone, nil, "bash", "-c", settings+" make release PLATFORMS=linux/amd64")
		sum, err := os.ReadFile(filepath.Join(clone, "dist/SHA256SUMS"))
		if err != nil {
			t.Fatal(err)
		}
		runIn(t, filepath.Join(clone, "dist"), nil, "sha256sum", "--check", "--strict", "SHA256SUMS")
		sums = append(sums, string(sum))
		if i == 0 {
			archives, err := filepath.Glob(filepath.Join(clone, "dist/*.tar.gz"))
			if err != nil || len(archives) != 1 {
				t.Fatal(archives, err)
			}
			looksRight(t, archives[0], runIn(t, clone, nil, "git", "rev-parse", "HEAD"))
		}
	}
	if sums[0] != sums[1] {
		t.Errorf("the same commit gave\n%s%s", sums[0], sums[1])
	}
	t.Log(sums[0])
}

// looksRight looks into an archive, and runs what is in it.
func looksRight(t *testing.T, archive, commit string) {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	folder := strings.TrimSuffix(filepath.Base(archive), ".tar.gz")
	var names []string
	binary := filepath.Join(t.TempDir(), "scheduler-store")
	for r := tar.NewReader(unzipped); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Uid != 0 || header.Gid != 0 || header.Uname != "" {
			t.Errorf("%s belongs to %d:%d %q", header.Name, header.Uid, header.Gid, header.Uname)
		}
		name, ok := strings.CutPrefix(header.Name, folder+"/")
		if !ok {
			t.Errorf("%s is not in %s", header.Name, folder)
		}
		names = append(names, name)
		if name == "scheduler-store" {
			data, err := io.ReadAll(r)
			if err != nil || header.FileInfo().Mode().Perm() != 0o755 {
				t.Fatal(err, header.FileInfo().Mode())
			}
			if err := os.WriteFile(binary, data, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, name := range []string{"LICENSE", "NOTICE", "README.md", "scheduler-store", "systemd/scheduler-store.service"} {
		if !slices.Contains(names, name) {
			t.Errorf("there is no %s in %q", name, names)
		}
	}
	isStatic(t, binary)
	isOf(t, []byte(runIn(t, ".", nil, binary, "version", "--output", "json")), strings.Split(folder, "_")[1], strings.TrimSpace(commit))
}

package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// fuzzer is one fuzzer of one package.
type fuzzer struct {
	folder string // such as ./lease
	name   string // such as FuzzLease
}

func (f fuzzer) String() string { return f.folder + "." + f.name }

// slug is the folder as it can be part of a file's name.
func (f fuzzer) slug() string {
	return strings.ReplaceAll(strings.TrimPrefix(f.folder, "./"), "/", "-")
}

var declaration = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(\w+ \*testing\.F\)`)

// find finds the fuzzers of a module in a folder, those of modules within it left out.
func find(root, match string) ([]fuzzer, error) {
	var found []fuzzer
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root:
			_, err := os.Stat(filepath.Join(path, "go.mod"))
			if err == nil || strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" {
				return fs.SkipDir
			}
			return nil
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range declaration.FindAllSubmatch(text, -1) {
			f := fuzzer{"./" + filepath.ToSlash(filepath.Dir(path)), string(m[1])}
			if strings.Contains(f.String(), match) {
				found = append(found, f)
			}
		}
		return nil
	})
	slices.SortFunc(found, func(a, b fuzzer) int { return strings.Compare(a.String(), b.String()) })
	return found, err
}

package schedulerstore

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	testFunction = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	testMention  = regexp.MustCompile(`\b(?:Test|Fuzz|Benchmark)[A-Z]\w+`)
)

// The documents say which test holds a rule. A test that was renamed must not leave
// its rule without one.
func TestEveryTestThatTheDocumentsNameExists(t *testing.T) {
	var names []string
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, f := range testFunction.FindAllSubmatch(source, -1) {
			names = append(names, string(f[1]))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	documents, err := filepath.Glob("docs/*.md")
	if err != nil || len(documents) == 0 {
		t.Fatal(documents, err)
	}
	for _, document := range documents {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, mention := range testMention.FindAllString(string(text), -1) {
			// As go test -run takes them: the beginning of a name will do.
			if !slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, mention) }) {
				t.Errorf("%s names %s, which does not exist", document, mention)
			}
		}
	}
}

// Every section of the behaviour that Aurora's storage has is in the table.
func TestEverySectionOfAuroraHasARow(t *testing.T) {
	text, err := os.ReadFile("docs/aurora.md")
	if err != nil {
		t.Fatal(err)
	}
	for section := 1; section <= 31; section++ {
		row := fmt.Sprintf("\n| %d | ", section)
		differences := fmt.Sprintf("\n### %d. ", section)
		if !strings.Contains(string(text), row) || !strings.Contains(string(text), differences) {
			t.Errorf("section %d has no row, or says nothing of differences", section)
		}
	}
}

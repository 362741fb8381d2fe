package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const code = `package p

func f(n int) error {
	if n > 0 {
		return one
	}
	err := g()
	if err != nil {
		return err
	}
	return nil
}
`

// prepare makes a module of one file, a profile of it, and a document.
func prepare(t *testing.T, text, profileText, documentText string) (profiles []string, document string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, content := range map[string]string{"p/f.go": text, "profile": "mode: set\n" + profileText, "doc.md": documentText} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"profile"}, "doc.md"
}

// blocks of the code above: of the four, the two that return early did not run.
func blocks(early, late string) string {
	const file = module + "/p/f.go:"
	return file + "3.21,4.11 1 1\n" + file + "4.11,6.3 1 " + early + "\n" + file + "7.2,8.16 2 1\n" +
		file + "8.16,10.3 1 " + late + "\n" + file + "11.2,11.12 1 1\n"
}

const sound = "| p | 6 | 66 % |\n## Because\n| p/f.go:f | `` if n > 0 { `` | why |\n| p/f.go:f | `` err := g(); if err != nil { `` | why |\n"

// What is not covered needs a row, and a row needs what is not covered.
func TestRows(t *testing.T) {
	for name, tt := range map[string]struct {
		early, late, document string
		floor                 float64
		want                  []string
	}{
		"sound":      {"0", "0", sound, 60, nil},
		"too little": {"0", "0", sound, 90, []string{"p: 66.7 % of its statements are covered, less than 90 %"}},
		"a row is missing": {"0", "0", strings.Replace(sound, "if n > 0 {", "if n > 1 {", 1), 60, []string{
			"p/f.go:f, line 4: not covered, and no row says why", "p/f.go:f: there is no such block any more"}},
		"a row says nothing": {"0", "0", strings.Replace(sound, "| why |", "|  |", 1), 60, []string{"p/f.go:f, line 4: not covered"}},
		"a row is stale":     {"1", "0", strings.Replace(sound, "66", "83", 1), 60, []string{"p/f.go:f: covered now"}},
		"by chance":          {"1", "0", strings.Replace(strings.Replace(sound, "66", "83", 1), "Because", byChance, 1), 60, nil},
		"the table is stale": {"0", "0", strings.Replace(sound, "66", "90", 1), 60, []string{"p: the table says 90 %, but it has 66.7 %"}},
		"not in the table":   {"0", "0", strings.Replace(sound, "| p | 6 | 66 % |", "", 1), 60, []string{"p: the table has no row for it"}},
	} {
		profiles, document := prepare(t, code, blocks(tt.early, tt.late), tt.document)
		wrong, err := run(new(strings.Builder), profiles, document, "", tt.floor, time.Now())
		if err != nil || len(wrong) != len(tt.want) {
			t.Errorf("%s: %q, %v; want %q", name, wrong, err, tt.want)
			continue
		}
		for i, want := range tt.want {
			if !strings.Contains(wrong[i], want) {
				t.Errorf("%s: %q, want %q", name, wrong[i], want)
			}
		}
	}
}

// Rows stay true when lines move.
func TestMovedLines(t *testing.T) {
	moved := strings.Replace(code, "package p\n", "package p\n\n// More.\n", 1)
	shifted := blocks("0", "0")
	for _, pair := range [][2]string{{"11.2,11.12", "13.2,13.12"}, {"8.16,10.3", "10.16,12.3"}, {"7.2,8.16", "9.2,10.16"}, {"4.11,6.3", "6.11,8.3"}, {"3.21,4.11", "5.21,6.11"}} {
		shifted = strings.Replace(shifted, pair[0], pair[1], 1)
	}
	profiles, document := prepare(t, moved, shifted, sound)
	wrong, err := run(new(strings.Builder), profiles, document, "", 60, time.Now())
	if err != nil || len(wrong) != 0 {
		t.Errorf("%q, %v", wrong, err)
	}
}

// What is dropped from every program needs no test; what is left when it is, does.
func TestMutationsDoNotCount(t *testing.T) {
	for condition, want := range map[string]int{"mutation.On(n)": 0, "n > 0 && !mutation.On(n)": 2} {
		profiles, document := prepare(t, strings.Replace(code, "n > 0", condition, 1), blocks("0", "1"), "| p | 5 | 100 % |\n")
		wrong, err := run(new(strings.Builder), profiles, document, "", 50, time.Now())
		if err != nil || len(wrong) != want {
			t.Errorf("%s: %q, %v", condition, wrong, err)
		}
	}
}

// A block that any of several runs has run is covered.
func TestProfilesAreMerged(t *testing.T) {
	profiles, document := prepare(t, code, blocks("1", "0"), "| p | 6 | 100 % |\n")
	if err := os.WriteFile("other", []byte("mode: atomic\n"+blocks("0", "7")), 0o644); err != nil {
		t.Fatal(err)
	}
	wrong, err := run(new(strings.Builder), append(profiles, "other"), document, "list", 100, time.Now())
	if err != nil || len(wrong) != 0 {
		t.Errorf("%q, %v", wrong, err)
	}
	if list, err := os.ReadFile("list"); err != nil || len(list) != 0 {
		t.Errorf("not covered: %q, %v", list, err)
	}
}

// What can't be relied on is an error, and no coverage.
func TestBadInput(t *testing.T) {
	for want, change := range map[string]func(){
		"none of a coverage profile": func() { write(t, "profile", "mode: set\nnonsense\n") },
		"nothing in the profiles":    func() { write(t, "profile", "mode: set\n") },
		"has changed since":          func() { write(t, "p/f.go", "package p\n") },
		"is not of the module":       func() { write(t, "profile", "mode: set\nexample.com/x/f.go:1.1,2.2 1 1\n") },
		"explained twice":            func() { write(t, "doc.md", sound+sound) },
		"this row can't be read":     func() { write(t, "doc.md", "| p/f.go:f | text | why |\n") },
	} {
		profiles, document := prepare(t, code, blocks("0", "0"), sound)
		change()
		if _, err := run(new(strings.Builder), profiles, document, "", 60, time.Now()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

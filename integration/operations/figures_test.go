package operations

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	link   = regexp.MustCompile(`\]\(([^)#]*)(?:#([^)]*))?\)`)
	number = regexp.MustCompile(`[0-9][0-9,.]*[0-9]|[0-9]`)
)

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Each figure of the table of capacity stands in the document that its row names, or
// "the same" as the row before.
func TestFiguresAreThoseOfTheirSources(t *testing.T) {
	_, text, _ := strings.Cut(readFile(t, documentPath), "\n## Capacity\n")
	text, _, _ = strings.Cut(text, "\n## ")
	source, name, checked := "", "", 0
	for line := range strings.Lines(text) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || strings.HasPrefix(line, "|---") || strings.TrimSpace(cells[2]) == "figure" {
			continue
		}
		if found := link.FindStringSubmatch(cells[3]); found != nil {
			name = found[1]
			source = strings.ReplaceAll(readFile(t, filepath.Join(filepath.Dir(documentPath), name)), ",", "")
		} else if strings.TrimSpace(cells[3]) != "the same" {
			t.Errorf("the row names no document: %s", line)
			continue
		}
		for _, figure := range number.FindAllString(cells[2], -1) {
			figure = strings.ReplaceAll(figure, ",", "")
			if !regexp.MustCompile(`(^|[^0-9.])` + regexp.QuoteMeta(figure) + `($|[^0-9.]|\.($|[^0-9]))`).MatchString(source) {
				t.Errorf("%s is not in %s: %s", figure, name, line)
			}
			checked++
		}
	}
	if checked < 15 {
		t.Errorf("%d figures were found in the table, want more", checked)
	}
}

var (
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	odd     = regexp.MustCompile(`[^a-z0-9 _-]`)
)

// What the document links to is there, with the heading that it names.
func TestLinksOfTheDocument(t *testing.T) {
	for _, found := range link.FindAllStringSubmatch(readFile(t, documentPath), -1) {
		path := documentPath
		if found[1] != "" {
			path = filepath.Join(filepath.Dir(documentPath), found[1])
		}
		text, there := readFile(t, path), found[2] == ""
		for _, h := range heading.FindAllStringSubmatch(text, -1) {
			there = there || strings.ReplaceAll(odd.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-") == found[2]
		}
		if !there {
			t.Errorf("%s has no heading for %s", path, found[0])
		}
	}
}

package operations

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// documentPath is the document that is tested.
const documentPath = "../../docs/operations.md"

// section is a heading of the document and the blocks below it, up to the next heading.
type section struct {
	title  string
	blocks []string
}

// readDocument returns the sections that have blocks for an operator to type.
func readDocument(t *testing.T) []section {
	t.Helper()
	text, err := os.ReadFile(documentPath)
	if err != nil {
		t.Fatal(err)
	}
	sections, err := parseDocument(string(text))
	if err != nil {
		t.Fatalf("%s: %v", documentPath, err)
	}
	return sections
}

// parseDocument finds the blocks that begin with ```sh. Other blocks are not typed by
// anybody; a word behind sh, or a block that has no end, is a mistake.
func parseDocument(text string) (sections []section, err error) {
	var now section
	var block *strings.Builder // nil outside of a block
	typed := false
	end := func() {
		if len(now.blocks) > 0 {
			sections = append(sections, now)
		}
	}
	number := 0
	for line := range strings.Lines(text) {
		number++
		trimmed := strings.TrimSpace(line)
		info, fence := strings.CutPrefix(trimmed, "```")
		switch {
		case block == nil && fence:
			if typed = info == "sh"; !typed && strings.HasPrefix(info, "sh") {
				return nil, fmt.Errorf("line %d: a block of %q, want sh alone", number, info)
			}
			block = new(strings.Builder)
		case fence:
			if typed {
				now.blocks = append(now.blocks, block.String())
			}
			block = nil
		case block != nil:
			block.WriteString(line)
		case strings.HasPrefix(line, "#"):
			end()
			now = section{title: strings.TrimSpace(strings.TrimLeft(line, "#"))}
		}
	}
	if block != nil {
		return nil, fmt.Errorf("the last block has no end")
	}
	end()
	return sections, nil
}

func TestParseDocument(t *testing.T) {
	got, err := parseDocument("# A\n```sh\none\n```\ntext\n```yaml\nno\n```\n```sh\ntwo\n# no heading\n```\n## B\nnothing\n### C\n```sh\nthree\n```\n")
	want := "[{A [one\n two\n# no heading\n]} {C [three\n]}]"
	if err != nil || fmt.Sprint(got) != want {
		t.Errorf("%v %v, want %s", got, err, want)
	}
	for _, bad := range []string{"```sh\none\n", "```shell\none\n```\n"} {
		if _, err := parseDocument(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

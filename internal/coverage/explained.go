package main

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// explained is what the document says.
type explained struct {
	percent map[string]int   // of each package, in whole percent
	reasons map[key]string   // why a block is not covered
	chance  map[key]bool     // whether it is covered in some runs
	order   map[string][]key // by heading
	heading []string         // in the document's order
}

// byChance is the heading of blocks that some runs cover, such as one side of a race.
const byChance = "Covered by chance"

var (
	percentRow = regexp.MustCompile(`^\| ([\w/]+) \| \d+ \| (\d+) % \|$`)
	reasonRow  = regexp.MustCompile("^\\| ([^|]+\\.go:[^|]+) \\| `` (.+) `` \\| ([^|]*) \\|$")
)

// readExplained reads the document: a table with a row for each package, and under
// headings tables with a row for each block: where, what it begins with, why.
func readExplained(name string) (*explained, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	x := &explained{percent: map[string]int{}, reasons: map[key]string{}, chance: map[key]bool{}, order: map[string][]key{}}
	heading := ""
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		line := lines.Text()
		if title, ok := strings.CutPrefix(line, "## "); ok {
			heading = title
			x.heading = append(x.heading, title)
		} else if row := percentRow.FindStringSubmatch(line); row != nil {
			if x.percent[row[1]], err = strconv.Atoi(row[2]); err != nil {
				return nil, err
			}
		} else if row := reasonRow.FindStringSubmatch(line); row != nil {
			k := key{row[1], row[2]}
			if _, twice := x.reasons[k]; twice {
				return nil, fmt.Errorf("%s: %s, %q is explained twice", name, k.where, k.text)
			}
			x.reasons[k], x.chance[k] = row[3], heading == byChance
			x.order[heading] = append(x.order[heading], k)
		} else if strings.Contains(line, ".go:") && strings.HasPrefix(line, "|") {
			return nil, fmt.Errorf("%s: this row can't be read: %s", name, line)
		}
	}
	return x, lines.Err()
}

// compare returns what is wrong with the coverage, or with what the document says of it.
func (x *explained) compare(m *measured, floor float64) []string {
	var wrong []string
	for _, s := range m.packages {
		said, ok := x.percent[s.name]
		switch {
		case s.percent() < floor:
			wrong = append(wrong, fmt.Sprintf("%s: %.1f %% of its statements are covered, less than %.0f %%", s.name, s.percent(), floor))
		case !ok:
			wrong = append(wrong, fmt.Sprintf("%s: the table has no row for it; it has %.1f %%", s.name, s.percent()))
		case math.Abs(float64(said)-s.percent()) > 2:
			wrong = append(wrong, fmt.Sprintf("%s: the table says %d %%, but it has %.1f %%", s.name, said, s.percent()))
		}
	}
	for k, blocks := range m.uncovered {
		if strings.TrimSpace(x.reasons[k]) == "" {
			wrong = append(wrong, fmt.Sprintf("%s, line %d: not covered, and no row says why:\n\t| %s | `` %s `` | |", k.where, blocks[0].line, k.where, k.text))
		}
	}
	for k := range x.reasons {
		covered, known := m.known[k]
		switch {
		case !known:
			wrong = append(wrong, fmt.Sprintf("%s: there is no such block any more, take its row away: %s", k.where, k.text))
		case covered && !x.chance[k]:
			wrong = append(wrong, fmt.Sprintf("%s: covered now, take its row away: %s", k.where, k.text))
		}
	}
	slices.Sort(wrong)
	return wrong
}

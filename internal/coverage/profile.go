package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
)

// span is one block of statements, as a coverage profile names it.
type span struct {
	file       string // import path and file name
	line       int
	column     int
	endLine    int
	endColumn  int
	statements int
}

// profile says of each block how often it ran. A block that several runs know is
// in it once.
type profile map[span]int

var profileLine = regexp.MustCompile(`^(.+):(\d+)\.(\d+),(\d+)\.(\d+) (\d+) (\d+)$`)

// read merges a text profile of `go test -coverprofile` into p.
func (p profile) read(r io.Reader) error {
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		if n == 1 { // mode: set, count or atomic; all say 0 for what never ran
			continue
		}
		found := profileLine.FindStringSubmatch(lines.Text())
		if found == nil {
			return fmt.Errorf("line %d is none of a coverage profile: %.80q", n, lines.Text())
		}
		var numbers [6]int
		for i := range numbers {
			number, err := strconv.Atoi(found[i+2])
			if err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
			numbers[i] = number
		}
		block := span{found[1], numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]}
		p[block] += numbers[5]
	}
	return lines.Err()
}

// readProfiles merges the profiles in these files.
func readProfiles(names []string) (profile, error) {
	p := profile{}
	for _, name := range names {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		err = p.read(file)
		file.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return p, nil
}

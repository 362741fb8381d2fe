package main

import (
	"bytes"
	"os"
	"testing"
)

const file = "../../deploy/grafana/scheduler-store.json"

func TestFileIsWhatIsGenerated(t *testing.T) {
	want, err := encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what this prints (%v): run make generate", file, err)
	}
}

// Panels must not cover each other, or leave the grid, and each says what it is for.
func TestLayout(t *testing.T) {
	taken := map[[2]int]string{}
	for _, p := range panels(rows()) {
		title, at := p["title"].(string), p["gridPos"].(object)
		if p["type"] != "row" && (p["description"] == "" || len(p["targets"].([]object)) == 0) {
			t.Errorf("%s has no help, or no query", title)
		}
		for x := at["x"].(int); x < at["x"].(int)+at["w"].(int); x++ {
			for y := at["y"].(int); y < at["y"].(int)+at["h"].(int); y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= columns {
					t.Fatalf("%s is where %s is, or beyond the grid", title, other)
				}
				taken[[2]int{x, y}] = title
			}
		}
	}
}

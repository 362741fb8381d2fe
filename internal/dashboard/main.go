// Command dashboard prints deploy/grafana/scheduler-store.json, the Grafana dashboard: make
// generate keeps it, and a test fails if it is not what this prints. The panels, which are
// what there is to decide, are in panels.go, one line each or little more; what Grafana
// wants around them is in grafana.go.
package main

import (
	"fmt"
	"os"
)

func main() {
	data, err := encode()
	if err == nil {
		_, err = os.Stdout.Write(data)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "dashboard:", err)
		os.Exit(1)
	}
}

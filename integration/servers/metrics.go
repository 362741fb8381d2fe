package servers

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Metrics are all samples of the daemon's /metrics, by name and labels.
func (d *Daemon) Metrics() (map[string]float64, error) {
	status, body, err := d.Get("/metrics")
	if err != nil || status != http.StatusOK {
		return nil, fmt.Errorf("metrics: %d %v", status, err)
	}
	samples := map[string]float64{}
	for line := range strings.Lines(body) {
		line = strings.TrimSpace(line)
		if i := strings.LastIndexByte(line, ' '); i > 0 && line[0] != '#' {
			if value, err := strconv.ParseFloat(line[i+1:], 64); err == nil {
				samples[line[:i]] = value
			}
		}
	}
	return samples, nil
}

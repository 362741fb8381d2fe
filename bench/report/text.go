package report

import (
	"fmt"
	"io"
	"strings"
)

// Print writes the report as text.
func (r *Report) Print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s; records of %d bytes that don't compress\n", r.Machine, r.RecordBytes)
	if len(r.InTurn) > 0 {
		fmt.Fprintf(&b, "\n%-32s %8s %8s %8s %8s\n", "one client, calls in turn: ms", "p50", "p90", "p99", "p99.9")
		for _, t := range r.InTurn {
			fmt.Fprintf(&b, "%-32s %8.2f %8.2f %8.2f %8.2f\n", Label(t.Peer), t.Latency.P50, t.Latency.P90, t.Latency.P99, t.Latency.P999)
		}
	}
	clients := 0
	for _, c := range r.Cells {
		if c.Clients != clients {
			clients = c.Clients
			fmt.Fprintf(&b, "\n%-32s %10s %8s %8s %8s   %16s %16s\n", "", "records", "p50", "p99", "requests", "CPU ms a record", "heap a record")
			fmt.Fprintf(&b, "%-32s %10s %8s %8s %8s   %8s %7s %8s %7s\n", fmt.Sprintf("%d clients", clients), "a second", "ms", "ms", "a second",
				"process", "server", "allocs", "KiB")
		}
		fmt.Fprintf(&b, "%-32s %10.0f %8.2f %8.2f %8s   %8.3f %7s %8.1f %7.1f\n", Label(c.Peer), c.RecordsPerSecond, c.Latency.P50, c.Latency.P99,
			ifBucket(c, "%.0f", c.RequestsPerSecond), c.ProcessCPU, ifBucket(c, "%.3f", c.ServerCPU), c.Allocations, c.AllocatedBytes/1024)
	}
	if ratios := r.Ratios(); len(ratios) > 0 {
		fmt.Fprintf(&b, "\n%-52s %8s   %s\n", "ratios", "", "aim")
		for _, ratio := range ratios {
			fmt.Fprintf(&b, "%-52s %8.2f   %s\n", ratio.What, ratio.Value, ratio.aim())
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func ifBucket(c Cell, format string, v float64) string {
	if len(c.Requests) == 0 {
		return "-"
	}
	return fmt.Sprintf(format, v)
}

func (r Ratio) aim() string {
	var aim string
	switch {
	case r.AtMost > 0:
		aim = fmt.Sprintf("at most %.2f", r.AtMost)
	case r.AtLeast > 0:
		aim = fmt.Sprintf("at least %.0f", r.AtLeast)
	}
	if !r.Met() {
		aim += ", missed"
	}
	return aim
}

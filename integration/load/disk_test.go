package load

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/buckettest/smalldisk"
	"github.com/scheduler-store/scheduler-store/integration/servers"
	"github.com/scheduler-store/scheduler-store/internal/evidence"
)

// onDisk is a daemon on a directory of a small file system.
type onDisk struct {
	*testing.T
	disk  *smalldisk.Disk
	store string
	d     *servers.Daemon

	acked, failed []string
}

func startOnDisk(t *testing.T, bytes, inodes int) *onDisk {
	o := &onDisk{T: t, disk: smalldisk.Mount(t, bytes, inodes)}
	o.store = "file://" + o.disk.Path + "/store"
	o.d = servers.StartDaemon(t, o.store, "--lease-ttl", "3s", "--backup-every", "0", "--gc-every", "0")
	o.d.WaitFor("/leaderz", http.StatusOK)
	return o
}

// write tries one task of a size that does not compress much.
func (o *onDisk) write(id string) (status int, problem struct{ Outcome, Detail string }) {
	o.Helper()
	status, body, err := o.d.Do(http.MethodPost, "/v1/transactions", save(id+strings.Repeat(fmt.Sprintf("%x", time.Now().UnixNano()), 8), 1), nil)
	if err != nil {
		o.Fatal(err)
	}
	if status == http.StatusOK {
		o.acked = append(o.acked, id)
		return status, problem
	}
	if err := json.Unmarshal([]byte(body), &problem); err != nil {
		o.Fatalf("%d %s: %v", status, body, err)
	}
	o.failed = append(o.failed, id)
	return status, problem
}

// writesUntil writes until a status comes, for as long as a daemon may take to lead again.
func (o *onDisk) writesUntil(want int) (last struct{ Outcome, Detail string }) {
	o.Helper()
	for deadline := time.Now().Add(90 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		status, problem := o.write(fmt.Sprintf("w%05d-", len(o.acked)+len(o.failed)))
		if status != http.StatusOK && problem.Outcome != "not committed" {
			o.Errorf("%d %q: %s", status, problem.Outcome, problem.Detail)
		}
		if status == want {
			return problem
		}
	}
	o.Fatalf("no write with %d; the last of %d said %+v", want, len(o.failed), last)
	return last
}

// holds makes sure that a daemon has what was acknowledged, and nothing that failed.
func (o *onDisk) holds(d *servers.Daemon) {
	o.Helper()
	status, body, err := d.Get("/v1/tasks")
	if err != nil || status != http.StatusOK {
		o.Errorf("tasks: %d %v", status, err)
		return
	}
	for _, id := range o.acked {
		if !strings.Contains(body, `"`+id) {
			o.Errorf("%s was acknowledged, and is not there", id)
		}
	}
	for _, id := range o.failed {
		if strings.Contains(body, `"`+id) {
			o.Errorf("%s was told to be not committed, and is there", id)
		}
	}
}

// tidy makes sure that nothing is left behind on the disk.
func (o *onDisk) tidy() {
	o.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		left := o.disk.Temporary()
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) { // else they are of writes under way
			o.Errorf("left behind: %q", left)
			return
		}
	}
}

// TestDisk: a directory to which nothing can be written any more, for one reason or
// another. Every write that fails says that it is not committed, which is true, and why;
// reads go on, the daemon lives, and leads again by itself once it can.
func TestDisk(t *testing.T) {
	table := evidence.Table{Title: "A directory that can't be written to", Header: []string{"why", "acknowledged", "not committed", "wrong"}}
	for _, c := range []struct {
		name          string
		bytes, inodes int
		why           string // as the answers tell it
		fill          func(o *onDisk) (free func())
	}{
		{"full", 4 << 20, 0, "no space left on device", func(o *onDisk) func() { return o.disk.Fill(16 << 10) }},
		{"no inodes", 4 << 20, 400, "no space left on device", func(o *onDisk) func() { return o.disk.FillInodes() }},
		{"read-only", 4 << 20, 0, "read-only file system", func(o *onDisk) func() {
			o.disk.ReadOnly(true)
			return func() { o.disk.ReadOnly(false) }
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := startOnDisk(t, c.bytes, c.inodes)
			for range 20 {
				o.writesUntil(http.StatusOK)
			}
			free := c.fill(o)
			problem := o.writesUntil(http.StatusServiceUnavailable)
			if !strings.Contains(problem.Detail, c.why) {
				t.Errorf("it does not say why: %s", problem.Detail)
			}
			if status, body, err := o.d.Do(http.MethodPost, "/v1/snapshots", nil, nil); err != nil || status < 500 {
				t.Errorf("a snapshot was made: %d %s %v", status, body, err)
			}
			for range 50 {
				if status, _ := o.write(fmt.Sprintf("x%05d-", len(o.acked)+len(o.failed))); status == http.StatusOK && c.name != "full" {
					t.Error("a write succeeded")
				}
			}
			time.Sleep(4 * time.Second) // past the lease
			o.holds(o.d)
			o.tidy()
			if _, stderr, status := servers.Run(t, nil, "log", "verify", "--store", o.store); status != 0 {
				t.Errorf("log verify: %s", stderr)
			}
			free()
			before := len(o.acked)
			start := time.Now()
			o.writesUntil(http.StatusOK)
			t.Logf("%d writes acknowledged, %d not; %v after there was room again the next was", before, len(o.failed), time.Since(start).Round(time.Millisecond))
			if status, body, err := o.d.Do(http.MethodPost, "/v1/snapshots", nil, nil); err != nil || status != http.StatusOK && status != http.StatusCreated {
				t.Errorf("snapshot: %d %s %v", status, body, err)
			}
			o.holds(o.d)
			o.d.Kill()
			again := servers.StartDaemon(t, o.store, "--lease-ttl", "3s", "--backup-every", "0")
			again.WaitFor("/readyz", http.StatusOK)
			o.holds(again)
			table.Add(c.name, len(o.acked), len(o.failed), t.Failed())
		})
	}
	keep(table)
}

package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/bucket/bucketurl"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
)

// tiny are the flags of a run that takes as little as it can.
func tiny(more ...string) []string {
	return append([]string{"bench", "--duration", "20ms", "--transactions", "200", "--clients", "1,4"}, more...)
}

// filesOf are all files below a directory with what they hold.
func filesOf(t *testing.T, directory string) map[string]string {
	t.Helper()
	files := map[string]string{}
	if err := filepath.WalkDir(directory, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		files[path] = string(data)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return files
}

// memory is the bucket of a mem URL.
func memory(t *testing.T, url string) *memdriver.Bucket {
	t.Helper()
	d, _, err := bucketurl.OpenDriver(t.Context(), url, bucketurl.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return d.(*memdriver.Bucket)
}

func objectsOf(t *testing.T, b *memdriver.Bucket) map[string]string {
	t.Helper()
	objects := map[string]string{}
	for info, err := range b.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		data, version, err := b.Get(t.Context(), info.Key)
		if err != nil {
			t.Fatal(err)
		}
		objects[info.Key] = fmt.Sprint(version, data)
	}
	return objects
}

// All parts, beside a cell that is there: it stays byte for byte, and nothing is left.
func TestBenchOfADirectory(t *testing.T) {
	directory := filled(t)
	before := filesOf(t, directory)
	document := program(t, tiny("file://"+directory, "--profile", "s3express", "--output", "json")...).wants(exitOK).json()
	if after := filesOf(t, directory); !maps.Equal(before, after) {
		t.Errorf("the cell's files changed: %v, there were %v", slices.Sorted(maps.Keys(after)), slices.Sorted(maps.Keys(before)))
	}
	if left, err := filepath.Glob(filepath.Join(directory, "bench-*")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}

	wantAt(t, document, "file://"+directory, "store")
	if scratch := at(t, document, "scratch").(string); !strings.HasPrefix(scratch, "file://"+directory+"/bench-") {
		t.Errorf("scratch is %s", scratch)
	}
	for _, path := range [][]any{
		{"build", "go"}, {"started"}, {"seconds"},
		{"commit", "rawPut", "p50Ms"}, {"commit", "log", "p999Ms"}, {"commit", "transaction", "maxMs"}, {"commit", "logOverRaw", "p99"},
		{"clients", "putsInSeries", "perSecond"}, {"clients", "rows", 1, "latency", "p99Ms"}, {"clients", "rows", 1, "usagePerCommit", "cpuSeconds"},
		{"clients", "rows", 0, "usagePerCommit", "allocations"}, {"clients", "rows", 0, "entryBytes"}, {"clients", "rows", 0, "overSeries"},
		{"transactions", "rows", 2, "putsPerSecond"},
		{"profile", "put", "p50Ms"}, {"profile", "overPut"}, {"profile", "transactions", "perSecond"},
		{"hedging", "on", "latency", "p99Ms"}, {"hedging", "off", "requests", "create"}, {"hedging", "moreRequests"}, {"hedging", "onOverOff", "p99"},
		{"recovery", "large", "mbPerSecond"}, {"recovery", "small", "overRaw"},
		{"failover", "handOver", "firstCommitMs"}, {"failover", "crash", "leadsMs"}, {"failover", "lag", "overCommit", "p50"}, {"failover", "idle", "requests", "get"},
		{"requests", "requests", "create"}, {"requests", "dollarsPerMonth"}, {"failover", "idle", "dollarsPerMonth"},
	} {
		if at(t, document, path...) == nil {
			t.Errorf("%v is missing", path)
		}
	}
	wantAt(t, document, "s3", "prices")
	wantAt(t, document, "s3express", "profile", "profile")
	wantAt(t, document, "200", "requests", "transactions")
	wantAt(t, document, "1", "requests", "putsPerEntry")
	wantAt(t, document, "0", "requests", "others")
	wantAt(t, document, "4", "clients", "rows", 1, "clients")
}

func TestBenchAsText(t *testing.T) {
	o := program(t, tiny("mem://"+t.Name(), "--only", "commit,clients,requests")...).wants(exitOK)
	o.prints("mem://"+t.Name()+"/bench-", "PUTs, ", "commit: one client", "raw conditional PUT", "clients: commits to the log", "requests of 200 transactions", "removed")
	for line := range strings.Lines(o.stdout) {
		if len(line) > 101 {
			t.Errorf("a line of %d characters: %s", len(line)-1, line)
		}
	}
	if strings.Contains(o.stdout, "failover:") {
		t.Error("a part was run that was not asked for")
	}
	if left := objectsOf(t, memory(t, "mem://"+t.Name())); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// A directory that was not there is not there afterwards.
func TestBenchLeavesNoDirectory(t *testing.T) {
	directory := newDirectory(t)
	program(t, tiny("--store", directory, "--only", "requests")...).wants(exitOK)
	if _, err := os.Stat(directory); !os.IsNotExist(err) {
		t.Errorf("%s is there: %v", directory, err)
	}
}

// Each part is interrupted in its midst.
func TestInterruptedBenchRemovesItsPrefix(t *testing.T) {
	for _, part := range benchNames() {
		t.Run(part, func(t *testing.T) {
			t.Parallel()
			url := "mem://" + strings.ReplaceAll(t.Name(), "/", "-")
			mem := memory(t, url)
			programWith(t, everything(), "--store", url, "apply", "-").wants(exitOK)
			before := objectsOf(t, mem)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: func(key string) bool { return strings.Contains(key, "bench-") }, Skip: 5, Times: 1,
				Do: memdriver.Before(func(string) { cancel() })})
			var stdout, stderr bytes.Buffer
			status := run(ctx, tiny(url, "--only", part, "--duration", "1h", "--transactions", "100000", "--record-bytes", "65536"), strings.NewReader(""), &stdout, &stderr)
			if status != exitError || strings.Contains(stderr.String(), "left") {
				t.Errorf("status %d, %s", status, &stderr)
			}
			if after := objectsOf(t, mem); !maps.Equal(before, after) {
				t.Errorf("objects are %v, were %v", slices.Sorted(maps.Keys(after)), slices.Sorted(maps.Keys(before)))
			}
		})
	}
}

func TestBenchTellsWhatItCouldNotRemove(t *testing.T) {
	url := "mem://" + t.Name()
	memory(t, url).Inject(memdriver.Fault{Operation: memdriver.Delete, Do: memdriver.Deny})
	program(t, tiny(url, "--only", "requests")...).wants(exitError).says(url+"/bench-", "may be left")
}

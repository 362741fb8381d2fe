package main

import (
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write into docs/cost.md what the commands in it print")

// costBlock is a command in a document with what it prints.
var costBlock = regexp.MustCompile("(?s)```\n\\$ scheduler-store (cost[^\n]*)\n(.*?)```")

// Every figure of docs/cost.md is what the command above it prints. After a change,
// refresh it: go test ./cmd/scheduler-store -run TestCostDocument -update
func TestCostDocument(t *testing.T) {
	const path = "../../docs/cost.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	blocks := 0
	fresh := costBlock.ReplaceAllStringFunc(string(text), func(block string) string {
		blocks++
		command := costBlock.FindStringSubmatch(block)[1]
		printed := program(t, strings.Fields(command)...).wants(exitOK).stdout
		return "```\n$ scheduler-store " + command + "\n" + printed + "```"
	})
	if blocks < 5 {
		t.Errorf("%d commands in %s", blocks, path)
	}
	if fresh == string(text) {
		return
	}
	if *update {
		if err := os.WriteFile(path, []byte(fresh), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s is not what its commands print; run this test with -update", path)
}

func TestCostProjection(t *testing.T) {
	program(t, "cost").wants(exitOK).prints("Amazon S3 Standard in us-east-1", "idle", "1/s", "saturated", "log-writes", "storage", "total")
	program(t, "cost", "--prices", "gcs", "--rates", "7.5", "--standbys", "2").wants(exitOK).prints("Google Cloud", "us-central1", "7.5/s", "2 standbys")

	document := program(t, "cost", "--output", "json", "--rates", "idle,1", "--prices", "s3express").wants(exitOK).json()
	wantAt(t, document, "s3express", "prices", "name")
	wantAt(t, document, "idle", "projections", 0, "name")
	wantAt(t, document, "lease-renewals", "projections", 0, "causes", 0, "cause")
	wantAt(t, document, 525600, "projections", 0, "causes", 0, "writes") // every 5 s for 730 hours
	wantAt(t, document, 0.593928, "projections", 0, "dollars")
	wantAt(t, document, 1, "projections", 1, "transactionsPerSecond")
	again := program(t, "cost", "--output", "json", "--rates", "idle,1", "--prices", "s3express").wants(exitOK)
	if first := program(t, "cost", "--output", "json", "--rates", "idle,1", "--prices", "s3express").stdout; first != again.stdout {
		t.Error("the same projection is printed in two ways")
	}
	// The daemon's own variables say how it is run.
	t.Setenv("SCHEDULER_STORE_LEASE_TTL", "30s")
	wantAt(t, program(t, "cost", "--output", "json", "--rates", "idle").wants(exitOK).json(), 262800, "projections", 0, "causes", 0, "writes")
}

// Each flag of the workload is heard.
func TestCostFlags(t *testing.T) {
	run := func(args ...string) string {
		t.Helper()
		return program(t, append([]string{"cost", "--output", "json", "--rates", "50"}, args...)...).wants(exitOK).stdout
	}
	plain := run()
	for _, args := range [][]string{
		{"--record-bytes", "4096"}, {"--state-bytes", "1000000000"}, {"--put-latency", "10ms"}, {"--linger", "1s"}, {"--max-puts", "3"},
		{"--followers", "1"}, {"--standbys", "1"}, {"--lease-ttl", "1m"}, {"--snapshot-every", "1m"}, {"--replay-target", "10ms"},
		{"--backup-every", "1m"}, {"--backup-every", "0"}, {"--backup-keep", "3"}, {"--prices", "gcs"},
	} {
		if run(args...) == plain {
			t.Errorf("%q changes nothing", args)
		}
	}
	program(t, "cost", "--linger", "1s", "--max-puts", "3").prints("a linger of 1s", "at most 3 PUTs a second")
}

// A daemon on a directory pays for no request, and tells what it would pay elsewhere.
func TestCostOfADaemon(t *testing.T) {
	d := startDaemon(t, "--store", newDirectory(t)).leads()
	text := program(t, "cost", "--of", d.url).wants(exitOK).prints("no provider that bills", "lease-renewals", "log-writes", "total")
	if strings.Contains(text.stdout, "$") {
		t.Errorf("printed %s", text.stdout)
	}
	free := program(t, "cost", "--of", d.url, "--output", "json").wants(exitOK).json()
	wantAt(t, free, "", "prices")
	wantAt(t, free, 0, "dollars")
	billed := program(t, "cost", "--of", d.url+"/", "--output", "json", "--prices", "s3").wants(exitOK).json()
	wantAt(t, billed, "s3", "prices")
	for _, sum := range []string{"dollars", "dollarsPerMonth", "requests", "seconds"} {
		if n := at(t, billed, sum).(interface{ String() string }).String(); n == "0" || strings.HasPrefix(n, "-") {
			t.Errorf("%s is %s", sum, n)
		}
	}
	program(t, "cost", "--of", "http://127.0.0.1:1").wants(exitError).says("--of")
}

func TestCostAsksWithAToken(t *testing.T) {
	answer := `{"cost":{"prices":"s3","seconds":3600,"causes":[{"cause":"log-writes","writes":1000,"dollars":0.005}],"requests":1000,"dollars":0.005,"dollarsPerMonth":3.65}}`
	a := answering(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) })
	tokens := writeFile(t, filepath.Join(t.TempDir(), "tokens"), "first-token-of-the-file\n")
	program(t, "cost", "--of", a.URL, "--token-file", tokens).wants(exitOK).prints("requests in 1h0m", "Amazon S3 Standard", "log-writes  1000      0.01     3.65")
	if want := "GET /v1/status Bearer first-token-of-the-file"; len(a.asked) != 1 || a.asked[0] != want {
		t.Errorf("asked %q, want %q", a.asked, want)
	}
	o := program(t, "cost", "--of", a.URL, "--prices", "s3express").wants(exitOK).prints("Express")
	if strings.Contains(o.stdout, "3.65") {
		t.Errorf("printed by the prices of another list: %s", o.stdout)
	}
	answer = `{"cell":"x"}`
	program(t, "cost", "--of", a.URL).wants(exitError).says("older version")
}

package operations

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/scheduler-store/scheduler-store/integration/servers"
)

func moveTheState(o *operator) {
	o.store = "file://" + filepath.Join(o.directory, "store")
	o.set("STORE", o.store)
	d := o.leader()
	o.saves(d, "a", "b")
	o.ends(d)
	o.says(o.types(), "copied 2 tasks", "problems          0")
	o.is(o.fresh, o.state(o.store, "now"))
	d = o.serves()
	d.WaitFor("/leaderz", http.StatusOK)
	o.saves(d, "c")
	o.holds(o.fresh)
}

func moveAll(o *operator) {
	d := o.leader()
	o.saves(d, "a", "b")
	again := map[string]string{"Idempotency-Key": "once"}
	task := servers.OneTask("c")
	_, first, err := d.Do(http.MethodPost, "/v1/transactions", task, again)
	if err != nil {
		o.Fatal(err)
	}
	o.acked = append(o.acked, "c")
	o.ends(d)

	from, prefix := o.place(o.store)
	to, below := o.place(o.fresh)
	for _, key := range o.objects(o.store) { // as the tool of a provider does it
		if _, err := o.minio.Client().CopyObject(o.Context(), &s3.CopyObjectInput{Bucket: &to, Key: aws.String(below + key),
			CopySource: aws.String(url.PathEscape(from + "/" + prefix + key))}); err != nil {
			o.Fatal(err)
		}
	}
	ends := map[string]int{}
	for line := range strings.Lines(o.types()) {
		if strings.HasPrefix(line, "head ") {
			ends[line]++
		}
	}
	if len(ends) != 1 {
		o.Errorf("the two end in different places: %v", ends)
	}

	o.set("STORE", o.fresh)
	d = o.leader()
	if _, second, err := d.Do(http.MethodPost, "/v1/transactions", task, again); err != nil || second != first {
		o.Errorf("a repeat of an old request: %s %v, want %s", second, err, first)
	}
	o.saves(d, "d")
	o.holds(o.fresh)
	if got, want := o.state(o.fresh, "transaction:2"), o.state(o.store, "transaction:2"); got != want {
		o.Errorf("the past is\n%s\nwant\n%s", got, want)
	}
}

func fromAurora(o *operator) {
	d := o.leader()
	o.saves(d, "a", "b")
	o.ends(d)
	file := filepath.Join(o.directory, "scheduler-backup-2019-02-27-10-30")
	o.set("FILE", file)
	if _, stderr, status := o.run(`scheduler-store export "$FILE" --format aurora --store "$STORE"`); status != 0 {
		o.Fatal(stderr)
	}
	o.says(o.types(), "imported 2 tasks", "tasks         2")
	o.is(o.fresh, o.state(o.store, "now"))
}

func fromLines(o *operator) {
	o.says(o.types(), "imported 1 tasks, 1 cron jobs, 1 quotas, 1 hosts, the framework id")
	o.says(o.state(o.fresh, "now"), `"taskId": "www-prod-hello-0"`, `"slaveHost": "node-1.example.org"`, `"cronSchedule": "0 3 * * *"`, `"framework-1"`)
	lines, err := os.ReadFile(filepath.Join(o.directory, "state.jsonl"))
	if err != nil || strings.Count(string(lines), "\n") != 5 {
		o.Errorf("%v %s", err, lines)
	}
}

package operations

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"net/http"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/integration/servers"
)

// scenarios are what happens in the sections of the document that have blocks.
var scenarios = map[string]func(*operator){
	"Cost":                         cost,
	"What a binary can read":       whatABinaryCanRead,
	"The order":                    upgrade,
	"Rolling back":                 rollBack,
	"The leader's machine is lost": leaderIsLost,
	"The lease is stuck":           leaseIsStuck,
	"The lease is deleted":         leaseIsDeleted,
	"A wrong change was made":      wrongChange,
	"A snapshot is damaged":        snapshotIsDamaged,
	"An entry is lost, and a daemon still has the state":          entryIsLostAndKnown,
	"An entry is lost, and no daemon has the state":               entryIsLost,
	"The bucket is lost":                                          bucketIsLost,
	"The key must be changed":                                     keyIsChanged,
	"The bucket is full, denies, or the credentials have expired": bucketDenies,
	"Rehearsing it":                    rehearsal,
	"To another bucket or cloud":       moveTheState,
	"With all of its history":          moveAll,
	"From Aurora":                      fromAurora,
	"From etcd, or from anything else": fromLines,
}

// Each section of the document is done as it is written, and comes out as it says.
func TestOperations(t *testing.T) {
	sections := readDocument(t)
	minio := servers.StartMinIO(t)
	minio.UseCredentials(t)
	for _, bucket := range []string{"cells", "backups", "others"} {
		minio.MakeBucket(t, bucket)
	}
	found := map[string]bool{}
	for _, s := range sections {
		if found[s.title] {
			t.Errorf("there are two sections %q", s.title)
		}
		found[s.title] = true
		play := scenarios[s.title]
		if play == nil {
			t.Errorf("the section %q has blocks, and nothing here runs them", s.title)
			continue
		}
		t.Run(s.title, func(t *testing.T) {
			o := newOperator(t, minio, s)
			play(o)
			if left := len(s.blocks) - o.next; left != 0 && !t.Failed() {
				t.Errorf("%d blocks were not run, the first:\n%s", left, s.blocks[o.next])
			}
		})
	}
	for title := range scenarios {
		if !found[title] {
			t.Errorf("the document has no section %q with blocks", title)
		}
	}
}

func cost(o *operator) {
	d := o.leader()
	o.saves(d, "a")
	o.set("SERVER", d.URL)
	printed := o.types()
	o.says(printed, "one leader, no follower, one standby", "log-writes")
	if n := strings.Count(printed, "total"); n != 2 {
		o.Errorf("it tells %d sums, want those of the projection and of the daemon:\n%s", n, printed)
	}
}

// A newer version leads, and then there is only this one, which can't read all of it.
func whatABinaryCanRead(o *operator) {
	leader := o.leader()
	old := o.standby()
	o.saves(leader, "a")
	o.says(o.types(), "scheduler-store ", "problems          0", "tasks         1")

	old.WaitFor("/v1/tasks/a", http.StatusOK)
	old.Signal(stop)
	o.ends(leader)
	newer := o.object(entry("1"))
	binary.BigEndian.PutUint16(newer[8:], 99) // its version, and then the checksum of its header
	binary.BigEndian.PutUint32(newer[148:], crc32.Checksum(newer[:148], crc32.MakeTable(crc32.Castagnoli)))
	o.puts(entry("2"), newer)
	old.Signal(goOn)
	old.WaitFor("/healthz", http.StatusServiceUnavailable)
	old.WaitFor("/v1/tasks/a", http.StatusOK)
	o.until("it does not say why", func() bool {
		return strings.Contains(old.Log(), "can't go on") && strings.Contains(old.Log(), entry("2")+": made by a newer version: entry format 99")
	})
	o.again(1)
	o.says(o.fails(), entry("2")+": made by a newer version")
}

func upgrade(o *operator) {
	leader := o.leader()
	standby := o.standby()
	o.saves(leader, "a")
	o.says(o.types(), "made backup before-the-upgrade")

	o.set("PID", fmt.Sprint(standby.Pid))
	o.types()
	<-standby.Ended()
	standby = o.serves()
	standby.WaitForLeader()
	o.saves(leader, "b")

	o.again(2) // the same two blocks, for the leader
	o.set("PID", fmt.Sprint(leader.Pid))
	o.types()
	<-leader.Ended()
	standby.WaitFor("/leaderz", http.StatusOK)
	old := o.serves()
	old.WaitForLeader()
	o.saves(standby, "c")
	o.says(leader.Log(), "lease released", "msg=ended")
	o.holds(o.store)
}

func rollBack(o *operator) {
	d := o.leader()
	o.saves(d, "a", "b")
	o.ends(d)
	o.types()
	o.is(o.fresh, o.state(o.store, "now"))
}

func leaderIsLost(o *operator) {
	leader := o.leader()
	standby := o.standby()
	o.saves(leader, "a", "b")
	leader.Kill()
	standby.WaitFor("/leaderz", http.StatusOK)
	o.says(o.types(), "held", standby.URL)
	o.saves(standby, "c")
	o.serves().WaitForLeader()
	o.says(o.types(), "problems          0")
	o.holds(o.store)
}

func leaseIsStuck(o *operator) {
	leader := o.leader("--lease-ttl 1h")
	standby := o.standby()
	o.saves(leader, "a", "b")
	leader.Kill()
	o.says(o.types(), "held", leader.URL, "1h0m0s")
	o.says(o.types(), "the lease was broken")
	standby.WaitFor("/leaderz", http.StatusOK)
	o.saves(standby, "c")
	o.holds(o.store)
}

func leaseIsDeleted(o *operator) {
	d := o.leader()
	standby := o.standby()
	o.saves(d, "a", "b")
	d.Signal(stop) // so that it can't make the lease anew while one looks
	standby.Signal(stop)
	o.removes("lease.json")
	if printed := o.types(); strings.Contains(printed, "held") || !strings.Contains(printed, "or lease.json was deleted") {
		o.Errorf("of a lease that was deleted it says:\n%s", printed)
	}
	d.Signal(goOn)
	standby.Signal(goOn)
	o.until("nobody leads", func() bool { return leads(d) || leads(standby) })
	o.says(o.types(), "problems          0")
	o.until("no daemon takes a write any more", func() bool {
		for _, d := range []*servers.Daemon{d, standby} {
			switch status, body, err := o.tries(d, "c"); {
			case err == nil && status == http.StatusOK:
				return true
			case err != nil || !strings.Contains(body, `"not committed"`):
				o.Fatal(status, body, err)
			}
		}
		return false
	})
	o.holds(o.store)
}

func wrongChange(o *operator) {
	d := o.leader()
	o.saves(d, "a", "b", "c")
	right := o.state(o.store, "now")
	status, body, err := d.Do(http.MethodPost, "/v1/transactions", []byte(`{"ops":[{"removeTasks":{"taskIds":["a","c"]}}]}`), nil)
	if err != nil || status != http.StatusOK {
		o.Fatal(status, body, err)
	}
	wrong := o.state(o.store, "now")

	var number int
	if _, err := fmt.Sscan(o.find(o.types(), `transaction (\d+), .*: removeTasks`), &number); err != nil {
		o.Fatal(err)
	}
	o.set("BEFORE", fmt.Sprintf("transaction:%d", number-1))
	o.says(o.types(), "tasks a removed", "tasks c removed", "www/prod/hello")

	restored := o.types()
	o.is(o.store, right)
	d.WaitFor("/leaderz", http.StatusOK)
	o.holds(o.store)
	o.set("UNDO", o.find(restored, `restore --at (\d+)`))
	o.types()
	o.is(o.store, wrong)
	d.WaitFor("/leaderz", http.StatusOK)
}

func rehearsal(o *operator) {
	d := o.leader()
	o.saves(d, "a", "b")
	o.backsUp("newest")
	o.set("BACKUP", newestBackup(o, o.types()))
	o.says(o.types(), "problems          0")
	o.is(o.fresh, o.state(o.store, "now"))
	o.saves(d, "c") // the daemon was not disturbed
}

// backsUp makes a backup of the store.
func (o *operator) backsUp(name string) {
	o.Helper()
	if _, stderr, status := o.run(`scheduler-store backup create ` + name + ` --store "$STORE" --backups "$BACKUPS"`); status != 0 {
		o.Fatal(stderr)
	}
}

// newestBackup is the first in what 'backup ls' prints.
func newestBackup(o *operator, listed string) string {
	o.Helper()
	return o.find(listed, `(?m)^(\S+) +backup `)
}

func leads(d *servers.Daemon) bool {
	status, _, err := d.Get("/leaderz")
	return err == nil && status == http.StatusOK
}

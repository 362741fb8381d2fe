package operations

import (
	"bytes"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/scheduler-store/scheduler-store/integration/servers"
)

const (
	stop = syscall.SIGSTOP
	goOn = syscall.SIGCONT
)

// place is the bucket and the prefix of a URL.
func (o *operator) place(at string) (bucket, prefix string) {
	o.Helper()
	u, err := url.Parse(at)
	if err != nil {
		o.Fatal(err)
	}
	return u.Host, strings.TrimPrefix(u.Path, "/") + "/"
}

// objects are the keys of all objects of a store.
func (o *operator) objects(store string) (keys []string) {
	o.Helper()
	bucket, prefix := o.place(store)
	pages := s3.NewListObjectsV2Paginator(o.minio.Client(), &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(o.Context())
		if err != nil {
			o.Fatal(err)
		}
		for _, object := range page.Contents {
			keys = append(keys, strings.TrimPrefix(*object.Key, prefix))
		}
	}
	return keys
}

// object is what an object of the store holds.
func (o *operator) object(key string) []byte {
	o.Helper()
	bucket, prefix := o.place(o.store)
	object, err := o.minio.Client().GetObject(o.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: aws.String(prefix + key)})
	if err != nil {
		o.Fatalf("%s: %v", key, err)
	}
	defer object.Body.Close()
	data, err := io.ReadAll(object.Body)
	if err != nil {
		o.Fatalf("%s: %v", key, err)
	}
	return data
}

// puts makes an object of the store.
func (o *operator) puts(key string, data []byte) {
	o.Helper()
	bucket, prefix := o.place(o.store)
	if _, err := o.minio.Client().PutObject(o.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: aws.String(prefix + key), Body: bytes.NewReader(data)}); err != nil {
		o.Fatalf("%s: %v", key, err)
	}
}

// removes removes an object of the store, and returns what it held.
func (o *operator) removes(key string) []byte {
	o.Helper()
	held := o.object(key) // which is there: deleting what is not succeeds too
	bucket, prefix := o.place(o.store)
	if _, err := o.minio.Client().DeleteObject(o.Context(), &s3.DeleteObjectInput{Bucket: &bucket, Key: aws.String(prefix + key)}); err != nil {
		o.Fatalf("%s: %v", key, err)
	}
	return held
}

func snapshotIsDamaged(o *operator) {
	d := o.leader()
	for _, id := range []string{"a", "b"} {
		o.saves(d, id)
		if _, stderr, status := o.run(`scheduler-store snapshot create --store "$STORE"`); status != 0 {
			o.Fatal(stderr)
		}
	}
	o.saves(d, "c")
	newest := ""
	for _, key := range o.objects(o.store) {
		if strings.HasSuffix(key, "/part-00000") {
			newest = max(newest, key)
		}
	}
	o.removes(newest)
	o.ends(d)

	d = o.leader()
	o.says(d.Log(), "snapshot is damaged, using an older state", newest)
	o.holds(o.store)
	o.says(o.types(), "made snapshot")
	o.ends(d)
	if d = o.leader(); strings.Contains(d.Log(), "damaged") {
		o.Error("a recovery still needs what is damaged")
	}
	o.holds(o.store)
}

// entry is the object of an entry of the first epoch.
func entry(position string) string {
	return "log/0000000001/" + strings.Repeat("0", 20-len(position)) + position
}

// The leader is gone too, and a standby has what the bucket has not.
func entryIsLostAndKnown(o *operator) {
	d := o.leader()
	standby := o.standby()
	o.saves(d, "a", "b", "c")
	standby.WaitFor("/v1/tasks/c", http.StatusOK)
	o.removes(entry("2"))
	if _, stderr, status := o.run(`scheduler-store state --store "$STORE"`); status != 1 || !strings.Contains(stderr, entry("2")) {
		o.Errorf("a loss goes unseen: %d %s", status, stderr)
	}
	d.Kill()
	standby.WaitFor("/leaderz", http.StatusOK)
	if status, body, err := standby.Do(http.MethodPost, "/v1/backups", []byte(`{"name":"from-memory"}`), nil); err != nil || status != http.StatusCreated {
		o.Errorf("a backup of what is in memory: %d %s %v", status, body, err)
	}
	o.says(o.types(), "made snapshot", "problems          0")
	standby.Kill()
	o.saves(o.leader(), "d")
	o.holds(o.store)
}

func entryIsLost(o *operator) {
	d := o.leader()
	o.saves(d, "a", "b")
	if _, stderr, status := o.run(`scheduler-store snapshot create --store "$STORE"`); status != 0 {
		o.Fatal(stderr)
	}
	o.saves(d, "c", "lost", "d")
	o.ends(d)
	held := o.removes(entry("4"))
	d = o.daemon()
	d.WaitFor("/healthz", http.StatusServiceUnavailable)
	o.until("it does not say what is lost", func() bool { return strings.Contains(d.Log(), entry("4")+": missing") })
	o.says(d.Log(), "can't go on")
	o.puts(entry("4"), held) // from a copy of the bucket
	d.WaitFor("/leaderz", http.StatusOK)
	o.holds(o.store)
	o.ends(d)
	o.removes(entry("4")) // there is no copy

	listed := o.types()
	snapshot := o.find(listed, `(?m)^([0-9]{20}-\S+) `)
	o.set("SNAPSHOT", snapshot)
	last := o.find(listed, snapshot+` +(\d+) `)
	var positions []string
	for line := range strings.Lines(listed) {
		// POSITION EPOCH KIND TRANSACTIONS, the newest first
		if f := strings.Fields(line); len(f) > 3 && f[2] == "records" && f[3] > last {
			positions = append([]string{f[0]}, positions...)
		}
	}
	if got := strings.Join(positions, " "); got != "3 5" {
		o.Fatalf("the entries after the snapshot are at %s, want 3 and 5:\n%s", got, listed)
	}
	o.set("POSITIONS", strings.Join(positions, " "))
	o.says(o.types(), "pinned rescue", "restored: ")
	o.says(o.types(), "applied 2 transactions")
	o.acked = []string{"a", "b", "c", "d"}
	o.holds(o.fresh)
}

func bucketIsLost(o *operator) {
	o.key("SCHEDULER_STORE_KEY") // a backup that is encrypted must be enough as well
	d := o.leader()
	o.saves(d, "a", "b")
	o.backsUp("older")
	o.saves(d, "c")
	o.backsUp("newest")
	want := o.state(o.store, "now")
	d.Kill()
	for _, key := range o.objects(o.store) {
		o.removes(key)
	}

	o.set("BACKUP", newestBackup(o, o.types()))
	o.says(o.types(), "restored: ", "problems          0")
	o.is(o.fresh, want)
	d = o.serves()
	d.WaitFor("/leaderz", http.StatusOK)
	o.saves(d, "d")
	o.holds(o.fresh)
}

// key makes a key file, and puts its URL into a variable.
func (o *operator) key(variable string) {
	o.Helper()
	path := o.directory + "/" + strings.ToLower(variable)
	o.set(variable, "file://"+path)
	if _, stderr, status := o.run("scheduler-store key generate " + path); status != 0 {
		o.Fatal(stderr)
	}
}

func keyIsChanged(o *operator) {
	o.key("OLDKEY")
	o.key("NEWKEY")
	d := o.leader(`--key "$OLDKEY"`)
	o.saves(d, "a")
	o.says(o.types(), "made key/0000000001-0002.json")
	o.saves(d, "b") // a daemon with the old one goes on
	o.ends(d)
	d = o.serves()
	d.WaitFor("/leaderz", http.StatusOK)
	o.saves(d, "c")
	o.says(o.types(), "made data key 2")
	o.ends(d)

	d = o.leader(`--key "$NEWKEY"`) // which seals with the new data key from its start on
	o.saves(d, "d")
	if _, stderr, status := o.run(`scheduler-store state --store "$STORE" --key "$OLDKEY"`); status != 1 || !strings.Contains(stderr, "key/0000000002-0001.json") {
		o.Errorf("with the old key: %d %s", status, stderr)
	}
	o.run(`rm "${OLDKEY#file://}"`)
	o.variables = append(o.variables, "SCHEDULER_STORE_KEY="+"file://"+o.directory+"/newkey")
	o.holds(o.store)
}

func bucketDenies(o *operator) {
	var denied atomic.Bool
	behind, err := url.Parse(o.minio.Endpoint)
	if err != nil {
		o.Fatal(err)
	}
	forward := &httputil.ReverseProxy{ErrorLog: log.New(io.Discard, "", 0), Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(behind)
		r.Out.Host = r.In.Host // which is signed
	}}
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if denied.Load() && r.Method == http.MethodPut {
			_, _ = io.Copy(io.Discard, r.Body) // or the client may not come to read the answer
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `<Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>`)
			return
		}
		forward.ServeHTTP(w, r)
	}))
	o.Cleanup(gate.Close)
	bucket, prefix := o.place(o.store)
	o.store = servers.S3URL(gate.URL, bucket, strings.TrimSuffix(prefix, "/"))
	o.set("STORE", o.store)

	d := o.leader()
	o.saves(d, "a")
	denied.Store(true)
	status, body, err := d.Save("refused")
	if err != nil || status != http.StatusServiceUnavailable || !strings.Contains(body, `"not committed"`) {
		o.Errorf("a write that is denied: %d %s %v", status, body, err)
	}
	o.says(o.fails(), "access denied")
	o.until("the status does not say what is wrong", func() bool {
		_, body, _ := d.Get("/v1/status")
		return strings.Contains(body, `"problem":`) && strings.Contains(body, "access denied")
	})
	denied.Store(false)
	d.WaitFor("/leaderz", http.StatusOK)
	o.says(o.types(), "held", d.URL)
	o.saves(d, "b")
	o.holds(o.store)
}

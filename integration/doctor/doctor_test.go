package doctor_test

import (
	"encoding/json"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/scheduler-store/scheduler-store/bucket/buckettest/faultproxy"
	"github.com/scheduler-store/scheduler-store/bucket/buckettest/smalldisk"
	"github.com/scheduler-store/scheduler-store/bucket/bucketurl"
	"github.com/scheduler-store/scheduler-store/integration/servers"
)

const (
	bucketName = "state"
	cell       = "cells/prod"
)

// statement is one of an IAM policy.
type statement struct {
	Effect    string
	Action    []string
	Resource  []string
	Condition map[string]any `json:",omitempty"`
}

func policy(t *testing.T, statements ...statement) string {
	t.Helper()
	text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func allow(resource string, actions ...string) statement {
	return statement{Effect: "Allow", Action: actions, Resource: []string{"arn:aws:s3:::" + resource}}
}

// lists may list the cell.
func lists() statement {
	s := allow(bucketName, "s3:ListBucket")
	s.Condition = map[string]any{"StringLike": map[string]any{"s3:prefix": []string{cell + "/*"}}}
	return s
}

// asks may ask for the bucket's settings.
func asks() statement {
	return allow(bucketName, "s3:GetBucketVersioning", "s3:GetLifecycleConfiguration", "s3:GetBucketObjectLockConfiguration", "s3:GetBucketPolicyStatus")
}

func writerPolicy(t *testing.T) string {
	return policy(t, allow(bucketName+"/"+cell+"/*", "s3:GetObject", "s3:PutObject", "s3:DeleteObject"), lists(), asks())
}

func followerPolicy(t *testing.T) string {
	return policy(t, allow(bucketName+"/"+cell+"/*", "s3:GetObject"), lists(), asks())
}

func startMinIO(t *testing.T) (*servers.MinIO, string) {
	minio := servers.StartMinIO(t)
	minio.MakeBucket(t, bucketName)
	return minio, minio.BucketURL(bucketName, cell)
}

// left are the keys of a bucket.
func left(t *testing.T, server *servers.S3) []string {
	t.Helper()
	output, err := server.Client().ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(bucketName)})
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, object := range output.Contents {
		keys = append(keys, *object.Key)
	}
	return keys
}

func TestGoodMinIO(t *testing.T) {
	minio, url := startMinIO(t)
	minio.WithPolicy(t, writerPolicy(t)).UseCredentials(t)
	examine(t, url).wants(0).documented("good MinIO")
	minio.UseCredentials(t)
	examine(t, url).wants(0, "outside: warning").says("beside the cell could be written").documented("MinIO, its administrator")
	examine(t, url, "--role", "operator").wants(0)
	if keys := left(t, &minio.S3); len(keys) > 0 {
		t.Errorf("left %d objects: %q", len(keys), keys)
	}
}

func TestMinIOWithAReadOnlyUser(t *testing.T) {
	minio, url := startMinIO(t)
	minio.WithPolicy(t, followerPolicy(t)).UseCredentials(t)
	examine(t, url).wants(1, "write: unfit").says("too few permissions").documented("read-only user")
	examine(t, url, "--role", "follower").wants(0).documented("read-only user as follower")

	minio.WithPolicy(t, writerPolicy(t)).UseCredentials(t)
	examine(t, url, "--role", "follower").wants(1, "refusal: unfit").says("too many permissions").documented("writer as follower")
	minio.WithPolicy(t, policy(t, allow(bucketName+"/"+cell+"/*", "s3:GetObject", "s3:PutObject"), lists())).UseCredentials(t)
	examine(t, url).wants(1, "write: unfit", "versioning: unread", "life cycle: unread", "retention: unread", "removal: warning").
		says("garbage is never collected").documented("user that may not delete")
	examine(t, url, "--role", "operator").wants(1, "write: unfit", "versioning: unfit", "life cycle: unfit", "retention: unfit", "removal: warning")

	// What the one that may not delete has made, nobody else has.
	for _, key := range left(t, &minio.S3) {
		if !strings.HasPrefix(key, cell+"/doctor/") {
			t.Errorf("left %s", key)
		}
	}
}

func TestWrongBucketAndWrongCredentials(t *testing.T) {
	minio, url := startMinIO(t)
	minio.UseCredentials(t)
	examine(t, minio.BucketURL("stat", cell)).wants(1, "reach: unfit").says("no such bucket", "mc mb ALIAS/stat").documented("wrong bucket")
	minio.WithPolicy(t, writerPolicy(t)).UseCredentials(t)
	examine(t, minio.BucketURL("stat", cell)).wants(1, "reach: unfit").says("tells nobody else which buckets there are")
	wrong := minio.S3
	wrong.SecretKey = "another"
	wrong.UseCredentials(t)
	examine(t, url).wants(1, "reach: unfit").says("wrong or expired").documented("wrong credentials")
}

func TestServerThatIgnoresConditions(t *testing.T) {
	minio, _ := startMinIO(t)
	limited := minio.WithPolicy(t, writerPolicy(t))
	limited.UseCredentials(t)
	proxy := faultproxy.Start(t, minio.Endpoint, faultproxy.Options{})
	url := servers.S3URL(proxy.URL, bucketName, cell)
	proxy.Inject(faultproxy.Fault{Match: faultproxy.Method(http.MethodPut), Times: -1, Do: faultproxy.IgnoreConditions(limited.Sign)})
	examine(t, url).wants(1, "conditions: unfit").says("acknowledged transactions are lost").documented("server that ignores conditions")
	if keys := left(t, &minio.S3); len(keys) > 0 {
		t.Errorf("left %q", keys)
	}
}

// One that looks, and then writes, is found out by races only.
func TestServerThatHonoursConditionsOneAtATimeOnly(t *testing.T) {
	minio, _ := startMinIO(t)
	limited := minio.WithPolicy(t, writerPolicy(t))
	limited.UseCredentials(t)
	proxy := faultproxy.Start(t, minio.Endpoint, faultproxy.Options{})
	proxy.Inject(faultproxy.Fault{
		Match: faultproxy.Containing("/create/3", http.MethodPut), Skip: 1, Times: 1, Do: faultproxy.IgnoreConditions(limited.Sign),
	})
	examine(t, servers.S3URL(proxy.URL, bucketName, cell)).wants(1, "create race: unfit").says("2 of 32 writers")
}

func TestVersityGW(t *testing.T) {
	gateway := servers.StartVersityGW(t)
	gateway.MakeBucket(t, bucketName)
	gateway.UseCredentials(t)
	examine(t, gateway.BucketURL(bucketName, cell)).wants(0, "outside: warning")
}

func TestGCSEmulator(t *testing.T) {
	gcs := servers.StartGCS(t)
	gcs.Use(t)
	gcs.MakeBucket(t, bucketName)
	examine(t, gcs.BucketURL(bucketName, cell)).wants(0, "outside: warning", "public access: warning").documented("GCS emulator")
	examine(t, gcs.BucketURL("other", cell)).wants(1, "reach: unfit").says("no such bucket", "gcloud storage buckets create gs://other")
}

func TestFullDirectory(t *testing.T) {
	disk := smalldisk.Mount(t, 256<<20, 0)
	if err := exec.Command("chmod", "0750", disk.Path).Run(); err != nil {
		t.Fatal(err)
	}
	examine(t, disk.Path).wants(0, "room: warning")
	free := disk.Fill(0)
	examine(t, disk.Path).wants(1, "room: unfit", "write: unfit").says("nothing that was is lost").
		documented("directory on a full disk", disk.Path, "/var/lib/scheduler-store")
	free()
	disk.ReadOnly(true)
	examine(t, disk.Path).wants(1, "room: unfit", "write: unfit").says("mounted read-only")
	disk.ReadOnly(false)
}

func TestBadSettings(t *testing.T) {
	minio := servers.StartMinIO(t)
	minio.UseCredentials(t)
	url := minio.BucketURL(bucketName, cell)
	client, name := minio.Client(), aws.String(bucketName)
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: name, ObjectLockEnabledForBucket: aws.Bool(true)}))
	must(client.PutObjectLockConfiguration(t.Context(), &s3.PutObjectLockConfigurationInput{Bucket: name, ObjectLockConfiguration: &types.ObjectLockConfiguration{
		ObjectLockEnabled: types.ObjectLockEnabledEnabled,
		Rule:              &types.ObjectLockRule{DefaultRetention: &types.DefaultRetention{Mode: types.ObjectLockRetentionModeGovernance, Days: aws.Int32(30)}},
	}}))
	rule := func(prefix string) types.LifecycleRule {
		return types.LifecycleRule{
			ID: aws.String("tidy-" + prefix), Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{Prefix: aws.String(prefix)},
			Expiration: &types.LifecycleExpiration{Days: aws.Int32(90)},
		}
	}
	must(client.PutBucketLifecycleConfiguration(t.Context(), &s3.PutBucketLifecycleConfigurationInput{Bucket: name,
		LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: []types.LifecycleRule{rule("cells/"), rule("logs/")}}}))
	must(client.PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{Bucket: name, Policy: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["*"]},"Action":["s3:GetObject"],"Resource":["arn:aws:s3:::state/*"]}]}`)}))
	examine(t, url).wants(1, "outside: warning", "versioning: warning", "life cycle: unfit", "retention: warning", "public access: unfit").
		says("read without credentials").documented("bad settings")
	if strings.Contains(examine(t, url, "--output", "json").stdout, "tidy-logs/") {
		t.Error("a rule for other objects is told of")
	}
}

// Doctor beside a daemon: neither notices the other.
func TestBesideADaemon(t *testing.T) {
	minio, url := startMinIO(t)
	minio.UseCredentials(t)
	d := servers.StartDaemon(t, url, "--lease-ttl", "6s")
	d.WaitFor("/leaderz", http.StatusOK)
	_, before, _ := d.Get("/v1/status")
	entries := logOf(t, &minio.S3)
	examine(t, url, "--lease-ttl", "6s").wants(0, "outside: warning")
	_, after, err := d.Get("/v1/status")
	if err != nil || epoch(t, before) != epoch(t, after) {
		t.Errorf("the daemon led as %s, and then as %s (%v)", before, after, err)
	}
	if now := logOf(t, &minio.S3); !slices.Equal(entries, now) {
		t.Errorf("the log is %q, and was %q", now, entries)
	}
	if keys := left(t, &minio.S3); slices.ContainsFunc(keys, func(key string) bool { return strings.Contains(key, "doctor") }) {
		t.Errorf("left %q", keys)
	}
}

func logOf(t *testing.T, server *servers.S3) []string {
	return slices.DeleteFunc(left(t, server), func(key string) bool { return !strings.HasPrefix(key, cell+"/log/") && key != cell+"/cell.json" })
}

func epoch(t *testing.T, status string) float64 {
	t.Helper()
	var v struct{ Epoch float64 }
	if err := json.Unmarshal([]byte(status), &v); err != nil {
		t.Fatalf("%s: %v", status, err)
	}
	return v.Epoch
}

// An interrupt ends it, and it takes away what it has written.
func TestInterruptRemovesWhatWasWritten(t *testing.T) {
	minio, url := startMinIO(t)
	minio.UseCredentials(t)
	b, err := bucketurl.Open(t.Context(), url, bucketurl.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	count := func() (n int) {
		for _, err := range b.List(t.Context(), "doctor/", "") {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		return n
	}
	command := exec.Command(servers.Binary(t), "doctor", url)
	var said strings.Builder
	command.Stderr = &said
	p := servers.StartProcess(t, command)
	for count() < 100 {
		time.Sleep(time.Millisecond)
	}
	p.Signal(syscall.SIGINT)
	<-p.Ended()
	if n := count(); n > 0 {
		t.Errorf("%d objects are left", n)
	}
	if !strings.Contains(said.String(), "cut off") {
		t.Errorf("it said %q", said.String())
	}
}

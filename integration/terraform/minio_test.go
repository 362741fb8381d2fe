package terraform

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/scheduler-store/scheduler-store/integration/servers"
)

// provisioned is a MinIO to which testdata/minio was applied.
type provisioned struct {
	*workspace
	minio       *servers.MinIO
	stores      map[string]map[string]string // by module and cell
	backups     map[string]string            // of the module usual, by cell
	credentials map[string]map[string]keys   // by module, cell and role
}

// keys are those of the users of one cell, by role.
type keys map[string]struct {
	AccessKey string `json:"access_key"`
	SecretKey string `json:"secret_key"`
}

const kmsKey = "store-key"

// provision starts MinIO with a KMS and applies testdata/minio. All is destroyed again
// when the test ends, which must leave no bucket.
func provision(t *testing.T) *provisioned {
	t.Helper()
	w := newWorkspace(t)
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // it never fails
	t.Setenv("MINIO_KMS_SECRET_KEY", kmsKey+":"+base64.StdEncoding.EncodeToString(secret))
	p := &provisioned{workspace: w, minio: servers.StartMinIO(t)}
	t.Setenv("MINIO_USER", p.minio.AccessKey)
	t.Setenv("MINIO_PASSWORD", p.minio.SecretKey)
	if err := os.CopyFS(filepath.Join(w.dir, "configuration"), os.DirFS("testdata/minio")); err != nil {
		t.Fatal(err)
	}
	w.apply("configuration", p.variables()...)
	w.output("configuration", "store_urls", &p.stores)
	w.output("configuration", "backup_urls", &p.backups)
	w.output("configuration", "credentials", &p.credentials)
	return p
}

func (p *provisioned) variables() []string {
	return []string{"-var", "server=" + strings.TrimPrefix(p.minio.Endpoint, "http://"), "-var", "kms_key_id=" + kmsKey}
}

// as is the server with a role's credentials.
func (p *provisioned) as(module, cell, role string) *servers.S3 {
	p.t.Helper()
	c, ok := p.credentials[module][cell][role]
	if !ok || c.SecretKey == "" {
		p.t.Fatalf("there are no credentials of the %s of %s in %s", role, cell, module)
	}
	return &servers.S3{Endpoint: p.minio.Endpoint, Region: p.minio.Region, AccessKey: c.AccessKey, SecretKey: c.SecretKey}
}

// must runs the command with a role's credentials, and fails the test unless it ends well.
func (p *provisioned) must(t *testing.T, as *servers.S3, args ...string) string {
	t.Helper()
	as.UseCredentials(t)
	stdout, stderr, status := servers.Run(t, nil, args...)
	if status != 0 {
		t.Fatalf("scheduler-store %q: status %d\n%s%s", args, status, stdout, stderr)
	}
	return stdout
}

// mustRefuse fails the test unless the command fails because the store denied a request.
func (p *provisioned) mustRefuse(t *testing.T, as *servers.S3, args ...string) {
	t.Helper()
	as.UseCredentials(t)
	stdout, stderr, status := servers.Run(t, nil, args...)
	if status == 0 || !strings.Contains(stderr, "denied") {
		t.Errorf("scheduler-store %q: status %d, want one that says the store denied it\n%s%s", args, status, stdout, stderr)
	}
}

// serve runs a daemon with a role's credentials while use does; it then ends in order.
func (p *provisioned) serve(t *testing.T, as *servers.S3, store string, use func(*servers.Daemon), args ...string) {
	t.Helper()
	as.UseCredentials(t)
	d := servers.StartDaemon(t, store, append([]string{"--lease-ttl", "3s"}, args...)...)
	d.WaitFor("/leaderz", http.StatusOK)
	use(d)
	d.Signal(syscall.SIGTERM)
	<-d.Ended()
}

func save(t *testing.T, d *servers.Daemon, id string) {
	t.Helper()
	status, body, err := d.Save(id)
	if err != nil || status != http.StatusOK {
		t.Fatalf("save %s: %d %s %v", id, status, body, err)
	}
}

func TestMinIO(t *testing.T) {
	p := provision(t)
	t.Run("each role keeps to its calls", func(t *testing.T) {
		for role, may := range roles {
			t.Run(role, func(t *testing.T) {
				mustKeepTo(t, &p.minio.S3, p.as("usual", "cells/matrix", role), "usual", "cells/matrix", may)
			})
		}
		t.Run("writer that does not collect", func(t *testing.T) {
			may := roles["writer"]
			may.remove = nil
			mustKeepTo(t, &p.minio.S3, p.as("apart", "cells/matrix", "writer"), "apart", "cells/matrix", may)
		})
	})
	t.Run("the store runs with each role", p.run)
	t.Run("a collector apart from the writer", p.collectApart)
	t.Run("backups are locked", p.locked)
	t.Run("settings of the buckets", p.settings)
	for _, bucket := range []string{"usual", "apart", "only-tls", "backups"} {
		p.empty(bucket)
	}
	p.tofu("configuration", append([]string{"destroy", "-no-color", "-auto-approve"}, p.variables()...)...)
	left, err := p.minio.Client().ListBuckets(t.Context(), &s3.ListBucketsInput{})
	if err != nil || len(left.Buckets) != 0 {
		t.Errorf("after destroy there are %d buckets, %v", len(left.Buckets), err)
	}
}

// run takes a cell through its life: made, written, snapshotted, collected and backed up
// as the writer; read as the follower; repaired as the operator.
func (p *provisioned) run(t *testing.T) {
	store, backups := p.stores["usual"]["cells/one"], p.backups["cells/one"]
	writer, follower, operator := p.as("usual", "cells/one", "writer"), p.as("usual", "cells/one", "follower"), p.as("usual", "cells/one", "operator")
	p.mustRefuse(t, p.as("usual", "cells/other", "writer"), "apply", "--store", store, "-") // another cell's writer
	p.serve(t, writer, store, func(d *servers.Daemon) {
		for i := range 3 {
			save(t, d, fmt.Sprintf("task-%d", i))
			p.must(t, writer, "snapshot", "create", "--store", store)
		}
		if said := p.must(t, writer, "gc", "--store", store, "--keep-snapshots", "1", "--window", "0", "--grace", "0"); !strings.Contains(said, "removed") {
			t.Errorf("gc removed nothing:\n%s", said)
		}
		p.must(t, writer, "backup", "create", "here", "--store", store)
		p.mustRefuse(t, follower, "lease", "break", "--yes", "--store", store)
	}, "--backups", backups)

	for _, args := range [][]string{{"state", "tasks"}, {"log", "verify"}, {"snapshot", "ls"}, {"lease", "show"}, {"gc", "--dry-run"}} {
		said := p.must(t, follower, append(args, "--store", store)...)
		if args[0] == "state" && strings.Count(said, "task-") < 3 {
			t.Errorf("the follower sees\n%s", said)
		}
	}
	task := filepath.Join(t.TempDir(), "task.json")
	if err := os.WriteFile(task, servers.OneTask("task-3"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.mustRefuse(t, follower, "apply", task, "--store", store)
	p.mustRefuse(t, follower, "gc", "--store", store)
	p.mustRefuse(t, writer, "backup", "pin", "here", "--store", store)
	p.must(t, operator, "backup", "pin", "here", "--store", store)
	p.must(t, operator, "backup", "unpin", "here", "--store", store)
	p.must(t, operator, "apply", task, "--store", store)
	p.must(t, operator, "backup", "rm", "here", "--store", store)
}

// collectApart shows how garbage goes where the writer may delete nothing.
func (p *provisioned) collectApart(t *testing.T) {
	store := p.stores["apart"]["cells/one"]
	writer, collector := p.as("apart", "cells/one", "writer"), p.as("apart", "cells/one", "collector")
	gc := []string{"gc", "--store", store, "--keep-snapshots", "1", "--window", "0", "--grace", "0"}
	p.serve(t, writer, store, func(d *servers.Daemon) {
		for i := range 3 {
			save(t, d, fmt.Sprintf("task-%d", i))
			p.must(t, writer, "snapshot", "create", "--store", store)
		}
		p.mustRefuse(t, writer, gc...) // the daemon is asked, and has the writer's rights
	}, "--gc-every", "0", "--backup-every", "0")
	if said := p.must(t, collector, gc...); !strings.Contains(said, "removed") {
		t.Errorf("the collector removed nothing:\n%s", said)
	}
	p.serve(t, writer, store, func(d *servers.Daemon) {
		for i := range 3 {
			if status, body, err := d.Get(fmt.Sprintf("/v1/tasks/task-%d", i)); err != nil || status != http.StatusOK {
				t.Errorf("after the collection, task %d: %d %s %v", i, status, body, err)
			}
		}
	}, "--gc-every", "0", "--backup-every", "0")
	// Versions of the lease pile up; only the life cycle ends them.
	versions, err := p.minio.Client().ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: aws.String("apart"), Prefix: aws.String("cells/one/lease.json")})
	if err != nil || len(versions.Versions) < 3 {
		t.Errorf("the lease has %d versions, %v", len(versions.Versions), err)
	}
}

// locked shows that a backup in the second bucket outlives whoever deletes it.
func (p *provisioned) locked(t *testing.T) {
	store, backups := p.stores["usual"]["cells/one"], p.backups["cells/one"]
	operator := p.as("usual", "cells/one", "operator")
	p.must(t, operator, "backup", "create", "locked", "--store", store, "--backups", backups)
	p.must(t, operator, "backup", "rm", "locked", "--store", store, "--backups", backups)
	ctx, bucket := t.Context(), aws.String("backups")
	versions, err := p.minio.Client().ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: bucket})
	if err != nil || len(versions.Versions) == 0 {
		t.Fatalf("after the removal %d versions are left, %v", len(versions.Versions), err)
	}
	for _, v := range versions.Versions {
		input := &s3.DeleteObjectInput{Bucket: bucket, Key: v.Key, VersionId: v.VersionId}
		if _, err := operator.Client().DeleteObject(ctx, input); err == nil {
			t.Errorf("the operator deletes version %s of %s", *v.VersionId, *v.Key)
		}
		if _, err := p.minio.Client().DeleteObject(ctx, input); err == nil {
			t.Errorf("the lock does not hold version %s of %s", *v.VersionId, *v.Key)
		}
	}
}

// empty deletes every version of every object of a bucket, locked ones too, as root may.
func (p *provisioned) empty(bucket string) {
	p.t.Helper()
	ctx, client := p.t.Context(), p.minio.Client()
	for {
		output, err := client.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: &bucket})
		if err != nil {
			p.t.Fatal(err)
		}
		if len(output.Versions) == 0 && len(output.DeleteMarkers) == 0 {
			return
		}
		remove := func(key, version *string) {
			input := &s3.DeleteObjectInput{Bucket: &bucket, Key: key, VersionId: version, BypassGovernanceRetention: aws.Bool(true)}
			if _, err := client.DeleteObject(ctx, input); err != nil {
				p.t.Fatal(err)
			}
		}
		for _, v := range output.Versions {
			remove(v.Key, v.VersionId)
		}
		for _, m := range output.DeleteMarkers {
			remove(m.Key, m.VersionId)
		}
	}
}

// settings looks at what the buckets are, not at what was written in the module.
func (p *provisioned) settings(t *testing.T) {
	ctx, client := t.Context(), p.minio.Client()
	head, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String("usual"), Key: aws.String("cells/one/cell.json")})
	if err != nil || head.ServerSideEncryption != "aws:kms" || !strings.HasSuffix(aws.ToString(head.SSEKMSKeyId), kmsKey) {
		t.Errorf("cell.json is encrypted by %q with %q, %v", head.ServerSideEncryption, aws.ToString(head.SSEKMSKeyId), err)
	}
	for _, bucket := range []string{"apart", "backups"} {
		cycle, err := client.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: &bucket})
		if err != nil || len(cycle.Rules) != 1 {
			t.Fatalf("life cycle of %s: %v, %v", bucket, cycle, err)
		}
		rule := cycle.Rules[0]
		if e := rule.Expiration; e == nil || e.Days != nil || e.Date != nil || !aws.ToBool(e.ExpiredObjectDeleteMarker) || len(rule.Transitions) != 0 {
			t.Errorf("a rule of %s touches live objects: %+v", bucket, rule)
		}
		if rule.NoncurrentVersionExpiration == nil || aws.ToInt32(rule.NoncurrentVersionExpiration.NoncurrentDays) != 1 {
			t.Errorf("versions of %s that are not current stay", bucket)
		}
	}
	if versioning, err := client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: aws.String("usual")}); err != nil || versioning.Status != "" {
		t.Errorf("versioning of usual: %v, %v", versioning.Status, err)
	}
	// Who has no credentials gets nothing.
	for _, url := range []string{"/usual/cells/one/cell.json", "/usual?list-type=2", "/backups?list-type=2"} {
		response, err := http.Get(p.minio.Endpoint + url)
		if err != nil || response.StatusCode != http.StatusForbidden {
			t.Errorf("GET %s without credentials: %v, %v", url, response, err)
		} else if err := response.Body.Close(); err != nil {
			t.Error(err)
		}
	}
	// Where TLS is required, no role's credentials are good for anything without.
	key := aws.String("cells/one/cell.json")
	for role := range roles {
		plain := p.as("tls", "cells/one", role).Client()
		if _, err := plain.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("only-tls"), Key: key, Body: bytes.NewReader([]byte("x"))}); err == nil {
			t.Errorf("the %s can PUT without TLS", role)
		}
		if _, err := plain.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String("only-tls"), Prefix: aws.String("cells/one/")}); err == nil {
			t.Errorf("the %s can LIST without TLS", role)
		}
	}
}

// The example of the README, as it is written there.
func TestMinIOExample(t *testing.T) {
	w := newWorkspace(t)
	minio := servers.StartMinIO(t)
	t.Setenv("MINIO_USER", minio.AccessKey)
	t.Setenv("MINIO_PASSWORD", minio.SecretKey)
	const folder = "terraform/minio/examples/basic"
	variables := []string{"-var", "server=" + strings.TrimPrefix(minio.Endpoint, "http://"), "-var", "tls=false"}
	w.apply(folder, variables...)
	p := &provisioned{workspace: w, minio: minio}
	var store string
	w.output(folder, "store_url", &store)
	var users keys
	w.output(folder, "credentials", &users)
	p.credentials = map[string]map[string]keys{"example": {"cells/prod": users}}
	p.serve(t, p.as("example", "cells/prod", "writer"), store, func(d *servers.Daemon) { save(t, d, "hello-0") })
	if said := p.must(t, p.as("example", "cells/prod", "follower"), "state", "tasks", "--store", store); !strings.Contains(said, "hello-0") {
		t.Errorf("the follower sees\n%s", said)
	}
}

package servers

import (
	"net/url"
	"testing"

	"github.com/fsouza/fake-gcs-server/fakestorage"
)

// GCS is a running emulator of Google Cloud Storage.
type GCS struct {
	Host   string // host:port
	server *fakestorage.Server
}

// StartGCS starts the emulator, with its data in the test's directory: its other
// way, in memory, is slow with many objects.
func StartGCS(t testing.TB) *GCS {
	t.Helper()
	server, err := fakestorage.NewServerWithOptions(fakestorage.Options{Scheme: "http", Host: "127.0.0.1", StorageRoot: t.TempDir()})
	if err != nil {
		t.Fatalf("start the GCS emulator: %v", err)
	}
	t.Cleanup(server.Stop)
	u, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	return &GCS{Host: u.Host, server: server}
}

// Use points Google's clients at the emulator, for this test and the processes
// it starts.
func (g *GCS) Use(t testing.TB) { UseGCS(t, g.Host) }

// UseGCS points Google's clients at any address, such as that of a proxy.
func UseGCS(t testing.TB, host string) {
	t.Helper()
	t.Setenv("STORAGE_EMULATOR_HOST", host)
}

// MakeBucket makes a bucket, whose name must have three characters or more.
func (g *GCS) MakeBucket(t testing.TB, name string) {
	t.Helper()
	if len(name) < 3 {
		t.Fatalf("the bucket name %q is too short for GCS", name)
	}
	g.server.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: name})
}

// BucketURL is the URL with which a store opens a prefix of a bucket.
func (g *GCS) BucketURL(bucket, prefix string) string { return "gs://" + bucket + "/" + prefix }

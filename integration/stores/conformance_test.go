package stores_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/buckettest"
	"github.com/scheduler-store/scheduler-store/bucket/bucketurl"
	"github.com/scheduler-store/scheduler-store/integration/servers"
)

// prefixes opens a bucket again and again, each time with a prefix of its own.
func prefixes(url func(prefix string) string) func(t *testing.T) *bucket.Bucket {
	n := 0
	return func(t *testing.T) *bucket.Bucket {
		t.Helper()
		n++
		b, err := bucketurl.Open(t.Context(), url(fmt.Sprintf("cells/%d", n)), bucketurl.Options{RetryFor: 2 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
}

func TestMinIOConforms(t *testing.T) {
	minio := servers.StartMinIO(t)
	minio.UseCredentials(t)
	minio.MakeBucket(t, "conformance")
	buckettest.Run(t, prefixes(func(prefix string) string { return minio.BucketURL("conformance", prefix) }), buckettest.Options{
		SameBytesSameVersion: true,
		KeyBelowKey:          buckettest.Hidden,
	})
}

func TestVersityGWConforms(t *testing.T) {
	gateway := servers.StartVersityGW(t)
	gateway.UseCredentials(t)
	gateway.MakeBucket(t, "conformance")
	buckettest.Run(t, prefixes(func(prefix string) string { return gateway.BucketURL("conformance", prefix) }), buckettest.Options{
		SameBytesSameVersion: true,
		KeyBelowKey:          buckettest.Refused,
		DeleteIsNotAtomic:    true,
	})
}

func TestGCSConforms(t *testing.T) {
	gcs := servers.StartGCS(t)
	gcs.Use(t)
	gcs.MakeBucket(t, "conformance")
	buckettest.Run(t, prefixes(func(prefix string) string { return gcs.BucketURL("conformance", prefix) }), buckettest.Options{
		KeyBelowKey: buckettest.Refused, // by the emulator's directories; GCS itself lists it
		Keys:        2000,               // it is slow
		Increments:  10,
	})
}

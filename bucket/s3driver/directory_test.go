package s3driver_test

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/buckettest"
	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/s3driver"
)

const directoryBucket = "store--use1-az4--x-s3"

func openDirectory(t *testing.T, s *directoryStore) *s3driver.Bucket {
	t.Helper()
	noEnvironment(t)
	b, err := s3driver.Open(t.Context(), s.bucket, url.Values{"endpoint": {s.URL}, "region": {"us-east-1"}}, retry)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestDirectoryBucketConforms: all that a store must give, where listings come in no
// order, in pages, without start-after, of prefixes that end with a slash only, and each
// request is signed by a session.
func TestDirectoryBucketConforms(t *testing.T) {
	s := startDirectoryStore(t, directoryBucket)
	n := 0
	buckettest.Run(t, func(t *testing.T) *bucket.Bucket {
		n++
		return bucket.New(openDirectory(t, s), "the store", fmt.Sprintf("cells/%d", n), bucket.Options{})
	}, buckettest.Options{Unsorted: true, Keys: 1200, Increments: 5})
	if len(s.lists) < 5 {
		t.Errorf("only %d listings were asked for", len(s.lists))
	}
}

// TestDirectoryBucketSession: when the session ends there is another, and no request
// fails.
func TestDirectoryBucketSession(t *testing.T) {
	s := startDirectoryStore(t, directoryBucket)
	s.life = time.Second
	b := openDirectory(t, s)
	defer b.Close()
	for i, began := 0, time.Now(); time.Since(began) < 1200*time.Millisecond; i++ {
		if _, err := b.Create(t.Context(), fmt.Sprint("k", i), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	s.mu.Lock() // the next session may be asked for ahead of time
	defer s.mu.Unlock()
	if len(s.sessions) < 2 {
		t.Errorf("%d sessions", len(s.sessions))
	}
}

func TestDirectoryBucketThatIsMissingOrDenied(t *testing.T) {
	s := startDirectoryStore(t, directoryBucket)
	b := openDirectory(t, s)
	defer b.Close()
	s.bucket = "another--use1-az4--x-s3"
	if _, err := b.Create(t.Context(), "k", []byte("x")); !errors.Is(err, driver.ErrNoBucket) {
		t.Errorf("a missing bucket: %v", err)
	}
	s.bucket = directoryBucket
	t.Setenv("AWS_ACCESS_KEY_ID", "another")
	other, err := s3driver.Open(t.Context(), s.bucket, url.Values{"endpoint": {s.URL}, "region": {"us-east-1"}}, retry)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.Create(t.Context(), "k", []byte("x")); !errors.Is(err, driver.ErrDenied) || !strings.Contains(err.Error(), "CreateSession") {
		t.Errorf("without the right to a session: %v", err)
	}
}

// TestDirectoryBucketSettings: what a directory bucket can't have is not asked for.
func TestDirectoryBucketSettings(t *testing.T) {
	w := &wire{}
	noEnvironment(t)
	b, err := s3driver.Open(t.Context(), directoryBucket, url.Values{"region": {"us-east-1"}}, through(w))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	settings := b.Settings(t.Context())
	var asked []string
	for _, r := range w.requests {
		asked = append(asked, r.URL.Host+"?"+r.URL.RawQuery)
	}
	if want := []string{"s3express-control.us-east-1.amazonaws.com?lifecycle="}; !slices.Equal(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
	if settings.Versioning.Err != nil || settings.Versioning.Value.Enabled || settings.Retention.Err != nil || settings.Public.Err != nil ||
		!settings.PublicBlocked.Value || settings.Rules.Err != nil || !errors.Is(settings.Room.Err, errors.ErrUnsupported) {
		t.Errorf("%+v", settings)
	}
}

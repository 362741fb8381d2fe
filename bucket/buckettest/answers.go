package buckettest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
)

// Answering is a server that gives these answers, one after another, and the last one
// from then on; tries tells how many requests came.
func Answering[Answer any](t *testing.T, write func(http.ResponseWriter, Answer), answers ...Answer) (url string, tries func() int) {
	t.Helper()
	var mu sync.Mutex
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		mu.Lock()
		a := answers[min(n, len(answers)-1)]
		n++
		mu.Unlock()
		write(w, a)
	}))
	t.Cleanup(server.Close)
	return server.URL, func() int {
		mu.Lock()
		defer mu.Unlock()
		return n
	}
}

// Operations are all that a driver does, each as one call. version is one of the store's.
func Operations(version driver.Version) map[string]func(context.Context, driver.Bucket) error {
	return map[string]func(context.Context, driver.Bucket) error{
		"get":   func(ctx context.Context, b driver.Bucket) error { _, _, err := b.Get(ctx, "k"); return err },
		"range": func(ctx context.Context, b driver.Bucket) error { _, err := b.GetRange(ctx, "k", 0, 5); return err },
		"create": func(ctx context.Context, b driver.Bucket) error {
			_, err := b.Create(ctx, "k", []byte("x"))
			return err
		},
		"replace": func(ctx context.Context, b driver.Bucket) error {
			_, err := b.Replace(ctx, "k", []byte("x"), version)
			return err
		},
		"delete": func(ctx context.Context, b driver.Bucket) error { return b.Delete(ctx, "k") },
		"list": func(ctx context.Context, b driver.Bucket) error {
			for _, err := range b.List(ctx, "", "") {
				return err
			}
			return nil
		},
	}
}

var sentinels = []error{driver.ErrNotExist, driver.ErrExists, driver.ErrChanged, driver.ErrDenied, driver.ErrNoBucket}

// MustBe makes sure that an error matches one of the sentinels of package driver and no
// other: of a write that matches none nobody may think that it did not land.
func MustBe(t *testing.T, what string, err, want error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error, want %v", what, want)
	}
	for _, s := range sentinels {
		if errors.Is(err, s) != (s == want) {
			t.Errorf("%s: %v, matches %q: %t", what, err, s, errors.Is(err, s))
		}
	}
}

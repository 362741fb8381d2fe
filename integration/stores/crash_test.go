package stores_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/bucketurl"
	"github.com/scheduler-store/scheduler-store/integration/servers"
)

// TestMinIODiesAndComesBack: writers ride through crashes of the store without
// an error, and whatever was acknowledged is there.
func TestMinIODiesAndComesBack(t *testing.T) {
	minio := servers.StartMinIO(t)
	minio.UseCredentials(t)
	minio.MakeBucket(t, "crash")
	b, err := bucketurl.Open(t.Context(), minio.BucketURL("crash", "cell"), bucketurl.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var writers sync.WaitGroup
	acknowledged := make([]map[string][]byte, 4)
	for w := range acknowledged {
		acknowledged[w] = map[string][]byte{}
		writers.Go(func() { writeUntil(ctx, t, b, w, acknowledged[w]) })
	}
	for range 3 {
		time.Sleep(300 * time.Millisecond) // of load before, and of outage after
		minio.Kill()
		time.Sleep(300 * time.Millisecond)
		minio.Restart()
	}
	stop()
	writers.Wait()

	listed := map[string]bool{}
	for info, err := range b.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		listed[info.Key] = true
	}
	n := 0
	for _, objects := range acknowledged {
		for key, data := range objects {
			n++
			object, err := b.Get(t.Context(), key)
			if err != nil || !bytes.Equal(object.Data, data) || !listed[key] {
				t.Errorf("%s was acknowledged: %q, listed %t, %v", key, object.Data, listed[key], err)
			}
		}
	}
	t.Logf("%d creates were acknowledged, over three crashes; %d objects are there", n, len(listed))
	if n < 10 {
		t.Errorf("only %d objects were written", n)
	}
}

func writeUntil(ctx context.Context, t *testing.T, b *bucket.Bucket, w int, acknowledged map[string][]byte) {
	for i := 0; ctx.Err() == nil; i++ {
		key := fmt.Sprintf("log/%d/%06d", w, i)
		data := unique(key)
		_, err := b.Create(ctx, key, data)
		switch {
		case err == nil:
			acknowledged[key] = data
		case ctx.Err() == nil:
			t.Errorf("%s: %v", key, err)
			return
		}
	}
}

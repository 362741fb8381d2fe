package terraform

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/scheduler-store/scheduler-store/integration/servers"
)

// layout is one key of each kind of object that a cell has, below its prefix.
var layout = []string{
	"cell.json", "lease.json", "key/0000000001-0001.json", "log/0000000001/00000000000000000007",
	"snapshot/x/manifest.json", "snapshot/x/part-00000", "restore/x/part-00000", "backup/x/manifest.json", "pin/x.json",
}

// outside are keys that no role of the cell cells/matrix may touch: another cell's, those
// of a cell whose name only begins like it, and the bucket's own.
var outside = []string{"cells/other/log/0000000001/00000000000000000007", "cells/other/lease.json", "cells/matrix-2/cell.json", "elsewhere"}

var (
	written   = layout[:8]
	collected = layout[3:]
)

// mayDo says what a role may do, by hand: it is not taken from the module.
type mayDo struct{ get, put, remove []string }

var roles = map[string]mayDo{
	"writer":    {get: layout, put: written, remove: collected},
	"follower":  {get: layout},
	"collector": {get: layout, put: written, remove: collected},
	"operator":  {get: layout, put: layout, remove: collected},
}

// tries is one client's requests, each of which is answered, or refused.
type tries struct {
	t              testing.TB
	client         *s3.Client
	bucket         string
	granted, total int
}

// must fails the test unless the store refuses what is not allowed, and nothing else.
func (r *tries) must(allowed bool, what, key string, err error) {
	r.t.Helper()
	r.total++
	api, refused := errors.AsType[smithy.APIError](err)
	refused = refused && api.ErrorCode() == "AccessDenied"
	switch {
	case err != nil && !refused:
		r.t.Errorf("%s %s: %v, want an answer", what, key, err)
	case allowed && refused:
		r.t.Errorf("%s %s is refused: %v", what, key, err)
	case !allowed && !refused:
		r.t.Errorf("%s %s is allowed", what, key)
	}
	if err == nil {
		r.granted++
	}
}

func (r *tries) put(ctx context.Context, key string) error {
	_, err := r.client.PutObject(ctx, &s3.PutObjectInput{Bucket: &r.bucket, Key: &key, Body: bytes.NewReader([]byte("x"))})
	return err
}

func (r *tries) get(ctx context.Context, key string) error {
	output, err := r.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &r.bucket, Key: &key})
	if err == nil {
		err = output.Body.Close()
	}
	return err
}

func (r *tries) remove(ctx context.Context, key string) error {
	_, err := r.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &r.bucket, Key: &key})
	return err
}

func (r *tries) list(ctx context.Context, prefix string) error {
	_, err := r.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &r.bucket, Prefix: aws.String(prefix)})
	return err
}

// mustKeepTo tries every call on every key with a role's credentials. The objects are
// there before each: root puts them, so that none of them is of a store.
func mustKeepTo(t *testing.T, root, as *servers.S3, bucket, cell string, may mayDo) {
	t.Helper()
	ctx := t.Context()
	admin := &tries{t: t, client: root.Client(), bucket: bucket}
	r := &tries{t: t, client: as.Client(), bucket: bucket}
	for _, name := range layout {
		key := cell + "/" + name
		if err := admin.put(ctx, key); err != nil {
			t.Fatal(err)
		}
		r.must(slices.Contains(may.get, name), "GET", key, r.get(ctx, key))
		r.must(slices.Contains(may.put, name), "PUT", key, r.put(ctx, key))
		r.must(slices.Contains(may.remove, name), "DELETE", key, r.remove(ctx, key))
	}
	for _, key := range slices.Concat(outside, []string{cell + "/stray"}) {
		inside := key == cell+"/stray"
		if err := admin.put(ctx, key); err != nil {
			t.Fatal(err)
		}
		r.must(inside && may.get != nil, "GET", key, r.get(ctx, key))
		r.must(false, "PUT", key, r.put(ctx, key))
		r.must(false, "DELETE", key, r.remove(ctx, key))
		if err := admin.remove(ctx, key); err != nil {
			t.Fatal(err)
		}
	}
	for prefix, allowed := range map[string]bool{cell + "/": true, cell + "/log/": true, cell: false, "": false, "cells/": false, "cells/other/": false} {
		r.must(allowed && may.get != nil, "LIST", prefix, r.list(ctx, prefix))
	}
	_, err := r.client.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: &bucket})
	r.must(false, "policy of", bucket, err)
	_, err = r.client.PutBucketLifecycleConfiguration(ctx, &s3.PutBucketLifecycleConfigurationInput{Bucket: &bucket})
	if err == nil {
		t.Error("the life cycle of the bucket can be changed")
	}
	_, err = r.client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &bucket})
	r.must(false, "DELETE the bucket", bucket, err)
	t.Logf("%d of %d calls were granted", r.granted, r.total)
}

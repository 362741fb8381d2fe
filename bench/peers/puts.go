package peers

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// entryOverhead is what the log adds to a lone record: the header and the record's
// length, in bytes.
const entryOverhead = 154

// raw is the yardstick: each record is a conditional PUT of as many bytes as an entry
// that holds it alone, by the SDK and nothing else. Records have no order.
type raw struct {
	client *s3.Client
	prefix string
	next   atomic.Uint64
}

func openRaw(_ context.Context, at place) (Peer, error) {
	return &raw{client: at.server.Client, prefix: at.prefix}, nil
}

func (r *raw) Append(ctx context.Context, record []byte) error {
	object := slices.Concat(make([]byte, entryOverhead), record)
	_, err := create(ctx, r.client, fmt.Sprintf("%s/%020d", r.prefix, r.next.Add(1)), object)
	return err
}

func (r *raw) Close() error { return nil }

// series is the log that needs no thought: each record is an object at the next key,
// put if absent once the one before it is there. The keys are the order.
type series struct {
	raw
	mu sync.Mutex
}

func openSeries(_ context.Context, at place) (Peer, error) {
	return &series{raw: raw{client: at.server.Client, prefix: at.prefix}}, nil
}

func (s *series) Append(ctx context.Context, record []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.raw.Append(ctx, record)
}

// create puts an object if there is none, and returns its ETag.
func create(ctx context.Context, client *s3.Client, key string, object []byte) (etag string, err error) {
	out, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(bucketName), Key: &key, Body: bytes.NewReader(object), IfNoneMatch: aws.String("*")})
	if err != nil {
		return "", fmt.Errorf("create %s: %w", key, err)
	}
	return aws.ToString(out.ETag), nil
}

// replace puts an object in the place of the one with that ETag, and returns its own.
func replace(ctx context.Context, client *s3.Client, key, etag string, object []byte) (string, error) {
	out, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(bucketName), Key: &key, Body: bytes.NewReader(object), IfMatch: &etag})
	if err != nil {
		return "", fmt.Errorf("replace %s: %w", key, err)
	}
	return aws.ToString(out.ETag), nil
}

// Package s3driver keeps a bucket in S3, or in a server that speaks its protocol
// and honours conditional writes, such as MinIO.
//
// Reads and listings go through gocloud.dev/blob. Writes and deletes are requests
// of their own to the same client: gocloud.dev does not return the new ETag of a
// write, which is the version that the next compare-and-swap must name, and asks
// for an object before it deletes it.
//
// An object's version is its ETag, which for the same bytes may be the same.
package s3driver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"gocloud.dev/blob"
	"gocloud.dev/blob/s3blob"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/httpretry"
	"github.com/scheduler-store/scheduler-store/bucket/internal/blobread"
)

// Bucket is a bucket of S3. Its methods may be called by many goroutines.
type Bucket struct {
	name        string
	isDirectory bool
	client      *s3.Client
	blob        *blob.Bucket
	transport   *httpretry.Transport
	encryption  encryption
}

var (
	_ driver.Bucket    = (*Bucket)(nil)
	_ driver.Hedgeable = (*Bucket)(nil)
)

// Open returns the bucket of that name, with the parameters of gocloud.dev's s3
// URLs (see Parameters) and credentials from the AWS default chain. Except for
// credentials, it asks the network for nothing. Tests may give a retry.Base, which then
// makes the requests to the store.
func Open(ctx context.Context, name string, parameters url.Values, retry httpretry.Options) (*Bucket, error) {
	settings, err := parse(parameters)
	if err != nil {
		return nil, err
	}
	if err := checkDirectory(name, parameters); err != nil {
		return nil, err
	}
	config, err := settings.load(ctx)
	if err != nil {
		return nil, err
	}
	if retry.Base == nil {
		retry.Base = httpretry.NewTransport(tlsConfig(config))
	}
	transport := httpretry.New(retry)
	client := s3.NewFromConfig(config, settings.apply, func(o *s3.Options) {
		o.HTTPClient = &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
		o.Retryer = aws.NopRetryer{}
		o.DisableLogOutputChecksumValidationSkipped = true
	})
	if IsDirectoryBucket(name) {
		client = withSessions(client)
	}
	b, err := s3blob.OpenBucket(ctx, client, name, nil)
	if err != nil {
		return nil, err
	}
	return &Bucket{
		name: name, isDirectory: IsDirectoryBucket(name),
		client: client, blob: b, transport: transport, encryption: settings.encryption,
	}, nil
}

// Close frees the connections.
func (b *Bucket) Close() error {
	err := b.blob.Close()
	b.transport.CloseIdleConnections()
	return err
}

// Hedgeable implements driver.Hedgeable: S3 limits requests by prefix and not by
// object, and advises to send what is slow again on a new connection ("Best Practices
// Design Patterns: Optimizing Amazon S3 Performance", on timeouts and retries).
func (b *Bucket) Hedgeable() bool { return true }

// Get implements driver.Bucket.
func (b *Bucket) Get(ctx context.Context, key string) ([]byte, driver.Version, error) {
	var output s3.GetObjectOutput
	data, err := blobread.Read(ctx, b.blob, key, 0, -1, func(r *blob.Reader) { r.As(&output) })
	if err != nil {
		return nil, "", readError(err)
	}
	version, err := versionOf(output.ETag)
	return data, version, err
}

// GetRange implements driver.Bucket.
func (b *Bucket) GetRange(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	if offset < 0 || length < 0 {
		return nil, fmt.Errorf("invalid range: offset %d, length %d", offset, length)
	}
	data, err := blobread.Read(ctx, b.blob, key, offset, length, func(*blob.Reader) {})
	if isBeyondEnd(err) {
		return nil, nil
	}
	return data, readError(err)
}

// Create implements driver.Bucket.
func (b *Bucket) Create(ctx context.Context, key string, data []byte) (driver.Version, error) {
	return b.put(ctx, key, data, &s3.PutObjectInput{IfNoneMatch: aws.String("*")}, driver.ErrExists)
}

// Replace implements driver.Bucket.
func (b *Bucket) Replace(ctx context.Context, key string, data []byte, old driver.Version) (driver.Version, error) {
	version, err := b.put(ctx, key, data, &s3.PutObjectInput{IfMatch: aws.String(string(old))}, driver.ErrChanged)
	if errors.Is(err, driver.ErrNotExist) {
		err = fmt.Errorf("%w: it is gone (%v)", driver.ErrChanged, err)
	}
	return version, err
}

func (b *Bucket) put(ctx context.Context, key string, data []byte, input *s3.PutObjectInput, unmet error) (driver.Version, error) {
	input.Bucket, input.Key = &b.name, &key
	input.Body = bytes.NewReader(data)
	input.ContentType = aws.String("application/octet-stream")
	b.encryption.apply(input)
	ctx, attempts := httpretry.Watch(ctx)
	output, err := b.client.PutObject(ctx, input)
	if err != nil {
		return "", writeError(err, unmet, attempts)
	}
	return versionOf(output.ETag)
}

func versionOf(etag *string) (driver.Version, error) {
	if aws.ToString(etag) == "" {
		return "", errors.New("the store's reply has no ETag, so nothing could be replaced safely; use another store")
	}
	return driver.Version(*etag), nil
}

// List implements driver.Bucket. The store is asked for a thousand keys at a time.
func (b *Bucket) List(ctx context.Context, prefix, after string) iter.Seq2[driver.Info, error] {
	ask := b.listingOf(prefix, after)
	beforeList := func(as func(any) bool) error {
		var input *s3.ListObjectsV2Input
		if ask.startAfter != "" && as(&input) && input.ContinuationToken == nil {
			input.StartAfter = &ask.startAfter
		}
		return nil
	}
	return func(yield func(driver.Info, error) bool) {
		page := blob.FirstPageToken
		for len(page) > 0 {
			objects, next, err := b.blob.ListPage(ctx, page, 1000, &blob.ListOptions{Prefix: ask.prefix, BeforeList: beforeList})
			if err != nil {
				yield(driver.Info{}, listError(err))
				return
			}
			for _, listed := range objects {
				var object types.Object // has the key as it is; gocloud.dev would unescape it
				key := ""
				if listed.As(&object) {
					key = aws.ToString(object.Key)
				}
				if key <= after || !strings.HasPrefix(key, prefix) {
					continue
				}
				info := driver.Info{Key: key, Size: listed.Size, Modified: listed.ModTime}
				if !yield(info, nil) {
					return
				}
			}
			page = next
		}
	}
}

// Delete implements driver.Bucket.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	ctx, attempts := httpretry.Watch(ctx)
	_, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.name, Key: &key})
	err = writeError(err, nil, attempts)
	if errors.Is(err, driver.ErrNotExist) { // S3 calls this a success, some servers do not
		return nil
	}
	return err
}

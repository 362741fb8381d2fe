// Package gsdriver keeps a bucket in Google Cloud Storage.
//
// Everything goes through gocloud.dev/blob, with the conditions put on its
// requests. An object's version is its generation, which no two writes share.
//
// An emulator is used if STORAGE_EMULATOR_HOST names one.
package gsdriver

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"cloud.google.com/go/storage"
	"gocloud.dev/blob"
	"gocloud.dev/blob/gcsblob"
	"gocloud.dev/gcp"
	"golang.org/x/oauth2"
	"google.golang.org/api/option"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/httpretry"
	"github.com/scheduler-store/scheduler-store/bucket/internal/blobread"
)

// Bucket is a bucket of GCS. Its methods may be called by many goroutines.
type Bucket struct {
	client    *storage.Client
	handle    *storage.BucketHandle
	blob      *blob.Bucket
	transport *httpretry.Transport
}

var _ driver.Bucket = (*Bucket)(nil)

// Parameters are those that the URL of a bucket may have, with gocloud.dev's
// names and meanings.
func Parameters() []string { return []string{"anonymous"} }

// Open returns the bucket of that name, with Google's application default
// credentials. Except for those, it asks the network for nothing. retry.Base
// must be nil.
func Open(ctx context.Context, name string, parameters url.Values, retry httpretry.Options) (*Bucket, error) {
	anonymous, err := parse(parameters)
	if err != nil {
		return nil, err
	}
	// The client and its credentials outlive this call.
	ctx = context.WithoutCancel(ctx)
	retry.Base = httpretry.NewTransport(nil)
	if !anonymous && os.Getenv("STORAGE_EMULATOR_HOST") == "" {
		credentials, err := gcp.DefaultCredentials(ctx)
		if err != nil {
			return nil, fmt.Errorf("%w: no Google credentials could be had; set GOOGLE_APPLICATION_CREDENTIALS, or run: gcloud auth application-default login: %w", driver.ErrDenied, err)
		}
		// Below the retries, so that each try has a token that is valid then.
		retry.Base = &oauth2.Transport{Base: retry.Base, Source: gcp.CredentialsTokenSource(credentials)}
	}
	transport := httpretry.New(retry)
	// gocloud.dev must not make the client: under an emulator it would give it
	// http.DefaultClient, which does not retry.
	client, err := storage.NewClient(ctx, option.WithHTTPClient(&http.Client{Transport: transport}), storage.WithJSONReads())
	if err != nil {
		return nil, err
	}
	client.SetRetry(storage.WithPolicy(storage.RetryNever))
	b, err := gcsblob.OpenBucket(ctx, nil, name, &gcsblob.Options{Client: client})
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return &Bucket{client: client, handle: client.Bucket(name), blob: b, transport: transport}, nil
}

func parse(parameters url.Values) (anonymous bool, err error) {
	for name, values := range parameters {
		if !slices.Contains(Parameters(), name) {
			return false, fmt.Errorf("unknown parameter %q; known are %s", name, strings.Join(Parameters(), ", "))
		}
		if len(values) != 1 {
			return false, fmt.Errorf("the parameter %s is given %d times", name, len(values))
		}
	}
	if parameters.Has("anonymous") {
		if anonymous, err = strconv.ParseBool(parameters.Get("anonymous")); err != nil {
			return false, errors.New("the parameter anonymous must be true or false")
		}
	}
	return anonymous, nil
}

// Close frees the connections.
func (b *Bucket) Close() error {
	err := errors.Join(b.blob.Close(), b.client.Close())
	b.transport.CloseIdleConnections()
	return err
}

// Get implements driver.Bucket.
func (b *Bucket) Get(ctx context.Context, key string) ([]byte, driver.Version, error) {
	var reader *storage.Reader
	data, err := blobread.Read(ctx, b.blob, key, 0, -1, func(r *blob.Reader) { r.As(&reader) })
	if err != nil {
		return nil, "", b.objectError(err)
	}
	version, err := versionOf(reader.Attrs.Generation)
	return data, version, err
}

// GetRange implements driver.Bucket.
func (b *Bucket) GetRange(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	if offset < 0 || length < 0 {
		return nil, fmt.Errorf("invalid range: offset %d, length %d", offset, length)
	}
	data, err := blobread.Read(ctx, b.blob, key, offset, length, func(*blob.Reader) {})
	if b.status(err) == http.StatusRequestedRangeNotSatisfiable {
		return nil, nil
	}
	return data, b.objectError(err)
}

// Create implements driver.Bucket.
func (b *Bucket) Create(ctx context.Context, key string, data []byte) (driver.Version, error) {
	version, err := b.put(ctx, key, data, storage.Conditions{DoesNotExist: true}, driver.ErrExists)
	if errors.Is(err, driver.ErrNotExist) { // what could be missing but the bucket
		err = fmt.Errorf("%w: %v", driver.ErrNoBucket, err)
	}
	return version, err
}

// Replace implements driver.Bucket.
func (b *Bucket) Replace(ctx context.Context, key string, data []byte, old driver.Version) (driver.Version, error) {
	generation, err := strconv.ParseInt(string(old), 10, 64)
	if err != nil || generation <= 0 {
		return "", fmt.Errorf("%w: %q is no generation", driver.ErrChanged, old)
	}
	version, err := b.put(ctx, key, data, storage.Conditions{GenerationMatch: generation}, driver.ErrChanged)
	if errors.Is(err, driver.ErrNotExist) {
		err = fmt.Errorf("%w: it is gone (%v)", driver.ErrChanged, err)
	}
	return version, err
}

func (b *Bucket) put(ctx context.Context, key string, data []byte, condition storage.Conditions, unmet error) (driver.Version, error) {
	ctx, attempts := httpretry.Watch(ctx)
	var writer *storage.Writer
	err := b.blob.WriteAll(ctx, key, data, &blob.WriterOptions{
		ContentType: "application/octet-stream",
		BufferSize:  -1, // one request, of exactly the object
		BeforeWrite: func(as func(any) bool) error {
			var object **storage.ObjectHandle
			if !as(&object) {
				return errors.New("gocloud.dev does not offer the object's handle")
			}
			*object = (*object).If(condition)
			if !as(&writer) { // only now: this makes the writer
				return errors.New("gocloud.dev does not offer the writer")
			}
			return nil
		},
	})
	if err != nil {
		return "", b.writeError(err, unmet, attempts)
	}
	return versionOf(writer.Attrs().Generation)
}

func versionOf(generation int64) (driver.Version, error) {
	if generation <= 0 {
		return "", errors.New("the store's reply has no generation, so nothing could be replaced safely; use another store")
	}
	return driver.Version(strconv.FormatInt(generation, 10)), nil
}

// List implements driver.Bucket. The store is asked for a thousand keys at a time.
func (b *Bucket) List(ctx context.Context, prefix, after string) iter.Seq2[driver.Info, error] {
	beforeList := func(as func(any) bool) error {
		var query *storage.Query
		if !as(&query) {
			return errors.New("gocloud.dev does not offer the query")
		}
		query.StartOffset = after // inclusive
		return query.SetAttrSelection([]string{"Name", "Size", "Updated"})
	}
	return func(yield func(driver.Info, error) bool) {
		page := blob.FirstPageToken
		for len(page) > 0 {
			objects, next, err := b.blob.ListPage(ctx, page, 1000, &blob.ListOptions{Prefix: prefix, BeforeList: beforeList})
			if err != nil {
				yield(driver.Info{}, b.listError(err))
				return
			}
			for _, listed := range objects {
				var object storage.ObjectAttrs // has the key as it is; gocloud.dev would unescape it
				if !listed.As(&object) || object.Name <= after {
					continue
				}
				if !yield(driver.Info{Key: object.Name, Size: object.Size, Modified: object.Updated}, nil) {
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
	err := b.writeError(b.blob.Delete(ctx, key), nil, attempts)
	if errors.Is(err, driver.ErrNotExist) {
		return nil
	}
	return err
}

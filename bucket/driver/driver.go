// Package driver says what a kind of store owes to package bucket: whole-object
// reads, two conditional writes, a listing and a delete, each as one attempt
// whose answer is told truthfully. What the answers mean for a caller, resolving
// lost replies and counting requests is done once, in package bucket.
package driver

import (
	"context"
	"errors"
	"iter"
	"time"
)

// Version identifies one state of one object: an ETag on S3, a generation on
// GCS. It is compared for equality only. On S3 the same bytes have the same
// ETag, so whoever replaces objects must never write the same bytes twice.
type Version string

// What a driver's errors must match with errors.Is. Anything else that a write
// returns means that it may or may not have landed, now or later.
var (
	// ErrNotExist: there is no such object.
	ErrNotExist = errors.New("no such object")
	// ErrExists: Create found the key taken, perhaps by an earlier try of the same call.
	ErrExists = errors.New("the object exists already")
	// ErrChanged: Replace found another version, or no object, perhaps because
	// an earlier try of the same call landed.
	ErrChanged = errors.New("the object was changed by another writer")
	// ErrDenied: the credentials are missing, wrong, or not allowed to do this.
	// A write that ended so did not land.
	ErrDenied = errors.New("access denied")
	// ErrNotLanded: a write ended before anything could land, such as where the disk is
	// full, and nothing of it will.
	ErrNotLanded = errors.New("nothing was written")
	// ErrNoBucket: the bucket or directory itself is not there.
	ErrNoBucket = errors.New("no such bucket")
)

// Info is one line of a listing.
type Info struct {
	Key      string
	Size     int64
	Modified time.Time
}

// Bucket is one bucket, or one directory. All methods may be called by many
// goroutines. Keys are UTF-8, slash-separated, without empty, "." or ".."
// elements; no key is ever a directory of another (MinIO hides such keys from
// listings).
type Bucket interface {
	// Get reads a whole object with its version.
	Get(ctx context.Context, key string) ([]byte, Version, error)
	// GetRange reads length bytes from offset on, or as many as there are.
	GetRange(ctx context.Context, key string, offset, length int64) ([]byte, error)
	// Create writes an object whose key is free. Of any number of racing
	// creators of one key at most one succeeds.
	Create(ctx context.Context, key string, data []byte) (Version, error)
	// Replace writes an object whose version is old. Of any number of racing
	// replacers of one version at most one succeeds.
	Replace(ctx context.Context, key string, data []byte, old Version) (Version, error)
	// List yields the objects whose key has the prefix and is greater than
	// after, whole pages at a time, in the store's order: byte-wise on most, in
	// no order on S3 directory buckets.
	List(ctx context.Context, prefix, after string) iter.Seq2[Info, error]
	// Delete removes an object; that it was not there is no error.
	Delete(ctx context.Context, key string) error
	// Close frees what the driver holds.
	Close() error
}

// Package bucket is a bucket with conditional writes: the little that the log,
// the lease and the snapshots need of S3, GCS, MinIO, a directory or memory.
//
// Two layers, as in gocloud.dev: package driver says what a kind of store owes;
// this package adds, once for all of them, the cell's prefix, the resolution of
// lost replies, hedging, and the count of requests.
//
// A conditional write whose reply was lost comes back as "exists" or "changed"
// when it is tried again, although it was ours. Create and Replace therefore
// read the object back before they believe that they lost: if it holds our very
// bytes, we won. So no two callers may ever write the same bytes to one key;
// everything written here carries a writer's random id.
package bucket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/internal/mutation"
)

// Version identifies one state of one object; see driver.Version.
type Version = driver.Version

// Info is one line of a listing; its Key is without the bucket's prefix.
type Info = driver.Info

// What the errors of a Bucket match with errors.Is; see package driver.
var (
	ErrNotExist = driver.ErrNotExist
	ErrExists   = driver.ErrExists
	ErrChanged  = driver.ErrChanged
	ErrDenied   = driver.ErrDenied
	ErrNoBucket = driver.ErrNoBucket
	// ErrNotLanded and ErrDenied are what NotLanded tells of.
	ErrNotLanded = driver.ErrNotLanded
	// ErrInvalidKey: see driver.CheckKey for what a key may be.
	ErrInvalidKey = driver.ErrInvalidKey
	// ErrConditionsIgnored: the store does not honour conditional writes, so
	// nothing can be kept safe in it.
	ErrConditionsIgnored = errors.New("the store ignores the conditions of conditional writes")
)

// Object is what Get read.
type Object struct {
	Data    []byte
	Version Version
}

// Bucket is one prefix of one bucket. Its methods may be called by many
// goroutines. Errors name the operation and the object.
type Bucket struct {
	driver   driver.Bucket
	prefix   string // empty, or ends with a slash
	name     string // the URL, for messages
	provider string
	metrics  *metrics
}

// New returns a Bucket over a driver. name is what errors and logs call it, and
// must hold no secret; prefix is put before every key, with a slash between.
func New(d driver.Bucket, name, prefix string, options Options) *Bucket {
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		prefix += "/"
	}
	return &Bucket{driver: d, prefix: prefix, name: name, provider: options.Provider, metrics: newMetrics(options.Registerer)}
}

// Name is the bucket's URL.
func (b *Bucket) Name() string { return b.name }

// Provider is that of the Options.
func (b *Bucket) Provider() string { return b.provider }

// Close frees what the driver holds.
func (b *Bucket) Close() error { return b.driver.Close() }

// Get reads a whole object.
func (b *Bucket) Get(ctx context.Context, key string) (Object, error) {
	path, err := b.path(key)
	if err != nil {
		return Object{}, b.wrap("read", key, err)
	}
	ctx, done := b.metrics.begin(ctx, OpGet, key)
	data, version, err := b.driver.Get(ctx, path)
	done(len(data), err)
	return Object{data, version}, b.wrap("read", key, err)
}

// GetRange reads length bytes from offset on, or as many as there are, which may
// be none.
func (b *Bucket) GetRange(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	path, err := b.path(key)
	if err != nil {
		return nil, b.wrap("read", key, err)
	}
	ctx, done := b.metrics.begin(ctx, OpGet, key)
	data, err := b.driver.GetRange(ctx, path, offset, length)
	done(len(data), err)
	return data, b.wrap("read", key, err)
}

// Create writes an object whose key is free. ErrExists means that the key holds
// other bytes than data. Any error but that and those of NotLanded means that the
// object may be there, or come to be there later.
func (b *Bucket) Create(ctx context.Context, key string, data []byte) (Version, error) {
	version, err := b.create(ctx, key, data)
	if errors.Is(err, ErrExists) {
		return b.resolve(ctx, key, data, err)
	}
	return version, err
}

// Replace writes an object whose version is old. ErrChanged means that the
// object holds other bytes than data, or is gone. Any error but that and those of
// NotLanded means that the write may have landed, or land later.
func (b *Bucket) Replace(ctx context.Context, key string, data []byte, old Version) (Version, error) {
	version, err := b.replace(ctx, key, data, old)
	if errors.Is(err, ErrChanged) {
		return b.resolve(ctx, key, data, err)
	}
	return version, err
}

// resolve reads back an object that a conditional write found in its way.
func (b *Bucket) resolve(ctx context.Context, key string, data []byte, lost error) (Version, error) {
	if mutation.On(mutation.ExistsIsFailure) {
		return "", lost
	}
	object, err := b.Get(ctx, key)
	switch {
	case errors.Is(err, ErrNotExist):
		return "", lost
	case err != nil:
		// Whose object it is stays unknown, even if the read was denied, so no
		// sentinel that speaks of the write may match.
		return "", fmt.Errorf("%v; whose it is could not be read: %w", lost, unknown{err})
	case bytes.Equal(object.Data, data):
		return object.Version, nil
	}
	return "", lost
}

// NotLanded tells whether the error of a write means that nothing of it landed, nor
// will.
func NotLanded(err error) bool { return errors.Is(err, ErrNotLanded) || errors.Is(err, ErrDenied) }

// unknown hides from errors.Is what would mean that a write did not land.
type unknown struct{ error }

func (u unknown) Is(target error) bool {
	return target != ErrDenied && target != ErrNotLanded && errors.Is(u.error, target)
}

// ofItsOwn keeps a write from being told what became of another: a driver may answer with
// the cause of a context that has ended, and that may be that another was denied.
func ofItsOwn(ctx context.Context, err error) error {
	if ctx.Err() != nil && NotLanded(err) {
		return unknown{err}
	}
	return err
}

func (b *Bucket) create(ctx context.Context, key string, data []byte) (Version, error) {
	path, err := b.path(key)
	if err != nil {
		return "", b.wrap("create", key, err)
	}
	ctx, done := b.metrics.begin(ctx, OpCreate, key)
	version, err := b.driver.Create(ctx, path, data)
	done(len(data), err)
	return version, b.wrap("create", key, ofItsOwn(ctx, err))
}

func (b *Bucket) replace(ctx context.Context, key string, data []byte, old Version) (Version, error) {
	path, err := b.path(key)
	if err != nil {
		return "", b.wrap("replace", key, err)
	}
	ctx, done := b.metrics.begin(ctx, OpReplace, key)
	version, err := b.driver.Replace(ctx, path, data, old)
	done(len(data), err)
	return version, b.wrap("replace", key, ofItsOwn(ctx, err))
}

// List yields the objects whose key has the prefix and is greater than after
// (both without the bucket's own prefix), in no order that may be relied on.
func (b *Bucket) List(ctx context.Context, prefix, after string) iter.Seq2[Info, error] {
	if after != "" {
		after = b.prefix + after
	}
	return func(yield func(Info, error) bool) {
		ctx, done := b.metrics.begin(ctx, OpList, prefix)
		for info, err := range b.driver.List(ctx, b.prefix+prefix, after) {
			if err != nil {
				done(0, err)
				yield(Info{}, b.wrap("list", prefix, err))
				return
			}
			info.Key = strings.TrimPrefix(info.Key, b.prefix)
			if !yield(info, nil) {
				break
			}
		}
		done(0, nil)
	}
}

// Delete removes an object; that it was not there is no error.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	path, err := b.path(key)
	if err != nil {
		return b.wrap("delete", key, err)
	}
	ctx, done := b.metrics.begin(ctx, OpDelete, key)
	err = b.driver.Delete(ctx, path)
	done(0, err)
	return b.wrap("delete", key, err)
}

// CheckConditions proves cheaply that the store honours conditions, on an object
// that exists: it must not be possible to create it again, nor to replace it at
// a version that it does not have. Both tries write the bytes that are there, so
// a store that ignores conditions is found out without harm. Two requests.
func (b *Bucket) CheckConditions(ctx context.Context, key string, object Object) error {
	if _, err := b.create(ctx, key, object.Data); err == nil {
		return fmt.Errorf("%w: %s: put-if-absent of %s succeeded although it exists; use a store with If-None-Match or ifGenerationMatch",
			ErrConditionsIgnored, b.name, key)
	} else if !errors.Is(err, ErrExists) {
		return err
	}
	if _, err := b.replace(ctx, key, object.Data, wrongVersion(object.Version)); err == nil {
		return fmt.Errorf("%w: %s: compare-and-swap of %s succeeded with a wrong version; use a store with If-Match or ifGenerationMatch",
			ErrConditionsIgnored, b.name, key)
	} else if !errors.Is(err, ErrChanged) {
		return err
	}
	return nil
}

// wrongVersion is of the same form as v (digits stay digits, quotes stay), so
// that the store refuses it for its value only.
func wrongVersion(v Version) Version {
	wrong := []byte(v)
	for i, c := range wrong {
		if c >= '0' && c <= '9' {
			wrong[i] = '1' + (c-'0')%9
			return Version(wrong)
		}
	}
	return v + "0"
}

// path is the driver's key. Keys are checked here for all drivers, so that what
// works in one store works in the others.
func (b *Bucket) path(key string) (string, error) {
	if err := driver.CheckKey(key); err != nil { // before the prefix hides that it is empty
		return "", err
	}
	path := b.prefix + key
	return path, driver.CheckKey(path)
}

func (b *Bucket) wrap(operation, key string, err error) error {
	switch {
	case err == nil:
		return nil
	case key == "":
		return fmt.Errorf("%s %s: %w", operation, b.name, err)
	}
	return fmt.Errorf("%s %s of %s: %w", operation, key, b.name, err)
}

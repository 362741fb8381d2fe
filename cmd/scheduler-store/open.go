package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/bucketurl"
	"github.com/scheduler-store/scheduler-store/encryption"
	"github.com/scheduler-store/scheduler-store/encryption/keyurl"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
)

// halfURL is what begins like a URL of a store but for its slashes.
var halfURL = regexp.MustCompile(`^(file|s3|gs|mem):`)

// storeURL is --store as a URL.
func (c *command) storeURL() (string, error) { return bucketURL("--store", c.store) }

// bucketURL is a flag's value as a URL: what has no scheme is a directory's path.
func bucketURL(flag, value string) (string, error) {
	switch {
	case strings.Contains(value, "://"):
		return value, nil
	case value == "":
		return "", usageErrorf("%s is empty", flag)
	case halfURL.MatchString(value):
		return "", usageErrorf("%s has no // behind its scheme; a directory of that name is ./NAME", flag)
	}
	path, err := filepath.Abs(value)
	if err != nil {
		return "", err
	}
	return (&url.URL{Scheme: "file", Path: path}).String(), nil
}

// openBucket opens the store's bucket for commands that make no store where there is
// none: the error then matches blob.ErrNoCell.
func (c *command) openBucket(ctx context.Context) (*bucket.Bucket, error) {
	storeURL, err := c.storeURL()
	if err != nil {
		return nil, err
	}
	return openExisting(ctx, storeURL)
}

// openExisting opens a bucket, but makes no directory where there is none.
func openExisting(ctx context.Context, storeURL string) (*bucket.Bucket, error) {
	location, err := bucketurl.Parse(storeURL)
	if err != nil {
		return nil, err
	}
	if location.Scheme == "file" {
		// Opening a directory would make it.
		if _, err := os.Stat(location.Bucket); errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("%w: there is no directory %s; check the URL, or make a cell with 'serve' or 'apply'", blob.ErrNoCell, location.Bucket)
		}
	}
	return bucketurl.Open(ctx, storeURL, bucketurl.Options{})
}

// openKey opens --key; nil if there is none.
func (c *command) openKey(ctx context.Context) (*encryption.Keeper, error) {
	if c.key == "" {
		return nil, nil
	}
	key, err := keyurl.Open(ctx, c.key)
	if err != nil {
		return nil, fmt.Errorf("--key: %w", err)
	}
	return key, nil
}

// openLog opens the log of a cell that exists, with no request that writes. The
// caller closes its bucket.
func (c *command) openLog(ctx context.Context) (*blob.Log, error) {
	storeURL, err := c.storeURL()
	if err != nil {
		return nil, err
	}
	return c.openLogAt(ctx, storeURL)
}

func (c *command) openLogAt(ctx context.Context, storeURL string) (*blob.Log, error) {
	key, err := c.openKey(ctx)
	if err != nil {
		return nil, err
	}
	b, err := openExisting(ctx, storeURL)
	if err != nil {
		return nil, err
	}
	log, err := blob.Open(ctx, b, blob.Options{ReadOnly: true, Key: key, Logger: c.logger(slog.LevelWarn)})
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return log, nil
}

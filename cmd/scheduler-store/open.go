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
	"github.com/scheduler-store/scheduler-store/persistence/blob"
)

// halfURL is what begins like a URL of a store but for its slashes.
var halfURL = regexp.MustCompile(`^(file|s3|gs|mem):`)

// storeURL is --store as a URL: what has no scheme is a directory's path.
func (c *command) storeURL() (string, error) {
	switch {
	case strings.Contains(c.store, "://"):
		return c.store, nil
	case c.store == "":
		return "", usageErrorf("--store is empty")
	case halfURL.MatchString(c.store):
		return "", usageErrorf("--store has no // behind its scheme; a directory of that name is ./NAME")
	}
	path, err := filepath.Abs(c.store)
	if err != nil {
		return "", err
	}
	return (&url.URL{Scheme: "file", Path: path}).String(), nil
}

// openBucket opens the bucket for commands that make no store where there is none:
// the error then matches blob.ErrNoCell.
func (c *command) openBucket(ctx context.Context) (*bucket.Bucket, error) {
	storeURL, err := c.storeURL()
	if err != nil {
		return nil, err
	}
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

// openLog opens the log of a cell that exists, with no request that writes. The
// caller closes its bucket.
func (c *command) openLog(ctx context.Context) (*blob.Log, error) {
	b, err := c.openBucket(ctx)
	if err != nil {
		return nil, err
	}
	log, err := blob.Open(ctx, b, blob.Options{ReadOnly: true, Logger: c.logger(slog.LevelWarn)})
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return log, nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"

	"github.com/scheduler-store/scheduler-store/bucket/bucketurl"
	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/internal/benchmark"
)

// benchStore is the store that a run works in.
type benchStore struct {
	driver   driver.Bucket
	location bucketurl.Location
	scratch  *benchmark.Scratch
	// In a directory the run has one of its own, so that it does not even share locks
	// with a cell that is there; parent is the store's, if it was made for the run.
	directory, parent string
}

// openBench opens a store. Nothing is asked of it yet.
func openBench(ctx context.Context, storeURL string) (*benchStore, error) {
	location, err := bucketurl.Parse(storeURL)
	if err != nil {
		return nil, err
	}
	b := &benchStore{location: location}
	if location.Scheme == "file" {
		if err := b.makeDirectory(); err != nil {
			return nil, fmt.Errorf("open %s: %w", location, err)
		}
		storeURL = (&url.URL{Scheme: "file", Path: b.directory}).String()
	}
	b.driver, location, err = bucketurl.OpenDriver(ctx, storeURL, bucketurl.Options{})
	if err != nil {
		return nil, errors.Join(err, b.removeDirectory())
	}
	b.scratch = benchmark.NewScratch(b.driver, location.String(), location.Prefix)
	return b, nil
}

func (b *benchStore) makeDirectory() (err error) {
	if _, err := os.Stat(b.location.Bucket); errors.Is(err, os.ErrNotExist) {
		b.parent = b.location.Bucket
	}
	if err := os.MkdirAll(b.location.Bucket, 0o700); err != nil {
		return err
	}
	b.directory, err = os.MkdirTemp(b.location.Bucket, "bench-")
	return err
}

// removeDirectory takes away what makeDirectory has made.
func (b *benchStore) removeDirectory() error {
	if b.directory == "" {
		return nil
	}
	if err := os.RemoveAll(b.directory); err != nil {
		return fmt.Errorf("files may be left in %s, nothing needs them, delete it: %w", b.directory, err)
	}
	if b.parent != "" {
		_ = os.Remove(b.parent) // it may have got something else meanwhile
	}
	return nil
}

func (b *benchStore) close() error { return errors.Join(b.driver.Close(), b.removeDirectory()) }

// announceBench says what will be asked of the store, before it is: with JSON on
// standard error, and only if a person looks.
func (c *command) announceBench(f benchFlags, scratch *benchmark.Scratch) error {
	var all benchmark.Estimate
	for _, e := range f.experiments() {
		one := e.Estimate(f.Options)
		all.Puts, all.Gets = all.Puts+one.Puts, all.Gets+one.Gets
	}
	to := c.stdout
	if c.output == jsonOutput {
		if to = c.stderr; !isTerminal(to) {
			return nil
		}
	}
	_, err := fmt.Fprintf(to, "works in %s, which is removed at the end\n"+
		"if a PUT takes 50 ms: about %d PUTs, %d GETs, $%.3f on %s; a faster store gets more\n",
		scratch.Name(), all.Puts, all.Gets, all.Dollars(f.Prices), f.Prices.Title)
	return err
}

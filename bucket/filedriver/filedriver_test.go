package filedriver_test

import (
	"testing"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/buckettest"
	"github.com/scheduler-store/scheduler-store/bucket/filedriver"
)

func open(t *testing.T, path string) *bucket.Bucket {
	t.Helper()
	d, err := filedriver.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return bucket.New(d, "file://"+path, "cells/test", bucket.Options{})
}

func TestConformance(t *testing.T) {
	buckettest.Run(t, func(t *testing.T) *bucket.Bucket { return open(t, t.TempDir()) }, buckettest.Options{
		SameBytesSameVersion: true,
		KeyBelowKey:          buckettest.Refused,
	})
}

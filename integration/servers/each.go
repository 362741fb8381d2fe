package servers

import "testing"

// Each runs a test on each kind of store. url is that of a cell, one of many.
func Each(t *testing.T, test func(t *testing.T, url func(cell string) string)) {
	t.Run("directory", func(t *testing.T) {
		directory := t.TempDir()
		test(t, func(cell string) string { return "file://" + directory + "/" + cell })
	})
	s3 := func(t *testing.T, server *S3) {
		server.UseCredentials(t)
		server.MakeBucket(t, "cells")
		test(t, func(cell string) string { return server.BucketURL("cells", cell) })
	}
	t.Run("MinIO", func(t *testing.T) { s3(t, &StartMinIO(t).S3) })
	t.Run("versitygw", func(t *testing.T) { s3(t, StartVersityGW(t)) })
	t.Run("GCS", func(t *testing.T) {
		gcs := StartGCS(t)
		gcs.Use(t)
		gcs.MakeBucket(t, "cells")
		test(t, func(cell string) string { return gcs.BucketURL("cells", cell) })
	})
}

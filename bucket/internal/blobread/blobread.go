// Package blobread is what the drivers over gocloud.dev/blob read with.
package blobread

import (
	"bytes"
	"context"

	"gocloud.dev/blob"
)

// Read reads length bytes of an object from offset on (all that follow, if
// length is negative), and calls opened once the reply is there, so that it can
// take the version from it.
func Read(ctx context.Context, b *blob.Bucket, key string, offset, length int64, opened func(*blob.Reader)) ([]byte, error) {
	reader, err := b.NewRangeReader(ctx, key, offset, length, nil)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	opened(reader)
	size := reader.Size() - offset
	if length >= 0 {
		size = min(size, length)
	}
	var data bytes.Buffer
	data.Grow(int(max(size, 0)) + bytes.MinRead)
	// To its end, not to its size: that is where checksums are compared.
	if _, err := data.ReadFrom(reader); err != nil {
		return nil, err
	}
	return data.Bytes(), nil
}

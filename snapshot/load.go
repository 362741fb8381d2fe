package snapshot

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/encryption"
	"github.com/scheduler-store/scheduler-store/internal/packed"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// Load reads a snapshot's parts, parallel of them at a time, checks each, and
// hands them to the consumer in order. The consumer has been reset to m.At
// before. Errors match ErrDamaged when a part is gone or wrong, and
// persistence.ErrReplay when the consumer refuses what is in it.
func Load(ctx context.Context, b *bucket.Bucket, c *packed.Codec, m *Manifest, consumer persistence.Consumer, parallel int) error {
	type prepared struct {
		apply func() error
		err   error
	}
	ctx, cancel := context.WithCancel(ctx)
	var reading sync.WaitGroup
	defer reading.Wait()
	defer cancel()
	ahead := make([]chan prepared, 0, len(m.Parts))
	for i := range m.Parts {
		for len(ahead) < min(i+max(parallel, 1), len(m.Parts)) {
			j, result := len(ahead), make(chan prepared, 1)
			ahead = append(ahead, result)
			reading.Go(func() {
				apply, err := preparePart(ctx, b, c, m.PartKey(j), m.Parts[j], consumer)
				result <- prepared{apply, err}
			})
		}
		part := <-ahead[i]
		ahead[i] = nil
		if part.err == nil {
			if err := part.apply(); err != nil {
				part.err = fmt.Errorf("%w: %s: %w", persistence.ErrReplay, m.PartKey(i), err)
			}
		}
		if part.err != nil {
			return part.err
		}
	}
	return nil
}

func preparePart(ctx context.Context, b *bucket.Bucket, c *packed.Codec, key string, p Part, consumer persistence.Consumer) (func() error, error) {
	records, err := readPart(ctx, b, c, key, p)
	if err != nil {
		return nil, err
	}
	apply, err := consumer.Prepare(persistence.Batch{Object: key, Records: records, Snapshot: true})
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", persistence.ErrReplay, key, err)
	}
	return apply, nil
}

func readPart(ctx context.Context, b *bucket.Bucket, c *packed.Codec, key string, p Part) ([][]byte, error) {
	object, err := b.Get(ctx, key)
	if errors.Is(err, bucket.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	} else if err != nil {
		return nil, err
	}
	body := object.Data
	if len(body) != p.Bytes {
		return nil, fmt.Errorf("%w: %s has %d bytes, the manifest says %d", ErrDamaged, key, len(body), p.Bytes)
	}
	if sum := persistence.Hash(sha256.Sum256(body)); sum != p.SHA256 {
		return nil, fmt.Errorf("%w: %s has SHA-256 %s, the manifest says %s", ErrDamaged, key, sum, p.SHA256)
	}
	raw, err := c.Unpack(ctx, body, p.Compression, p.RawBytes)
	if errors.Is(err, persistence.ErrNewerFormat) || errors.Is(err, encryption.ErrLocked) {
		return nil, fmt.Errorf("%s: %w", key, err)
	} else if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, key, err)
	}
	records, err := packed.Records(raw, p.Records)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, key, err)
	}
	return records, nil
}

// Verify reads a snapshot whole and checks every bit of it. Errors match ErrDamaged
// when something is wrong.
func Verify(ctx context.Context, b *bucket.Bucket, c *packed.Codec, cell string, name Name) (*Manifest, error) {
	m, err := Read(ctx, b, cell, name)
	if err != nil {
		return nil, err
	}
	return m, NewChecker(b, c).Check(ctx, m, nil)
}

package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/internal/checked"
)

const (
	pinPrefix = "pin/"
	pinSuffix = ".json"
	pinFormat = 1
)

// Pin keeps something from being removed until it expires or is taken away: the
// snapshot that it names, or, without one, the backup of its own name. Its object,
// pin/<name>.json, vouches for its own bits. It is made once and never changed.
type Pin struct {
	Format int    `json:"format"`
	Name   string `json:"name"`
	// Snapshot is the name of the snapshot that is kept; empty for a backup's pin.
	Snapshot string    `json:"snapshot,omitzero"`
	Reason   string    `json:"reason"`
	Made     time.Time `json:"made"`
	By       string    `json:"by"`
	// Expires is from when on it keeps nothing any more; zero is never.
	Expires time.Time `json:"expires,omitzero"`
}

// Expired tells whether a pin keeps nothing any more.
func (p *Pin) Expired(now time.Time) bool { return !p.Expires.IsZero() && !now.Before(p.Expires) }

// Same tells whether two pins are the same object.
func (p *Pin) Same(o *Pin) bool {
	a, b := *p, *o
	a.Made, a.Expires, b.Made, b.Expires = a.Made.UTC(), a.Expires.UTC(), b.Made.UTC(), b.Expires.UTC()
	return a == b
}

// PinKey is the object of the pin with a name.
func PinKey(name string) string { return pinPrefix + name + pinSuffix }

// WritePin makes a pin. The error matches bucket.ErrExists if there is one of that name.
// That the name can be part of a key is the caller's duty.
func WritePin(ctx context.Context, b *bucket.Bucket, p Pin) error {
	p.Format = pinFormat
	if p.Snapshot != "" {
		if _, err := ParseName(p.Snapshot); err != nil {
			return err
		}
	}
	object, err := checked.Encode(&p)
	if err != nil {
		return err
	}
	_, err = b.Create(ctx, PinKey(p.Name), object)
	return err
}

// ReadPin reads the pin with a name. Errors match bucket.ErrNotExist, ErrDamaged, or
// checked.ErrNewerFormat.
func ReadPin(ctx context.Context, b *bucket.Bucket, name string) (*Pin, error) {
	key := PinKey(name)
	object, err := b.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	p := new(Pin)
	if err := checked.Decode(object.Data, pinFormat, p); errors.Is(err, checked.ErrNewerFormat) {
		return nil, fmt.Errorf("%s: %w", key, err)
	} else if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, key, err)
	}
	if p.Name != name {
		return nil, fmt.Errorf("%w: %s says that it is the pin %q", ErrDamaged, key, p.Name)
	}
	if p.Snapshot != "" {
		if _, err := ParseName(p.Snapshot); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, key, err)
		}
	}
	return p, nil
}

// pinParallel is the number of pins that are read at once.
const pinParallel = 8

// Pins reads all pins, in the order of their names. One that can't be read is an error:
// what it keeps is not known.
func Pins(ctx context.Context, b *bucket.Bucket) ([]*Pin, error) {
	var names []string
	for info, err := range b.List(ctx, pinPrefix, "") {
		if err != nil {
			return nil, err
		}
		name, ok := strings.CutSuffix(strings.TrimPrefix(info.Key, pinPrefix), pinSuffix)
		if !ok || strings.Contains(name, "/") {
			return nil, fmt.Errorf("%w: object %s is no pin; remove it if it is not this program's", ErrDamaged, info.Key)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	pins := make([]*Pin, len(names))
	reads, ctx := errgroup.WithContext(ctx)
	reads.SetLimit(pinParallel)
	for i, name := range names {
		reads.Go(func() (err error) {
			pins[i], err = ReadPin(ctx, b, name)
			if errors.Is(err, bucket.ErrNotExist) {
				err = nil // it was removed since it was listed
			}
			return err
		})
	}
	if err := reads.Wait(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(pins, func(p *Pin) bool { return p == nil }), nil
}

// RemovePin takes a pin away; that there was none is no error.
func RemovePin(ctx context.Context, b *bucket.Bucket, name string) error {
	return b.Delete(ctx, PinKey(name))
}

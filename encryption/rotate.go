package encryption

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/scheduler-store/scheduler-store/bucket"
)

// make makes a data key with a number that is free. If another process has made one at
// the same time made is false, and that one counts. Nothing is sealed with a key before
// it was read back and unwrapped: see adopt.
func (r *Ring) make(ctx context.Context, number Number) (made bool, err error) {
	var secret [keySize]byte
	rand.Read(secret[:])
	return r.put(ctx, Name{number, 1}, secret)
}

// put writes a key object, if its name is free.
func (r *Ring) put(ctx context.Context, name Name, secret [keySize]byte) (made bool, err error) {
	object, err := newObject(ctx, r.keeper, r.cell, name, secret)
	if err != nil {
		return false, err
	}
	_, err = r.bucket.Create(ctx, r.under+name.String(), object)
	if errors.Is(err, bucket.ErrExists) {
		return false, nil
	}
	return err == nil, err
}

// ErrRotated: another process made a data key at the same time. It is in use.
var ErrRotated = errors.New("another process has made a data key at this moment")

// Rotate makes a new data key, seals with it from here on, and returns its number. Other
// processes take it up when they next call Refresh. What is sealed stays as it is: old
// keys are kept for reading.
func (r *Ring) Rotate(ctx context.Context) (Number, error) {
	release, err := r.hold(ctx)
	if err != nil {
		return 0, err
	}
	defer release()
	names, err := listNames(ctx, r.bucket, r.under)
	if err != nil {
		return 0, err
	}
	number := newestOf(names) + 1
	made, err := r.make(ctx, number)
	if err != nil {
		return 0, fmt.Errorf("make data key %d: %w", number, err)
	}
	if names, err = listNames(ctx, r.bucket, r.under); err == nil {
		err = r.adopt(ctx, names)
	}
	switch {
	case err != nil:
		return 0, fmt.Errorf("read data key %d back: %w", number, err)
	case !made:
		return 0, fmt.Errorf("%w: number %d", ErrRotated, number)
	}
	return number, nil
}

// Rewrap wraps each data key by another keeper too, so that it can be unwrapped by either,
// and returns the names of the new key objects. No data is written anew. What is done
// already is left out: if it fails it can be done again.
func (r *Ring) Rewrap(ctx context.Context, other *Keeper) ([]Name, error) {
	release, err := r.hold(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	names, err := listNames(ctx, r.bucket, r.under)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(names, compareNames)
	to := newRing(r.bucket, r.under, r.cell, other, r.metrics)
	var done []Name
	for number := Number(1); number <= newestOf(names); number++ {
		last, wrapped := Name{Number: number}, false
		for _, name := range names {
			if name.Number != number {
				continue
			}
			last = name
			o, _, err := readObject(ctx, r.bucket, r.under, r.cell, name)
			if err != nil {
				return done, err
			}
			wrapped = wrapped || o.Keeper == other.name
		}
		if wrapped {
			continue
		}
		k, err := r.unwrap(ctx, names, number)
		if err != nil {
			return done, err
		}
		name := Name{number, last.Wrapping + 1}
		made, err := to.put(ctx, name, k.secret)
		if err == nil && !made {
			err = fmt.Errorf("%s%v was made by another process at this moment; run it again", r.under, name)
		}
		if err == nil { // what can't be unwrapped again is no use
			_, err = to.unwrap(ctx, []Name{name}, number)
		}
		if err != nil {
			return done, fmt.Errorf("wrap data key %d: %w", number, err)
		}
		done = append(done, name)
	}
	return done, nil
}

// Carry puts the key object of the newest data key into the folder of a state, so that
// whoever has that folder needs nothing else but the keeper, and returns a ring that seals
// with this data key and no other. Where nothing is encrypted it does nothing.
func (r *Ring) Carry(ctx context.Context, b *bucket.Bucket, folder string) (*Ring, error) {
	now := r.keys.Load().newest
	if now == nil {
		return r, nil
	}
	c := r.Carried(b, folder, r.cell)
	if _, err := b.Create(ctx, c.under+now.name.String(), now.object); err != nil {
		return nil, err
	}
	c.remember(now, now)
	return c, nil
}

// Carried is the ring for a state, of whichever cell, whose folder carries its key. This
// ring's own keys are used where it is of the same cell and has them.
func (r *Ring) Carried(b *bucket.Bucket, folder, cell string) *Ring {
	c := newRing(b, folder+"/"+carriedPrefix, cell, r.keeper, r.metrics)
	c.parent = r
	return c
}

// IsCarried tells whether an object in a state's folder is a key that it carries.
func IsCarried(name string) bool {
	rest, ok := strings.CutPrefix(name, carriedPrefix)
	_, err := parseName(rest)
	return ok && err == nil
}

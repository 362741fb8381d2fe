// Package race lets many writers at one object at the same moment. Of those that make
// it, and of those that replace one version of it, exactly one may win: everything that
// is kept in a bucket stands on that.
//
// It is one proof for two: the conformance suite of the stores, and scheduler-store
// doctor.
package race

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"

	"github.com/scheduler-store/scheduler-store/bucket"
)

// Outcome is what the racers of one object got. Racer i wrote Data[i].
type Outcome struct {
	Key     string
	Data    [][]byte
	Winners []int
	// Version is that of the last to be told that it won.
	Version bucket.Version
	// Failed is why a racer knows neither that it won nor that it lost; nil if all know.
	Failed error
}

// Creators lets so many racers make the object at a key that is free. Racer i uses
// clients[i%len(clients)], which are of the same place.
func Creators(ctx context.Context, clients []*bucket.Bucket, key string, racers int) Outcome {
	return run(ctx, key, racers, bucket.ErrExists, func(ctx context.Context, i int, data []byte) (bucket.Version, error) {
		return clients[i%len(clients)].Create(ctx, key, data)
	})
}

// Replacers lets so many racers replace one version of an object.
func Replacers(ctx context.Context, clients []*bucket.Bucket, key string, old bucket.Version, racers int) Outcome {
	return run(ctx, key, racers, bucket.ErrChanged, func(ctx context.Context, i int, data []byte) (bucket.Version, error) {
		return clients[i%len(clients)].Replace(ctx, key, data, old)
	})
}

func run(ctx context.Context, key string, racers int, lost error, write func(context.Context, int, []byte) (bucket.Version, error)) Outcome {
	o := Outcome{Key: key}
	for i := range racers {
		o.Data = append(o.Data, fmt.Appendf(nil, "%s by %d %s", key, i, rand.Text()))
	}
	var mu sync.Mutex
	Together(ctx, racers, func(ctx context.Context, i int) {
		version, err := write(ctx, i, o.Data[i])
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil:
			o.Winners, o.Version = append(o.Winners, i), version
		case !errors.Is(err, lost) && o.Failed == nil:
			o.Failed = err
		}
	})
	return o
}

// ErrManyWinners: more than one racer was told that it won.
var ErrManyWinners = errors.New("a race of conditional writes has many winners")

// Check tells whether exactly one racer won and the object holds what it wrote. An error
// that matches neither ErrManyWinners nor ErrOther is about a request that failed: it
// proves nothing.
func (o Outcome) Check(ctx context.Context, b *bucket.Bucket) error {
	if len(o.Winners) > 1 {
		return fmt.Errorf("%w: %d of %d writers of %s", ErrManyWinners, len(o.Winners), len(o.Data), o.Key)
	}
	if o.Failed != nil {
		return fmt.Errorf("a race was not decided: %w", o.Failed)
	}
	if len(o.Winners) == 0 {
		return fmt.Errorf("%w: none of %d writers of %s won", ErrOther, len(o.Data), o.Key)
	}
	object, err := b.Get(ctx, o.Key)
	switch {
	case errors.Is(err, bucket.ErrNotExist), err == nil && (!bytes.Equal(object.Data, o.Data[o.Winners[0]]) || object.Version != o.Version):
		return fmt.Errorf("%w: %s does not hold what its only winner wrote", ErrOther, o.Key)
	case err != nil:
		return fmt.Errorf("a race was not decided: %w", err)
	}
	return nil
}

// ErrOther: nobody won, or the object does not hold what the winner wrote.
var ErrOther = errors.New("a race of conditional writes was lost by its winner")

// Together runs n goroutines that start at the same moment, and waits for them.
func Together(ctx context.Context, n int, run func(ctx context.Context, i int)) {
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-start
			run(ctx, i)
		})
	}
	close(start)
	all.Wait()
}

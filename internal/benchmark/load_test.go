package benchmark

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestClientsCallOneAfterAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		busy, numbers := map[int]bool{}, []int{}
		r, err := Load{Clients: 3, Count: 10}.Run(t.Context(), func(_ context.Context, client, i int) error {
			mu.Lock()
			if busy[client] {
				t.Errorf("client %d calls twice at once", client)
			}
			busy[client], numbers = true, append(numbers, i)
			mu.Unlock()
			time.Sleep(10 * time.Millisecond)
			mu.Lock()
			busy[client] = false
			mu.Unlock()
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(numbers)
		if want := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}; !slices.Equal(numbers, want) || len(busy) != 3 {
			t.Errorf("calls %v by %d clients", numbers, len(busy))
		}
		// Ten calls by three clients are four rounds.
		if r.Count != 10 || len(r.Took) != 10 || r.Seconds != 0.04 || r.PerSecond() != 250 {
			t.Errorf("%d calls, %d durations, %v s, %v a second", r.Count, len(r.Took), r.Seconds, r.PerSecond())
		}
		if l := r.Latency(); l.P50 != 10 || l.Max != 10 {
			t.Errorf("latency %+v", l)
		}
	})
}

// No call begins after the duration, and those under way count.
func TestLoadEndsAfterItsDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := Load{Clients: 2, Duration: 100 * time.Millisecond}.Run(t.Context(), func(ctx context.Context, _, _ int) error {
			select {
			case <-time.After(30 * time.Millisecond):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if r.Count != 8 || r.Seconds != 0.12 {
			t.Errorf("%d calls in %v s, want 8 in 0.12", r.Count, r.Seconds)
		}
	})
}

func TestFirstErrorEndsTheLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failed := errors.New("failed")
		var cut atomic.Int32
		r, err := Load{Clients: 4, Duration: time.Hour}.Run(t.Context(), func(ctx context.Context, client, i int) error {
			if client == 2 {
				time.Sleep(time.Second)
				return failed
			}
			<-ctx.Done()
			cut.Add(1)
			return ctx.Err()
		})
		if !errors.Is(err, failed) || r != nil || cut.Load() != 3 {
			t.Errorf("%v, %v, %d calls were ended", r, err, cut.Load())
		}
	})
}

func TestCancelledLoadSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stopped := errors.New("stopped")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(stopped) })
		if _, err := (Load{Duration: time.Hour}).Run(ctx, func(context.Context, int, int) error {
			time.Sleep(10 * time.Millisecond)
			return nil
		}); !errors.Is(err, stopped) {
			t.Error(err)
		}
	})
}

func TestLoadWithoutAnEndIsRefused(t *testing.T) {
	if _, err := (Load{Clients: 1}).Run(t.Context(), nil); !errors.Is(err, errEndless) {
		t.Error(err)
	}
}

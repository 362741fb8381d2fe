package sleepers_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"strings"
	"sync"
	"syscall"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
)

// holding is a driver that does something to one request of its process.
type holding struct {
	driver.Bucket
	say  func(line string)
	wake <-chan os.Signal // SIGCONT

	mu   sync.Mutex
	plan *plan
}

// plan is what is to be done to the n-th request of an operation whose key has a part.
type plan struct {
	operation, part string
	n               int
	do              effect
}

type effect string

const (
	// sleepBefore says so and waits until the process is woken; then the request is made.
	sleepBefore effect = "sleep-before"
	// sleepAfter makes the request, then sleeps; the answer comes when it is woken.
	sleepAfter effect = "sleep-after"
	// sleepBetween makes the request, sleeps, and makes it once more, as a client does
	// whose answer was lost: it gets the answer of that.
	sleepBetween effect = "sleep-between"
	// killBefore and killAfter end the process with SIGKILL.
	killBefore effect = "kill-before"
	killAfter  effect = "kill-after"
)

func (h *holding) arm(p plan) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.plan = &p
}

// effectOn is what is to be done to a request.
func (h *holding) effectOn(operation, key string) effect {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.plan == nil || h.plan.operation != operation || !strings.Contains(key, h.plan.part) {
		return ""
	}
	if h.plan.n--; h.plan.n > 0 {
		return ""
	}
	do := h.plan.do
	h.plan = nil
	return do
}

// request makes a request with what the plan has for it.
func (h *holding) request(operation, key string, make func() error) error {
	do := h.effectOn(operation, key)
	switch do {
	case sleepBefore:
		h.sleep(operation, key)
	case killBefore:
		die()
	}
	err := make()
	switch do {
	case sleepAfter:
		h.sleep(operation, key)
	case sleepBetween:
		h.sleep(operation, key)
		return make()
	case killAfter:
		die()
	}
	return err
}

// sleep returns when the process is woken, however soon it is stopped.
func (h *holding) sleep(operation, key string) {
	h.say(fmt.Sprintf("asleep %s %s", operation, key))
	<-h.wake
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

func (h *holding) Get(ctx context.Context, key string) (data []byte, version driver.Version, err error) {
	err = h.request("get", key, func() (err error) {
		data, version, err = h.Bucket.Get(ctx, key)
		return err
	})
	return data, version, err
}

func (h *holding) GetRange(ctx context.Context, key string, offset, length int64) (data []byte, err error) {
	err = h.request("get", key, func() (err error) {
		data, err = h.Bucket.GetRange(ctx, key, offset, length)
		return err
	})
	return data, err
}

// Create ends as a driver without a time-out would: the store has its own, and a
// context that ends while the process sleeps must not hide what the store says.
func (h *holding) Create(ctx context.Context, key string, data []byte) (version driver.Version, err error) {
	err = h.request("create", key, func() (err error) {
		version, err = h.Bucket.Create(context.WithoutCancel(ctx), key, data)
		return err
	})
	return version, err
}

func (h *holding) Replace(ctx context.Context, key string, data []byte, old driver.Version) (version driver.Version, err error) {
	err = h.request("replace", key, func() (err error) {
		version, err = h.Bucket.Replace(context.WithoutCancel(ctx), key, data, old)
		return err
	})
	return version, err
}

func (h *holding) Delete(ctx context.Context, key string) error {
	return h.request("delete", key, func() error { return h.Bucket.Delete(context.WithoutCancel(ctx), key) })
}

func (h *holding) List(ctx context.Context, prefix, after string) iter.Seq2[driver.Info, error] {
	return func(yield func(driver.Info, error) bool) {
		err := h.request("list", prefix, func() error {
			for info, err := range h.Bucket.List(ctx, prefix, after) {
				if err != nil {
					return err
				}
				if !yield(info, nil) {
					return errStopped
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStopped) {
			yield(driver.Info{}, err)
		}
	}
}

var errStopped = errors.New("the caller has seen enough")

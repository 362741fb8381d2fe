package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/race"
)

const (
	consistencyWorkers = 8
	consistencyRounds  = 8 // of each worker
)

// lives counts what one client saw wrong of what another had just done.
type lives struct {
	mu     sync.Mutex
	stale  map[string]int
	failed error
}

func (l *lives) saw(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stale[what]++
}

func (l *lives) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed == nil {
		l.failed = err
	}
}

func consistency(ctx context.Context, p *patient) []Finding {
	l := &lives{stale: map[string]int{}}
	race.Together(ctx, consistencyWorkers, func(ctx context.Context, w int) {
		for i := range consistencyRounds {
			if err := l.live(ctx, p.own[0], p.own[1], fmt.Sprintf("live/%d/%d", w, i)); err != nil {
				l.fail(err)
				return
			}
		}
	})
	lived := consistencyWorkers * consistencyRounds
	if len(l.stale) > 0 {
		var found []string
		for what, n := range l.stale {
			found = append(found, fmt.Sprintf("%s %d of %d times", what, n, lived))
		}
		slices.Sort(found)
		return unfit(strings.Join(found, "; "),
			"a reader can take the log for shorter than it is: a new leader then goes on without acknowledged transactions",
			"use a store with strong consistency, with no cache or replica between; of several sites name one that all writes go to")
	}
	if l.failed != nil {
		return undecided(l.failed, "that reads and lists see what was just written")
	}
	return ok(fmt.Sprintf("%d objects were read and listed at once as they were written, replaced and deleted by another client", lived))
}

// live lets an object live through one client, and looks at it through another. It asks
// for it first while it is not there, since some stores remember that.
func (l *lives) live(ctx context.Context, by, seen *bucket.Bucket, key string) error {
	if _, err := seen.Get(ctx, key); !errors.Is(err, bucket.ErrNotExist) {
		return unexpected(err, "read "+key+" before it was made")
	}
	first, second := unique("first"), unique("second")
	version, err := by.Create(ctx, key, first)
	if err != nil {
		return err
	}
	if err := l.look(ctx, seen, key, first, "made"); err != nil {
		return err
	}
	if _, err := by.Replace(ctx, key, second, version); err != nil {
		return err
	}
	if err := l.look(ctx, seen, key, second, "replaced"); err != nil {
		return err
	}
	if err := by.Delete(ctx, key); err != nil {
		return err
	}
	return l.look(ctx, seen, key, nil, "deleted")
}

func unexpected(err error, what string) error {
	if err == nil {
		err = errors.New("it is there")
	}
	return fmt.Errorf("%s: %w", what, err)
}

// look reads and lists an object; want is nil if it must not be there.
func (l *lives) look(ctx context.Context, seen *bucket.Bucket, key string, want []byte, did string) error {
	object, err := seen.Get(ctx, key)
	switch missing := errors.Is(err, bucket.ErrNotExist); {
	case err != nil && !missing:
		return err
	case missing != (want == nil) || !missing && !bytes.Equal(object.Data, want):
		l.saw("a read did not see what was just " + did)
	}
	listed := false
	for info, err := range seen.List(ctx, key, "") {
		if err != nil {
			return err
		}
		listed = listed || info.Key == key
	}
	if listed != (want != nil) {
		l.saw("a list did not see what was just " + did)
	}
	return nil
}

// pageObjects are more than S3 and GCS list in one page.
const pageObjects = 1050

func listing(ctx context.Context, p *patient) []Finding {
	const workers = 16
	l := &lives{}
	keys := make([]string, pageObjects)
	for i := range keys {
		keys[i] = fmt.Sprintf("page/%05d", i)
	}
	race.Together(ctx, workers, func(ctx context.Context, w int) {
		for i := w; i < len(keys); i += workers {
			if _, err := p.own[w%2].Create(ctx, keys[i], unique(keys[i])); err != nil {
				l.fail(err)
				return
			}
		}
	})
	if l.failed != nil {
		return undecided(l.failed, "that a list of many objects is whole")
	}
	const middle = pageObjects / 2
	sorted := true
	for _, from := range []int{0, middle + 1} {
		after := ""
		if from > 0 {
			after = keys[middle]
		}
		var got []string
		for info, err := range p.own[1].List(ctx, "page/", after) {
			if err != nil {
				return undecided(err, "that a list of many objects is whole")
			}
			got = append(got, info.Key)
		}
		sorted = sorted && slices.IsSorted(got)
		if slices.Sort(got); !slices.Equal(got, keys[from:]) {
			return unfit(fmt.Sprintf("of %d objects a list from the place %d on has %d, or others", len(keys), from, len(got)),
				"what the log and the snapshots have is not known: a recovery can begin from the wrong one, and a collection delete the wrong ones",
				p.otherStore())
		}
	}
	if !sorted {
		return ok(fmt.Sprintf("%d objects are listed whole; not sorted, which nothing relies on", pageObjects))
	}
	return ok(fmt.Sprintf("%d objects are listed whole, in pages and from the middle on, and sorted", pageObjects))
}

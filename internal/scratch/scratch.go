// Package scratch is a part of a store for a command that tries things out: bench and
// doctor.
package scratch

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/internal/sleep"
)

// Scratch is a part of a store that nobody else uses: a random prefix, below the
// store's own, that is made for one run and removed after it. Nothing else in the store
// is written or deleted, so a cell that is there stays as it is.
type Scratch struct {
	Driver driver.Bucket
	// Folder is what is added to the store's URL and to its prefix.
	Folder string
	// Prefix is of keys, with the store's own; it ends with a slash.
	Prefix string

	store string // the store's URL
}

// New chooses a prefix in the store of a driver, whose last element begins with kind,
// such as bench-. name is the store's URL, without parameters, and prefix what comes
// before all its keys. Nothing is written yet. The caller closes the driver.
func New(d driver.Bucket, name, prefix, kind string) *Scratch {
	folder := kind + strings.ToLower(rand.Text()[:16])
	s := &Scratch{Driver: d, Folder: folder, Prefix: folder + "/", store: strings.TrimSuffix(name, "/")}
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		s.Prefix = prefix + "/" + s.Prefix
	}
	return s
}

// Name is the URL of the scratch, for people.
func (s *Scratch) Name() string { return s.store + "/" + s.Folder }

// Check makes sure that the store answers, and that nothing has the prefix.
func (s *Scratch) Check(ctx context.Context) error {
	for info, err := range s.Driver.List(ctx, s.Prefix, "") {
		if err != nil {
			return fmt.Errorf("list %s: %w", s.Name(), err)
		}
		return fmt.Errorf("%s is there already, though its prefix is random", info.Key)
	}
	return nil
}

const (
	// removeTimeout bounds the removal, which also comes after an interrupt.
	removeTimeout  = 5 * time.Minute
	removeParallel = 32
	// removeBatch is how many keys are listed before they are deleted: a store need
	// not list well what is being deleted.
	removeBatch = 5000
)

// Remove deletes everything that has the scratch's prefix, also after ctx has ended.
// Whoever writes into it must have stopped. Its error names what may be left.
func (s *Scratch) Remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
	defer cancel()
	if err := s.remove(ctx); err != nil {
		return fmt.Errorf("objects may be left under %s, nothing needs them, delete that prefix: %w", s.Name(), err)
	}
	return nil
}

func (s *Scratch) remove(ctx context.Context) error {
	last := ""
	for {
		keys, err := s.list(ctx)
		if err != nil || len(keys) == 0 {
			return err
		}
		if keys[0] == last {
			return fmt.Errorf("%s is still listed after it was deleted", last)
		}
		last = keys[0]
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(removeParallel)
		for _, key := range keys {
			group.Go(func() error {
				if err := s.Driver.Delete(ctx, key); err != nil {
					return fmt.Errorf("delete %s: %w", key, err)
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
}

// list returns some keys of the scratch; none means that nothing is left.
func (s *Scratch) list(ctx context.Context) ([]string, error) {
	var keys []string
	for info, err := range s.Driver.List(ctx, s.Prefix, "") {
		if err != nil {
			return nil, err
		}
		if !strings.HasPrefix(info.Key, s.Prefix) { // the last guard before a delete
			return nil, fmt.Errorf("the store lists %s under %s", info.Key, s.Prefix)
		}
		if keys = append(keys, info.Key); len(keys) == removeBatch {
			break
		}
	}
	return keys, nil
}

// Use makes sure that nobody uses the scratch, calls f, and removes it, whatever f
// returns. Everything that f has opened in it must be closed when it returns.
func (s *Scratch) Use(ctx context.Context, f func() error) error {
	if err := s.Check(ctx); err != nil {
		return err
	}
	err := f()
	if err != nil {
		_ = sleep.For(context.WithoutCancel(ctx), straggle) // that context does not end
	}
	return errors.Join(err, s.Remove(ctx))
}

// straggle is how long a request that was cut off may take to land all the same.
const straggle = 500 * time.Millisecond

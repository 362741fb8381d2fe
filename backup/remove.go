package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/scheduler-store/scheduler-store/snapshot"
)

// orphanAge is how old parts without a manifest must be before they are removed: those
// that are younger may be of a backup that is being made.
const orphanAge = 24 * time.Hour

// Remove removes a backup: its manifest first, then its parts. If it fails it can be
// done again; what it leaves behind, Remove and Thin remove a day after it was written.
// The error matches ErrNotExist if there is no such backup.
func (b *Backups) Remove(ctx context.Context, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if pin, err := b.pinned(ctx, name); err != nil {
		return fmt.Errorf("remove backup %q: %w", name, err)
	} else if pin != nil {
		return fmt.Errorf("%w: %q, by %s: %s; unpin it first", ErrPinned, name, pin.By, pin.Reason)
	}
	folders, err := b.folders(ctx, prefix) // of others too: they tell the time
	if err != nil {
		return fmt.Errorf("remove backup %q: %w", name, err)
	}
	i := slices.IndexFunc(folders, func(f *folder) bool { return f.name == name })
	switch {
	case i < 0:
		return fmt.Errorf("%w: %q in %s", ErrNotExist, name, b.bucket.Name())
	case folders[i].whole() || orphan(folders[i], newest(folders)):
		return b.remove(ctx, folders[i])
	}
	return fmt.Errorf("%w: of %q there are only parts, which may be of one that is being made; they go when the newest backup is %v younger", ErrNotExist, name, orphanAge)
}

// remove deletes what lies under a name.
func (b *Backups) remove(ctx context.Context, f *folder) error {
	if f.whole() {
		if err := b.bucket.Delete(ctx, f.manifest); err != nil {
			return fmt.Errorf("remove backup %q: %w", f.name, err)
		}
	}
	for _, part := range f.parts {
		if err := b.bucket.Delete(ctx, part); err != nil {
			return fmt.Errorf("remove parts of backup %q, which is gone: %w", f.name, err)
		}
	}
	return nil
}

// newest is when the last object of all was written: a time of the bucket's own clock,
// as those are that it is compared with.
func newest(folders []*folder) (t time.Time) {
	for _, f := range folders {
		if f.newest.After(t) {
			t = f.newest
		}
	}
	return t
}

// orphan tells whether a folder has only parts that nobody will finish. Where the bucket
// tells no times it is none.
func orphan(f *folder, now time.Time) bool {
	return !f.whole() && checkName(f.name) == nil && !f.newest.IsZero() && now.Sub(f.newest) > orphanAge
}

// survey is what there was at one time that could be removed.
type survey struct {
	folders []*folder
	infos   []*Info // the backups of one cell that no pin keeps
	unread  error   // why others can't be read
}

// survey reads the pins last, so that those count that are made meanwhile. If one can't
// be read nothing may be removed.
func (b *Backups) survey(ctx context.Context, cell string) (*survey, error) {
	folders, err := b.folders(ctx, prefix)
	if err != nil {
		return nil, err
	}
	s := &survey{folders: folders}
	s.infos, s.unread = b.infos(ctx, folders)
	pins, err := snapshot.Pins(ctx, b.bucket)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	s.infos = slices.DeleteFunc(s.infos, func(info *Info) bool {
		return info.Cell != cell || slices.ContainsFunc(pins, func(p *snapshot.Pin) bool { return p.Name == info.Name && !p.Expired(now) })
	})
	return s, nil
}

// expired takes those that have expired out of the survey.
func (s *survey) expired(now time.Time) (expired []*Info) {
	s.infos = slices.DeleteFunc(slices.Clone(s.infos), func(info *Info) bool {
		if info.Expired(now) {
			expired = append(expired, info)
		}
		return info.Expired(now)
	})
	return expired
}

func namesIn(infos []*Info) (names []string) {
	for _, info := range infos {
		names = append(names, info.Name)
	}
	return names
}

// removeAll ends at the first error, and returns the names of those that it removed.
func (b *Backups) removeAll(ctx context.Context, s *survey, infos []*Info) (removed []string, err error) {
	for _, info := range infos {
		i := slices.IndexFunc(s.folders, func(f *folder) bool { return f.name == info.Name })
		if err := b.remove(ctx, s.folders[i]); err != nil {
			return removed, err
		}
		removed = append(removed, info.Name)
	}
	return removed, nil
}

// Thin removes the backups of a cell that have expired, then the oldest automatic ones
// until keep are left, and returns the names of those that it removed. Oldest is what has
// the lowest position: no clock decides. It also removes parts that have lain there
// without a manifest for long.
//
// Those of other cells, those with names of their own that have not expired, those that
// are pinned, and those that can't be read stay; the latter are in the error. Deleting
// ends at the first error.
func (b *Backups) Thin(ctx context.Context, cell string, keep int) (old, expired []string, err error) {
	if keep < 1 {
		return nil, nil, fmt.Errorf("thin out backups: %d are to be kept, and there must be 1 at least", keep)
	}
	s, err := b.survey(ctx, cell)
	if err != nil {
		return nil, nil, fmt.Errorf("thin out backups: %w", err)
	}
	if expired, err = b.removeAll(ctx, s, s.expired(time.Now())); err != nil {
		return nil, expired, errors.Join(s.unread, err)
	}
	infos := slices.DeleteFunc(s.infos, func(info *Info) bool { return !info.Automatic })
	slices.SortFunc(infos, func(i, j *Info) int {
		return cmp.Or(cmp.Compare(i.Position, j.Position), i.Made.Compare(j.Made), cmp.Compare(i.Name, j.Name))
	})
	if old, err = b.removeAll(ctx, s, infos[:max(0, len(infos)-keep)]); err != nil {
		return old, expired, errors.Join(s.unread, err)
	}
	for now, i := newest(s.folders), 0; i < len(s.folders); i++ {
		if f := s.folders[i]; orphan(f, now) {
			if err := b.remove(ctx, f); err != nil {
				return old, expired, errors.Join(s.unread, err)
			}
		}
	}
	return old, expired, s.unread
}

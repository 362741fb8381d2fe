package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
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

// Thin removes the oldest automatic backups of a cell until keep are left, and returns
// the names of those that it removed. Oldest is what has the lowest position: no clock
// decides. It also removes parts that have lain there without a manifest for long.
//
// Those of other cells, those with names of their own, and those that can't be read
// stay; the latter are in the error. Deleting ends at the first error.
func (b *Backups) Thin(ctx context.Context, cell string, keep int) ([]string, error) {
	if keep < 1 {
		return nil, fmt.Errorf("thin out backups: %d are to be kept, and there must be 1 at least", keep)
	}
	folders, err := b.folders(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("thin out backups: %w", err)
	}
	infos, unread := b.infos(ctx, folders)
	infos = slices.DeleteFunc(infos, func(info *Info) bool { return !info.Automatic || info.Cell != cell })
	slices.SortFunc(infos, func(i, j *Info) int {
		return cmp.Or(cmp.Compare(i.Position, j.Position), i.Made.Compare(j.Made), cmp.Compare(i.Name, j.Name))
	})
	var removed []string
	for _, info := range infos[:max(0, len(infos)-keep)] {
		i := slices.IndexFunc(folders, func(f *folder) bool { return f.name == info.Name })
		if err := b.remove(ctx, folders[i]); err != nil {
			return removed, errors.Join(unread, err)
		}
		removed = append(removed, info.Name)
	}
	for now, i := newest(folders), 0; i < len(folders); i++ {
		if f := folders[i]; orphan(f, now) {
			if err := b.remove(ctx, f); err != nil {
				return removed, errors.Join(unread, err)
			}
		}
	}
	return removed, unread
}

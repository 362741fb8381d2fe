package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/encryption"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// folder is what lies under one name.
type folder struct {
	name     string
	manifest string    // its key, if it is there
	parts    []string  // and the key, if it carries one
	newest   time.Time // when the last object of it was written, by the bucket's clock
}

func (f *folder) whole() bool { return f.manifest != "" }

// folder lists what lies under a valid name.
func (b *Backups) folder(ctx context.Context, name string) (*folder, error) {
	folders, err := b.folders(ctx, string(folderOf(name))+"/")
	if err != nil || len(folders) == 0 {
		return &folder{name: name}, err
	}
	return folders[0], nil
}

// folders lists what there is, by one LIST, in the order of the names. Objects that are
// neither parts, a key nor a manifest are left alone.
func (b *Backups) folders(ctx context.Context, under string) ([]*folder, error) {
	byName := map[string]*folder{}
	for info, err := range b.bucket.List(ctx, under, "") {
		if err != nil {
			return nil, err
		}
		name, object, _ := strings.Cut(strings.TrimPrefix(info.Key, prefix), "/")
		manifest := object == "manifest.json"
		if !manifest && (!strings.HasPrefix(object, "part-") && !encryption.IsCarried(object) || strings.Contains(object, "/")) {
			continue
		}
		f := byName[name]
		if f == nil {
			f = &folder{name: name}
			byName[name] = f
		}
		if manifest {
			f.manifest = info.Key
		} else {
			f.parts = append(f.parts, info.Key)
		}
		if info.Modified.After(f.newest) {
			f.newest = info.Modified
		}
	}
	folders := make([]*folder, 0, len(byName))
	for _, f := range byName {
		folders = append(folders, f)
	}
	slices.SortFunc(folders, func(f, g *folder) int { return cmp.Compare(f.name, g.name) })
	return folders, nil
}

// List returns the backups and the snapshots that are pinned under a name, with their
// pins, oldest first, by the clocks of those who made them. Those that are damaged, or
// whose manifest can't be read, are in the error, joined, and left out of the list. If a
// pin can't be read that is in the error, and none is shown.
func (b *Backups) List(ctx context.Context) ([]*Info, error) {
	folders, err := b.folders(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("list backups: %w", err)
	}
	infos, damaged := b.infos(ctx, folders)
	pins, err := snapshot.Pins(ctx, b.bucket)
	if err != nil {
		return infos, errors.Join(damaged, fmt.Errorf("list pins: %w", err))
	}
	for _, info := range infos {
		for _, pin := range pins {
			if pin.Name == info.Name {
				info.Pin = pinInfoOf(pin)
			}
		}
	}
	pins = slices.DeleteFunc(pins, func(p *snapshot.Pin) bool {
		return p.Snapshot == "" || slices.ContainsFunc(infos, func(i *Info) bool { return i.Name == p.Name })
	})
	snapshots, gone := gather(pins, func(p *snapshot.Pin) (*Info, error) { return b.infoOfPinned(ctx, p) })
	infos = append(infos, snapshots...)
	sortByAge(infos)
	return infos, errors.Join(damaged, gone)
}

// infoOfPinned describes a snapshot that is pinned under a name. It is nil if a pin that
// has expired keeps it no more.
func (b *Backups) infoOfPinned(ctx context.Context, pin *snapshot.Pin) (*Info, error) {
	m, err := b.snapshotOf(ctx, pin)
	switch {
	case errors.Is(err, bucket.ErrNotExist) && pin.Expired(time.Now()):
		return nil, nil
	case errors.Is(err, bucket.ErrNotExist):
		return nil, fmt.Errorf("%w: %s keeps snapshot %s, which is not there; unpin it if that is right", ErrDamaged, snapshot.PinKey(pin.Name), pin.Snapshot)
	case err != nil:
		return nil, err
	}
	info := infoOf(pin.Name, m)
	info.Pin = pinInfoOf(pin)
	return info, nil
}

func sortByAge(infos []*Info) {
	slices.SortFunc(infos, func(i, j *Info) int {
		return cmp.Or(i.Made.Compare(j.Made), cmp.Compare(i.Name, j.Name))
	})
}

// infos reads the manifests of those that have one, oldest first.
func (b *Backups) infos(ctx context.Context, folders []*folder) ([]*Info, error) {
	infos, err := gather(folders, func(f *folder) (*Info, error) { return b.info(ctx, f) })
	sortByAge(infos)
	return infos, err
}

// gather reads what describes each of many, some at once, and leaves out what is nil.
// The errors are joined.
func gather[T any](all []T, read func(T) (*Info, error)) ([]*Info, error) {
	infos, errs := make([]*Info, len(all)), make([]error, len(all))
	var reads errgroup.Group
	reads.SetLimit(listParallel)
	for i, one := range all {
		reads.Go(func() error {
			infos[i], errs[i] = read(one)
			return nil
		})
	}
	_ = reads.Wait() // the errors are in errs
	return slices.DeleteFunc(infos, func(info *Info) bool { return info == nil }), errors.Join(errs...)
}

// info is nil if there is no whole backup.
func (b *Backups) info(ctx context.Context, f *folder) (*Info, error) {
	if !f.whole() {
		return nil, nil
	}
	if err := checkName(f.name); err != nil {
		return nil, fmt.Errorf("%w: object %s: %w; remove it if it is not this program's", ErrDamaged, f.manifest, err)
	}
	m, err := snapshot.ReadIn(ctx, b.bucket, folderOf(f.name))
	if errors.Is(err, bucket.ErrNotExist) {
		return nil, nil // it was removed since it was listed
	} else if err != nil {
		return nil, err
	}
	return infoOf(f.name, m), nil
}

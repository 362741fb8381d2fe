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
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// folder is what lies under one name.
type folder struct {
	name     string
	manifest string // its key, if it is there
	parts    []string
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
// neither parts nor a manifest are left alone.
func (b *Backups) folders(ctx context.Context, under string) ([]*folder, error) {
	byName := map[string]*folder{}
	for info, err := range b.bucket.List(ctx, under, "") {
		if err != nil {
			return nil, err
		}
		name, object, _ := strings.Cut(strings.TrimPrefix(info.Key, prefix), "/")
		manifest := object == "manifest.json"
		if !manifest && (!strings.HasPrefix(object, "part-") || strings.Contains(object, "/")) {
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

// List returns the backups, oldest first, by the clocks of those who made them. Those
// that are damaged, or whose manifest can't be read, are in the error, joined, and left
// out of the list.
func (b *Backups) List(ctx context.Context) ([]*Info, error) {
	folders, err := b.folders(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("list backups: %w", err)
	}
	return b.infos(ctx, folders)
}

// infos reads the manifests of those that have one.
func (b *Backups) infos(ctx context.Context, folders []*folder) ([]*Info, error) {
	infos, errs := make([]*Info, len(folders)), make([]error, len(folders))
	var reads errgroup.Group
	reads.SetLimit(listParallel)
	for i, f := range folders {
		if !f.whole() {
			continue
		}
		reads.Go(func() error {
			infos[i], errs[i] = b.info(ctx, f)
			return nil
		})
	}
	_ = reads.Wait() // the errors are in errs
	infos = slices.DeleteFunc(infos, func(info *Info) bool { return info == nil })
	slices.SortFunc(infos, func(i, j *Info) int {
		return cmp.Or(i.Made.Compare(j.Made), cmp.Compare(i.Name, j.Name))
	})
	return infos, errors.Join(errs...)
}

func (b *Backups) info(ctx context.Context, f *folder) (*Info, error) {
	if err := checkName(f.name); err != nil {
		return nil, fmt.Errorf("%w: object %s: %w; remove it if it is not this program's", ErrDamaged, f.manifest, err)
	}
	m, err := snapshot.ReadIn(ctx, b.bucket, folderOf(f.name))
	if errors.Is(err, bucket.ErrNotExist) {
		return nil, nil // it was removed since it was listed
	} else if err != nil {
		return nil, err
	}
	return infoOf(m), nil
}

package snapshot

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/scheduler-store/scheduler-store/bucket"
)

// Object is one object of a whole state, as a listing shows it.
type Object struct {
	Key  string
	Size int64
	// Name is that of the state's folder.
	Name Name
	// Manifest tells that it is the manifest; else it is a part.
	Manifest bool
}

// Objects lists the objects of all snapshots, those without a manifest too, by name and
// then by key. Strays are objects that no snapshot has.
func Objects(ctx context.Context, b *bucket.Bucket) (objects []Object, strays []bucket.Info, err error) {
	return ObjectsUnder(ctx, b, prefix)
}

// ObjectsUnder does what Objects does for the states that lie under another prefix, in
// folders with names like those of snapshots.
func ObjectsUnder(ctx context.Context, b *bucket.Bucket, prefix string) (objects []Object, strays []bucket.Info, err error) {
	for info, err := range b.List(ctx, prefix, "") {
		if err != nil {
			return nil, nil, err
		}
		folder, file, _ := strings.Cut(strings.TrimPrefix(info.Key, prefix), "/")
		name, err := ParseName(folder)
		manifest := "/"+file == manifestFile
		switch {
		case err == nil && (manifest || isPart(file)):
			objects = append(objects, Object{info.Key, info.Size, name, manifest})
		case strings.HasSuffix(info.Key, manifestFile): // what it names is not known
			return nil, nil, fmt.Errorf("%w: object %s has no snapshot's name; remove it if it is not this program's", ErrDamaged, info.Key)
		default:
			strays = append(strays, info)
		}
	}
	slices.SortFunc(objects, func(a, b Object) int {
		return cmp.Or(a.Name.Compare(b.Name), strings.Compare(a.Key, b.Key))
	})
	return objects, strays, nil
}

// isPart tells whether a file is a part of the folder that it lies in.
func isPart(file string) bool {
	digits, ok := strings.CutPrefix(file, "part-")
	n, err := strconv.ParseUint(digits, 10, 31)
	return ok && err == nil && Folder("").partKey(int(n)) == "/"+file
}

// FolderOf is where the objects of a snapshot lie.
func FolderOf(n Name) Folder { return n.folder() }

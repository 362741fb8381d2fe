package filedriver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strings"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
)

// List implements driver.Bucket, in byte-wise order of the keys.
func (b *Bucket) List(ctx context.Context, prefix, after string) iter.Seq2[driver.Info, error] {
	return func(yield func(driver.Info, error) bool) {
		l := &listing{bucket: b, prefix: prefix, after: after, yield: yield}
		start := prefix[:strings.LastIndexByte(prefix, '/')+1]
		if start != "" {
			if err := driver.CheckKey(strings.TrimSuffix(start, "/")); err != nil {
				yield(driver.Info{}, err)
				return
			}
		}
		if err := l.walk(ctx, start); err != nil && !errors.Is(err, errStopped) {
			yield(driver.Info{}, err)
		} else if err == nil && !l.found {
			if err := b.checkRoot(); err != nil {
				yield(driver.Info{}, err)
			}
		}
	}
}

// errStopped: the consumer wants no more.
var errStopped = errors.New("stopped")

type listing struct {
	bucket        *Bucket
	prefix, after string
	yield         func(driver.Info, error) bool
	found         bool
}

// item is a file, or a directory, whose key then ends with a slash: sorted so,
// a directory stands where the keys below it do.
type item struct {
	key   string
	entry fs.DirEntry
}

// walk lists the directory of the keys that start with parent, which is empty
// or ends with a slash.
func (l *listing) walk(ctx context.Context, parent string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	items, err := l.read(parent)
	if err != nil {
		return err
	}
	for _, item := range items {
		if item.entry.IsDir() {
			err = l.walk(ctx, item.key)
		} else {
			err = l.file(item)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *listing) read(parent string) ([]item, error) {
	directory, err := l.bucket.root.Open(encodeDirectory(parent))
	if isMissing(err) { // there is nothing below, or it was removed just now
		return nil, nil
	} else if err != nil {
		return nil, refused(err)
	}
	defer directory.Close()
	entries, err := directory.ReadDir(-1)
	if err != nil && !isMissing(err) {
		return nil, refused(err)
	}
	var items []item
	for _, entry := range entries {
		element, ok := decodeName(entry.Name())
		if !ok || !entry.IsDir() && !entry.Type().IsRegular() {
			continue
		}
		item := item{parent + element, entry}
		if entry.IsDir() {
			item.key += "/"
		}
		if l.wants(item) {
			items = append(items, item)
		}
	}
	slices.SortFunc(items, func(x, y item) int { return strings.Compare(x.key, y.key) })
	return items, nil
}

func (l *listing) wants(item item) bool {
	if !strings.HasPrefix(item.key, l.prefix) {
		return false
	}
	// What is below a directory is after l.after if the directory is, or else
	// may be if l.after is below it too.
	return item.key > l.after || item.entry.IsDir() && strings.HasPrefix(l.after, item.key)
}

func (l *listing) file(item item) error {
	info, err := item.entry.Info()
	if isMissing(err) { // removed just now
		return nil
	} else if err != nil {
		return fmt.Errorf("%s: %w", item.key, refused(err))
	}
	l.found = true
	if !l.yield(driver.Info{Key: item.key, Size: info.Size(), Modified: info.ModTime()}, nil) {
		return errStopped
	}
	return nil
}

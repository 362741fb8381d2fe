package filedriver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync"
)

// maxOpenDirectories bounds the handles that are kept.
const maxOpenDirectories = 64

// directory is an open directory whose name, and those of all above it up to
// the root, are on disk. It is the very directory, not its path: if another
// process removes it (Delete removes those that become empty) and makes it anew,
// writing through this handle fails, so nothing is put into a directory whose
// name nobody synced.
type directory struct {
	path  string
	root  *os.Root
	file  *os.File // for Sync
	users int      // guarded by directories.mu, as is dropped
	// dropped: no longer in the table; closed by the last user.
	dropped bool
}

func (d *directory) close() {
	_ = d.file.Close() // nothing was written through them that close could lose
	_ = d.root.Close()
}

// directories keeps the directories that were written to lately.
type directories struct {
	root *os.Root

	mu   sync.Mutex
	open map[string]*directory
}

func newDirectories(root *os.Root) *directories {
	return &directories{root: root, open: map[string]*directory{}}
}

// use opens a directory, made if need be, until it is given to done.
func (ds *directories) use(path string) (*directory, error) {
	ds.mu.Lock()
	if d := ds.open[path]; d != nil {
		d.users++
		ds.mu.Unlock()
		return d, nil
	}
	ds.mu.Unlock()

	d, err := ds.openDurable(path)
	if err != nil {
		return nil, err
	}
	ds.mu.Lock()
	defer ds.mu.Unlock()
	if other := ds.open[path]; other != nil { // somebody was faster
		ds.drop(other)
	}
	if len(ds.open) >= maxOpenDirectories {
		for _, other := range ds.open {
			ds.drop(other)
			break
		}
	}
	ds.open[path] = d
	d.users++
	return d, nil
}

func (ds *directories) done(d *directory) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	d.users--
	if d.dropped && d.users == 0 {
		d.close()
	}
}

// forget makes the next user of the path open it anew.
func (ds *directories) forget(path string) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	if d := ds.open[path]; d != nil {
		ds.drop(d)
	}
}

func (ds *directories) close() {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	for _, d := range ds.open {
		ds.drop(d)
	}
}

func (ds *directories) drop(d *directory) {
	delete(ds.open, d.path)
	d.dropped = true
	if d.users == 0 {
		d.close()
	}
}

// openDurable makes and opens a directory, and syncs all above it. That it was
// there already proves nothing: whoever made it may not have come to syncing it.
func (ds *directories) openDurable(name string) (*directory, error) {
	err := ds.root.MkdirAll(name, directoryMode)
	if errors.Is(err, fs.ErrExist) { // it was there, or a file is: see which, or that it was removed meanwhile
		if info, statErr := ds.root.Stat(name); errors.Is(statErr, fs.ErrNotExist) || statErr == nil && info.IsDir() {
			err = statErr
		}
	}
	if err != nil {
		return nil, err
	}
	root, err := ds.root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	file, err := root.Open(".")
	if err != nil {
		_ = root.Close()
		return nil, err
	}
	d := &directory{path: name, root: root, file: file}
	for name != "." {
		name = path.Dir(name)
		if err := syncDirectory(ds.root.Open(name)); err != nil {
			d.close()
			return nil, err
		}
	}
	return d, nil
}

// syncDirectory syncs and closes what was just opened.
func syncDirectory(directory *os.File, err error) error {
	if err != nil {
		return err
	}
	defer directory.Close()
	return directory.Sync()
}

// makeRoot makes the bucket's own directory and those above it, and syncs them.
func makeRoot(name string) error {
	info, err := os.Stat(name)
	switch {
	case err == nil && !info.IsDir():
		return fmt.Errorf("%s is not a directory", name)
	case err == nil:
		// Whoever made it may not have come to syncing it. If we may not do so
		// either, it is older than any bucket here.
		_ = syncDirectory(os.Open(filepath.Dir(name)))
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	parent := filepath.Dir(name)
	if parent == name {
		return err
	}
	if err := makeRoot(parent); err != nil {
		return err
	}
	if err := os.Mkdir(name, directoryMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDirectory(os.Open(parent))
}

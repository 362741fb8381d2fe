// Package snapshot keeps whole states as of a point of the log, each as a set of
// immutable objects:
//
//	snapshot/<name>/part-00000 …     records, packed; made first
//	snapshot/<name>/manifest.json    the snapshot exists once this does; made last
//
// A snapshot is a stream of the same records that the log holds, so that one
// replay serves both. What the records mean is not known here.
//
// A snapshot is full, or incremental: then it goes on from an older one, its base.
// Its manifest names all parts of the base, which stay where they are, and after
// those its own, with what has changed since. So each manifest names all that is to be
// read, in the order of reading, and no other manifest is needed for it.
//
// A snapshot's name says where in which history it belongs: the position of the
// last entry that it covers, and the beginning of that entry's hash. So one LIST
// shows whether the newest snapshot is on a reader's own chain (protocol, "the
// look"), without reading any.
package snapshot

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/internal/checked"
	"github.com/scheduler-store/scheduler-store/internal/packed"
	"github.com/scheduler-store/scheduler-store/persistence"
)

const (
	prefix       = "snapshot/"
	manifestFile = "/manifest.json"
)

// The formats of manifests. That of an incremental snapshot is its own, so that a
// version which would look for all parts in one folder refuses it. So is that of a state
// that expires: a version which does not know of it says that it is of a newer one, and
// not that it is damaged.
const (
	formatFull        = 1
	formatIncremental = 2
	formatExpiring    = 3 // full
)

// maxParts bounds the parts of a state: their numbers have five digits.
const maxParts = 100_000

// ErrDamaged: an object of a snapshot is missing or isn't what its manifest says.
var ErrDamaged = errors.New("snapshot is damaged")

// Folder is where the objects of one whole state lie: that of a snapshot, or any
// other, such as a backup's. Its last element is the state's name.
type Folder string

func (f Folder) manifestKey() string  { return string(f) + manifestFile }
func (f Folder) partKey(i int) string { return fmt.Sprintf("%s/part-%05d", f, i) }
func (f Folder) name() string         { return path.Base(string(f)) }

// Name identifies a snapshot: <position, 20 digits>-<16 hex digits of the chain's
// hash there>-<8 random hex digits>.
type Name struct {
	// Position is that of the last entry which the snapshot covers.
	Position persistence.Position
	hash     [8]byte
	nonce    [4]byte
}

// NewName returns a fresh name for a state of a point behind an entry.
func NewName(at persistence.Point) Name {
	n := Name{Position: at.Next - 1, hash: [8]byte(at.Hash[:8])}
	rand.Read(n.nonce[:])
	return n
}

func (n Name) String() string { return fmt.Sprintf("%020d-%x-%x", n.Position, n.hash, n.nonce) }

// ParseName is the inverse of String.
func ParseName(s string) (n Name, err error) {
	fields := strings.Split(s, "-")
	if len(fields) == 3 {
		var position uint64
		position, err = strconv.ParseUint(fields[0], 10, 64)
		n.Position = persistence.Position(position)
		hash, err1 := hex.DecodeString(fields[1])
		nonce, err2 := hex.DecodeString(fields[2])
		copy(n.hash[:], hash)
		copy(n.nonce[:], nonce)
		if err == nil && err1 == nil && err2 == nil && n.String() == s {
			return n, nil
		}
	}
	return Name{}, fmt.Errorf("%q is no snapshot's name, want <20 digits>-<16 hex digits>-<8 hex digits>", s)
}

// Fits tells whether the snapshot can belong to the history in which the entry
// at its position has this hash.
func (n Name) Fits(hash persistence.Hash) bool { return n.hash == [8]byte(hash[:8]) }

// Compare orders names by position; newer ones come later.
func (n Name) Compare(o Name) int {
	if c := cmp.Compare(n.Position, o.Position); c != 0 {
		return c
	}
	return strings.Compare(n.String(), o.String())
}

// ManifestKey is the object that makes the snapshot exist.
func (n Name) ManifestKey() string { return n.folder().manifestKey() }

func (n Name) folder() Folder { return Folder(prefix + n.String()) }

// Manifest describes a snapshot. Its object vouches for its own bits.
type Manifest struct {
	Format int `json:"format"`
	// Cell is the id of the cell that the snapshot is of.
	Cell string `json:"cell"`
	Name string `json:"name"`
	// Base names the snapshot that this one goes on from: empty if it is full.
	Base string `json:"base,omitzero"`
	// At is the point to go on from: the first entry that the snapshot does not
	// cover, and the chain's hash before it.
	At persistence.Point `json:"at"`
	// Records counts the records, Counts what the caller counted in them.
	Records int            `json:"records"`
	Counts  map[string]int `json:"counts"`
	Parts   []Part         `json:"parts"`
	// Made, By and Reason say when, on which host and why it was made.
	Made   time.Time `json:"made"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	// Expires is from when on the state is not wanted any more; zero is never. Only
	// backups have it.
	Expires time.Time `json:"expires,omitzero"`
	// Build says what wrote it.
	Build map[string]string `json:"build,omitzero"`

	folder Folder
	hash   persistence.Hash
}

// Folder is where the state's objects lie.
func (m *Manifest) Folder() Folder { return m.folder }

// Key is the manifest's object.
func (m *Manifest) Key() string { return m.folder.manifestKey() }

// Hash is the SHA-256 of the manifest's object. It vouches for every bit of the
// state, as the manifest does for those of the parts.
func (m *Manifest) Hash() persistence.Hash { return m.hash }

// PartKey is the object of the i-th part.
func (m *Manifest) PartKey(i int) string {
	if object := m.Parts[i].Object; object != "" {
		return object
	}
	return m.folder.partKey(i)
}

// Part is one object of records.
type Part struct {
	// Object is where the part lies if that is an older snapshot's folder: this one
	// then takes it over, and goes on from it.
	Object      string             `json:"object,omitzero"`
	Records     int                `json:"records"`
	RawBytes    int                `json:"rawBytes"`
	Bytes       int                `json:"bytes"`
	Compression packed.Compression `json:"compression"`
	SHA256      persistence.Hash   `json:"sha256"`
}

// Bytes is what the snapshot's parts take in the bucket, those of older ones included.
func (m *Manifest) Bytes() (n int64) {
	for _, p := range m.Parts {
		n += int64(p.Bytes)
	}
	return n
}

// OwnBytes is what the parts take that were made for this snapshot.
func (m *Manifest) OwnBytes() (n int64) {
	for _, p := range m.Parts {
		if p.Object == "" {
			n += int64(p.Bytes)
		}
	}
	return n
}

// Incremental tells whether the snapshot goes on from another.
func (m *Manifest) Incremental() bool { return m.Base != "" }

// List returns the snapshots that have a manifest and a name greater than after
// (nil: all), oldest first. A snapshot of the same position as after counts as
// newer if its name sorts after.
func List(ctx context.Context, b *bucket.Bucket, after *Name) ([]Name, error) {
	start := ""
	if after != nil {
		start = after.ManifestKey()
	}
	var names []Name
	for info, err := range b.List(ctx, prefix, start) {
		if err != nil {
			return nil, err
		}
		folder, ok := strings.CutSuffix(strings.TrimPrefix(info.Key, prefix), manifestFile)
		if !ok {
			continue
		}
		name, err := ParseName(folder)
		if err != nil {
			return nil, fmt.Errorf("%w: object %s has no snapshot's name; remove it if it is not this program's", ErrDamaged, info.Key)
		}
		if after == nil || name.Compare(*after) > 0 { // stores that don't sort show all
			names = append(names, name)
		}
	}
	slices.SortFunc(names, Name.Compare)
	return names, nil
}

// Read reads and checks a snapshot's manifest. Errors match ErrDamaged when the
// object is gone or wrong, and checked.ErrNewerFormat when it is of a newer
// version.
func Read(ctx context.Context, b *bucket.Bucket, cell string, name Name) (*Manifest, error) {
	m, err := ReadIn(ctx, b, name.folder())
	if errors.Is(err, bucket.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	} else if err != nil {
		return nil, err
	}
	if m.At.Next != name.Position+1 || !name.Fits(m.At.Hash) {
		return nil, fmt.Errorf("%w: %s describes snapshot %s at %v", ErrDamaged, name.ManifestKey(), m.Name, m.At)
	}
	if m.Cell != cell {
		return nil, fmt.Errorf("%w: %s belongs to cell %s, this one is %s", ErrDamaged, name.ManifestKey(), m.Cell, cell)
	}
	return m, nil
}

// readParallel is the number of manifests that ReadAll reads at once.
const readParallel = 16

// ReadAll reads and checks the manifests of many snapshots, as Read does. Each has either
// a manifest or an error.
func ReadAll(ctx context.Context, b *bucket.Bucket, cell string, names []Name) ([]*Manifest, []error) {
	manifests, errs := make([]*Manifest, len(names)), make([]error, len(names))
	var reads errgroup.Group
	reads.SetLimit(readParallel)
	for i, name := range names {
		reads.Go(func() error {
			manifests[i], errs[i] = Read(ctx, b, cell, name)
			return nil
		})
	}
	_ = reads.Wait() // the errors are in errs
	return manifests, errs
}

// ReadIn reads and checks the manifest in a folder, whichever cell it belongs to.
// Errors match bucket.ErrNotExist when there is none, ErrDamaged when it is wrong,
// and checked.ErrNewerFormat when it is of a newer version.
func ReadIn(ctx context.Context, b *bucket.Bucket, folder Folder) (*Manifest, error) {
	object, err := b.Get(ctx, folder.manifestKey())
	if err != nil {
		return nil, err
	}
	m := new(Manifest)
	if err := checked.DecodeAny(object.Data, formatFull, formatExpiring, m); errors.Is(err, checked.ErrNewerFormat) {
		return nil, fmt.Errorf("%s: %w", folder.manifestKey(), err)
	} else if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, folder.manifestKey(), err)
	}
	if m.Name != folder.name() {
		return nil, fmt.Errorf("%w: %s describes %s at %v", ErrDamaged, folder.manifestKey(), m.Name, m.At)
	}
	if err := m.checkParts(folder); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, folder.manifestKey(), err)
	}
	m.folder, m.hash = folder, sha256.Sum256(object.Data)
	return m, nil
}

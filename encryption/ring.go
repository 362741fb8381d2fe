package encryption

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/internal/checked"
)

// Ring has the data keys of one cell, as key objects in one place: those of the cell,
// or those that a backup carries. Its methods may be called by many goroutines.
type Ring struct {
	bucket  *bucket.Bucket
	under   string // what the names of the key objects come after
	cell    string
	keeper  *Keeper // nil if none was given
	parent  *Ring   // of the cell, asked first; nil for the cell's own
	metrics *metrics

	loading chan struct{} // held, by putting something in, by the one who reads key objects
	keys    atomic.Pointer[keys]
}

// keys are what a ring has unwrapped. They never change.
type keys struct {
	byNumber map[Number]*dataKey
	// newest seals; nil while nothing is encrypted.
	newest *dataKey
}

type dataKey struct {
	*xaes
	number Number
	secret [keySize]byte
	// object is the key object that it came from, name its name.
	name   Name
	object []byte
}

// Open returns the ring of a cell, with its newest data key unwrapped. Where there is
// none and a keeper is given it makes the first, if create is set: then made is true, and
// from here on the cell is encrypted. It makes one request if there is none, two if there
// are some, and as many to the keeper as it unwraps.
//
// If there are keys and no keeper is given, the error matches ErrKeyNeeded; others match
// ErrWrongKey, ErrLocked, or are an *ObjectError.
func Open(ctx context.Context, b *bucket.Bucket, cell string, keeper *Keeper, create bool) (r *Ring, made bool, err error) {
	r = newRing(b, prefix, cell, keeper, newMetrics())
	names, err := listNames(ctx, b, prefix)
	switch {
	case err != nil || len(names) == 0 && keeper == nil:
		return r, false, err
	case keeper == nil:
		return nil, false, fmt.Errorf("%w (%s%v of %s says so)", ErrKeyNeeded, prefix, slices.MaxFunc(names, compareNames), b.Name())
	case len(names) == 0 && !create:
		return r, false, nil
	case len(names) == 0:
		if made, err = r.make(ctx, 1); err == nil {
			names, err = listNames(ctx, b, prefix)
		}
	}
	if err == nil {
		err = r.adopt(ctx, names)
	}
	if err != nil {
		r.metrics.failures.Inc()
		return nil, false, fmt.Errorf("open the keys of %s: %w", b.Name(), err)
	}
	return r, made, nil
}

func newRing(b *bucket.Bucket, under, cell string, keeper *Keeper, m *metrics) *Ring {
	r := &Ring{bucket: b, under: under, cell: cell, keeper: keeper, metrics: m, loading: make(chan struct{}, 1)}
	r.keys.Store(&keys{})
	return r
}

func compareNames(a, b Name) int { return strings.Compare(a.String(), b.String()) }

// Newest is the number of the data key that seals, 0 if nothing is encrypted.
func (r *Ring) Newest() Number {
	if k := r.keys.Load().newest; k != nil {
		return k.number
	}
	return 0
}

// Keeper is the keeper that was given, nil if none was.
func (r *Ring) Keeper() *Keeper { return r.keeper }

// Seal appends the encrypted body of plain, which must not overlap it, to dst; extra is
// needed for opening it again. There must be a newest key. It never waits.
func (r *Ring) Seal(dst, plain, extra []byte) []byte {
	k := r.keys.Load().newest
	dst = binary.BigEndian.AppendUint32(dst, uint32(k.number))
	return k.seal(dst, plain, extra)
}

// Open appends what was sealed to dst. It has a data key unwrapped that it does not
// know. An error that matches ErrLocked says nothing of the body; any other is damage.
func (r *Ring) Open(ctx context.Context, dst, body, extra []byte) ([]byte, error) {
	number, err := numberOf(body)
	if err != nil {
		return nil, err
	}
	k, err := r.key(ctx, number)
	if err != nil {
		return nil, err
	}
	plain, err := k.open(dst, body[numberSize:], extra)
	if err != nil {
		return nil, fmt.Errorf("encrypted body does not open with data key %d, which it names: it is not what was sealed", number)
	}
	return plain, nil
}

// key returns a data key that a body names.
func (r *Ring) key(ctx context.Context, number Number) (*dataKey, error) {
	if k := r.keys.Load().byNumber[number]; k != nil {
		return k, nil
	}
	k, err := r.load(ctx, number)
	if err == nil {
		return k, nil
	}
	r.metrics.failures.Inc()
	if _, damage := errors.AsType[*ObjectError](err); damage {
		return nil, fmt.Errorf("body is encrypted with data key %d: %w", number, err)
	}
	return nil, fmt.Errorf("%w: body is encrypted with data key %d: %w", ErrLocked, number, err)
}

// load has one data key unwrapped.
func (r *Ring) load(ctx context.Context, number Number) (*dataKey, error) {
	if r.keeper == nil {
		return nil, ErrKeyNeeded
	}
	if r.parent != nil && r.parent.cell == r.cell {
		k, err := r.parent.load(ctx, number)
		if _, damage := errors.AsType[*ObjectError](err); !damage {
			return k, err
		}
	}
	release, err := r.hold(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	if k := r.keys.Load().byNumber[number]; k != nil { // another was faster
		return k, nil
	}
	names, err := listNames(ctx, r.bucket, r.under)
	if err != nil {
		return nil, err
	}
	k, err := r.unwrap(ctx, names, number)
	if err != nil {
		return nil, err
	}
	r.remember(k, r.keys.Load().newest)
	return k, nil
}

// hold makes the caller the one who reads key objects, until release is called.
func (r *Ring) hold(ctx context.Context) (release func(), err error) {
	select {
	case r.loading <- struct{}{}:
		return func() { <-r.loading }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (r *Ring) remember(k, newest *dataKey) {
	byNumber := maps.Clone(r.keys.Load().byNumber)
	if byNumber == nil {
		byNumber = map[Number]*dataKey{}
	}
	byNumber[k.number] = k
	r.keys.Store(&keys{byNumber, newest})
	if newest != nil && r.parent == nil {
		r.metrics.newest.Set(float64(newest.number))
	}
}

// Refresh takes up the newest data key, if another process has made one, and makes sure
// that the one which seals is still in the bucket. It makes one request if nothing has
// changed. A ring without a keeper has nothing to take up.
func (r *Ring) Refresh(ctx context.Context) error {
	if r.keeper == nil {
		return nil
	}
	release, err := r.hold(ctx)
	if err != nil {
		return err
	}
	defer release()
	names, err := listNames(ctx, r.bucket, r.under)
	if err == nil {
		err = r.adopt(ctx, names)
	}
	if err != nil {
		r.metrics.failures.Inc()
	}
	return err
}

// adopt makes the newest of the data keys that were listed the one that seals.
func (r *Ring) adopt(ctx context.Context, names []Name) error {
	number := newestOf(names)
	if now := r.keys.Load().newest; now != nil {
		if !slices.ContainsFunc(names, func(n Name) bool { return n.Number == now.number }) {
			return &ObjectError{r.under + now.name.String(), errors.New("missing, though it seals what is written now; put it back from a copy of the bucket before this process ends")}
		}
		if number == now.number {
			return nil
		}
	}
	if number == 0 {
		return nil
	}
	k, err := r.unwrap(ctx, names, number)
	if err != nil {
		return err
	}
	r.remember(k, k)
	return nil
}

// unwrap reads a data key from one of its key objects: one that this keeper wrapped, else
// any that it unwraps, newest first. (A key of a KMS may have several names.)
func (r *Ring) unwrap(ctx context.Context, names []Name, number Number) (*dataKey, error) {
	names = slices.DeleteFunc(slices.Clone(names), func(n Name) bool { return n.Number != number })
	if len(names) == 0 {
		return nil, r.missing(number)
	}
	slices.SortFunc(names, func(a, b Name) int { return b.Wrapping - a.Wrapping })
	objects, raw := make([]*Object, len(names)), map[*Object][]byte{}
	for i, name := range names {
		o, data, err := readObject(ctx, r.bucket, r.under, r.cell, name)
		if err != nil {
			return nil, err
		}
		objects[i], raw[o] = o, data
	}
	slices.SortStableFunc(objects, func(a, b *Object) int {
		return boolOrder(b.Keeper == r.keeper.name) - boolOrder(a.Keeper == r.keeper.name)
	})
	var wrong []error
	for _, o := range objects {
		secret, err := o.unwrap(ctx, r.keeper)
		if err == nil {
			r.metrics.unwraps.Inc()
			return &dataKey{newXAES(secret), number, secret, o.name(), raw[o]}, nil
		}
		err = fmt.Errorf("%s%v was wrapped by %s, and --key is %s: %w", r.under, o.name(), o.Keeper, r.keeper.name, err)
		if foreign, ok := errors.AsType[*ObjectError](err); ok {
			return nil, &ObjectError{r.under + foreign.Object, foreign.Reason}
		}
		if !errors.Is(err, ErrWrongKey) {
			return nil, fmt.Errorf("the keeper can't be asked: %w", err)
		}
		wrong = append(wrong, err)
	}
	return nil, errors.Join(wrong...)
}

func (r *Ring) missing(number Number) error {
	return &ObjectError{r.under + Name{number, 1}.String(), errors.New("missing, and so is any other with this data key; put it back from a copy of the bucket")}
}

// HasKeyOf makes sure that the data key which sealed a body, of which it needs the first
// Overhead bytes, has a key object. It needs no keeper. The error is an *ObjectError if
// there is none.
func (r *Ring) HasKeyOf(ctx context.Context, body []byte) error {
	number, err := numberOf(body)
	if err != nil {
		return err
	}
	names, err := listNames(ctx, r.bucket, r.under)
	if err == nil && !slices.ContainsFunc(names, func(n Name) bool { return n.Number == number }) {
		err = r.missing(number)
	}
	return err
}

func boolOrder(b bool) int {
	if b {
		return 1
	}
	return 0
}

// List returns all key objects of a cell, by number and wrapping. It needs no keeper.
// Those that are damaged are in the error, joined, and left out.
func List(ctx context.Context, b *bucket.Bucket) ([]*Object, error) {
	names, err := listNames(ctx, b, prefix)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(names, compareNames)
	var objects []*Object
	var bad error
	for _, name := range names {
		o, _, err := readObject(ctx, b, prefix, "", name)
		if err != nil {
			bad = errors.Join(bad, err)
			continue
		}
		objects = append(objects, o)
	}
	return objects, bad
}

// Lasting tells whether an error will be the same at the next try with the same key.
func Lasting(err error) bool {
	_, damage := errors.AsType[*ObjectError](err)
	return damage || errors.Is(err, ErrKeyNeeded) || errors.Is(err, ErrWrongKey) || errors.Is(err, checked.ErrNewerFormat)
}

package encryption

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/internal/checked"
)

// prefix is where a cell's key objects lie.
const prefix = "key/"

// carriedPrefix is what the names of those begin with that lie in the folder of a state.
const carriedPrefix = "key-"

const format = 1

// Number is that of a data key in its cell: 1, 2, 3 …
type Number uint32

func (n Number) String() string { return strconv.FormatUint(uint64(n), 10) }

// Name is that of a key object: <number of the data key, 10 digits>-<number of its
// wrapping, 4 digits>.json. The same data key may lie there wrapped by several keepers.
type Name struct {
	Number   Number
	Wrapping int
}

func (n Name) String() string { return fmt.Sprintf("%010d-%04d.json", n.Number, n.Wrapping) }

func parseName(s string) (n Name, err error) {
	rest, ok := strings.CutSuffix(s, ".json")
	number, wrapping, ok2 := strings.Cut(rest, "-")
	n64, err1 := strconv.ParseUint(number, 10, 32)
	w64, err2 := strconv.ParseUint(wrapping, 10, 16)
	n = Name{Number(n64), int(w64)}
	if !ok || !ok2 || err1 != nil || err2 != nil || n.Number == 0 || n.Wrapping == 0 || n.String() != s {
		return Name{}, errors.New("this is no key object's name; remove it if it is not this program's")
	}
	return n, nil
}

// Object is a data key as it lies in the bucket, wrapped. It is made by put-if-absent
// and never changed.
type Object struct {
	Format int `json:"format"`
	// Cell is the id of the cell whose key it is.
	Cell     string `json:"cell"`
	Number   Number `json:"number"`
	Wrapping int    `json:"wrapping"`
	// Keeper is the name of the one that wrapped it.
	Keeper string `json:"keeper"`
	// Wrapped is what the keeper made of the place and the data key.
	Wrapped []byte `json:"wrapped"`
	// Made and By say when and on which host the object was made.
	Made time.Time `json:"made"`
	By   string    `json:"by"`
}

func (o *Object) name() Name { return Name{o.Number, o.Wrapping} }

// place is wrapped together with the data key, so that a key object that was taken
// from elsewhere is not accepted.
func (o *Object) place() string {
	return fmt.Sprintf("scheduler-store %s %d ", o.Cell, o.Number)
}

// newObject wraps a data key.
func newObject(ctx context.Context, k *Keeper, cell string, name Name, key [keySize]byte) ([]byte, error) {
	host, _ := os.Hostname() // it is there for people only
	o := &Object{Format: format, Cell: cell, Number: name.Number, Wrapping: name.Wrapping, Keeper: k.name,
		Made: time.Now().UTC().Truncate(time.Millisecond), By: host}
	var err error
	if o.Wrapped, err = k.wrap(ctx, append([]byte(o.place()), key[:]...)); err != nil {
		return nil, err
	}
	return checked.Encode(o)
}

// unwrap returns the data key. See Keeper.unwrap for the error; it is an *ObjectError if
// the object was made for another place.
func (o *Object) unwrap(ctx context.Context, k *Keeper) (key [keySize]byte, err error) {
	secret, err := k.unwrap(ctx, o.Wrapped)
	if err != nil {
		return key, err
	}
	rest, ok := strings.CutPrefix(string(secret), o.place())
	if !ok || len(rest) != keySize {
		return key, &ObjectError{o.name().String(), fmt.Errorf("what is wrapped in it is not data key %d of cell %s", o.Number, o.Cell)}
	}
	return [keySize]byte([]byte(rest)), nil
}

// readObject reads a key object and checks all of it that needs no keeper.
func readObject(ctx context.Context, b *bucket.Bucket, under, cell string, name Name) (*Object, []byte, error) {
	key := under + name.String()
	data, err := b.Get(ctx, key)
	if errors.Is(err, bucket.ErrNotExist) {
		return nil, nil, &ObjectError{key, err}
	} else if err != nil {
		return nil, nil, err
	}
	o := new(Object)
	if err := checked.Decode(data.Data, format, o); errors.Is(err, checked.ErrNewerFormat) {
		return nil, nil, fmt.Errorf("%s: %w", key, err)
	} else if err != nil {
		return nil, nil, &ObjectError{key, err}
	}
	if o.name() != name {
		return nil, nil, &ObjectError{key, fmt.Errorf("it says that it is %v", o.name())}
	}
	if cell != "" && o.Cell != cell {
		return nil, nil, &ObjectError{key, fmt.Errorf("it is of cell %s, this one is %s", o.Cell, cell)}
	}
	return o, data.Data, nil
}

// listNames lists the key objects under a prefix, in no order.
func listNames(ctx context.Context, b *bucket.Bucket, under string) ([]Name, error) {
	var names []Name
	for info, err := range b.List(ctx, under, "") {
		if err != nil {
			return nil, err
		}
		name, err := parseName(strings.TrimPrefix(info.Key, under))
		if err != nil {
			return nil, &ObjectError{info.Key, err}
		}
		names = append(names, name)
	}
	return names, nil
}

// newestOf returns the number of the newest data key, 0 if there is none.
func newestOf(names []Name) (newest Number) {
	for _, n := range names {
		newest = max(newest, n.Number)
	}
	return newest
}

// The layout of an encrypted body:
//
//	 0  number of the data key, big-endian    4
//	 4  nonce, random                        24
//	28  ciphertext, as long as the plain bytes
//	    tag                                  16
const (
	numberSize = 4
	// Overhead is how much longer a body becomes, in bytes.
	Overhead = numberSize + nonceSize + tagSize
)

func numberOf(body []byte) (Number, error) {
	if len(body) < Overhead {
		return 0, fmt.Errorf("encrypted body has %d bytes, %d at least are wanted", len(body), Overhead)
	}
	return Number(binary.BigEndian.Uint32(body)), nil
}

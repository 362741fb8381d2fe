package bucket

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
)

// Operation is a kind of request.
type Operation string

// The operations, in the order of Usage.
const (
	OpGet     Operation = "get"
	OpCreate  Operation = "create"
	OpReplace Operation = "replace"
	OpList    Operation = "list"
	OpDelete  Operation = "delete"
)

var operations = []Operation{OpGet, OpCreate, OpReplace, OpList, OpDelete}

// Object is what a request was about: the first element of its key, as the protocol
// has them. A listing's is that of its prefix.
type ObjectKind string

// The objects, in the order of Usage. Whatever else a key begins with is ObjectOther.
const (
	ObjectCell     ObjectKind = "cell"
	ObjectLease    ObjectKind = "lease"
	ObjectLog      ObjectKind = "log"
	ObjectSnapshot ObjectKind = "snapshot"
	ObjectRestore  ObjectKind = "restore"
	ObjectBackup   ObjectKind = "backup"
	ObjectKey      ObjectKind = "key"
	ObjectOther    ObjectKind = "other"
)

var objects = []ObjectKind{ObjectCell, ObjectLease, ObjectLog, ObjectSnapshot, ObjectRestore, ObjectBackup, ObjectKey, ObjectOther}

func objectOf(key string) ObjectKind {
	first, _, _ := strings.Cut(key, "/")
	if object := ObjectKind(strings.TrimSuffix(first, ".json")); slices.Contains(objects, object) {
		return object
	}
	return ObjectOther
}

// Usage is what was asked of a bucket, of one operation and one object.
type Usage struct {
	Operation Operation
	Object    ObjectKind
	// Requests that the store may ask money for: each try and each page of a listing
	// counts, but what the store failed to answer (5xx) does not.
	Requests int64
	// Refused are those of them that were answered with a 4xx, such as "not found".
	Refused int64
	// Bytes of bodies: read by OpGet, sent by OpCreate and OpReplace. A retry's are
	// not counted again.
	Bytes int64
}

// Usage is what this Bucket was asked for so far, without what it never was. It makes
// no request.
func (b *Bucket) Usage() []Usage {
	var all []Usage
	for _, op := range operations {
		for _, object := range objects {
			t := b.metrics.usage[tallyKey{op, object}]
			if u := (Usage{op, object, t.requests.Load(), t.refused.Load(), t.bytes.Load()}); u.Requests > 0 {
				all = append(all, u)
			}
		}
	}
	return all
}

type tallyKey struct {
	operation Operation
	object    ObjectKind
}

type tally struct{ requests, refused, bytes atomic.Int64 }

// usage has a tally for each operation and object; the map never changes.
type usage map[tallyKey]*tally

func newUsage() usage {
	u := usage{}
	for _, op := range operations {
		for _, object := range objects {
			u[tallyKey{op, object}] = new(tally)
		}
	}
	return u
}

// begin counts what a call sends with the context that it returns. The function, to be
// called at its end, counts one request if the driver told of none and there was an
// answer.
func (u usage) begin(ctx context.Context, op Operation, object ObjectKind) (context.Context, func(size int, result string)) {
	t, told := u[tallyKey{op, object}], new(atomic.Bool)
	sent := func(refused bool) {
		told.Store(true)
		t.requests.Add(1)
		if refused {
			t.refused.Add(1)
		}
	}
	return driver.CountRequests(ctx, sent), func(size int, result string) {
		t.bytes.Add(int64(size))
		refused := slices.Contains(refusals, result)
		if !told.Load() && (refused || result == resultOK) {
			sent(refused)
		}
	}
}

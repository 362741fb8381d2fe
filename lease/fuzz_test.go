package lease

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/internal/checked"
	"github.com/scheduler-store/scheduler-store/internal/hostile"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// FuzzLease: whatever the lease object is, it is refused by name, and neither a look nor
// a break changes it; or it is what would be written.
func FuzzLease(f *testing.F) {
	held := State{Epoch: 7, Holder: persistence.WriterID{1}, Host: "host-1", URL: "http://host-1:8080", TTL: 15 * time.Second,
		Beat: 3, Durable: 40, Renewed: time.UnixMilli(1_700_000_000_123).UTC()}
	released := held
	released.Released = true
	broken := released
	broken.Breaker = persistence.WriterID{2}
	for _, s := range []State{held, released, broken} {
		object, err := encode(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(object, false)
		f.Add(hostile.Unvouched(object), true)
	}
	f.Fuzz(func(t *testing.T, object []byte, vouch bool) {
		if vouch {
			object = hostile.Vouched(object)
		}
		mem := memdriver.New()
		mem.Put(Key, object)
		b := bucket.New(mem, "mem://test", "", bucket.Options{})
		var s State
		var err error
		got := hostile.Allocated(func() { s, err = Read(t.Context(), b) })
		if got > uint64(1<<20+100*len(object)) {
			t.Errorf("%d bytes allocated for %d", got, len(object))
		}
		if err == nil {
			if again, err := encode(s); err != nil || !bytes.Equal(again, object) {
				t.Errorf("%+v was taken, and is written as %s (%v)", s, again, err)
			}
			return
		}
		if !strings.Contains(err.Error(), Key) || !errors.Is(err, checked.ErrDamaged) && !errors.Is(err, checked.ErrNewerFormat) {
			t.Errorf("%v, want damage of %s, or a newer format", err, Key)
		}
		if _, err := Break(t.Context(), b); err == nil {
			t.Error("it was broken")
		}
		if !bytes.Equal(mem.Data(Key), object) || len(mem.Keys()) != 1 {
			t.Errorf("it was changed to %s", mem.Data(Key))
		}
	})
}

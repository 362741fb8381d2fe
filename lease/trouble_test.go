package lease_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/internal/checked"
	"github.com/scheduler-store/scheduler-store/lease"
)

// A lease object that says what can't be is damaged, though its checksum is right. It is
// left as it is, and the error says what to do.
func TestLeaseThatSaysWhatCantBe(t *testing.T) {
	type object struct {
		Format  int       `json:"format"`
		Epoch   uint64    `json:"epoch"`
		Holder  string    `json:"holder"`
		Host    string    `json:"host"`
		URL     string    `json:"url"`
		TTL     int64     `json:"ttl"`
		State   string    `json:"state"`
		Beat    uint64    `json:"beat"`
		Durable uint64    `json:"durable"`
		Renewed time.Time `json:"renewed"`
	}
	const holder = "0123456789abcdef0123456789abcdef"
	for text, o := range map[string]object{
		"neither held nor released": {Format: 1, Epoch: 1, Holder: holder, TTL: 15000, State: "borrowed"},
		"epoch 0":                   {Format: 1, Holder: holder, TTL: 15000, State: "held"},
		"a TTL of -1 ms":            {Format: 1, Epoch: 1, Holder: holder, TTL: -1, State: "held"},
	} {
		data, err := checked.Encode(o)
		if err != nil {
			t.Fatal(err)
		}
		store := memdriver.New()
		store.Put(lease.Key, data)
		b := newNode(store).bucket()
		_, err = lease.Read(t.Context(), b)
		if !errors.Is(err, checked.ErrDamaged) || !strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), "delete the object") {
			t.Errorf("%v, want damage that says %q", err, text)
		}
		if _, err := lease.Break(t.Context(), b); !errors.Is(err, checked.ErrDamaged) || string(store.Data(lease.Key)) != string(data) {
			t.Errorf("break: %v", err)
		}
	}
}

// An operator who deleted the lease object has released it: that is no error, and it is
// not put back.
func TestReleaseOfADeletedLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		l := acquire(t, newNode(store), 3, lease.Options{})
		store.Remove(lease.Key)
		if err := l.Release(t.Context()); err != nil {
			t.Error(err)
		}
		if store.Data(lease.Key) != nil {
			t.Error("it was put back")
		}
	})
}

// Breaking names the object when the lease can't be read, at the first look or at one
// after a renewal came first, and says that nothing is known of it.
func TestBreakThatCantRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		l := acquire(t, newNode(store), 0, lease.Options{})
		operator := newNode(store).bucket()
		for skip := range 2 {
			renewed := store.Inject(memdriver.Fault{Operation: memdriver.Replace, Times: 1, Do: memdriver.Delay(ttl / 2)})
			// Of the holder's requests none is a read. The second of the operator's looks whether
			// what changed is its own.
			store.Inject(memdriver.Fault{Operation: memdriver.Get, Skip: 2 * skip, Do: memdriver.Deny})
			_, err := lease.Break(t.Context(), operator)
			store.Heal()
			if !errors.Is(err, bucket.ErrDenied) || !strings.Contains(err.Error(), lease.Key) {
				t.Errorf("read %d refused: %v", skip, err)
			}
			if skip == 1 && renewed.Hits() != 1 {
				t.Error("no renewal came first")
			}
		}
		if !l.Held() {
			t.Error("it was broken")
		}
	})
}

package encryption

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"gocloud.dev/gcerrors"
	"gocloud.dev/secrets"
	"gocloud.dev/secrets/localsecrets"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/internal/checked"
)

// cell is a place for keys in memory.
type cell struct {
	*testing.T
	mem *memdriver.Bucket
}

func newCell(t *testing.T) *cell { return &cell{t, memdriver.New()} }

func (c *cell) bucket() *bucket.Bucket { return bucket.New(c.mem, "mem://test", "", bucket.Options{}) }

func (c *cell) open(k *Keeper) (*Ring, error) {
	r, _, err := Open(c.Context(), c.bucket(), "cell", k, true)
	return r, err
}

func (c *cell) mustOpen(k *Keeper) *Ring {
	c.Helper()
	r, err := c.open(k)
	if err != nil {
		c.Fatal(err)
	}
	return r
}

// says checks an error: what it matches, and what it has.
func (c *cell) says(err, target error, parts ...string) {
	c.Helper()
	if err == nil || target != nil && !errors.Is(err, target) {
		c.Errorf("%v, want %v", err, target)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			c.Errorf("no %q in %q", part, err)
		}
	}
}

func (c *cell) opens(r *Ring, body []byte, want string) {
	c.Helper()
	if plain, err := r.Open(c.Context(), nil, body, []byte("extra")); err != nil || string(plain) != want {
		c.Errorf("opened %q, %v; want %q", plain, err, want)
	}
}

func seal(r *Ring, plain string) []byte { return r.Seal(nil, []byte(plain), []byte("extra")) }

// service is a keeper that can be out of reach, and counts what it is asked.
type service struct {
	driver
	down  atomic.Bool
	asked atomic.Int64
}

type driver interface {
	Decrypt(context.Context, []byte) ([]byte, error)
	Encrypt(context.Context, []byte) ([]byte, error)
}

type local struct{ *secrets.Keeper }

func newService(name string, key byte) (*service, *Keeper) {
	s := &service{driver: local{localsecrets.NewKeeper([32]byte{key})}}
	return s, NewKeeper(name, secrets.NewKeeper(s))
}

var errDown = errors.New("connection refused")

func (s *service) Decrypt(ctx context.Context, b []byte) ([]byte, error) {
	if s.asked.Add(1); s.down.Load() {
		return nil, errDown
	}
	return s.driver.Decrypt(ctx, b)
}

func (s *service) Encrypt(ctx context.Context, b []byte) ([]byte, error) {
	if s.asked.Add(1); s.down.Load() {
		return nil, errDown
	}
	return s.driver.Encrypt(ctx, b)
}

func (s *service) Close() error                  { return nil }
func (s *service) ErrorAs(err error, i any) bool { return errors.As(err, i) }
func (s *service) ErrorCode(err error) gcerrors.ErrorCode {
	if errors.Is(err, errDown) {
		return gcerrors.Unknown
	}
	return gcerrors.InvalidArgument
}

func TestCellWithKeysNeedsTheKey(t *testing.T) {
	c := newCell(t)
	if r := c.mustOpen(nil); r.Newest() != 0 {
		t.Fatal("encrypted without a key")
	}
	key := NewLocalKeeper([32]byte{1})
	body := seal(c.mustOpen(key), "secret")
	_, err := c.open(nil)
	c.says(err, ErrKeyNeeded, "key/0000000001-0001.json", "--key", "mem://test")
	_, err = c.open(NewLocalKeeper([32]byte{2}))
	c.says(err, ErrWrongKey, "key/0000000001-0001.json", key.Name(), NewLocalKeeper([32]byte{2}).Name())
	if !Lasting(err) {
		t.Error("a wrong key may pass")
	}
	c.opens(c.mustOpen(key), body, "secret")
	if key.Name() == NewLocalKeeper([32]byte{2}).Name() {
		t.Error("two keys have one name")
	}
}

func TestReadOnlyMakesNoKey(t *testing.T) {
	c := newCell(t)
	r, made, err := Open(t.Context(), c.bucket(), "cell", NewLocalKeeper([32]byte{1}), false)
	if err != nil || made || r.Newest() != 0 || len(c.mem.Keys()) != 0 {
		t.Fatal(made, err, c.mem.Keys())
	}
}

// A ring that had no key when it was opened, as a follower's may, reads what is
// encrypted since.
func TestKeysAreFoundWhenABodyNamesThem(t *testing.T) {
	c := newCell(t)
	s, key := newService("service", 1)
	follower, _, err := Open(t.Context(), c.bucket(), "cell", key, false)
	if err != nil {
		t.Fatal(err)
	}
	blind := c.mustOpen(nil)
	leader := c.mustOpen(key)
	first := seal(leader, "first")
	if _, err := leader.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := seal(leader, "second")
	c.opens(follower, second, "second")
	c.opens(follower, first, "first")
	asked := s.asked.Load()
	c.opens(follower, second, "second")
	c.opens(follower, first, "first")
	if n := s.asked.Load() - asked; n != 0 {
		t.Errorf("%d requests to the keeper for keys that it has unwrapped", n)
	}
	_, err = blind.Open(t.Context(), nil, first, nil)
	c.says(err, ErrLocked, "--key")
	c.says(err, ErrKeyNeeded)
}

func TestRacingProcessesUseOneFirstKey(t *testing.T) {
	for range 20 {
		c, key := newCell(t), NewLocalKeeper([32]byte{1})
		rings, makers := make([]*Ring, 8), atomic.Int64{}
		var all sync.WaitGroup
		for i := range rings {
			all.Go(func() {
				r, made, err := Open(t.Context(), c.bucket(), "cell", key, true)
				if err != nil {
					t.Error(err)
					return
				}
				if rings[i] = r; made {
					makers.Add(1)
				}
			})
		}
		all.Wait()
		if t.Failed() {
			return
		}
		if n := makers.Load(); n != 1 || len(c.mem.Keys()) != 1 {
			t.Fatalf("%d have made it; %v", n, c.mem.Keys())
		}
		for _, r := range rings {
			c.opens(rings[0], seal(r, "x"), "x")
		}
	}
}

func TestRotationIsTakenUp(t *testing.T) {
	c := newCell(t)
	s, key := newService("service", 1)
	leader, other := c.mustOpen(key), c.mustOpen(key)
	old := seal(leader, "old")
	if n, err := other.Rotate(t.Context()); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	if leader.Newest() != 1 {
		t.Fatal("without being asked")
	}
	if err := leader.Refresh(t.Context()); err != nil || leader.Newest() != 2 {
		t.Fatal(leader.Newest(), err)
	}
	c.opens(leader, old, "old")
	asked, lists := s.asked.Load(), c.mem.Count(memdriver.Any)
	for range 100 {
		c.opens(other, seal(leader, "new"), "new")
	}
	if err := leader.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.asked.Load() != asked || c.mem.Count(memdriver.Any) != lists+1 {
		t.Errorf("%d requests to the keeper and %d to the bucket, want none and one LIST", s.asked.Load()-asked, c.mem.Count(memdriver.Any)-lists)
	}
}

// Two that rotate at once make one key: the other says so.
func TestRacingRotations(t *testing.T) {
	c := newCell(t)
	r := c.mustOpen(NewLocalKeeper([32]byte{1}))
	c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Times: 1, Do: memdriver.Before(func(string) {
		if _, err := c.mustOpen(NewLocalKeeper([32]byte{1})).Rotate(t.Context()); err != nil {
			t.Error(err)
		}
	})})
	_, err := r.Rotate(t.Context())
	c.says(err, ErrRotated, "number 2")
	if r.Newest() != 2 {
		t.Errorf("seals with %d", r.Newest())
	}
}

func TestRewrap(t *testing.T) {
	c := newCell(t)
	from, to := NewLocalKeeper([32]byte{1}), NewLocalKeeper([32]byte{2})
	r := c.mustOpen(from)
	bodies := [][]byte{seal(r, "body")}
	if _, err := r.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	bodies = append(bodies, seal(r, "body"))
	before := c.mem.Clone()
	// It fails in the middle, and is done again.
	c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Skip: 1, Times: 1, Do: memdriver.Fail})
	done, err := r.Rewrap(t.Context(), to)
	if len(done) != 1 || err == nil {
		t.Fatal(done, err)
	}
	if done, err = r.Rewrap(t.Context(), to); len(done) != 1 || err != nil {
		t.Fatal(done, err)
	}
	if done, err = r.Rewrap(t.Context(), to); len(done) != 0 || err != nil {
		t.Fatal(done, err)
	}
	for _, key := range before.Keys() {
		if string(before.Data(key)) != string(c.mem.Data(key)) {
			t.Errorf("%s was changed", key)
		}
	}
	for _, k := range []*Keeper{from, to} {
		for _, body := range bodies {
			c.opens(c.mustOpen(k), body, "body")
		}
	}
	objects, err := List(t.Context(), c.bucket())
	if err != nil || len(objects) != 4 || objects[1].Keeper != to.Name() {
		t.Fatal(len(objects), err)
	}
}

func TestMissingKeyObjectIsDamage(t *testing.T) {
	c := newCell(t)
	key := NewLocalKeeper([32]byte{1})
	r := c.mustOpen(key)
	body := seal(r, "x")
	if _, err := r.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.mem.Remove("key/0000000001-0001.json")
	_, err := c.mustOpen(key).Open(t.Context(), nil, body, []byte("extra"))
	c.says(err, nil, "key/0000000001-0001.json", "missing")
	if errors.Is(err, ErrLocked) {
		t.Error("a key object that is gone does not come back")
	}
	c.mem.Remove("key/0000000002-0001.json")
	c.says(r.Refresh(t.Context()), nil, "key/0000000002-0001.json", "missing")
	if r.Newest() != 2 {
		t.Error("the ring has forgotten its key")
	}
}

func TestDamagedKeyObjectIsNamed(t *testing.T) {
	key := NewLocalKeeper([32]byte{1})
	c := newCell(t)
	c.mustOpen(key)
	name := "key/0000000001-0001.json"
	data := c.mem.Data(name)
	for bit := range 8 * len(data) {
		flipped := append([]byte(nil), data...)
		flipped[bit/8] ^= 1 << (bit % 8)
		c.mem.Put(name, flipped)
		if _, err := c.open(key); err == nil || !strings.Contains(err.Error(), name) {
			t.Fatalf("bit %d: %v", bit, err)
		}
	}
	// It is whole, but not from here.
	for what, change := range map[string]func(*Object){
		"another cell's":   func(o *Object) { o.Cell = "other" },
		"another number's": func(o *Object) { o.Number = 2 },
		"another key":      func(o *Object) { o.Wrapped[len(o.Wrapped)-1] ^= 1 },
	} {
		var o Object
		if err := checked.Decode(data, format, &o); err != nil {
			t.Fatal(err)
		}
		change(&o)
		other, err := checked.Encode(&o)
		if err != nil {
			t.Fatal(err)
		}
		c.mem.Put(name, other)
		if _, err := c.open(key); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Whoever may write to the bucket can't make a cell use another cell's key under a name
// of its own, even if the keeper is the same.
func TestKeyOfAnotherCellIsRefused(t *testing.T) {
	c, key := newCell(t), NewLocalKeeper([32]byte{1})
	c.mustOpen(key)
	var o Object
	if err := checked.Decode(c.mem.Data("key/0000000001-0001.json"), format, &o); err != nil {
		t.Fatal(err)
	}
	o.Cell = "other"
	data, err := checked.Encode(&o)
	if err != nil {
		t.Fatal(err)
	}
	c.mem.Put("key/0000000001-0001.json", data)
	_, _, err = Open(t.Context(), c.bucket(), "other", key, true)
	damage, ok := errors.AsType[*ObjectError](err)
	if !ok || damage.Object != "key/0000000001-0001.json" {
		t.Fatal(err)
	}
}

func TestKeeperOutOfReach(t *testing.T) {
	c := newCell(t)
	s, key := newService("service", 1)
	body := seal(c.mustOpen(key), "x")
	s.down.Store(true)
	_, err := c.open(key)
	c.says(err, errDown, "key/0000000001-0001.json", "service", "can't be asked")
	if Lasting(err) {
		t.Error("it will pass")
	}
	// A ring that has no key yet says of a body only that it can't be read now.
	s.down.Store(false)
	if _, err := c.mustOpen(key).Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := c.mustOpen(key)
	s.down.Store(true)
	_, err = r.Open(t.Context(), nil, body, []byte("extra"))
	c.says(err, ErrLocked, "data key 1")
	s.down.Store(false)
	c.opens(r, body, "x")
}

// What a body holds is refused if any bit of it is another, and names no more than it has.
func TestBodiesThatAreNotWhatWasSealed(t *testing.T) {
	c := newCell(t)
	r := c.mustOpen(NewLocalKeeper([32]byte{1}))
	body := seal(r, "secret")
	for bit := range 8 * len(body) {
		flipped := append([]byte(nil), body...)
		flipped[bit/8] ^= 1 << (bit % 8)
		if _, err := r.Open(t.Context(), nil, flipped, []byte("extra")); err == nil || errors.Is(err, ErrLocked) {
			t.Fatalf("bit %d: %v", bit, err)
		}
	}
	for n := range body {
		if _, err := r.Open(t.Context(), nil, body[:n], []byte("extra")); err == nil {
			t.Fatalf("cut after %d bytes: no error", n)
		}
	}
	if _, err := r.Open(t.Context(), nil, body, []byte("other")); err == nil {
		t.Error("opens as something else")
	}
}

// A state that carries its key opens with the keeper alone, in another bucket, also
// beside another cell's data key of the same number.
func TestCarriedKey(t *testing.T) {
	c, away, key := newCell(t), newCell(t), NewLocalKeeper([32]byte{1})
	r := c.mustOpen(key)
	carried, err := r.Carry(t.Context(), away.bucket(), "backup/a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	body := seal(carried, "x") // with the key that it carries, though there is a newer one
	if want := "backup/a/key-0000000001-0001.json"; strings.Join(away.mem.Keys(), " ") != want || !IsCarried("key-0000000001-0001.json") {
		t.Fatal(away.mem.Keys())
	}
	other, _, err := Open(t.Context(), newCell(t).bucket(), "other", key, true)
	if err != nil {
		t.Fatal(err)
	}
	c.opens(other.Carried(away.bucket(), "backup/a", "cell"), body, "x")
	// The cell's own key will do where the one carried is gone.
	away.mem.Remove("backup/a/key-0000000001-0001.json")
	c.opens(r.Carried(away.bucket(), "backup/a", "cell"), body, "x")
	_, err = other.Carried(away.bucket(), "backup/a", "cell").Open(t.Context(), nil, body, []byte("extra"))
	c.says(err, nil, "backup/a/key-0000000001-0001.json", "missing")
}

func TestNewerKeyObjectIsNotCalledDamaged(t *testing.T) {
	c, key := newCell(t), NewLocalKeeper([32]byte{1})
	c.mustOpen(key)
	name := "key/0000000001-0001.json"
	c.mem.Put(name, []byte(strings.Replace(string(c.mem.Data(name)), `"format": 1`, `"format": 2`, 1)))
	_, err := c.open(key)
	c.says(err, checked.ErrNewerFormat, name)
}

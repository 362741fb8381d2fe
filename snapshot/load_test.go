package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// Parts come in any order, are prepared at once, and are applied in theirs.
func TestPartsAreAppliedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		m, name := c.write(source(1, large(12)...))
		for i := range m.Parts { // the first takes longest
			c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Is(name.folder().partKey(i)), Do: memdriver.Delay(time.Duration(10-i) * time.Second)})
		}
		var s state
		if err := Load(c.ctx, c.b, c.codec, m, &s, 4); err != nil {
			t.Fatal(err)
		}
		var want []string
		for i := range m.Parts {
			want = append(want, name.folder().partKey(i))
		}
		if !slices.Equal(s.objects, want) {
			t.Errorf("applied %v, want %v", s.objects, want)
		}
	})
}

// However slowly the state takes them, no more parts are in memory than were asked
// for; and as many are read at once.
func TestLoadReadsAheadNoFurtherThanToldTo(t *testing.T) {
	for _, parallel := range []int{-1, 1, 3, 100} {
		t.Run(fmt.Sprint(parallel), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCell(t)
				m, _ := c.write(source(1, large(12)...))
				applied := 0
				s := state{apply: func(string) error {
					synctest.Wait() // all that will be read now has been
					want := min(applied+max(parallel, 1), len(m.Parts))
					if n := c.mem.Count(memdriver.Get); n != want {
						t.Errorf("%d parts were read before part %d was applied, want %d", n, applied, want)
					}
					applied++
					return nil
				}}
				if err := Load(c.ctx, c.b, c.codec, m, &s, parallel); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

// An error ends the loading: nothing more is applied, and nothing goes on behind
// the caller's back.
func TestErrorEndsTheLoading(t *testing.T) {
	broken := errors.New("can't be taken")
	for name, fail := range map[string]func(s *state, key string){
		"preparing": func(s *state, key string) {
			s.prepare = func(b persistence.Batch) error {
				if b.Object == key {
					return broken
				}
				return nil
			}
		},
		"applying": func(s *state, key string) {
			s.apply = func(object string) error {
				if object == key {
					return broken
				}
				return nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCell(t)
				m, n := c.write(source(1, large(12)...))
				c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Ending("/part-00004"), Do: memdriver.Block})
				var s state
				fail(&s, n.folder().partKey(2))
				err := Load(c.ctx, c.b, c.codec, m, &s, 4)
				if !errors.Is(err, broken) || errors.Is(err, ErrDamaged) {
					t.Errorf("%v, want the consumer's error", err)
				}
				if len(s.objects) != 2 {
					t.Errorf("applied %v, want the two before it", s.objects)
				}
				if s.count(0) != 0 {
					t.Error("a part is still being prepared")
				}
				before := c.mem.Count(memdriver.Any)
				synctest.Wait()
				if c.mem.Count(memdriver.Any) != before {
					t.Error("requests go on")
				}
			})
		})
	}
}

// Load has to wait for what it started, even if that takes its time.
func TestLoadWaitsForWhatItStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		m, _ := c.write(source(1, large(6)...))
		broken := errors.New("can't be taken")
		s := state{
			prepare: func(b persistence.Batch) error {
				if strings.HasSuffix(b.Object, "/part-00001") {
					time.Sleep(time.Minute)
				}
				return nil
			},
			apply: func(string) error { return broken },
		}
		if err := Load(c.ctx, c.b, c.codec, m, &s, 2); !errors.Is(err, broken) {
			t.Error(err)
		}
		if s.count(0) != 0 {
			t.Error("it returned while a part was being prepared")
		}
	})
}

func TestLoadingEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		m, _ := c.write(source(1, large(6)...))
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Ending("/part-00001"), Do: memdriver.Block})
		ctx, cancel := context.WithTimeout(c.ctx, time.Minute)
		defer cancel()
		if err := Load(ctx, c.b, c.codec, m, &state{}, 2); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrDamaged) {
			t.Errorf("%v, want the deadline and no damage", err)
		}
	})
}

// A store that does not answer says nothing of the snapshot: an older one must not
// be taken for that.
func TestStoreThatFailsIsNotCalledDamage(t *testing.T) {
	for _, key := range []string{manifestFile, "/part-00000"} {
		c := newCell(t)
		_, name := c.write(source(1, []byte("x")))
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Ending(key), Do: memdriver.Fail})
		if _, err := c.loads(name); !errors.Is(err, memdriver.ErrInjected) || errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func TestVerifyReadsAllOfIt(t *testing.T) {
	c := newCell(t)
	want, name := c.write(source(1, large(5)...))
	if m, err := Verify(c.ctx, c.b, c.codec, testCell, name); err != nil || m.Name != want.Name || m.Records != 5 {
		t.Fatalf("%+v, %v", m, err)
	}
	last := name.folder().partKey(len(want.Parts) - 1)
	data := c.mem.Data(last)
	data[len(data)-1] ^= 1
	c.mem.Put(last, data)
	if _, err := Verify(c.ctx, c.b, c.codec, testCell, name); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), last) {
		t.Errorf("%v, want that %s is damaged", err, last)
	}
}

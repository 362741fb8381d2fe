package blob

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/encryption"
)

// readings are all that reads a log: what each finds, in a few words.
func readings() map[string]func(c *cell) (string, error) {
	past := func(until Until) func(c *cell) (string, error) {
		return func(c *cell) (string, error) {
			l, err := Open(c.ctx, c.bucket(), Options{ReadOnly: true, Key: encryption.NewLocalKeeper([32]byte{1})})
			if err != nil {
				return "", err
			}
			s := &state{}
			at, err := l.Past(c.ctx, s, until, nil)
			return fmt.Sprint(at, s.has()), err
		}
	}
	logged := func(do func(c *cell, l *Log) (string, error)) func(c *cell) (string, error) {
		return func(c *cell) (string, error) {
			l, err := Open(c.ctx, c.bucket(), Options{Key: encryption.NewLocalKeeper([32]byte{1})})
			if err != nil {
				return "", err
			}
			return do(c, l)
		}
	}
	return map[string]func(c *cell) (string, error){
		"recovery": logged(func(c *cell, l *Log) (string, error) {
			s := &state{}
			err := l.NewReader(s).CatchUp(c.ctx)
			return s.has(), err
		}),
		"verification": logged(func(c *cell, l *Log) (string, error) {
			report, err := l.Verify(c.ctx, nil)
			return fmt.Sprintf("%+v", report), err
		}),
		"history": logged(func(c *cell, l *Log) (found string, err error) {
			for e, err := range l.History(c.ctx, 16, 19) {
				if err != nil {
					return found, err
				}
				found += fmt.Sprint(e.Position, " ")
			}
			return found, nil
		}),
		"headers": logged(func(c *cell, l *Log) (found string, err error) {
			keys, err := l.Keys(c.ctx)
			if err != nil {
				return "", err
			}
			for h, err := range l.Headers(c.ctx, keys) {
				if err != nil {
					return found, err
				}
				found += fmt.Sprint(h.Kind, " ")
			}
			return found, nil
		}),
		"one entry": logged(func(c *cell, l *Log) (string, error) {
			_, key, err := l.Get(c.ctx, 18)
			return key, err
		}),
		"keys":          logged(func(c *cell, l *Log) (string, error) { return "", l.CheckKeys(c.ctx) }),
		"past position": past(UntilPosition(19)),
		"past time":     past(Until{Time: time.Now()}),
	}
}

// What can't be read is neither damage nor an end nor nothing: whichever of its requests
// is refused, whoever reads a log says so and names the object's bucket, or finds the
// same as ever. And it finds the same when it may read again.
func TestARefusedRequestIsNoDamage(t *testing.T) {
	for name := range readings() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCollectedCell(t)
				// From here on, what is written is encrypted.
				p := c.processWith(Options{Key: encryption.NewLocalKeeper([32]byte{1})}).lead(4).write("d0")
				p.writer.Stop(errors.New("enough"))
				read := readings()[name]
				want, err := read(c.cell)
				if err != nil {
					t.Fatal(err)
				}
				for _, operation := range []memdriver.Operation{memdriver.Any, memdriver.List} {
					refused := 0
					for skip, hit := 0, true; hit; skip++ {
						rule := c.mem.Inject(memdriver.Fault{Operation: operation, Skip: skip, Times: 1, Do: memdriver.Deny})
						got, err := read(c.cell)
						rule.Stop()
						hit = rule.Hits() > 0
						switch {
						case !hit && (err != nil || got != want), err == nil && got != want:
							t.Errorf("%s request %d refused, %t: %q, %v; want %q", operation, skip, hit, got, err, want)
						case hit && err == nil && operation == memdriver.List: // only a GET may have been made in vain
							t.Errorf("listing %d was refused, and nothing said", skip)
						case err != nil:
							refused++
							if !errors.Is(err, bucket.ErrDenied) || errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "mem://test") {
								t.Errorf("%s request %d refused: %v", operation, skip, err)
							}
						}
					}
					if refused == 0 {
						t.Errorf("no %s request was refused", operation)
					}
				}
			})
		})
	}
}

package schedulerstore

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
)

// A recovery that takes long says now and then how far it is, and the status too; one
// that does not says nothing.
func TestLongRecoverySaysHowFarItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		leader := c.leader("one")
		for i := range 50 {
			c.write(leader, fmt.Sprint("t", i))
		}
		if err := leader.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, each := range []time.Duration{time.Millisecond, 13 * time.Second} {
			var lines bytes.Buffer
			rule := c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Under("log/"), Do: memdriver.Delay(each)})
			s := c.open("two", Options{Log: blob.Options{Prefetch: 2}, Logger: slog.New(slog.NewTextHandler(&lines, nil))})
			time.Sleep(20 * each)
			synctest.Wait()
			if status := s.Status().Recovery; status == nil || status.End != 51 || status.SecondsLeft == nil || status.Entries == 0 {
				t.Errorf("the status of a recovery says %+v", status)
			}
			if err := s.Recovered(t.Context()); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if status := s.Status().Recovery; status != nil {
				t.Errorf("after it the status still says %+v", status)
			}
			rule.Stop()
			if err := s.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			text := lines.String()
			n := strings.Count(text, "msg=recovering position=")
			if long := each > time.Second; long != (n >= 10 && n <= 60) || long != strings.Contains(text, "msg=recovered position=50") {
				t.Errorf("with %v each: %d lines:\n%s", each, n, text)
			}
		}
	})
}

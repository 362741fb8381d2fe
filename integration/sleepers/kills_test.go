package sleepers_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// garbage is another process that leads, and whose cell has garbage of every kind: its
// state is a b c d.
func (c *cell) garbage() *process {
	c.Helper()
	p := c.leader("lost", "lost-too")
	for _, command := range []string{"restore a b", "lead", "snapshot", "write c", "snapshot", "write d"} {
		p.must(done, command)
	}
	return p
}

// steps are the requests at which a collecting process is killed: operation, part of
// the key, which of them.
var steps = []string{
	"list snapshot/ 1", "get manifest.json 1", "get part- 1", "list log/ 1", "get log/ 1",
	"delete manifest.json 1", "delete log/ 1", "delete log/ 2", "delete restore/ 1", "delete snapshot/ 2",
}

// A collector is killed at each kind of its requests: nothing that is needed is gone,
// who follows goes on, and the next run finishes.
func TestCollectorIsKilled(t *testing.T) {
	stores(t, func(c *cell) {
		c.each(steps, func(c *cell, step string) {
			killed := c.garbage()
			words, n := strings.Fields(step), 0
			_, _ = fmt.Sscan(words[2], &n)
			killed.arm(words[0], words[1], n, killAfter)
			answer := killed.tell("collect")
			select {
			case <-killed.Ended():
			case got := <-answer:
				c.Fatalf("it makes no such request: %s", got)
			case <-time.After(time.Minute):
				c.Fatal("it lives")
			}
			c.holds("a b c d")
			next := c.goOn("e")
			c.clean(next)
			c.holds("a b c d e")
		})
	})
}

package chaos_test

import (
	"context"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/scheduler-store/scheduler-store/lease"
)

// killSome kills the leader and, now and then, others too.
func (c *chaos) killSome() {
	if c.killsLeft <= 0 { // some were killed amid other things
		return
	}
	switch n := c.random.IntN(20); {
	case n < 12:
		c.killLeader()
	case n < 15:
		c.killAndBreak()
	case n < 18:
		c.killStandby()
		c.killLeader()
	case n < 19:
		c.killTwo()
	default:
		c.killAll()
	}
}

// killLeading kills the daemon that leads, and returns since when. That is before the
// kill: what dies just then may have renewed its lease since.
func (c *chaos) killLeading(leader *slot, what string) time.Time {
	began := c.begins(what)
	if c.kill(leader) {
		c.killsLeft--
		c.leadersKilled++
	}
	return began
}

func (c *chaos) kill(s *slot) bool {
	killed := s.kill()
	if killed {
		c.killed++
	}
	return killed
}

func (c *chaos) killLeader() {
	leader := c.awaitLeader(nil)
	began := c.killLeading(leader, "kill the leader")
	c.failedOver("kill the leader", began, c.awaitLeader(leader))
}

// killAndBreak kills the leader, as an operator knows who then breaks the lease.
func (c *chaos) killAndBreak() {
	const what = "kill the leader, break the lease"
	leader := c.awaitLeader(nil)
	// Only what is still the dead one's may be broken: whoever leads may answer one TTL
	// long with an old state (protocol §5).
	asked := time.Now()
	free := asked.Add(leader.leaseRemaining()) // nobody takes it over before
	if time.Until(free) < leaseTTL/2 {
		c.killLeader()
		return
	}
	began := c.killLeading(leader, what)
	ctx, cancel := context.WithDeadline(c.Context(), free)
	defer cancel()
	if _, err := lease.Break(ctx, c.archive.bucket); err != nil && ctx.Err() == nil {
		c.problem("break the lease: %v", err)
	}
	c.failedOver(what, began, c.awaitLeader(nil)) // it may itself lead again
}

func (c *chaos) killStandby() {
	leader := c.awaitLeader(nil)
	c.begins("kill a standby")
	c.kill(c.others(leader)[c.random.IntN(daemons-1)])
}

// killTwo kills the leader and, while the lease runs out, one of those who wait for it.
func (c *chaos) killTwo() {
	const what = "kill the leader and a standby"
	leader := c.awaitLeader(nil)
	began := c.killLeading(leader, what)
	c.pause(leaseTTL)
	c.kill(c.others(leader)[c.random.IntN(daemons-1)])
	c.failedOver(what, began, c.awaitLeader(nil))
}

func (c *chaos) killAll() {
	const what = "kill all"
	leader := c.awaitLeader(nil)
	began := c.killLeading(leader, what)
	for _, s := range c.others(leader) {
		c.kill(s)
	}
	c.failedOver(what, began, c.awaitLeader(nil))
}

// meanwhile kills somebody else in the middle of something, sometimes.
func (c *chaos) meanwhile(not *slot) {
	if c.killsLeft <= 0 || c.random.IntN(4) > 0 {
		return
	}
	c.pause(leaseTTL / 2)
	what := c.doing()
	c.begins("kill a standby amid something else")
	c.kill(c.others(not)[c.random.IntN(daemons-1)])
	c.mu.Lock()
	c.now = what
	c.mu.Unlock()
}

// freezeLeader stops the leader until another leads, and lets it go on while that writes.
func (c *chaos) freezeLeader() {
	leader := c.awaitLeader(nil)
	began := c.begins("freeze the leader")
	thaw := leader.freeze()
	c.meanwhile(leader)
	next := c.awaitLeader(leader)
	c.failedOver("freeze the leader", began, next)
	c.someWork()
	pastTheLease(began)
	answered := c.askFrozen(leader)
	thaw()
	answered()
}

// askFrozen has questions wait at a daemon that is frozen, so that they are the first
// thing that it meets when it goes on. It answers them before it can have noticed
// anything; that it has lost the lease its clock alone must tell it. The function that it
// returns waits for the answers.
func (c *chaos) askFrozen(s *slot) (answered func()) {
	_, url, _ := s.running()
	var asking sync.WaitGroup
	for i, p := range c.probers {
		p.only = url
		asking.Go(func() {
			if i%2 == 0 {
				p.read()
			} else {
				p.write()
			}
		})
	}
	time.Sleep(100 * time.Millisecond) // until the requests lie in its sockets
	return asking.Wait
}

// pastTheLease waits until what has been frozen since some time is so for longer than a
// lease lasts.
func pastTheLease(since time.Time) {
	time.Sleep(time.Until(since.Add(leaseTTL + 100*time.Millisecond)))
}

// freezeStandby stops a standby for some time.
func (c *chaos) freezeStandby() {
	leader := c.awaitLeader(nil)
	began := c.begins("freeze a standby")
	thaw := c.others(leader)[c.random.IntN(daemons-1)].freeze()
	pastTheLease(began)
	c.pause(leaseTTL)
	thaw()
}

// freezeSuccessor kills the leader and stops a standby about when it takes over: as it
// claims the lease, looks at the log's end, seals, or begins to write. Then another takes
// over in its place, and it goes on.
func (c *chaos) freezeSuccessor() {
	leader := c.awaitLeader(nil)
	successor := c.others(leader)[c.random.IntN(daemons-1)]
	began := c.begins("freeze who takes over")
	if c.killsLeft > 0 {
		c.killLeading(leader, "freeze who takes over: kill the leader")
	} else {
		leader.terminate() // the lease is free sooner then
	}
	for deadline := time.Now().Add(leaseTTL + time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if c.epochIsOf(successor) {
			break
		}
	}
	c.pause(40 * time.Millisecond)
	frozen := time.Now()
	thaw := successor.freeze()
	c.failedOver("freeze who takes over", began, c.awaitLeader(successor))
	pastTheLease(frozen)
	c.pause(700 * time.Millisecond)
	thaw()
}

// epochIsOf tells whether the lease names a slot's daemon: it has just claimed it, and
// has perhaps not sealed yet.
func (c *chaos) epochIsOf(s *slot) bool {
	holder, err := c.archive.leaseHolder()
	return err == nil && holder == s.name
}

// restartMinIO kills MinIO and starts it again, sometimes after the lease has run out.
func (c *chaos) restartMinIO() {
	c.awaitLeader(nil)
	began := c.begins("kill MinIO")
	c.minio.Kill()
	c.meanwhile(c.slots[c.random.IntN(daemons)])
	c.pause(leaseTTL + time.Second)
	c.minio.Restart()
	c.failedOver("kill MinIO", began, c.awaitLeader(nil))
}

// handOver ends the leader in peace.
func (c *chaos) handOver() {
	leader := c.awaitLeader(nil)
	began := c.begins("hand over")
	leader.terminate()
	c.failedOver("hand over", began, c.awaitLeader(leader))
}

// quiet heals everything, and waits until all daemons are well.
func (c *chaos) quiet() {
	c.begins("nothing")
	for _, l := range c.links() {
		l.heal()
	}
	c.awaitLeader(nil)
	for _, s := range c.slots {
		for began := time.Now(); s.status("/readyz") != http.StatusOK; time.Sleep(50 * time.Millisecond) {
			if time.Since(began) > stuck {
				c.problem("%s is not well %v after everything was healed", s.name, stuck)
				c.dumpStacks()
				return
			}
		}
	}
}

// dumpStacks has each daemon write to its log where its goroutines are.
func (c *chaos) dumpStacks() {
	for _, s := range c.slots {
		if d := s.doom(); d != nil {
			d.Signal(syscall.SIGCONT)
			d.Signal(syscall.SIGQUIT)
		}
	}
	time.Sleep(time.Second)
}

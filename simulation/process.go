package simulation

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/garbage"
	"github.com/scheduler-store/scheduler-store/internal/clock"
	"github.com/scheduler-store/scheduler-store/internal/sleep"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/simulation/check"
	"github.com/scheduler-store/scheduler-store/snapshot"
	"github.com/scheduler-store/scheduler-store/storage"
)

// process is a candidate or a follower, and the machine that it runs on. It is started,
// killed and started again: it lives many lives.
type process struct {
	run      *run
	name     string
	readOnly bool
	clock    *clock.Clock

	// Of the driver.
	life       int
	running    bool
	link       *link // of this life
	end        context.CancelFunc
	frozen     bool
	mute, deaf bool
	denied     bool
	slow       float64
	held       []func() // what goes on when it is thawed

	mu    sync.Mutex
	store *schedulerstore.Store // of this life, once it is open
	reign int                   // of the history, while it leads; else -1
}

// start begins another life.
func (p *process) start() {
	p.life++
	p.link = newLink(p.run.network, p, p.life)
	p.frozen, p.mute, p.deaf, p.denied, p.slow, p.held = false, false, false, false, 0, nil
	p.running = true
	ctx, cancel := context.WithCancel(context.Background())
	p.end = cancel
	p.run.timeline.add(p.link.name, "starts")
	link := p.link
	p.run.goroutines.Go(func() { p.live(ctx, link) })
	p.sampleLater(link)
	if p.readOnly && p.run.profile.reopenEvery > 0 {
		p.run.after(p.run.between(p.run.profile.reopenEvery/2, p.run.profile.reopenEvery*3/2), func() {
			if !p.run.healed {
				p.run.kill(link)
			}
		})
	}
}

// kill ends a life at once: nothing that it does from now on is seen by anybody. What it
// has on its way may still take effect, or is cut off with it.
func (r *run) kill(l *link) {
	p := l.process
	if l.dead() {
		return
	}
	r.timeline.add(l.name, "killed")
	l.cutOff = r.chance(0.3)
	close(l.ended)
	p.bury(l)
}

// bury notes that a life has ended, and closes what there is of it.
func (p *process) bury(l *link) {
	p.end()
	p.mu.Lock()
	store := p.store
	p.store = nil
	p.mu.Unlock()
	p.reignEnds()
	if store != nil {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		p.run.goroutines.Go(func() { _ = store.Close(ctx) })
	}
	p.running = false
	held := p.held
	if p.held = nil; p.frozen { // clients see the connection end
		p.frozen = false
		for _, do := range held {
			do()
		}
	}
	p.run.restart(p)
}

// restart starts a process again after a while.
func (r *run) restart(p *process) {
	r.after(r.logBetween(100*time.Millisecond, 10*time.Second), func() {
		if !p.running && !r.over {
			p.start()
		}
	})
}

// shutDown closes a process in good order, with a few seconds for it.
func (p *process) shutDown() {
	p.mu.Lock()
	store := p.store
	p.store = nil
	p.mu.Unlock()
	l := p.link
	if store == nil {
		p.run.kill(l)
		return
	}
	p.run.goroutines.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		err := store.Close(ctx)
		p.run.timeline.note(l.name, "closed: %v", err)
		p.run.finish(l.name, func() { p.run.kill(l) })
	})
}

// thaw lets go on what was held, one thing after another.
func (p *process) thaw() {
	p.frozen = false
	held := p.held
	p.held = nil
	var at time.Duration
	for _, do := range held {
		at += p.run.between(time.Microsecond, 100*time.Microsecond)
		p.run.after(at, do)
	}
}

// leads tells whether the process says that it leads.
func (p *process) leads() bool {
	s := p.opened()
	return s != nil && s.Leadership().Err() == nil
}

// opened is the store of this life; nil if it is not open.
func (p *process) opened() *schedulerstore.Store {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.store
}

// has tells whether the process shows a transaction to its readers, or what came after it.
func (p *process) has(n persistence.TransactionNumber) bool {
	s := p.opened()
	if s == nil {
		return false
	}
	c := s.Storage().Checkpoint()
	return c != nil && c.At.Transaction >= n
}

// live is a life.
func (p *process) live(ctx context.Context, l *link) {
	began := p.run.now()
	var s *schedulerstore.Store
	for {
		var err error
		if s, err = p.open(ctx, l); err == nil {
			break
		}
		p.failed(l, "open", err)
		if sleep.For(ctx, openPause) != nil {
			return
		}
		began = p.run.now()
	}
	p.mu.Lock()
	if p.store = s; l.dead() { // between the two
		p.store = nil
		p.mu.Unlock()
		_ = s.Close(ctx)
		return
	}
	p.mu.Unlock()
	p.run.goroutines.Go(func() { p.recover(ctx, l, s, began) })
	for !p.readOnly && ctx.Err() == nil {
		p.campaign(ctx, l, s)
	}
}

// How long a process waits before it opens, or campaigns, again. Odd times, so that no
// two things that are independent happen at one instant.
const (
	openPause     = 503_000_017 * time.Nanosecond
	campaignPause = 211_000_023 * time.Nanosecond
)

func (p *process) open(ctx context.Context, l *link) (*schedulerstore.Store, error) {
	profile := &p.run.profile
	var s *schedulerstore.Store
	o := schedulerstore.Options{
		ReadOnly: p.readOnly,
		Lease:    lease.Options{TTL: profile.ttl, Host: p.name, Clock: p.clock},
		Initialize: func(_ context.Context, tx storage.Mutable) error {
			p.takesOver(l, s, tx)
			return nil
		},
		Snapshots:    snapshot.Schedule{Every: profile.snapshots},
		Retention:    garbage.Retention{Keep: profile.keep, Window: profile.retain, Grace: -1},
		GarbageEvery: profile.collections,
		Log:          blob.Options{EntryBytes: profile.entryBytes, Prefetch: profile.prefetch},
	}
	var err error
	s, err = schedulerstore.OpenBucket(ctx, bucket.New(l, "sim://"+p.name, "", bucket.Options{}), o)
	return s, err
}

// recover tells of the first recovery of a life.
func (p *process) recover(ctx context.Context, l *link, s *schedulerstore.Store, began time.Duration) {
	for ctx.Err() == nil {
		err := s.Recovered(ctx)
		if err == nil {
			p.show(l, s.Storage().Checkpoint(), check.State{Kind: check.Opened, Began: began})
			return
		}
		p.failed(l, "recover", err)
		if sleep.For(ctx, openPause) != nil {
			return
		}
	}
}

// campaign leads once, if it comes to that.
func (p *process) campaign(ctx context.Context, l *link, s *schedulerstore.Store) {
	if err := s.Campaign(ctx); err != nil {
		p.failed(l, "campaign", err)
		_ = sleep.For(ctx, campaignPause)
		return
	}
	p.run.timeline.note(l.name, "leads")
	select {
	case <-s.Leadership().Done():
	case <-ctx.Done():
		return // whose reign has ended already
	}
	if !l.dead() {
		p.run.timeline.note(l.name, "leads no more")
		p.reignEnds()
	}
}

// takesOver tells what a process has as it begins to lead.
func (p *process) takesOver(l *link, s *schedulerstore.Store, tx storage.Mutable) {
	c := s.Storage().Checkpoint()
	p.show(l, c, check.State{Kind: check.Recovered, Began: p.sealed(l, c.At), Epoch: c.At.Epoch})
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.dead() {
		return
	}
	p.run.tellAll(func(h *check.History) {
		p.reign = len(h.Reigns)
		h.Reigns = append(h.Reigns, check.Reign{Process: l.name, Epoch: c.At.Epoch, From: p.run.now(), To: -1})
	})
}

// sealed is when the seal landed behind which a process begins to lead: another may have
// sealed its epoch since.
func (p *process) sealed(l *link, at persistence.Point) (landed time.Duration) {
	p.run.tellAll(func(h *check.History) {
		for _, landing := range slices.Backward(h.Landings) {
			if landing.Process == l.name && strings.HasPrefix(landing.Key, "log/") && len(landing.Body) >= headerSize &&
				sha256.Sum256(landing.Body[:headerSize]) == at.Hash {
				landed = landing.At
				return
			}
		}
	})
	return landed
}

func (p *process) reignEnds() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reign < 0 {
		return
	}
	p.run.tellAll(func(h *check.History) { h.Reigns[p.reign].To = p.run.now() })
	p.reign = -1
}

// show tells of a state.
func (p *process) show(l *link, c *durability.Checkpoint, s check.State) {
	if c == nil || l.dead() {
		return
	}
	s.At, s.Process, s.Point, s.Registers = p.run.now(), l.name, c.At, check.RegistersOf(c.View())
	p.run.tellAll(func(h *check.History) { h.States = append(h.States, s) })
	if s.Kind != check.Followed {
		p.run.timeline.note(l.name, "%s at %v, %d registers", s.Kind, c.At, len(s.Registers))
	}
}

// sampleLater shows what the process shows to its readers, now and then.
func (p *process) sampleLater(l *link) {
	every := p.run.profile.sampleEvery
	p.run.after(p.run.between(every/2, every*3/2), func() {
		if l.dead() || p.run.over {
			return
		}
		if s := p.opened(); s != nil {
			p.show(l, s.Storage().Checkpoint(), check.State{Kind: check.Followed})
		}
		p.sampleLater(l)
	})
}

// failed tells of an error; one that says that something is damaged is a refusal.
func (p *process) failed(l *link, doing string, err error) {
	if l.dead() {
		return
	}
	p.run.timeline.note(l.name, "%s: %v", doing, err)
	if !errors.Is(err, blob.ErrDamaged) && !errors.Is(err, persistence.ErrReplay) && !errors.Is(err, snapshot.ErrDamaged) {
		return
	}
	now := p.run.now()
	if l.deceived > 0 && now-l.deceived < credulity {
		return // what it was given was damaged
	}
	p.run.tellAll(func(h *check.History) {
		h.Refusals = append(h.Refusals, check.Refusal{At: now, Process: l.name, Text: fmt.Sprintf("%s: %v", doing, err)})
	})
}

// credulity is how long a process may refuse for a body that came to it damaged: a
// follower tries again after half a minute at the latest.
const credulity = time.Minute

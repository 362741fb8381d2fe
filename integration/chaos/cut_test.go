package chaos_test

import "time"

// cut is one thing that is done to a process's way to the store.
type cut struct {
	name string
	do   func(c *chaos, l *link)
	// deposes tells that a leader can't lead while it lasts.
	deposes bool
}

// cuts are all there are. How long one lasts that deposes nobody, holds says.
var cuts = []cut{
	{"cut in both directions", func(_ *chaos, l *link) {
		l.poison("timeout", requests, attributes{"timeout": 0})
		l.poison("timeout", replies, attributes{"timeout": 0})
	}, true},
	// The store gets nothing.
	{"requests lost", func(_ *chaos, l *link) { l.poison("timeout", requests, attributes{"timeout": 0}) }, true},
	// The store does what it is asked, and nobody hears of it.
	{"replies lost", func(_ *chaos, l *link) { l.poison("timeout", replies, attributes{"timeout": 0}) }, true},
	{"connections refused", func(_ *chaos, l *link) { l.refuse() }, true},
	// Requests arrive after the lease of who sent them has run out.
	{"requests late", func(_ *chaos, l *link) {
		l.poison("latency", requests, attributes{"latency": int(leaseTTL.Milliseconds()) + 700, "jitter": 500})
	}, true},
	{"replies late", func(_ *chaos, l *link) {
		l.poison("latency", replies, attributes{"latency": int(leaseTTL.Milliseconds()) + 700, "jitter": 500})
	}, true},
	{"slow", func(c *chaos, l *link) {
		l.poison("latency", requests, attributes{"latency": 30 + c.random.IntN(100), "jitter": 30})
		l.poison("latency", replies, attributes{"latency": 30 + c.random.IntN(100), "jitter": 30})
	}, false},
	{"little bandwidth", func(c *chaos, l *link) {
		l.poison("bandwidth", requests, attributes{"rate": 8 + c.random.IntN(30)})
		l.poison("bandwidth", replies, attributes{"rate": 8 + c.random.IntN(30)})
	}, false},
	{"reset", func(c *chaos, l *link) {
		l.poison("reset_peer", either(c), attributes{"timeout": c.random.IntN(100)})
	}, false},
	// A request's headers alone are a kilobyte: most ends are in them or in a body.
	{"ended in the middle", func(c *chaos, l *link) {
		l.poison("limit_data", either(c), attributes{"bytes": 100 + c.random.IntN(6000)})
	}, false},
	{"ended late", func(_ *chaos, l *link) {
		l.poison("limit_data", requests, attributes{"bytes": 3000})
		l.poison("slow_close", replies, attributes{"delay": 1500})
	}, false},
}

func either(c *chaos) string {
	if c.random.IntN(2) == 0 {
		return requests
	}
	return replies
}

// cutOff does one thing to the leader's way to the store or, now and then, to that of
// all.
func (c *chaos) cutOff(kind cut) {
	leader := c.awaitLeader(nil)
	name, links := kind.name, []*link{leader.link}
	if c.random.IntN(6) == 0 {
		name, links = name+", all", c.links()
	}
	began := c.begins(name)
	for _, l := range links {
		kind.do(c, l)
	}
	c.meanwhile(leader)
	if kind.deposes && len(links) == 1 {
		c.failedOver(name, began, c.awaitLeader(leader))
		c.pause(500 * time.Millisecond)
	} else {
		c.pause(leaseTTL + time.Second)
	}
	for _, l := range links {
		l.heal()
	}
	c.awaitLeader(nil)
}

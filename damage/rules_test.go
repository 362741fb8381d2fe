package damage

import (
	"slices"
	"strings"

	"github.com/scheduler-store/scheduler-store/lease"
)

// What an observer made of a damage.
const (
	named      = "named"            // the error has the object's key
	neighbour  = "named by another" // the error has another object, which does not fit it
	right      = "right state"      // nothing is said, and the state is the right one
	silent     = "not told"         // a verification says nothing
	lost       = "loss, documented" // the last entries are gone, and nothing shows it
	wrongState = "WRONG STATE"      // never
)

// last tells whether an object is the log's newest entry.
func (c *cell) last(key string) bool {
	for _, k := range c.keys {
		if strings.HasPrefix(k, "log/") && k > key {
			return false
		}
	}
	return strings.HasPrefix(key, "log/")
}

// isCovered tells whether an object is an entry that the oldest snapshot covers.
func (c *cell) isCovered(key string) bool {
	oldest := slices.IndexFunc(c.keys, func(k string) bool { return strings.HasPrefix(k, "snapshot/") })
	position := c.keys[oldest][len("snapshot/"):len("snapshot/00000000000000000000")]
	return strings.HasPrefix(key, "log/") && key[len("log/0000000000/"):] <= position
}

// allowed names the rule by which an outcome that is not "named" is right; it is empty if
// there is none.
func (c *cell) allowed(key string, d damaged, observer, outcome string) string {
	kind := kind(c, key)
	switch {
	case outcome == named || outcome == right && observer != "verification":
		return outcome // a state that is right needs no excuse: what is damaged is not needed for it
	case outcome == lost && d.data == nil && c.last(key) && !c.collected:
		return "§9.3: the lease did not know yet that the last entry was durable"
	case outcome == silent && d.data == nil && c.last(key) && !c.collected:
		return "§9.3: the lease did not know yet that the last entry was durable"
	case key == "cell.json" && d.what == ofAnotherCell && outcome == neighbour:
		return "§4: the chain begins with the hash of cell.json, and shows that one of both is another's"
	case kind == orphan && outcome == silent:
		return "§6: what lies beyond a seal is never read"
	case key == lease.Key && outcome == silent && (d.what == ofAnotherCell || d.what == older):
		return "§5: the lease is no part of the history; the next leader's epoch grows past the log's"
	case outcome == silent && d.data == nil && strings.HasPrefix(kind, "pin"):
		return "§8: a pin may be taken away at any time"
	case outcome == silent && d.data == nil && (kind == "snapshot manifest" || kind == "incremental manifest") && !c.collected:
		return "§8: a snapshot may go, and its manifest first; the log has all"
	case outcome == silent && d.data == nil && !c.collected && kind == "entry, records" && c.isCovered(key):
		return "§8: entries that the oldest snapshot covers may have been collected"
	case outcome == silent && d.what == ofAnotherCell && kind == "backup manifest":
		return "§8: a place may have backups of many cells; the parts are checked against it"
	case strings.HasPrefix(key, "log/") && kind == "entry, seal" && c.collected && outcome == neighbour:
		return "§6: an epoch before the log's beginning has no seal, and is named"
	case strings.HasPrefix(key, "log/") && kind == "entry, seal" && c.collected && outcome == silent && d.what == ofAnotherCell:
		return "§6: before the log's beginning a seal is a fence only, and it is there"
	case strings.HasPrefix(key, "log/") && kind == "entry, seal" && outcome == neighbour && d.data == nil:
		return "§9.3: what comes after it shows that something is missing"
	case kind == "snapshot manifest" || kind == "incremental manifest":
		if c.collected && d.data == nil && outcome == neighbour {
			return "§9.3: the log from the snapshot before does not reach on, and its first missing entry is named"
		}
	}
	return ""
}

package garbage

import (
	"context"

	"github.com/scheduler-store/scheduler-store/persistence"
)

// What a mutation needs; see package mutation.

// addBeyondSeals adds to what goes, where anything may, the entries that are not covered
// and lie beyond any seal of their epoch.
func (c *collection) addBeyondSeals(ctx context.Context) {
	if c.oldest == nil {
		return
	}
	sealed := map[persistence.Epoch]bool{}
	for _, k := range c.keys { // by position
		seal, err := c.log.IsSeal(ctx, k)
		switch {
		case err == nil && seal:
			sealed[k.Epoch] = true
		case err == nil && sealed[k.Epoch] && !c.covered(k.Position):
			c.entries = append(c.entries, k)
		}
	}
}

package schema

import (
	"errors"
	"fmt"

	"github.com/scheduler-store/scheduler-store/schema/api"
)

// ErrUnknownTier: a task config names a tier that the cluster does not have.
var ErrUnknownTier = errors.New("invalid tier")

// Tier is a class of tasks with the same treatment.
type Tier struct {
	Name                   string
	Preemptible, Revocable bool
}

// Tiers are the tiers of a cluster, in the order of its configuration.
type Tiers []Tier

// DefaultTiers returns Aurora's stock tiers.
func DefaultTiers() Tiers {
	return Tiers{
		{Name: "preferred"},
		{Name: "preemptible", Preemptible: true},
		{Name: "revocable", Preemptible: true, Revocable: true},
	}
}

// Backfill makes a task config's tier and its older production flag agree (Aurora:
// ThriftBackfill, base revision): a tier decides whether a task is production; a
// config without one gets the first tier that is not revocable and preempts, or
// not, as its production flag says. Doing it twice changes nothing.
func (t Tiers) Backfill(config *api.TaskConfig) error {
	if config.Tier.Set {
		for _, tier := range t {
			if tier.Name == config.Tier.Value {
				config.Production = api.Some(!tier.Preemptible && !tier.Revocable)
				return nil
			}
		}
		return fmt.Errorf("%w %q in task config; known are %q", ErrUnknownTier, config.Tier.Value, t.names())
	}
	for _, tier := range t {
		if !tier.Revocable && tier.Preemptible != config.Production.Value {
			config.Tier = api.Some(tier.Name)
			return nil
		}
	}
	return fmt.Errorf("no tier for a task of job %s whose production is %v; known are %q", JobKeyString(config.Job), config.Production.Value, t.names())
}

func (t Tiers) names() []string {
	names := make([]string, len(t))
	for i, tier := range t {
		names[i] = tier.Name
	}
	return names
}

package schema

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

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

// LoadTiers reads Aurora's tier configuration file (Aurora: -tier_config).
func LoadTiers(path string) (Tiers, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read tiers: %w", err)
	}
	tiers, err := ParseTiers(data)
	if err != nil {
		return nil, fmt.Errorf("tiers in %s: %w", path, err)
	}
	return tiers, nil
}

// ParseTiers reads the content of such a file:
//
//	{"default": "preemptible",
//	 "tiers": {"preferred": {"preemptible": false, "revocable": false}, …}}
//
// The order of the tiers is that of the file, which decides the tier of a task without
// one. The default must be one of them, but is not kept: it is advice to clients that
// make new jobs, and a store fills tiers in by the order alone.
func ParseTiers(data []byte) (Tiers, error) {
	var file struct {
		Default string       `json:"default"`
		Tiers   orderedTiers `json:"tiers"`
	}
	if err := json.Unmarshal(data, &file, JSONOptions()); err != nil {
		return nil, jsonError(err)
	}
	tiers := Tiers(file.Tiers)
	if len(tiers) == 0 {
		return nil, errors.New("no tiers; at least one is needed")
	}
	if !slices.Contains(tiers.names(), file.Default) {
		return nil, fmt.Errorf("default tier %q is none of %q", file.Default, tiers.names())
	}
	return tiers, nil
}

// orderedTiers reads a JSON object and keeps the order of its members.
type orderedTiers Tiers

func (t *orderedTiers) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if kind := dec.PeekKind(); kind != '{' {
		return fmt.Errorf("%s where an object of tiers must be", kindName(kind))
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for dec.PeekKind() != '}' {
		var tier struct {
			Preemptible bool `json:"preemptible"`
			Revocable   bool `json:"revocable"`
		}
		name, err := dec.ReadToken()
		if err != nil {
			return err
		}
		named := name.String() // the token is void after the next read
		if named == "" {
			return errors.New("a tier without a name")
		}
		if err := json.UnmarshalDecode(dec, &tier); err != nil {
			return err
		}
		*t = append(*t, Tier{Name: named, Preemptible: tier.Preemptible, Revocable: tier.Revocable})
	}
	_, err := dec.ReadToken()
	return err
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

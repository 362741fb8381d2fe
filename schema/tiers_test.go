package schema_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

const stockTiers = `{
  "default": "preemptible",
  "tiers": {
    "preferred": {"revocable": false, "preemptible": false},
    "preemptible": {"revocable": false, "preemptible": true},
    "revocable": {"revocable": true, "preemptible": true}
  }
}
`

func TestParseTiers(t *testing.T) {
	tiers, err := schema.ParseTiers([]byte(stockTiers))
	if err != nil || !slices.Equal(tiers, schema.DefaultTiers()) {
		t.Errorf("the stock file: %v, %v", tiers, err)
	}
	// Neither by name nor by chance: many names in an order of their own.
	names := []string{"z", "b", "y", "a", "x", "c", "w", "d", "v", "e", "Ü"}
	members := make([]string, len(names))
	for i, name := range names {
		members[i] = `"` + name + `":{}`
	}
	tiers, err = schema.ParseTiers([]byte(`{"tiers":{` + strings.Join(members, ",") + `},"default":"a"}`))
	if err != nil || len(tiers) != len(names) {
		t.Fatalf("%v, %v", tiers, err)
	}
	for i, name := range names {
		if tiers[i] != (schema.Tier{Name: name}) {
			t.Errorf("tier %d is %v, want %s", i, tiers[i], name)
		}
	}
}

func TestParseTiersRefuses(t *testing.T) {
	for text, want := range map[string]string{
		``:                                  "not JSON",
		`[]`:                                "an array where an object must be",
		`{}`:                                "no tiers; at least one is needed",
		`{"default":"a","tiers":{}}`:        "no tiers; at least one is needed",
		`{"default":"a","tiers":null}`:      "tiers: null where an object of tiers must be",
		`{"default":"a","tiers":[]}`:        "tiers: an array where an object of tiers must be",
		`{"default":"b","tiers":{"a":{}}}`:  `default tier "b" is none of ["a"]`,
		`{"tiers":{"a":{}}}`:                `default tier "" is none of ["a"]`,
		`{"default":null,"tiers":{"a":{}}}`: "default: null where a value must be",
		`{"default":"a","tiers":{"a":{},"b":{},"a":{}}}`:       "tiers.a: member given twice",
		`{"default":"a","default":"a","tiers":{"a":{}}}`:       "default: member given twice",
		`{"default":"a","tiers":{"a":{}},"more":1}`:            "more: unknown member",
		`{"default":"a","tiers":{"a":{"premptible":true}}}`:    "tiers.a.premptible: unknown member",
		`{"default":"a","tiers":{"a":{"preemptible":"true"}}}`: "tiers.a.preemptible: a string where true or false must be",
		`{"default":"a","tiers":{"a":{"preemptible":null}}}`:   "tiers.a.preemptible: null where a value must be",
		`{"default":"a","tiers":{"a":true}}`:                   "tiers.a: true where an object must be",
		`{"default":"","tiers":{"":{}}}`:                       "a tier without a name",
		`{"default":"a","tiers":{"a":{}}} {}`:                  "not JSON",
		`{"default":"a","tiers":{"a":{}`:                       "not JSON",
	} {
		if tiers, err := schema.ParseTiers([]byte(text)); err == nil || tiers != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v, want %s", text, tiers, err, want)
		}
	}
}

func TestLoadTiers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tiers.json")
	if _, err := schema.LoadTiers(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	for text, want := range map[string]string{stockTiers: "", "{}": path + ": no tiers"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if tiers, err := schema.LoadTiers(path); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v", text, tiers, err)
		}
	}
}

// The tier and the older production flag agree, by the tiers of the file in its order.
func TestBackfillByACustomFile(t *testing.T) {
	tiers, err := schema.ParseTiers([]byte(`{"default":"batch","tiers":{
		"spot":{"preemptible":true,"revocable":true}, "idle":{"revocable":true}, "batch":{"preemptible":true},
		"web":{}, "critical":{}, "other":{"preemptible":true}}}`))
	if err != nil {
		t.Fatal(err)
	}
	yes, no, unset := api.Some(true), api.Some(false), api.Optional[bool]{}
	for _, tt := range []struct {
		tier           string
		production     api.Optional[bool]
		wantTier       string
		wantProduction bool
	}{
		{"spot", yes, "spot", false}, {"idle", yes, "idle", false}, {"batch", yes, "batch", false}, {"other", unset, "other", false},
		{"web", no, "web", true}, {"critical", unset, "critical", true},
		{"", yes, "web", true}, {"", no, "batch", false}, {"", unset, "batch", false},
	} {
		config := &api.TaskConfig{Production: tt.production}
		if tt.tier != "" {
			config.Tier = api.Some(tt.tier)
		}
		for range 2 { // a second time changes nothing
			err := tiers.Backfill(config)
			if err != nil || config.Tier != api.Some(tt.wantTier) || config.Production.Get() != tt.wantProduction {
				t.Errorf("tier %q, production %v: %v, %v (%v)", tt.tier, tt.production, config.Tier, config.Production, err)
			}
		}
	}
	unknown := &api.TaskConfig{Tier: api.Some("preferred"), Production: no}
	if err := tiers.Backfill(unknown); !errors.Is(err, schema.ErrUnknownTier) || unknown.Production != no {
		t.Errorf("an unknown tier: %v, %v", unknown.Production, err)
	}
	job := &api.TaskConfig{Job: schema.NewJobKey("r", "e", "n"), Production: yes}
	err = schema.Tiers{{Name: "spot", Revocable: true}, {Name: "batch", Preemptible: true}}.Backfill(job)
	if err == nil || errors.Is(err, schema.ErrUnknownTier) || !strings.Contains(err.Error(), "r/e/n") || job.Tier.Set {
		t.Errorf("no tier that fits: %v", err)
	}
}

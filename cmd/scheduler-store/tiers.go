package main

import (
	"fmt"

	"github.com/spf13/pflag"

	"github.com/scheduler-store/scheduler-store/schema"
)

// tierConfig is the value of --tier-config: the path of a file, empty for Aurora's
// stock tiers.
type tierConfig string

func (t *tierConfig) addFlag(flags *pflag.FlagSet) {
	flags.StringVar((*string)(t), "tier-config", "", "`file` of the cluster's tiers, as Aurora's -tier_config (default: Aurora's stock tiers)")
}

func (t tierConfig) load() (schema.Tiers, error) {
	if t == "" {
		return nil, nil
	}
	tiers, err := schema.LoadTiers(string(t))
	if err != nil {
		return nil, fmt.Errorf("--tier-config: %w", err)
	}
	return tiers, nil
}

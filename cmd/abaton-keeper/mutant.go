//go:build mutant

package main

import (
	"flag"

	"github.com/abaton-health/abaton/internal/custody"
)

// mutationFlags are the faults a drill can give this keeper.
func mutationFlags(flags *flag.FlagSet) func() custody.Mutation {
	skip := flags.String("skip", "", "switch one check off (drills only)")
	lie := flags.String("lie", "", "falsify every fragment or share (drills only)")
	ahead := flags.Duration("clock-ahead", 0, "how far this keeper's clock is ahead (drills only)")
	return func() custody.Mutation { return custody.Mutation{Skip: *skip, Lie: *lie, Ahead: *ahead} }
}

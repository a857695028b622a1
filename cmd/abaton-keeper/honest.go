//go:build !mutant

package main

import (
	"flag"

	"github.com/abaton-health/abaton/internal/custody"
)

// mutationFlags adds nothing to a keeper that ships.
func mutationFlags(*flag.FlagSet) func() custody.Mutation {
	return func() custody.Mutation { return custody.Mutation{} }
}

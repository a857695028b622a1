//go:build !mutant

package custodytest

import "github.com/abaton-health/abaton/internal/custody"

// Mutation is nothing: keepers here are as they ship.
func Mutation() custody.Mutation { return custody.Mutation{} }

// Mutant reports whether something is switched off in these keepers.
func Mutant() bool { return false }

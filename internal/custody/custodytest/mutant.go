//go:build mutant

package custodytest

import (
	"os"

	"github.com/abaton-health/abaton/internal/custody"
)

// Off names, in the environment of a test of the mutant build, what is switched
// off in every keeper (custody.Mutation).
const Off = "ABATON_TEST_OFF"

// Mutation is what these keepers lack.
func Mutation() custody.Mutation { return custody.Mutation{Skip: os.Getenv(Off)} }

// Mutant reports whether something is switched off in these keepers.
func Mutant() bool { return os.Getenv(Off) != "" }

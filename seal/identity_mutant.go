//go:build mutant

package seal

// Identity says that this build seals nothing. It is for drills and tests and
// is never released.
const Identity = true

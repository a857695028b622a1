//go:build !mutant

package contain

// Mutation is nothing in a ladder that ships. In the mutant build of drills and
// tests (RULINGS 25) one of its steps can be missing.
type Mutation struct{}

func (Mutation) skips(string) bool { return false }

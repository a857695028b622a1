//go:build race

package custody_test

// thrown is how many lives are thrown: fewer where the race detector slows them.
const thrown = 3

// askedAtMost is how many keepers each cell asks: fewer where the race detector slows them.
const askedAtMost = 2

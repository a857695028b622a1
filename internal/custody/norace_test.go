//go:build !race

package custody_test

// thrown is how many lives are thrown.
const thrown = 20

// askedAtMost is how many keepers each cell asks.
const askedAtMost = 5

//go:build race

package sim_test

// slower is how much less is run under the race detector.
const slower = 10

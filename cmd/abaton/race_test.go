//go:build race

package main

// raceFlags build the command of the stories with the race detector, as this
// test is.
func raceFlags() []string { return []string{"-race"} }

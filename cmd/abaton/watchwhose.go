package main

import (
	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
)

// heldAs is whom a keeper says a verdict is about.
type heldAs struct {
	kind    uint8
	subject [32]byte
}

// whoseVerdicts tells about whom each verdict is: whom most keepers name, nobody
// where as many name another. A verdict's name does not show whom it is about, and
// one lying keeper could have a thief's lifted with an innocent's.
func whoseVerdicts(all []client.Held) func(verdict [32]byte, of heldAs) bool {
	says := make(map[[32]byte]map[heldAs]map[abaton.KeeperIndex]bool)
	for _, h := range all {
		of := heldAs{h.Kind, h.Subject}
		for _, v := range h.Verdicts {
			if says[v] == nil {
				says[v] = make(map[heldAs]map[abaton.KeeperIndex]bool)
			}
			if says[v][of] == nil {
				says[v][of] = make(map[abaton.KeeperIndex]bool)
			}
			says[v][of][h.Keeper] = true
		}
	}
	return func(verdict [32]byte, of heldAs) bool {
		for other, keepers := range says[verdict] {
			if other != of && len(keepers) >= len(says[verdict][of]) {
				return false
			}
		}
		return len(says[verdict][of]) > 0
	}
}

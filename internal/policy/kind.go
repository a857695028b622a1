package policy

import "github.com/abaton-health/abaton/actor"

// KindOf is what an asking actor is to the rules; empty, which Decide refuses, for
// one that never asks: a patient is nobody's staff, and a keeper set asks nothing.
func KindOf(k actor.Kind) Kind {
	switch k {
	case actor.Clinician:
		return Person
	case actor.Agent:
		return Agent
	case actor.Device:
		return Device
	case actor.Organisation:
		return Organisation
	}
	return ""
}

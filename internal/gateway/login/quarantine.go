package login

import "github.com/abaton-health/abaton"

// QuarantineCategory is the category from which an organisation derives the
// line of what its intake could not file. It is neither the directory's nor a
// sensitivity category of a patient: who reads the directory does not read it.
func QuarantineCategory() (c abaton.Category) {
	copy(c[:], "quarantine")
	return c
}

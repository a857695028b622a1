package people

import (
	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
)

// Feeding are the terms by which a patient lets an agent file what other
// systems send about them: it reads what it writes over. What needs a touch
// for each opening is left out.
func Feeding(to *Person) Terms {
	t := Terms{To: to, Actions: grant.Read, Purpose: abaton.Operations, Life: depositLife, Quota: RecordsMax}
	for _, c := range fhir.Categories() {
		if c.Level() < actor.LevelMax {
			t.Categories = append(t.Categories, c)
		}
	}
	return t
}

// QuarantineOf are the terms by which somebody reads an organisation's
// quarantine, or with grant.Deposit writes there and reads nothing.
func QuarantineOf(to *Person, actions grant.Action) Terms {
	return Terms{To: to, Actions: actions, Quarantine: true, Purpose: abaton.Operations, Life: depositLife, Quota: RecordsMax}
}

package people

import (
	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
)

// NewAgent makes a program of org's: an actor of its own, with a device that
// signs it in.
func (w *World) NewAgent(handle, name string, org *Person) (*Person, error) {
	p, root, err := w.newPerson(handle, name, actor.Agent)
	if err != nil {
		return nil, err
	}
	p.Sponsor = org.ID
	return p, w.begin(p, root, actor.Bound, &actor.Inception{Invitation: invite(org, actor.Agent)})
}

// Feeding are the terms by which a patient lets an agent file what other
// systems send about them: it reads what it writes over. What needs a touch
// for each opening is left out.
func Feeding(to *Person) Terms {
	t := Terms{To: to, Actions: grant.Read, Purpose: abaton.Operations, Life: depositLife, Quota: RecordsMax}
	for _, c := range fhir.Categories() {
		if level(c) < actor.LevelMax {
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

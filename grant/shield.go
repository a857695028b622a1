package grant

import "github.com/abaton-health/abaton"

// Shielded is the assurance level at which a line is between the patient and
// one person: the notes of a psychotherapy. A keeper sees the level, which never
// falls, and not the category (docs/adr/0029-notes-and-private-records.md).
const Shielded uint8 = 3

// ForOnePerson reports whether the grant is of the only form under which a
// shielded line is read: it names that line alone, goes no further, and is for treatment, or for
// another who reads as the patient does. That its grantee is a person is Facts'
// word. A grant that only lets deposit needs no such form: it opens nothing.
func (g *Grant) ForOnePerson() bool {
	if len(g.Lines) != 1 || g.Onward != (abaton.ActorID{}) {
		return false
	}
	for _, p := range g.Purposes {
		if p != abaton.Treatment && p != abaton.PatientAccess {
			return false
		}
	}
	return true
}

// shields refuses to open a shielded line, or one that the patient's log does
// not have, to anybody but the one person whom the grant itself names.
func (f Facts) shields(g *Grant, a Access) bool {
	switch {
	case f.Level == 0:
		return true
	case f.Level < Shielded || a.Action != Read:
		return false
	}
	return !f.Person || g.Grantee != a.Actor || !g.ForOnePerson()
}

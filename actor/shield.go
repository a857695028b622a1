package actor

import (
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
)

// admitShielded refuses a grant to read a shielded line along with others, for
// anything but treatment, or to anybody but a person: ReasonGrant. A team has no
// log of its own and is refused with every other name that is nobody's here.
// Decide asks again at every use, for a level may rise after the grant.
func (s *State) admitShielded(b *Granted, parents []*knot, door Door) error {
	g, err := grant.Parse(b.Grant)
	if err != nil {
		return err
	}
	shielded := func(line abaton.Line) bool {
		_, level := s.epochOn(line, parents)
		return level >= grant.Shielded
	}
	if !slices.ContainsFunc(g.Lines, shielded) {
		return nil
	}
	return shieldedGrant(g, door)
}

// admitFirstShielded is admitShielded for the grants of an inception.
func admitFirstShielded(in *Inception, door Door) error {
	shielded := make(map[abaton.Line]bool)
	for i := range in.Lines {
		shielded[in.Lines[i].Line] = in.Lines[i].Level >= grant.Shielded
	}
	for i := range in.Grants {
		g, err := grant.Parse(in.Grants[i].Grant)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(g.Lines, func(l abaton.Line) bool { return shielded[l] }) {
			continue
		}
		if err := shieldedGrant(g, door); err != nil {
			return err
		}
	}
	return nil
}

func shieldedGrant(g *grant.Grant, door Door) error {
	if g.Actions&grant.Read != 0 && !(g.ForOnePerson() && door.person(g.Grantee)) {
		return abaton.Refuse(abaton.ReasonGrant)
	}
	return nil
}

// person reports whether the name is a human being's, by the log that this
// keeper has of it.
func (d Door) person(id abaton.ActorID) bool {
	if d.Log == nil {
		return false
	}
	st := d.Log(id)
	return st != nil && st.actor == id && (st.Kind() == Clinician || st.Kind() == Patient)
}

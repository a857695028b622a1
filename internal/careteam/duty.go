package careteam

import (
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/escrow"
	"github.com/abaton-health/abaton/key"
)

// A duty chart holds copies of what an organisation wrote about one patient and
// must keep. It is a chart of its own, of which the patient has no key: neither
// loss nor spite destroys it. Its root is two parts, each in the custody of
// another team, one of them of another organisation. Either part by itself is a
// random number; each is opened by a live member of its team at three keepers,
// which ledger it. What is erased from it takes both parts too, for its
// managing key follows from the root (Key). It opens for a complaint or liability
// alone (abaton.Legal), and keepers tell the patient every opening. What this does
// not have stands in docs/adr/0030-identity.md.

// ErrOneTeam says that both parts of a duty chart would lie with one team or
// one organisation.
var ErrOneTeam = errors.New("both parts of a duty chart would lie in one hand")

// ErrNobodyTold says that a duty chart would be about nobody who is told.
var ErrNobodyTold = errors.New("a duty chart names the patient it is about")

// Guardian is a team that keeps one part of a duty chart's root.
type Guardian struct {
	Organisation abaton.ActorID
	Team         escrow.Holder
}

// KeepDuty are the events that put the two parts of a duty chart's root into
// the custody of two teams of two organisations. About is the patient, who is
// told. Whoever makes them forgets the root.
func KeepDuty(set *actor.Set, chart, about abaton.ActorID, root key.Secret, a, b Guardian) (events [2]*actor.Escrow, err error) {
	if root.IsZero() {
		return events, fmt.Errorf("keep duty chart: %w", key.ErrKey)
	}
	if about == (abaton.ActorID{}) || about == chart {
		return events, fmt.Errorf("keep duty chart: %w", ErrNobodyTold)
	}
	if a.Organisation == b.Organisation || a.Team.ID == b.Team.ID {
		return events, fmt.Errorf("keep duty chart: %w", ErrOneTeam)
	}
	first := key.NewSecret()
	for i, one := range []struct {
		part key.Secret
		to   escrow.Holder
	}{{first, a.Team}, {JoinDuty(root, first), b.Team}} {
		events[i], err = escrow.Make(set, chart, escrow.Duty(about, one.to), key.NewSecret(), escrow.Payload{Root: one.part})
		if err != nil {
			return events, fmt.Errorf("keep duty chart: %w", err)
		}
	}
	return events, nil
}

// JoinDuty is the root of which two people opened one part each.
func JoinDuty(a, b key.Secret) (root key.Secret) {
	subtle.XORBytes(root[:], a[:], b[:])
	return root
}

package grant

import (
	"fmt"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// Onward is what a keeper knows of a grant that was handed on, besides what
// Facts says of the patient's own grant. Its zero value refuses.
type Onward struct {
	// From is who handed it on, by whose log Terms stands.
	From abaton.ActorID
	// Terms is the hand-on as a grant: to whom, what, why, until when, how
	// much. Nil when the log has none.
	Terms *Grant
	// TakenBack is set when who handed it on has ended it.
	TakenBack bool
	// GivesFor is the team for which From holds the patient's grant, looked up
	// as it is now; zero for From itself.
	GivesFor abaton.ActorID
	// AsksFor is the team for which the actor asks under the hand-on, looked
	// up as it is now; zero for nobody but itself.
	AsksFor abaton.ActorID
	// Within is set when who asks is now inside of what the patient's grant
	// names as Onward.
	Within bool
	// Used is how many records the hand-on has opened here.
	Used uint64
}

// Narrower reports whether terms can be a hand-on of g: of the same patient, to
// read alone, to somebody else, for no more lines, purposes, time or records,
// in no case but now, and going no further.
func (g *Grant) Narrower(terms *Grant) bool {
	if g.When != Always || terms.When != Always || g.Onward == (abaton.ActorID{}) || terms.Onward != (abaton.ActorID{}) || terms.Patient != g.Patient ||
		terms.Grantee == g.Grantee || terms.Actions != Read || terms.Expires > g.Expires || terms.Quota > g.Quota {
		return false
	}
	for _, l := range terms.Lines {
		if !g.Covers(l) {
			return false
		}
	}
	return !slices.ContainsFunc(terms.Purposes, func(p abaton.Purpose) bool { return !g.allows(p) })
}

// DecideOnward decides an access under a grant that was handed on: who handed
// it on must be permitted this very access by the patient's grant, and who asks
// by the terms of the hand-on, which are within it (PROTOCOL.md#onward). Facts
// are the patient's grant's, but for ActsFor; Facts.Barred is set when anybody who
// takes part is barred.
func DecideOnward(f Facts, o Onward, a Access, now time.Time) Decision {
	if f.Owner || f.Grant == nil || o.From == (abaton.ActorID{}) || o.From == a.Actor || f.Level >= Shielded {
		return refuse(abaton.ReasonGrant)
	}
	given := a
	given.Actor, f.ActsFor = o.From, o.GivesFor
	if d := Decide(f, given, now); !d.Permit {
		return d
	}
	if !o.Within || o.Terms == nil || !f.Grant.Narrower(o.Terms) {
		return refuse(abaton.ReasonGrant)
	}
	return Decide(Facts{Grant: o.Terms, Revoked: o.TakenBack, ActsFor: o.AsksFor, Used: o.Used, Level: f.Level}, a, now)
}

// OnwardID names a hand-on: by who hands on, which grant, on what terms.
func OnwardID(from abaton.ActorID, parent abaton.GrantID, terms []byte) abaton.GrantID {
	return wire.Hash(wire.Onward, from[:], parent[:], terms)
}

// WrapOnward seals seeds to whom a grant is handed on. The wrap opens only as
// this very hand-on's.
func WrapOnward(to key.BoxPublic, id abaton.GrantID, seeds []Seed) ([]byte, error) {
	sealed, err := to.SealTo(wire.OnwardWrap, id[:], MarshalSeeds(seeds))
	if err != nil {
		return nil, fmt.Errorf("wrap seeds to hand on: %w", err)
	}
	return sealed, nil
}

// UnwrapOnward is the other end of WrapOnward; key.ErrBox if it does not open.
func UnwrapOnward(own *key.Box, id abaton.GrantID, wrap []byte) ([]Seed, error) {
	payload, err := own.OpenFrom(wire.OnwardWrap, id[:], wrap)
	if err != nil {
		return nil, fmt.Errorf("unwrap handed seeds: %w", err)
	}
	return ParseSeeds(payload)
}

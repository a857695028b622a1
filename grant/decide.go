package grant

import (
	"time"

	"github.com/abaton-health/abaton"
)

// Facts is what the keeper knows about an access, read in the same
// transaction as the ledger append. Its zero value refuses.
type Facts struct {
	// Owner says the actor asks as the patient, without a grant. Setting it
	// beside Grant refuses: the two are never both meant.
	Owner bool
	// Grant is the grant the request names, nil when the log has none.
	Grant *Grant
	// Revoked is set when the log holds a revocation of the grant, on any
	// branch.
	Revoked bool
	// ActsFor is the team for which the actor asks, looked up in its
	// organisation's log as it is now; zero for nobody but itself.
	ActsFor abaton.ActorID
	// Level is the assurance level of the line asked about, 1 to 3; zero when the
	// patient's log has no such line.
	Level uint8
	// Person is set when a human being asks under the own name: no program, no
	// device, and not in another's place.
	Person bool
	// Barred is set when the patient bars the actor or its organisation.
	Barred bool
	// Used is how many records this grant has opened here, in records.
	Used uint64
	// Frozen is set when a death is stated in the patient's log and not taken
	// back.
	Frozen bool
	// Stated is the case in which dormant grants open now; Always for none.
	Stated Case
}

// Access is one thing asked for: one action on one line.
type Access struct {
	Actor   abaton.ActorID
	Patient abaton.ActorID
	Action  Action // exactly one
	Purpose abaton.Purpose
	Line    abaton.Line
	Records uint64 // how many this would open; zero for lists and renewals
}

// Decision is the outcome; the zero value refuses.
type Decision struct {
	Permit bool
	Reason abaton.Reason // empty when permitted
}

func refuse(r abaton.Reason) Decision { return Decision{Reason: r} }

// Decide permits or refuses an access. It is pure and total: the first rule
// that fails is the reason (PROTOCOL.md#decide).
func Decide(f Facts, a Access, now time.Time) Decision {
	if !a.wellFormed() {
		return refuse(abaton.ReasonMalformed)
	}
	if f.Barred {
		return refuse(abaton.ReasonBarred)
	}
	if f.Owner {
		return decideOwner(f, a)
	}
	return decideGrant(f, a, now)
}

func (a Access) wellFormed() bool {
	return a.Actor != (abaton.ActorID{}) && a.Patient != (abaton.ActorID{}) &&
		a.Line != (abaton.Line{}) && (a.Action == Read || a.Action == Deposit)
}

// decideOwner: the patient needs no grant for the own record, and no one else
// can be the owner.
func decideOwner(f Facts, a Access) Decision {
	if a.Actor != a.Patient || f.Grant != nil || f.Revoked {
		return refuse(abaton.ReasonGrant)
	}
	if a.Purpose != abaton.PatientAccess {
		return refuse(abaton.ReasonPurpose)
	}
	if f.Frozen {
		return refuse(abaton.ReasonFrozen)
	}
	return Decision{Permit: true}
}

func decideGrant(f Facts, a Access, now time.Time) Decision {
	g := f.Grant
	if g == nil || g.Validate() != nil || g.Patient != a.Patient || !f.names(g, a) {
		return refuse(abaton.ReasonGrant)
	}
	if f.Revoked {
		return refuse(abaton.ReasonRevoked)
	}
	if reason := f.opensNow(g, a); reason != "" {
		return refuse(reason)
	}
	if t := now.Unix(); t < g.NotBefore || t >= g.Expires {
		return refuse(abaton.ReasonExpired)
	}
	if g.Actions&a.Action == 0 || !g.Covers(a.Line) || f.shields(g, a) {
		return refuse(abaton.ReasonGrant)
	}
	if !a.Purpose.Valid() || !g.allows(a.Purpose) {
		return refuse(abaton.ReasonPurpose)
	}
	if quota := uint64(g.Quota); f.Used > quota || a.Records > quota-f.Used {
		return refuse(abaton.ReasonQuota)
	}
	return Decision{Permit: true}
}

// names: the grant is to the actor, or to the team it acts for.
func (f Facts) names(g *Grant, a Access) bool {
	return g.Grantee == a.Actor || f.ActsFor != (abaton.ActorID{}) && g.Grantee == f.ActsFor
}

func (g *Grant) allows(p abaton.Purpose) bool {
	for _, have := range g.Purposes {
		if have == p {
			return true
		}
	}
	return false
}

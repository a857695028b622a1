package blast

import (
	"maps"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/policy"
)

// Way is how more than Opens comes to open: not at once, or a few a day, and
// each under the eyes of its patient.
type Way string

// The ways.
const (
	// ByEmergency: emergency sets, each with a reason that the patient reads.
	ByEmergency Way = "emergency"
	// ByCustody: records that a care team keeps for their patients.
	ByCustody Way = "custody"
	// ByRecovery: coming in as the patient, after a wait in which any live
	// device of the patient stops it.
	ByRecovery Way = "recovery"
	// ByMadeStaff: doctors and devices that the thief takes on itself.
	ByMadeStaff Way = "made-staff"
	// ByFinding: stating that a patient cannot decide or has died, or taking that
	// back, which the patient's log shows.
	ByFinding Way = "finding"
)

// More is what opens besides, counted apart from Opens.
type More struct {
	Way       Way
	Patients  int
	House     bool          // an organisation's own lines too: its directory, its quarantine
	Records   int           // of those counted
	Uncounted int           // owners whose records nobody counted
	PerDay    int           // patients a day at each keeper; zero: no such bound
	Wait      time.Duration // before the first
}

// gain is a More being counted; a batch counts once.
type gain struct {
	w         *World
	m         More
	patients  map[abaton.ActorID]bool
	segments  map[segmentAt]bool
	uncounted map[abaton.ActorID]bool
}

// segmentAt is one epoch of one line.
type segmentAt struct {
	place
	id abaton.SegmentID
}

func (w *World) gain(way Way, perDay int) *gain {
	return &gain{w: w, m: More{Way: way, PerDay: perDay}, patients: make(map[abaton.ActorID]bool), segments: make(map[segmentAt]bool),
		uncounted: make(map[abaton.ActorID]bool)}
}

func (g *gain) add(owner *actor.State, lines []abaton.Line) {
	for _, line := range lines {
		g.addEpochs(owner, line, owner.Segments(line))
	}
}

// addEpochs adds what one line has under these segments.
func (g *gain) addEpochs(owner *actor.State, line abaton.Line, epochs []actor.Segment) {
	if owner.Kind() == actor.Organisation {
		g.m.House = true
	} else {
		g.patients[owner.Actor()] = true
	}
	if !g.w.f.Counted[owner.Actor()] {
		g.uncounted[owner.Actor()] = true
	}
	at := place{owner.Actor(), line}
	for _, b := range g.w.batches[at] {
		has := func(seg actor.Segment) bool { return seg.ID == b.Segment }
		if seg := (segmentAt{at, b.Segment}); !g.segments[seg] && slices.ContainsFunc(epochs, has) {
			g.m.Records += b.Records
		}
	}
	for _, seg := range epochs {
		g.segments[segmentAt{at, seg.ID}] = true
	}
}

func (w *World) more(h *hold, askers []*asker, cut func(abaton.ActorID) bool) (all []More, patients int) {
	emergency, custody := w.gain(ByEmergency, abaton.EmergencyPersonMax), w.gain(ByCustody, abaton.CustodyPersonMax)
	recovery, made := w.gain(ByRecovery, 0), w.gain(ByMadeStaff, abaton.EmergencyOrganisationMax)
	finding := w.gain(ByFinding, 0)
	made.m.Wait = abaton.EmergencyRoleAge
	if w.f.Set != nil {
		made.m.Wait = w.f.Set.RecoveryWait()
	}
	for _, owner := range w.owners {
		w.turned(h, askers, owner, cut, finding)
		if owner.Frozen() {
			continue // no escrow opens of somebody who has died
		}
		for _, e := range owner.Escrows() {
			switch e.Kind {
			case actor.EscrowEmergency:
				if slices.ContainsFunc(askers, func(a *asker) bool { return w.unsealsEmergency(a, owner, e) }) {
					emergency.add(owner, unshielded(owner, e.Lines))
				}
				if w.makesDoctors(h) && e.Need == 1 {
					made.add(owner, unshielded(owner, e.Lines))
				}
			case actor.EscrowCustody:
				for _, a := range askers {
					if lines := w.custodyLines(h, a, owner, e, cut); len(lines) > 0 {
						custody.add(owner, lines)
					}
				}
			case actor.EscrowKit, actor.EscrowTrustees:
				if h.returns(owner, e) {
					w.comesBack(owner, cut, recovery)
					recovery.m.Wait = max(recovery.m.Wait, time.Duration(e.Delay)*time.Second)
				}
			}
		}
	}
	w.madeSeats(h, made)
	later := make(map[abaton.ActorID]bool)
	for _, g := range []*gain{emergency, custody, recovery, finding, made} {
		maps.Copy(later, g.patients)
		g.m.Uncounted = len(g.uncounted)
		if g.m.Patients = len(g.patients); g.m.Patients > 0 || g.m.House {
			all = append(all, g.m)
		}
	}
	return all, len(later)
}

// unsealsEmergency: somebody in an emergency role with a passkey at hand. A
// thief says to be the only one there, so that a bar does not hold. How long
// keepers have known the role, and whether a colleague's word is owed, is
// theirs to know.
func (w *World) unsealsEmergency(a *asker, owner *actor.State, e *actor.Escrow) bool {
	if !a.touch || a.check.Actor.Kind() != actor.Clinician || a.st.Role != abaton.RoleEmergency ||
		a.st.Behalf != (abaton.ActorID{}) || !w.served(a.st.Organisation) || e.Need != 1 || owner.Kind() != actor.Patient {
		return false
	}
	return w.policyPermits(a, policy.Unseal, abaton.Emergency, highest(owner, e.Lines), nil)
}

// served: the authorities lend for doctors of this house.
func (w *World) served(org abaton.ActorID) bool { return w.f.Served == nil || w.f.Served[org] }

func highest(owner *actor.State, lines []abaton.Line) (level uint8) {
	for _, line := range lines {
		level = max(level, levelOf(owner, line))
	}
	return level
}

// custodyLines are the lines that one of a care team opens: with the team's
// key, by a live place in the team, where the patient bars nobody who asks.
func (w *World) custodyLines(h *hold, a *asker, owner *actor.State, e *actor.Escrow, cut func(abaton.ActorID) bool) (lines []abaton.Line) {
	barred := func(id abaton.ActorID) bool { return owner.Barred(id, w.f.Now) }
	if barred(a.st.Actor) || barred(a.st.Organisation) || barred(a.st.Behalf) {
		return nil
	}
	keeps := slices.ContainsFunc(e.Wraps, func(half actor.HalfWrap) bool {
		return h.boxes[half.Holder] && (cut == nil || !cut(half.Holder)) && a.check.ActsFor(&a.st, half.Holder, a.colleague)
	})
	if !keeps || !w.policyPermits(a, policy.Unseal, abaton.Treatment, highest(owner, linesOf(owner)), nil) {
		return nil
	}
	for _, line := range unshielded(owner, linesOf(owner)) {
		if len(e.Lines) == 0 || slices.Contains(e.Lines, line) {
			lines = append(lines, line)
		}
	}
	return lines
}

// unshielded: what is between the patient and one person is nobody's in an
// emergency, and no team's.
func unshielded(owner *actor.State, lines []abaton.Line) (open []abaton.Line) {
	for _, line := range lines {
		if level := owner.Level(line); level != 0 && level < grant.Shielded {
			open = append(open, line)
		}
	}
	return open
}

// returns: enough of half A of a way back in to begin to come back.
func (h *hold) returns(owner *actor.State, e *actor.Escrow) bool {
	if e.Kind == actor.EscrowKit {
		return h.kits[owner.Actor()]
	}
	parts := 0
	for _, half := range e.Wraps {
		if h.boxes[half.Holder] && h.passkeys[half.Holder] {
			parts++
		}
	}
	return parts >= int(e.Need)
}

// comesBack is what opens for who came back as a patient: the own record, and what
// others gave, for a kit and helpers hold the box too.
func (w *World) comesBack(owner *actor.State, cut func(abaton.ActorID) bool, into *gain) {
	into.add(owner, linesOf(owner))
	own := map[abaton.ActorID]bool{owner.Actor(): true}
	for _, a := range w.sessionsOf(owner.Actor(), nil) {
		a.touch, a.seeds = true, seeds{roots: own, boxes: own}
		for _, other := range w.owners {
			for _, r := range w.rights(a, other, cut) {
				for _, line := range r.lines {
					if epochs := w.epochs(a.seeds, other, line); len(epochs) > 0 && w.opens(a, other, r, line, nil) {
						into.addEpochs(other, line, epochs)
					}
				}
			}
		}
	}
}

// makesStaff: as many managing keys of an organisation as it demands. They
// take on whom they like; keepers ask a new emergency role to be a day old.
func (w *World) makesStaff(h *hold) bool {
	return slices.ContainsFunc(w.houses, h.governs)
}

// makesDoctors: staff of a house for which authorities lend.
func (w *World) makesDoctors(h *hold) bool {
	return slices.ContainsFunc(w.houses, func(org *actor.State) bool { return h.governs(org) && w.served(org.Actor()) })
}

func (h *hold) governs(org *actor.State) bool {
	n := h.manages[org.Actor()]
	return n > 0 && n >= org.Approvals()
}

// madeSeats: who takes on staff and has a team's key seats them in the team; who
// has the organisation's root gives them its own lines.
func (w *World) madeSeats(h *hold, into *gain) {
	for _, org := range w.houses {
		if !h.governs(org) {
			continue
		}
		if lines := linesOf(org); h.roots[org.Actor()] && len(lines) > 0 {
			into.add(org, lines)
			into.m.Wait, into.m.PerDay = 0, 0
		}
		for _, t := range org.Teams() {
			if h.boxes[t.Team] {
				w.madeMembers(org, t.Team, into)
			}
		}
	}
}

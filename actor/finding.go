package actor

import (
	"bytes"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
)

// EventFinding is the kind of Finding.
const EventFinding EventKind = 25

// How long an incapacity is stated for before somebody looks again.
const (
	// FindingTrialMax bounds the first one.
	FindingTrialMax = 92 * 24 * time.Hour
	// FindingLifeMax bounds those that follow one.
	FindingLifeMax = 366 * 24 * time.Hour
)

// Finding states a case: that the patient cannot decide, or has died. A
// registrar that the log names says it together with a physician, two signatures
// of two houses (PROTOCOL.md#finding). It gives nothing that the patient did not
// give before: grants for the case open, once it is certified. A death freezes all
// others from the moment a keeper has it. A Veto that names it ends it for ever.
type Finding struct {
	Case      grant.Case             `cbor:"1,keyasint"`
	Registrar abaton.ActorID         `cbor:"2,keyasint"`
	Physician abaton.ActorID         `cbor:"3,keyasint"`
	House     abaton.ActorID         `cbor:"4,keyasint"` // where the physician works
	Until     int64                  `cbor:"5,keyasint"` // the review date, unix seconds, exclusive; zero for a death
	Nonce     [grant.NonceBytes]byte `cbor:"6,keyasint"`
}

// EventKind of Finding (Body).
func (*Finding) EventKind() EventKind { return EventFinding }

func (b *Finding) validate() error {
	zero := abaton.ActorID{}
	ok := b.Case.Stated() && b.Registrar != zero && b.Physician != zero && b.House != zero &&
		b.Registrar != b.Physician && b.Registrar != b.House && b.Physician != b.House &&
		b.Nonce != ([grant.NonceBytes]byte{})
	return valid(ok && (b.Case == grant.Death) == (b.Until == 0) && b.Until >= 0)
}

// says is the right that a registrar needs to state the case.
func (b *Finding) says() Says {
	if b.Case == grant.Death {
		return SaysDeath
	}
	return SaysIncapacity
}

// finding is a Finding that this copy knows.
type finding struct {
	body *Finding
	by   *knot
}

func (s *State) find(b *Finding, n *knot) {
	if s.findings == nil {
		s.findings = make(map[Hash]finding)
	}
	s.findings[n.a.hash] = finding{body: b, by: n}
}

// stands: known and not taken back.
func (s *State) stands(h Hash) bool {
	_, vetoed := s.vetoes[h]
	return !vetoed
}

// Frozen reports whether a death is stated and not taken back. It holds on
// receipt, as what narrows does.
func (s *State) Frozen() bool {
	for h, f := range s.findings {
		if f.body.Case == grant.Death && s.stands(h) {
			return true
		}
	}
	return false
}

// Stated is the case in which dormant grants open now. It takes the finding's
// own certificate, never a merge: four keepers have judged both signatures. After
// a death no incapacity counts.
func (s *State) Stated(now time.Time) grant.Case {
	frozen, open := s.Frozen(), grant.Always
	for h, f := range s.findings {
		if !f.by.certified || !s.stands(h) || f.over(now) || (f.body.Case == grant.Death) != frozen {
			continue
		}
		open = f.body.Case
	}
	return open
}

// Asleep reports whether a grant of this log opens nothing now because of what is
// stated, or is not: it is for another case, or frozen.
func (s *State) Asleep(g *grant.Grant, now time.Time) bool {
	return g.When != grant.Always && g.When != s.Stated(now) || g.When != grant.Death && s.Frozen()
}

// over: past the review date. A merge may vouch for what nobody judged: its own
// time bounds it.
func (f finding) over(now time.Time) bool {
	last := min(f.body.Until, f.by.a.event.Time+int64(FindingLifeMax/time.Second))
	return f.body.Case != grant.Death && now.Unix() >= last
}

// Stating is a finding as a log tells it.
type Stating struct {
	Event   Hash
	Finding Finding
	At      time.Time // by the clock of whoever stated it
	Counts  bool      // certified
	Ended   bool      // taken back, or past its review date
}

// Findings are all that this log tells, by event.
func (s *State) Findings(now time.Time) (all []Stating) {
	for h, f := range s.findings {
		all = append(all, Stating{Event: h, Finding: *f.body, At: unix(f.by.a.event.Time), Counts: f.by.certified,
			Ended: !s.stands(h) || f.over(now)})
	}
	slices.SortFunc(all, func(a, b Stating) int { return bytes.Compare(a.Event[:], b.Event[:]) })
	return all
}

// admitFinding: the log lets this registrar say it with this physician now, both
// signed, each by a key that is not the other's, and neither gains by it.
func (s *State) admitFinding(b *Finding, by provers, door Door, now time.Time) error {
	r := s.Registrar(b.Registrar, now)
	if r == nil || r.May&b.says() == 0 || !slices.Contains(r.With, b.Physician) && !slices.Contains(r.With, b.House) {
		return abaton.Refuse(abaton.ReasonCredential)
	}
	registrar, house := door.registers(b.Registrar), door.registers(b.House)
	if registrar == nil || house == nil {
		return abaton.Refuse(abaton.ReasonCredential)
	}
	physician := door.Log(b.Physician)
	if physician == nil || !physician.Live() || physician.actor != b.Physician || physician.Kind() != Clinician {
		return abaton.Refuse(abaton.ReasonCredential)
	}
	stated, signed := by.split(registrar)
	if registrar.managersAmong(stated) == 0 || !physician.speaks(signed) {
		return abaton.Refuse(abaton.ReasonCredential)
	}
	if registrar.managersAmong(stated) < registrar.Approvals() {
		return abaton.Refuse(abaton.ReasonApprovals)
	}
	if m := house.Member(b.Physician, now); m == nil || !m.Holds(abaton.RolePhysician) {
		return abaton.Refuse(abaton.ReasonStanding)
	}
	if s.gains(b) {
		return abaton.Refuse(abaton.ReasonStanding)
	}
	return s.admitReview(b, now)
}

// split parts the provers into the registrar's keys and all others, so that no
// key counts for two.
func (p provers) split(registrar *State) (its, others provers) {
	for _, k := range p.keys {
		if registrar.KeyRights(k) != 0 {
			its.keys = append(its.keys, k)
		} else {
			others.keys = append(others.keys, k)
		}
	}
	others.credentials = p.credentials
	return its, others
}

// gains reports whether a grant for the case is the registrar's or the
// physician's own.
func (s *State) gains(b *Finding) bool {
	for _, g := range s.Grants() {
		if g.When == b.Case && (g.Grantee == b.Registrar || g.Grantee == b.Physician) {
			return true
		}
	}
	return false
}

// admitReview: a first incapacity is for a trial, those after it for a year at
// most; who has died is not stated incapable.
func (s *State) admitReview(b *Finding, now time.Time) error {
	if b.Case == grant.Death {
		return nil
	}
	if s.Frozen() {
		return abaton.Refuse(abaton.ReasonFrozen)
	}
	if now.Unix() >= b.Until {
		return abaton.Refuse(abaton.ReasonExpired)
	}
	most := FindingTrialMax
	for h, f := range s.findings {
		if f.body.Case == b.Case && f.by.certified && s.stands(h) {
			most = FindingLifeMax
		}
	}
	if b.Until > now.Add(most+abaton.ClockSkewMax).Unix() {
		return tooLarge() // not time: that may pass, this does not
	}
	return nil
}

// vouchedFinding: as for a recovery, each keeper judges who signed when it is
// asked for its vote; a log alone sees only that its owner named the registrar.
func (s *State) vouchedFinding(b *Finding, parents []*knot) error {
	e := s.registrars[b.Registrar]
	if e == nil || !slices.ContainsFunc(e.given, func(g gift[*Registrar]) bool {
		return g.value.May&b.says() != 0 && s.within(g.by, parents)
	}) {
		return abaton.Refuse(abaton.ReasonCredential)
	}
	return nil
}

// admitFrozen refuses what would be given, or erased, in the name of somebody
// who has died. A veto of the death comes first.
func (s *State) admitFrozen(k EventKind) error {
	if (!Narrows(k) && k != EventMerge || k == EventErase) && s.Frozen() {
		return abaton.Refuse(abaton.ReasonFrozen)
	}
	return nil
}

// takesBack reports whether the registrar that stated a finding, and nobody
// else, proves a veto of it: registers correct their mistakes.
func (s *State) takesBack(b *Veto, by provers, door Door) bool {
	f, known := s.findings[b.Recover]
	if !known {
		return false
	}
	st := door.registers(f.body.Registrar)
	return st != nil && st.managersAmong(by) >= st.Approvals()
}

// vouchedTakeBack: whose keys proved it a log alone cannot judge.
func (s *State) vouchedTakeBack(b *Veto, parents []*knot) bool {
	f, known := s.findings[b.Recover]
	return known && s.within(f.by, parents)
}

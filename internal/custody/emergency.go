package custody

import (
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/detect"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// emergency is one emergency opening as this keeper remembers it, under the name
// of whoever opened. It outlives sessions and restarts: the right to read that
// it gives, and the second clinician's word that it owes.
type emergency struct {
	Request      [32]byte        `cbor:"1,keyasint"`
	Patient      abaton.ActorID  `cbor:"2,keyasint"`
	Escrow       abaton.GrantID  `cbor:"3,keyasint"`
	Organisation abaton.ActorID  `cbor:"4,keyasint"`
	Device       abaton.ActorID  `cbor:"5,keyasint"`
	Time         int64           `cbor:"6,keyasint"` // unix seconds, this keeper's clock
	Sole         bool            `cbor:"7,keyasint"` // a bar does not hold
	Verdict      session.Verdict `cbor:"8,keyasint"` // the second clinician's; zero while owed
	Second       abaton.ActorID  `cbor:"9,keyasint"` // whose verdict it is
	Urgency      session.Urgency `cbor:"10,keyasint"`
	Loud         bool            `cbor:"11,keyasint"`           // a bar did not hold
	Officer      bool            `cbor:"12,keyasint,omitempty"` // the verdict is a security officer's: no clinician's undoes it

	words []byte // for the ledger
}

// answered is a verdict about somebody's opening.
type answered struct {
	opener   abaton.ActorID
	openings []emergency
	judged   *emergency // the one it is about
}

func openingsName(who abaton.ActorID) string { return "emergency/" + string(who[:]) }

// openings are what this keeper remembers of a clinician's emergency openings.
func (c *Core) openings(t *tx, who abaton.ActorID) (all []emergency, err error) {
	b, err := c.noted(t, openingsName(who))
	if err != nil || len(b) == 0 {
		return nil, err
	}
	return all, wire.Unmarshal(b, &all)
}

// unsealEmergency: a person in an emergency role that this keeper has known
// for long enough, at an enrolled device (session.Live asked), who says now
// why, owes no second clinician's word, and is within all budgets
// (PROTOCOL.md#emergency). A patient's bar holds, unless nobody else is there:
// then the ledger says so.
func (v *verdict) unsealEmergency(e *actor.Escrow) abaton.Reason {
	st, q := v.r.Session.Statement(), v.r.Asked
	if v.asker.kind != actor.Clinician || st.Role != abaton.RoleEmergency || st.Behalf != (abaton.ActorID{}) {
		return abaton.ReasonStanding
	}
	said, err := q.Opens(v.r.Session, v.r.Party, v.t.now)
	if err != nil {
		return v.copied(refusedBy(err).Reason)
	}
	if reason := v.roleAged(); reason != "" {
		return reason
	}
	barred := v.barred()
	if barred && !said.Sole {
		return abaton.ReasonBarred
	}
	second, reason := v.agreed(int(e.Need))
	if reason != "" {
		return reason
	}
	o := &emergency{
		Request: q.Hash(), Patient: q.Patient, Escrow: q.Grant, Organisation: st.Organisation, Device: st.Device,
		Time: v.t.now.Unix(), Sole: said.Sole, Urgency: said.Urgency, words: said.Words, Loud: barred,
	}
	if second != (abaton.ActorID{}) {
		o.Second, o.Verdict = second, session.Right
	}
	if reason := v.mayOpen(o); reason != "" {
		return reason
	}
	v.opening = o
	return ""
}

// barred: the patient bars the person or the organisation.
func (v *verdict) barred() bool {
	st := v.r.Session.Statement()
	return v.patient.Barred(st.Actor, v.t.now) || v.patient.Barred(st.Organisation, v.t.now)
}

// agreed is the second clinician whose approval the request carries. It must be
// there where the set takes two; where it takes one it may be.
func (v *verdict) agreed(clinicians int) (second abaton.ActorID, reason abaton.Reason) {
	if v.r.Asked.Answered() == nil {
		if clinicians != 1 {
			return second, abaton.ReasonSecond
		}
		return second, ""
	}
	st := v.r.Session.Statement()
	p, err := v.r.Asked.Agrees(v.r.Second, v.r.Away, v.t.now)
	if err != nil {
		return second, v.copied(refusedBy(err).Reason)
	}
	if p.Opener != st.Actor {
		return second, abaton.ReasonSecond
	}
	if reason := v.mayJudge(v.r.Second, st.Organisation); reason != "" {
		return second, reason
	}
	return v.r.Second.Statement().Actor, ""
}

// mayJudge: a second clinician is a person of the same organisation in a role
// that reads records, there now, not barred by the patient, and not suspended:
// two stolen people would agree to each other.
func (v *verdict) mayJudge(s *session.Session, organisation abaton.ActorID) abaton.Reason {
	if reason := v.core.live(v.t, s); reason != "" {
		if reason == abaton.ReasonStorage {
			return reason
		}
		return abaton.ReasonSecond
	}
	st := s.Statement()
	role, known := abaton.RoleOf(st.Role)
	if !known || !role.Reads || !role.Human || st.Organisation != organisation || v.patient.Barred(st.Actor, v.t.now) {
		return abaton.ReasonSecond
	}
	if v.core.holds(v.t, s).Level >= detect.SuspendSession && !v.core.cfg.Mutation.skips("second-held") {
		return abaton.ReasonSecond
	}
	return ""
}

// mayOpen: nothing owed, and room in the budgets of person, device and
// organisation. Whoever opens the same set again while the right lasts moves only
// the count of this patient.
func (v *verdict) mayOpen(o *emergency) abaton.Reason {
	st := v.r.Session.Statement()
	all, err := v.core.openings(v.t, st.Actor)
	if err != nil {
		return v.broken(err)
	}
	now := v.t.now
	for i := range all {
		if had := &all[i]; had.owes(now) {
			return abaton.ReasonUnconfirmed
		}
	}
	if v.repeat != nil {
		return ""
	}
	budgets := []budget{patientBudget(o, st.Actor)}
	if !slices.ContainsFunc(all, func(had emergency) bool { return had.same(o) && had.gives(now) }) {
		budgets = append(budgets, budgetsOf(o, st.Actor)...)
	}
	for _, b := range budgets {
		within, err := v.core.hasRoom(v.t, b.name, b.max, now)
		if err != nil {
			return v.broken(err)
		}
		if !within {
			return abaton.ReasonBudget
		}
	}
	return ""
}

// budget is one durable count of the last 24 hours.
type budget struct {
	name string
	max  int
}

// patientBudget counts every opening of one patient by one person, so that what
// is remembered of both stays bounded while a right lasts.
func patientBudget(o *emergency, who abaton.ActorID) budget {
	return budget{"emergencies/" + string(who[:]) + string(o.Patient[:]), abaton.EmergencyPatientMax}
}

func budgetsOf(o *emergency, who abaton.ActorID) []budget {
	name := func(id abaton.ActorID) string { return "emergencies/" + string(id[:]) }
	return []budget{
		{name(who), abaton.EmergencyPersonMax},
		{name(o.Device), abaton.EmergencyDeviceMax},
		{name(o.Organisation), abaton.EmergencyOrganisationMax},
	}
}

// owes reports whether the second clinician's word is overdue, or was against.
func (o *emergency) owes(now time.Time) bool {
	late := now.Sub(time.Unix(o.Time, 0)) >= abaton.EmergencyConfirm
	return o.Verdict == session.Wrong || o.Verdict != session.Right && late
}

// gives reports whether the right to read still lasts.
func (o *emergency) gives(now time.Time) bool {
	since := now.Sub(time.Unix(o.Time, 0))
	return since >= 0 && since < abaton.EmergencyRight && o.Verdict != session.Wrong
}

func (o *emergency) same(p *emergency) bool {
	return o.Escrow == p.Escrow && o.Organisation == p.Organisation && o.Device == p.Device
}

// mayRead: under an emergency set only whoever opened it reads, at the device
// where it was opened, in the same role, the lines of the set, in an emergency,
// until the right ends. Nothing is written under it.
func (v *verdict) mayRead(e *actor.Escrow, line abaton.Line) abaton.Reason {
	st, q := v.r.Session.Statement(), v.r.Asked
	switch {
	case v.asker.kind != actor.Clinician || st.Role != abaton.RoleEmergency || !slices.Contains(e.Lines, line):
		return abaton.ReasonGrant
	case q.Purpose != abaton.Emergency:
		return abaton.ReasonPurpose
	}
	all, err := v.core.openings(v.t, st.Actor)
	if err != nil {
		return v.broken(err)
	}
	asked := &emergency{Escrow: q.Grant, Organisation: st.Organisation, Device: st.Device}
	why := abaton.ReasonGrant
	for i := range all {
		o := &all[i]
		switch {
		case !o.same(asked):
		case !o.gives(v.t.now):
			why = abaton.ReasonExpired
		case v.barred() && !o.Sole:
			why = abaton.ReasonBarred
		default:
			return ""
		}
	}
	return why
}

// grantConfirm: a second clinician's word about an opening that this keeper
// remembers, or a security officer's. The last word stands, but never the
// opener's, and no clinician's after an officer's.
func (v *verdict) grantConfirm() abaton.Reason {
	p, err := v.r.Asked.Agrees(v.r.Session, v.r.Party, v.t.now)
	if err != nil {
		return v.copied(refusedBy(err).Reason)
	}
	if p.Session != v.r.Session.ID() {
		return abaton.ReasonSecond
	}
	all, err := v.core.openings(v.t, p.Opener)
	if err != nil {
		return v.broken(err)
	}
	i := slices.IndexFunc(all, func(o emergency) bool {
		return o.Request == p.Opening && o.Patient == p.Patient && o.Escrow == p.Escrow
	})
	if i < 0 {
		return abaton.ReasonNotFound
	}
	if reason := v.mayAnswer(&all[i], p.Verdict); reason != "" {
		return reason
	}
	all[i].answer(p.Verdict, v.r.Session.Statement())
	v.answer = &answered{opener: p.Opener, openings: all, judged: &all[i]}
	return ""
}

// mayAnswer: a second clinician, or a security officer of the organisation. What
// an officer called wrong only an officer takes back, and takes back nothing else.
func (v *verdict) mayAnswer(o *emergency, said session.Verdict) abaton.Reason {
	st := v.r.Session.Statement()
	if !oversight(&st) {
		if o.Officer {
			return abaton.ReasonSecond
		}
		return v.mayJudge(v.r.Session, o.Organisation)
	}
	if st.Organisation != o.Organisation || said == session.Right && !o.Officer {
		return abaton.ReasonSecond
	}
	return ""
}

// oversight reports whether somebody asks as a security officer.
func oversight(st *session.Statement) bool { return st.Role == abaton.RoleSecurityOfficer }

// answer notes a word that mayAnswer let pass. An officer's "right" leaves the
// opening as if nobody had judged it: a second clinician's word is owed.
func (o *emergency) answer(said session.Verdict, st session.Statement) {
	o.Verdict, o.Second, o.Officer = said, st.Actor, oversight(&st)
	if o.Officer && said == session.Right {
		o.Verdict, o.Second, o.Officer = 0, abaton.ActorID{}, false
	}
}

// note makes an opening, or a word about one, durable with its ledger entry.
func (v *verdict) note() {
	switch {
	case v.answer != nil:
		v.core.jot(v.t, openingsName(v.answer.opener), wire.Marshal(v.answer.openings))
		v.core.amendNotice(v.t, v.answer.judged)
	case v.opening != nil:
		v.noteOpening(v.opening)
	case v.escrow != nil && v.escrow.Kind == actor.EscrowCustody:
		v.noteCustody()
	}
}

func (v *verdict) noteOpening(o *emergency) {
	who, now := v.r.Session.Statement().Actor, v.t.now
	all, err := v.core.openings(v.t, who)
	if err != nil {
		v.t.err = err
		return
	}
	counted := slices.ContainsFunc(all, func(had emergency) bool { return had.same(o) && had.gives(now) })
	all = slices.DeleteFunc(all, func(had emergency) bool { return had.Verdict == session.Right && !had.gives(now) })
	v.core.jot(v.t, openingsName(who), wire.Marshal(append(all, *o)))
	v.tellPatient(who, o)
	v.core.spend(v.t, patientBudget(o, who).name, now)
	if counted {
		return
	}
	for _, b := range budgetsOf(o, who) {
		v.core.spend(v.t, b.name, now)
	}
}

// tellEmergency adds to an entry what the patient reads of an emergency. A
// refused one says no words: nobody has judged them.
func (v *verdict) tellEmergency(e *ledger.Entry) {
	if said := v.r.Asked.Said(); said != nil {
		e.Op, e.Urgency = ledger.OpEmergency, uint8(said.Urgency)
	}
	if o := v.opening; o != nil {
		e.Loud, e.Words, e.Second = o.Loud, o.words, o.Second
	}
	if p := v.r.Asked.Answered(); p != nil && e.Op == ledger.OpConfirm {
		e.Urgency, e.Second, e.Opening = uint8(p.Verdict), p.Opener, p.Opening
	}
}

// request is what the core decides. An approval counts only from a session
// that its reader began here.
func (k *Keeper) request(o *open, asked *session.Asked, now time.Time) Request {
	r := Request{Session: o.session, Asked: asked, Party: o.party, Statement: o.signed}
	if id, ok := asked.Second(); ok {
		if second := k.sessions.find(id, now); second != nil {
			r.Second, r.Away = second.session, second.party
		}
	}
	return r
}

// released is this keeper's word to an authority that its share left under a
// ledger entry.
func (k *Keeper) released(asked *session.Asked, out Output) []byte {
	return wire.Marshal(k.cfg.Key.Seal(wire.Released, wire.Marshal(keeper.Released{
		V: wire.Version, Keeper: k.cfg.Index, Request: asked.Hash(), Patient: asked.Patient, Escrow: asked.Grant,
		Entry: out.Entry, Time: uint64(out.Time.Unix()),
	})))
}

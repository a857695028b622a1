package custody

import (
	"errors"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/store"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// Row is what of one batch may be released to whoever asked.
type Row struct {
	Patient abaton.ActorID
	Batch   abaton.BatchName
	Records uint64 // bitmap
}

// Request asks to release, permit, list or tell (PROTOCOL.md#request). The
// door has decoded it, found its session and verified its signature.
type Request struct {
	Session *session.Session
	Asked   *session.Asked
	Party   key.RelyingParty // where a step-up must come from
	Second  *session.Session // whose approval it carries; nil without, or not known here
	Away    key.RelyingParty // where that approval must come from
	// Statement is the session's, as it was signed: what proves a finding.
	Statement []byte
}

func (r Request) slot() string {
	// One grant at a time per group: the quota is read, then used.
	g := r.Asked.Grant
	if g == (abaton.GrantID{}) {
		return "owner/" + string(r.Asked.Patient[:])
	}
	return "grant/" + string(g[:])
}

// decide continues the keeper's checks where Keeper.Release left off
// (docs/ARCHITECTURE.md#request-path, steps 3 to 11). The order is the security argument;
// the first failure ends it. From standing on, every outcome is ledgered
// before anyone hears of it.
func (r Request) decide(c *Core, t *tx) Output {
	if out, closed := c.closed(); closed {
		return out
	}
	left := false
	if reason := c.live(t, r.Session); reason == abaton.ReasonStanding { // 6 refuses it, and ledgers it
		left = true
	} else if reason != "" { // 3, 4: session, credential
		return refused(reason)
	}
	repeat, reason := c.remembered(t, r) // 5: time and replay
	if reason != "" {
		return refused(reason)
	}
	v := &verdict{core: c, t: t, r: r, repeat: repeat, left: left}
	for _, check := range []struct {
		name  string
		holds func(*verdict) abaton.Reason
	}{
		{"standing", (*verdict).standing}, // 6: role, employment, training
		{"lease", (*verdict).lease},       // 7: key logs fresh within the lease
		{"grant", (*verdict).grant},       // 7: grant, action, purpose, segment, quota, bars
		{"step-up", (*verdict).stepUp},    // 8: assurance 3
		{"policy", (*verdict).policy},     // 9: the organisation's policy
		{"budget", (*verdict).budget},     // 10: budget
		{"watch", (*verdict).watch},       // 10: detection, and who is held back
	} {
		if reason := check.holds(v); reason != "" && !c.cfg.Mutation.skips(check.name) {
			return v.refuse(reason)
		}
	}
	return v.permit() // 11: ledgered with the group, then released
}

// live checks the session against the key logs as they are now.
func (c *Core) live(t *tx, s *session.Session) abaton.Reason {
	check, err := c.parties(s, t.now)
	if err != nil {
		t.err = err
		return abaton.ReasonStorage
	}
	if err := s.Live(check); err != nil && !c.overlooks(err) {
		return refusedBy(err).Reason
	}
	return ""
}

// overlooks is false in a keeper that ships: what is wrong with a session does
// not stop a mutant whose check of it is off.
func (c *Core) overlooks(err error) bool {
	return c.cfg.Mutation.skips("session") || refusedBy(err).Reason == abaton.ReasonStanding && c.cfg.Mutation.skips("standing")
}

// memory is what a keeper remembers of a request it has answered.
type memory struct {
	Entry   uint64         `cbor:"1,keyasint"` // first ledger entry
	Outcome ledger.Outcome `cbor:"2,keyasint"`
	Locks   [32]byte       `cbor:"3,keyasint"` // what was released under which LOCKs
}

// refusedName marks a request whose repeat was refused and ledgered.
func refusedName(request [32]byte) [32]byte { return wire.Hash(wire.Request, request[:]) }

// remembered checks the request's time and whether it was answered before.
func (c *Core) remembered(t *tx, r Request) (*memory, abaton.Reason) {
	if r.Asked.InTime(t.now) != nil {
		return nil, abaton.ReasonTime
	}
	n, err := c.store.Nonce(r.Asked.Hash())
	if errors.Is(err, store.ErrAbsent) {
		return nil, ""
	}
	var m memory
	if err == nil {
		err = wire.Unmarshal(n.Value, &m)
	}
	if err != nil {
		t.err = err
		return nil, abaton.ReasonStorage
	}
	return &m, ""
}

// verdict is one request on its way through the checks.
type verdict struct {
	core    *Core
	t       *tx
	r       Request
	repeat  *memory
	left    bool // the organisation does not stand behind who asks
	asker   asker
	patient *actor.State
	used    uint64
	handing *session.Handing // the logs of the hand-on asked by; nil without one
	handed  *grant.Onward    // what they say; nil without one
	asksFor []abaton.Line    // the lines that the grant covers
	strict  []abaton.Line    // those of assurance level 3 among them
	level   uint8            // the highest of their assurance levels
	stepped bool             // the step-up over strict was verified
	rows    []ledger.Row
	granted []Row
	lines   []abaton.Line
	locks   []byte // what identifies the LOCKs released
	escrow  *actor.Escrow
	opening *emergency // an emergency opening about to be noted
	answer  *answered  // a second clinician's word about one
	seen    seen       // what the watch made of it
}

func (v *verdict) lease() abaton.Reason {
	if !v.core.fresh(v.t.now, abaton.LeaseMax) {
		return abaton.ReasonLease
	}
	return ""
}

// grant reads the patient's log as it stands in this group and decides for
// every line asked about.
func (v *verdict) grant() abaton.Reason {
	q := v.r.Asked
	st, err := v.core.actors.get(q.Patient)
	if err != nil {
		return v.broken(err)
	}
	if st == nil || !st.Live() {
		return abaton.ReasonGrant
	}
	v.patient = st
	if v.frozen() {
		return abaton.ReasonFrozen
	}
	if q.Grant != (abaton.GrantID{}) {
		if v.used, err = v.core.used(q.Grant); err != nil {
			return v.broken(err)
		}
	}
	if reason := v.onward(); reason != "" {
		return reason
	}
	switch q.Mode {
	case session.Release, session.Permit, session.Index, session.Locks:
		return v.grantRows()
	case session.List, session.Parts:
		return v.grantLines()
	case session.History:
		return v.grantHistory()
	case session.Unseal:
		return v.grantUnseal()
	case session.Confirm:
		return v.grantConfirm()
	}
	return abaton.ReasonMalformed
}

// decideLine is grant.Decide for one line and that many records.
func (v *verdict) decideLine(line abaton.Line, records uint64) abaton.Reason {
	st, q := v.r.Session.Statement(), v.r.Asked
	if v.repeat != nil {
		records = 0 // RULINGS 20: a repeat costs no quota
	}
	if e, ended := v.patient.Escrow(q.Grant); e != nil && v.handed == nil {
		return v.decideEscrow(e, ended, line)
	}
	facts, reason := v.facts(line)
	if reason != "" {
		return reason
	}
	access := grant.Access{
		Actor: st.Actor, Patient: q.Patient, Action: grant.Read, Purpose: q.Purpose, Line: line, Records: records,
	}
	var d grant.Decision
	if v.handed != nil {
		d = grant.DecideOnward(facts, *v.handed, access, v.t.now)
	} else {
		d = grant.Decide(facts, access, v.t.now)
	}
	if !d.Permit && !v.core.cfg.Mutation.skips("grant") {
		return d.Reason
	}
	v.count(records)
	v.asking(line)
	return ""
}

// grantRows decides row by row. What is absent and what is not covered look
// the same (RULINGS 20); a grant that covers nothing at all says why.
func (v *verdict) grantRows() abaton.Reason {
	why := abaton.ReasonNotFound
	for _, row := range v.r.Asked.Rows {
		held, line, err := v.held(row.Batch)
		if err != nil {
			return v.broken(err)
		}
		released := row.Bits & held & v.within(held)
		if released != 0 {
			counted := released
			if v.r.Asked.Mode == session.Permit { // RULINGS 22: a renewal costs no quota
				counted &^= v.core.counters.renewals.renews(v.r.Session.ID(), row.Batch)
			}
			if reason := v.decideLine(line, count(counted)); reason != "" {
				released = 0
				why = worse(why, reason)
			}
		}
		v.rows = append(v.rows, ledger.Row{Batch: row.Batch, Released: released, Refused: row.Bits &^ released})
		if released != 0 {
			v.granted = append(v.granted, Row{Patient: v.r.Asked.Patient, Batch: row.Batch, Records: released})
		}
	}
	ledger.SortRows(v.rows)
	if len(v.granted) == 0 {
		return why
	}
	return ""
}

// within is what the mode can name: an index is record 0 of a batch that has
// others (RULINGS 6), and nothing else is opened under its name.
func (v *verdict) within(held uint64) uint64 {
	switch {
	case v.r.Asked.Mode != session.Index:
		return held
	case held == 1:
		return 0
	}
	return 1
}

// worse keeps the reason that says more than "none" to whoever holds a grant
// that once covered this: revoked, expired, quota, purpose.
func worse(have, next abaton.Reason) abaton.Reason {
	switch next {
	case abaton.ReasonRevoked, abaton.ReasonExpired, abaton.ReasonQuota, abaton.ReasonPurpose, abaton.ReasonBarred,
		abaton.ReasonFrozen, abaton.ReasonDormant:
		return next
	}
	return have
}

// held says which records of a batch this keeper has and in which line.
func (v *verdict) held(batch abaton.BatchName) (records uint64, line abaton.Line, err error) {
	n, err := v.core.store.Notice(v.r.Asked.Patient, batch)
	if errors.Is(err, store.ErrAbsent) || errors.Is(err, store.ErrErased) {
		return 0, line, nil
	}
	if err != nil {
		return 0, line, err
	}
	v.locks = append(v.locks, n.Lock...)
	if v.r.Asked.Mode == session.Locks {
		beside, err := v.core.store.Beside(v.r.Asked.Patient, batch)
		if err != nil {
			return 0, line, err
		}
		for i := range beside {
			v.locks = append(v.locks, beside[i].Lock...)
		}
	}
	return allOf(len(n.Leaves)), n.Line, nil
}

func (v *verdict) grantLines() abaton.Reason {
	why := abaton.ReasonGrant
	for _, line := range v.r.Asked.Lines {
		if reason := v.decideLine(line, 0); reason != "" {
			why = worse(why, reason)
			continue
		}
		v.lines = append(v.lines, line)
	}
	if len(v.lines) == 0 {
		return why
	}
	ledger.SortLines(v.lines)
	return ""
}

// grantHistory: who looked is for the patient alone; who looked at a duty copy
// is for whom it is about (PROTOCOL.md#custody).
func (v *verdict) grantHistory() abaton.Reason {
	st, q := v.r.Session.Statement(), v.r.Asked
	if st.Actor != q.Patient && !v.patient.Tells(st.Actor) || q.Grant != (abaton.GrantID{}) || q.Purpose != abaton.PatientAccess {
		return abaton.ReasonGrant
	}
	return ""
}

// stepUp: lines of assurance level 3 need a fresh assertion over these very
// lines and this purpose, and the stricter lease.
func (v *verdict) stepUp() abaton.Reason {
	if len(v.strict) > 0 && v.core.clock.doubted() {
		return abaton.ReasonClock
	}
	if len(v.strict) == 0 || v.r.Session.Statement().Actor == v.r.Asked.Patient {
		return ""
	}
	if !v.core.fresh(v.t.now, strictLease) {
		return abaton.ReasonLease
	}
	if v.r.Session.Level() < actor.Managed && v.asker.kind == actor.Clinician {
		return abaton.ReasonDevice
	}
	if err := v.r.Asked.SteppedUp(v.r.Session, v.r.Party, v.strict, v.t.now); err != nil {
		return v.copied(refusedBy(err).Reason)
	}
	v.stepped = true
	return ""
}

// budget bounds the patients one actor may open here in an hour and in a day,
// whatever any policy says.
func (v *verdict) budget() abaton.Reason {
	st, q := v.r.Session.Statement(), v.r.Asked
	if st.Actor == q.Patient {
		return ""
	}
	hour, day, err := v.core.opened(v.t, st.Actor, q.Patient)
	if err != nil {
		return v.broken(err)
	}
	if b := v.core.cfg.Budget; hour > int64(b.PatientsPerHour) || day > int64(b.PatientsPerDay) {
		return abaton.ReasonBudget
	}
	return ""
}

// broken makes the whole group fail: a store that cannot be read must not
// decide anything.
func (v *verdict) broken(err error) abaton.Reason {
	v.t.err = err
	return abaton.ReasonStorage
}

// entry is the disclosure as it will stand in the ledger.
func (v *verdict) entry() ledger.Entry {
	st, q := v.r.Session.Statement(), v.r.Asked
	e := ledger.Entry{
		Request: v.r.Asked.Hash(), Op: opOf(q), Actor: st.Actor, Organisation: st.Organisation,
		Session: v.r.Session.ID(), Patient: q.Patient, Purpose: q.Purpose, Grant: q.Grant,
		Device: st.Device, Role: st.Role, Behalf: st.Behalf, Onward: q.Onward, Policy: v.policyVersion(),
	}
	v.tellEmergency(&e)
	v.tellWatch(&e)
	return e
}

// refuse ledgers a refusal; a repeat adds at most one.
func (v *verdict) refuse(reason abaton.Reason) Output {
	if v.t.err != nil {
		return refused(abaton.ReasonStorage)
	}
	if v.noteRefused(reason); v.t.err != nil {
		return refused(abaton.ReasonStorage)
	}
	out := refused(reason)
	out.Outcome = ledger.Refused
	v.opening, v.answer = nil, nil
	name := v.r.Asked.Hash()
	if v.repeat != nil {
		if v.repeat.Outcome == ledger.Refused || v.refusedBefore() {
			return out
		}
		name = refusedName(name)
	}
	e := v.entry()
	e.Outcome, e.Reason = ledger.Refused, reason
	e.Rows, e.Lines = v.asked(), v.askedLines()
	at := v.t.enter(e)
	v.remember(name, memory{Entry: v.core.log.Size() + uint64(at), Outcome: ledger.Refused})
	return v.ledgered(out, at)
}

// refusedBefore reports whether a refusal of this repeat is ledgered.
func (v *verdict) refusedBefore() bool {
	_, err := v.core.store.Nonce(refusedName(v.r.Asked.Hash()))
	return !errors.Is(err, store.ErrAbsent)
}

// permit ledgers what is released and remembers the request. A repeat whose
// LOCKs are unchanged answers under its first entry.
func (v *verdict) permit() Output {
	q := v.r.Asked
	out := Output{Granted: v.granted, Outcome: ledger.Permitted, Lines: v.lines, Escrow: v.escrow, Opened: v.opening != nil}
	e := v.entry()
	e.Rows, e.Lines, e.Outcome = v.rows, v.linesTouched(), ledger.Permitted
	for _, row := range v.rows {
		if row.Refused != 0 {
			e.Outcome, e.Reason = ledger.Partly, abaton.ReasonNotFound
		}
	}
	if len(v.lines) < len(q.Lines) {
		e.Outcome, e.Reason = ledger.Partly, abaton.ReasonNotFound
	}
	out.Outcome, out.Reason = e.Outcome, e.Reason
	locks := wire.Hash(wire.Reply, v.locks, wire.Marshal(rowsOf(v.rows)))
	if v.repeat != nil {
		if v.repeat.Locks != locks || v.repeat.Outcome != e.Outcome || v.refusedBefore() {
			return v.refuse(abaton.ReasonReplay)
		}
		out.Entry, out.Ledgered, out.Time = v.repeat.Entry, true, v.t.now
		return v.withCheckpoint(out)
	}
	at := v.t.enter(e)
	v.remember(v.r.Asked.Hash(), memory{Entry: v.core.log.Size() + uint64(at), Outcome: e.Outcome, Locks: locks})
	if q.Grant != (abaton.GrantID{}) {
		v.core.use(v.t, q.Grant, v.used)
		v.useOnward()
	}
	v.core.counters.renewals.note(v.r.Session, v.granted, v.t.now)
	if err := v.core.opens(v.t, v.r.Session.Statement().Actor, q.Patient); err != nil {
		return v.t.fail(err)
	}
	v.note()
	v.noteOpened()
	return v.ledgered(out, at)
}

// rowsOf is what identifies the rows released.
func rowsOf(rows []ledger.Row) [][]byte {
	out := make([][]byte, 0, len(rows))
	for _, r := range rows {
		out = append(out, append(append([]byte(nil), r.Batch[:]...), wire.U64(r.Released)...))
	}
	return out
}

func (v *verdict) remember(name [32]byte, m memory) {
	n := store.Nonce{Expiry: v.t.now.Add(abaton.NonceLife), Value: wire.Marshal(m)}
	if err := v.core.store.PutNonce(&v.t.change, name, n); err != nil {
		v.t.err = err
	}
}

// ledgered fills in the entry and its checkpoint once they are durable.
func (v *verdict) ledgered(out Output, at int) Output {
	out.Ledgered, out.Time = true, v.t.now
	out.Entry = v.core.log.Size() + uint64(at)
	return v.withCheckpoint(out)
}

func (v *verdict) withCheckpoint(out Output) Output {
	core := v.core
	out.finish = func(o *Output) { _, o.Checkpoint = core.log.Checkpoint() }
	return out
}

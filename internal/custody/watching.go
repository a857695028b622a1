package custody

import (
	"errors"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/internal/detect"
	"github.com/abaton-health/abaton/internal/relation"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/session"
)

// watchVersion is the version of the rules, in ledger entries.
const watchVersion = detect.RulesVersion

// watching is what this keeper remembers of who asks, and who is held back. All
// of it is made again at start: memory from the ledger, verdicts from the store.
type watching struct {
	vigils  map[abaton.ActorID]*vigil // by organisation
	ladder  *contain.Ladder
	passed  map[abaton.ActorID]int64 // when somebody throttled opened a new patient last
	words   []*contain.Said          // own verdicts, durable since they were taken last
	settled int64
	silent  map[abaton.KeeperIndex]bool // found to be silent, until it is heard
	serving time.Time                   // since when, about
	tally   *tally
}

// vigil is what detection remembers of one organisation's people.
type vigil struct {
	watch   *detect.Watch
	version uint64 // of the organisation's thresholds; 0 for the defaults
}

func newVigil(version uint64, t detect.Thresholds) *vigil {
	return &vigil{watch: detect.New(t), version: version}
}

func newWatching(own abaton.KeeperIndex, m Mutation) watching {
	return watching{
		vigils: make(map[abaton.ActorID]*vigil), ladder: m.ladder(own),
		passed: make(map[abaton.ActorID]int64), silent: make(map[abaton.KeeperIndex]bool), tally: newTally(),
	}
}

// passedMax bounds the throttled people whose last patient is remembered.
const passedMax = 4096

func (w *watching) pass(who abaton.ActorID, now int64) {
	if len(w.passed) >= passedMax {
		for id, at := range w.passed {
			if now-at >= int64(throttleEvery/time.Second) {
				delete(w.passed, id)
			}
		}
	}
	if len(w.passed) >= passedMax {
		clear(w.passed) // each of them opens one patient early
	}
	w.passed[who] = now
}

// vigil is an organisation's, by the thresholds in force now. Other
// thresholds make it again from the ledger.
func (c *Core) vigil(organisation abaton.ActorID, now time.Time) (*vigil, error) {
	version, thresholds, err := c.thresholds(organisation, now)
	if err != nil {
		return nil, err
	}
	m := c.watching.vigils[organisation]
	if m != nil && m.version == version {
		return m, nil
	}
	m = newVigil(version, thresholds)
	if err := c.recall(map[abaton.ActorID]*vigil{organisation: m}, now); err != nil {
		return nil, err
	}
	c.watching.vigils[organisation] = m
	return m, nil
}

// thresholds are the organisation's own, or the defaults.
func (c *Core) thresholds(organisation abaton.ActorID, now time.Time) (version uint64, t detect.Thresholds, err error) {
	defaults := c.cfg.Mutation.rules(detect.Default())
	org, err := c.actors.get(organisation)
	if err != nil || org == nil {
		return 0, defaults, err
	}
	body := org.Watch(now.Unix())
	if body == nil {
		return 0, defaults, nil
	}
	if t, err = detect.Parse(body.Thresholds); err != nil {
		return 0, defaults, nil // certified elsewhere, and not within this keeper's caps
	}
	return body.Version, t, nil
}

// lifted reports whether an organisation has lifted a verdict.
func (c *Core) lifted(organisation abaton.ActorID, verdict contain.Name) bool {
	org, err := c.actors.get(organisation)
	return err == nil && org != nil && org.Lifted(verdict)
}

// subjects are all that a session is, as subjects.
func subjects(s *session.Session) []contain.Subject {
	st := s.Statement()
	return []contain.Subject{contain.Session(s.ID()), contain.Person(st.Actor), contain.Device(st.Device), contain.Organisation(st.Organisation)}
}

// holds is how far a session is held back now.
func (c *Core) holds(t *tx, s *session.Session) contain.Holding {
	h := c.watching.ladder.At(t.now.Unix(), c.lifted, c.cfg.Mutation.subjects(subjects(s))...)
	if c.cfg.Mutation.skips("live") && s.Statement().NotBefore <= h.Since {
		return contain.Holding{}
	}
	return h
}

// suspends reports whether somebody is suspended now, in whatever session.
func (c *Core) suspends(t *tx, who contain.Subject) bool {
	return c.watching.ladder.At(t.now.Unix(), c.lifted, who).Level >= detect.SuspendSession
}

// tellable are the rules whose findings are about somebody. The others are
// about one act, and say nothing of the next.
const tellable = 1<<detect.D0 | 1<<detect.D1 | 1<<detect.D2 | 1<<detect.D3 | 1<<detect.D5 | 1<<detect.D7 |
	1<<detect.D9 | 1<<detect.D11

// stepUpLife is how long a verdict that asks for a step-up stands; what
// suspends stands for contain.LifeMax.
const stepUpLife = time.Hour

// contain makes this keeper's own verdict of what it found, unless one stands
// that says as much: ledgered and stored with the request that it is about.
func (c *Core) contain(v *verdict) error {
	f, st := v.seen.finding, v.r.Session.Statement()
	rules := f.Rules & tellable
	if f.Level < detect.StepUp || rules == 0 || c.cfg.Verdict == nil || c.cfg.Mutation.skips("verdict") {
		return nil
	}
	about, life := contain.Person(st.Actor), contain.LifeMax
	switch {
	case f.Level == detect.SuspendSession:
		about = contain.Session(v.r.Session.ID())
	case f.Level <= detect.Throttle:
		life = stepUpLife
	}
	now := v.t.now.Unix()
	if level, _ := c.watching.ladder.Own(about, now, c.lifted); level >= f.Level {
		return nil
	}
	word := contain.Verdict{
		Keeper: c.cfg.Index, Organisation: st.Organisation, Subject: about, Level: f.Level, Rules: rules,
		Time: now, Until: now + int64(life/time.Second),
	}
	if rules.Has(detect.D9) && v.seen.act.Honey && len(v.r.Statement) > 0 && !c.cfg.Mutation.skips("evidence") {
		word.Evidence = (&contain.Evidence{Statement: v.r.Statement, Request: v.r.Asked.Bytes()}).Marshal()
	}
	said, err := c.cfg.Verdict(word)
	if err != nil {
		return err
	}
	m, err := c.vigil(st.Organisation, v.t.now)
	if err != nil {
		return err
	}
	_, err = c.take(v.t, said, false, grounds{Who: st.Actor, Figures: m.watch.Figures(&v.seen.act, rules)})
	return err
}

// take puts a verdict on the ladder, and with the group into ledger and store.
func (c *Core) take(t *tx, said *contain.Said, proof bool, by grounds) (took bool, err error) {
	now := t.now.Unix()
	if took, err = c.watching.ladder.Put(said, proof, now, c.lifted); err != nil || !took {
		return false, err
	}
	e := containment(said)
	if said.Keeper != c.cfg.Index {
		e.Word = said.Keeper
	}
	place := 0
	if !c.cfg.Mutation.skips("ledgered") {
		place = t.enter(e)
	}
	if !c.cfg.Mutation.skips("kept") {
		c.keepWord(t, said, proof)
		c.keepPast(t, said, proof, place, by)
	}
	c.countVerdict(t, said)
	if said.Keeper == c.cfg.Index {
		t.after = append(t.after, func(*ledger.Group) { c.watching.words = append(c.watching.words, said) })
	}
	return true, nil
}

// containment is the entry of a verdict: whose word it is, about whom, how far.
func containment(said *contain.Said) ledger.Entry {
	e := ledger.Entry{
		Request: said.Name(), Op: ledger.OpContain, Outcome: ledger.Permitted, Actor: said.Organisation,
		Organisation: said.Organisation,
		Watch:        ledger.Watch{Rules: watchVersion, Level: uint8(said.Level), Fired: uint32(said.Rules)},
	}
	switch said.Subject.Kind {
	case contain.KindPerson:
		e.Actor = said.Subject.ID
	case contain.KindSession:
		e.Session = said.Subject.ID
	case contain.KindDevice:
		e.Device = said.Subject.ID
	}
	return e
}

// takeWords are the own verdicts that became durable since the last call.
func (c *Core) takeWords() []*contain.Said {
	words := c.watching.words
	c.watching.words = nil
	return words
}

// What detection reads again from the ledger at a start.
const (
	// recallSpan is how far back: the longest window of any rule, and the life of
	// a verdict that may have been lifted within it.
	recallSpan = 7*24*time.Hour + contain.LifeMax
	// recallMax bounds the entries, so that a start stays short; what is older
	// does not count.
	recallMax = 1 << 19
)

// recall feeds vigils from the ledger, oldest first, and lets them forget what
// a lift forgave where it stands.
func (c *Core) recall(vigils map[abaton.ActorID]*vigil, now time.Time) error {
	if c.cfg.Mutation.skips("recall") {
		return nil
	}
	size, oldest := c.log.Size(), now.Add(-recallSpan).Unix()
	from := size
	for from > 0 && size-from < recallMax {
		e, err := c.log.Entry(from - 1)
		if errors.Is(err, ledger.ErrRedacted) {
			break
		}
		if err != nil {
			return err
		}
		if e.Time < oldest {
			break
		}
		from--
	}
	met := make(forgiving)
	for i := from; i < size; i++ {
		e, err := c.log.Entry(i)
		if err != nil {
			return err
		}
		if err := c.meet(met, vigils, &e); err != nil {
			return err
		}
		m := vigils[e.Organisation]
		if m == nil {
			continue
		}
		if a, ok := recalled(&e); ok {
			m.watch.Note(&a, e.Outcome != ledger.Refused)
		}
	}
	return c.explainAgain(vigils, now)
}

// explainAgain is explain, of all that stands: entries say what was known when
// they were made.
func (c *Core) explainAgain(vigils map[abaton.ActorID]*vigil, now time.Time) error {
	for organisation, m := range vigils {
		err := m.watch.Reconsider(func(who, patient abaton.ActorID) (bool, error) {
			r, err := c.relation(&tx{now: now}, opener{organisation: organisation, actor: who}, patient)
			return r.Related, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// explain: whoever opened one of these patients without a reason may have one
// now, told late.
func (c *Core) explain(t *tx, told *relation.Relations) {
	m := c.watching.vigils[told.Organisation]
	if m == nil {
		return
	}
	t.after = append(t.after, func(*ledger.Group) { // what is told is seen once it is durable
		for i := range told.Entries {
			patient := told.Entries[i].Patient
			for _, who := range m.watch.Onlookers(patient) {
				r, err := c.relation(t, opener{organisation: told.Organisation, actor: who}, patient)
				if err == nil && r.Related {
					m.watch.Explain(who, patient)
				}
			}
		}
	})
}

// Bits of ledger.Entry.Basis.
const (
	basisRelated = 1 << iota
	basisDelicate
	basisHoney
	basisOffShift
	basisStepped
	basisRenewal
)

// basisOf is what detection went by, as the ledger keeps it.
func basisOf(a *detect.Act) (b uint8) {
	for bit, is := range map[uint8]bool{basisRelated: a.Related, basisDelicate: a.Delicate, basisHoney: a.Honey,
		basisOffShift: a.OffShift, basisStepped: a.Stepped, basisRenewal: a.Renewal} {
		if is {
			b |= bit
		}
	}
	return b
}

// recalled is the act of an entry.
func recalled(e *ledger.Entry) (a detect.Act, ok bool) {
	switch e.Op {
	case ledger.OpRelease, ledger.OpPermit, ledger.OpList, ledger.OpIndex, ledger.OpRelock, ledger.OpUnseal, ledger.OpEmergency:
	default:
		return a, false
	}
	role, known := abaton.RoleOf(e.Role)
	if e.Organisation == (abaton.ActorID{}) || e.Role == "" {
		return a, false
	}
	refused := e.Reason
	if e.Outcome != ledger.Refused {
		refused = "" // of a part that there is not: the rest was released, and counts
	}
	return detect.Act{
		Time: e.Time, Actor: e.Actor, Organisation: e.Organisation, Device: e.Device, Patient: e.Patient, Session: e.Session,
		Role: e.Role, Opens: e.Op.Opens(), Emergency: e.Purpose == abaton.Emergency || e.Op == ledger.OpEmergency,
		Renewal: e.Basis&basisRenewal != 0, Stepped: e.Basis&basisStepped != 0, Refused: refused, Related: e.Basis&basisRelated != 0,
		Delicate: e.Basis&basisDelicate != 0, Honey: e.Basis&basisHoney != 0, OffShift: e.Basis&basisOffShift != 0,
		Program: known && !role.Human,
	}, true
}

// settleWatch forgets what has ended, and finds peers that say nothing.
func (c *Core) settleWatch(t *tx) error {
	if err := c.findSilent(t); err != nil {
		return err
	}
	now := t.now.Unix()
	c.countHeld(now)
	if now-c.watching.settled < int64(time.Minute/time.Second) {
		return nil
	}
	c.watching.settled = now
	for _, m := range c.watching.vigils {
		m.watch.Settle(now)
	}
	c.watching.ladder.Settle(now)
	return errors.Join(c.sweepWords(t), c.sweepPast(t))
}

// findSilent finds each peer that this serving keeper has not heard for a
// lease, once until it is heard again: a feed up to its signed head is a
// keeper's word that all is quiet.
func (c *Core) findSilent(t *tx) error {
	if c.mode != Serving || c.cfg.Mutation.skips("silent") {
		return nil
	}
	if c.watching.serving.IsZero() {
		c.watching.serving = t.now
	}
	for i := range c.cfg.Set.Keepers {
		x := c.cfg.Set.Keepers[i].X
		if x == c.cfg.Index {
			continue
		}
		last := c.watching.serving
		if at, heard := c.heard[x]; heard && at.After(last) {
			last = at
		}
		quiet := t.now.Sub(last) > silentAfter
		if quiet && !c.watching.silent[x] {
			c.find(t, abaton.ReasonPeer)
		}
		c.watching.silent[x] = quiet
	}
	return t.err
}

// silentAfter is how long a peer may say nothing.
const silentAfter = abaton.LeaseMax

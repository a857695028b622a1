package custody_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/internal/detect"
	"github.com/abaton-health/abaton/internal/escrow"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/seal"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// shift is a patient who cannot speak, an emergency doctor, a colleague, and
// two authorities.
type shift struct {
	*world
	ben, eve    *custodytest.Person // in the emergency role; a physician
	authorities []escrow.Holder
	set         *actor.Escrow // what every emergency opens
	setID       abaton.GrantID
	wide        *actor.Escrow // takes two clinicians
	wideID      abaton.GrantID
	half        key.Secret // A of set
	now         time.Duration
}

// newShift: the keepers have known Ben's role for exactly as long as it takes.
func newShift(t *testing.T) *shift {
	t.Helper()
	w := newYoungShift(t)
	w.pass(custodytest.Wait)
	return w
}

func newYoungShift(t *testing.T) *shift {
	t.Helper()
	w := &shift{world: newWorld(t, 1), half: key.NewSecret()}
	w.ben, w.eve = custodytest.NewClinician(t, w.Set, w.org), custodytest.NewClinician(t, w.Set, w.org)
	w.ben.Role = abaton.RoleEmergency
	w.Publish(t, w.ben.Inception, w.eve.Inception)
	w.employ(t, w.ben)
	w.employ(t, w.eve)
	w.Publish(t, w.ana.Event(w.ana.Line(custodytest.EmergencySet, 1)), w.ana.Event(w.ana.Line(custodytest.Sensitive, 2)))
	for range 2 {
		w.authorities = append(w.authorities, escrow.Holder{ID: custodytest.NewOrganisation(t, w.Set).ID, Box: key.NewBox().Public()})
	}
	w.set, w.setID = w.keep(t, w.half, 1, custodytest.EmergencySet)
	w.wide, w.wideID = w.keep(t, key.NewSecret(), 2, custodytest.Sensitive)
	return w
}

// employ enrols a clinician for longer than the days that these tests pass.
func (w *shift) employ(t *testing.T, p *custodytest.Person) {
	t.Helper()
	w.Enrol(t, p)
	m := w.org.Member(p.ID, p.Role)
	m.Expires += int64(30 * 24 * time.Hour / time.Second)
	w.Publish(t, w.org.Event(m))
}

// keep puts a line's seed into an emergency escrow.
func (w *shift) keep(t *testing.T, half key.Secret, clinicians int, c abaton.Category) (*actor.Escrow, abaton.GrantID) {
	t.Helper()
	line := w.ana.Root.Line(c)
	seed := grant.Seed{Line: line, Category: c, Level: 1, Epoch: 1, Seed: w.ana.Root.SegmentSeed(c, 1)}
	e, err := escrow.Make(w.Set, w.ana.ID, escrow.Emergency(w.authorities, clinicians, line), half, escrow.Payload{Seeds: []grant.Seed{seed}})
	if err != nil {
		t.Fatal(err)
	}
	event := w.ana.Event(e)
	w.Publish(t, event)
	return e, abaton.GrantID(actor.HashOf(event.Event))
}

// pass sets all clocks of the network.
func (w *shift) pass(d time.Duration) {
	w.now = d
	for _, k := range w.Keepers {
		k.Ahead(d)
	}
}

func (w *shift) clock() time.Time { return time.Now().Add(w.now) }

func (w *shift) signIn(t *testing.T, p *custodytest.Person) *custodytest.Session {
	t.Helper()
	return w.SignInAt(t, p, w.clock())
}

// opens is Ben's request for the escrow.
func (w *shift) opens(t *testing.T, s *custodytest.Session, id abaton.GrantID, change func(*session.Emergency)) session.Request {
	t.Helper()
	return w.opensBy(t, w.ben, s, id, change)
}

func (w *shift) opensBy(t *testing.T, by *custodytest.Person, s *custodytest.Session, id abaton.GrantID, change func(*session.Emergency)) session.Request {
	t.Helper()
	return session.Request{Patient: w.ana.ID, Grant: id, Mode: session.Unseal, Purpose: abaton.Emergency, Time: w.clock().Unix(),
		Emergency: custodytest.Touch(t, by, s, w.ana.ID, id, w.clock(), change)}
}

// confirms is a second clinician's word about an opening.
func (w *shift) confirms(t *testing.T, by *custodytest.Person, s *custodytest.Session, opening [32]byte, verdict session.Verdict) session.Request {
	t.Helper()
	return session.Request{Patient: w.ana.ID, Grant: w.setID, Mode: session.Confirm, Purpose: abaton.Emergency, Time: w.clock().Unix(),
		Approval: custodytest.Agree(t, by, s, w.ana.ID, w.setID, w.ben.ID, w.clock(), func(p *session.Approval) {
			p.Opening, p.Verdict = opening, verdict
		})}
}

// record deposits one record in a line.
func (w *shift) record(t *testing.T, c abaton.Category) *seal.Sealed {
	t.Helper()
	g := w.ana.Grant(w.org.ID, grant.Deposit, 100)
	g.Lines = []abaton.Line{w.ana.Root.Line(c)}
	w.Publish(t, w.ana.Event(&actor.Granted{Grant: g.Marshal()}))
	line := w.ana.Root.Line(c)
	s, err := seal.Seal(seal.Batch{
		Patient: w.ana.ID, Line: line, Segment: w.ana.Root.Segment(c, 1).Public(), Set: w.Set.ID(),
		Shape: spread.FiveKeepers(), Writer: w.org.Writer, Seq: 1, Hour: uint32(time.Now().Unix() / 3600),
		Author: seal.Author{Actor: w.org.ID, Key: w.org.Writer},
		Records: []seal.Record{{
			Envelope: seal.Envelope{Patient: w.ana.ID, Line: line, Kind: seal.KindResource, Type: "Basic", ID: "a", VersionID: "1", LastUpdated: 1},
			Content:  []byte(`{"resourceType":"Basic"}`),
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.mustDeposit(t, s)
	return s
}

func (w *shift) reads(s *seal.Sealed, id abaton.GrantID) session.Request {
	return session.Request{Patient: w.ana.ID, Grant: id, Mode: session.Release, Purpose: abaton.Emergency, Time: w.clock().Unix(),
		Rows: []session.Row{{Batch: s.Name, Bits: 1}}}
}

// reason asks and says why not; empty when permitted.
func (w *shift) reason(t *testing.T, s *custodytest.Session, x abaton.KeeperIndex, q session.Request) abaton.Reason {
	t.Helper()
	r, err := w.Ask(t.Context(), s, x, q)
	if err != nil {
		return reasonOf(err)
	}
	return r.Reason
}

// entries are what one keeper's ledger tells the patient of one operation.
func (w *shift) entries(t *testing.T, x abaton.KeeperIndex, op ledger.Op) (all []ledger.Entry) {
	t.Helper()
	own := w.signIn(t, w.ana)
	h := w.mustAsk(t, own, x, session.Request{Patient: w.ana.ID, Mode: session.History, Purpose: abaton.PatientAccess,
		Time: w.clock().Unix()}, keeper.Permitted, "")
	for _, d := range h.Disclosures {
		e, err := ledger.ParseEntry(d.Entry)
		if err != nil {
			t.Fatal(err)
		}
		if e.Op == op {
			all = append(all, e)
		}
	}
	return all
}

// TestUnconscious (H1): the set opens with the emergency role, a device, a
// touch and three keepers, while two are down; it opens nothing else.
func TestUnconscious(t *testing.T) {
	w := newShift(t)
	inSet, other := w.record(t, custodytest.EmergencySet), w.record(t, custodytest.Sensitive)
	w.Keepers[4].Down(true)
	w.Keepers[5].Down(true)
	s := w.signIn(t, w.ben)
	q := w.opens(t, s, w.setID, nil)
	var shares []spread.Share
	for _, x := range []abaton.KeeperIndex{1, 2, 3} {
		r := w.mustAsk(t, s, x, q, keeper.Permitted, "")
		if len(r.Share) != 32 || !w.set.CheckShare(w.ana.ID, x, [32]byte(r.Share)) {
			t.Fatalf("keeper %d: got no share or another, want its own", x)
		}
		if w.releasedBy(t, r.Released) != x {
			t.Errorf("keeper %d: its word about the release is another keeper's", x)
		}
		if bytes.Contains(r.Released, r.Share) {
			t.Errorf("keeper %d: its word to the authority holds its share", x)
		}
		shares = append(shares, spread.Share{X: x, Y: [32]byte(r.Share)})
	}
	b, err := spread.Combine(shares)
	if err != nil {
		t.Fatal(err)
	}
	got, err := escrow.Open(w.ana.ID, w.set, w.half, b)
	if err != nil || len(got.Seeds) != 1 || !got.Root.IsZero() || got.Seeds[0].Line != w.ana.Root.Line(custodytest.EmergencySet) {
		t.Fatalf("open: got %v, want the seed of one line", err)
	}
	if r := w.mustAsk(t, s, 1, w.reads(inSet, w.setID), keeper.Permitted, ""); len(r.Pieces) != 1 {
		t.Errorf("read the set: got %d pieces, want 1", len(r.Pieces))
	}
	for name, q := range map[string]session.Request{
		"another line under the set":    w.reads(other, w.setID),
		"a set that was not opened":     w.reads(other, w.wideID),
		"the set for another purpose":   func() session.Request { q := w.reads(inSet, w.setID); q.Purpose = abaton.Treatment; return q }(),
		"the set without naming it":     func() session.Request { q := w.reads(inSet, w.setID); q.Grant = abaton.GrantID{}; return q }(),
		"the patient's grant to others": func() session.Request { q := w.reads(inSet, w.grant.ID()); q.Purpose = abaton.Treatment; return q }(),
	} {
		if r := w.reason(t, s, 1, q); r == "" {
			t.Errorf("%s: got released, want refused", name)
		}
	}
	if r := w.reason(t, w.signIn(t, w.eve), 1, w.reads(inSet, w.setID)); r == "" {
		t.Error("a colleague under Ben's opening: got released, want refused")
	}
	told := w.entries(t, 2, ledger.OpEmergency)
	if len(told) != 1 || told[0].Actor != w.ben.ID || told[0].Device != w.ben.Device.ID || told[0].Urgency != uint8(session.CannotSpeak) || told[0].Loud {
		t.Errorf("history: got %d openings, want one with name, device and reason", len(told))
	}
	if len(told) == 1 && !detect.Rules(told[0].Watch.Fired).Has(detect.D8) {
		t.Errorf("history: got rules %v, want D8 named", detect.Rules(told[0].Watch.Fired))
	}
}

// releasedBy verifies a keeper's word and says whose it is.
func (w *shift) releasedBy(t *testing.T, data []byte) abaton.KeeperIndex {
	t.Helper()
	var signed wire.Signed
	var r keeper.Released
	if wire.Unmarshal(data, &signed) != nil || wire.Unmarshal(signed.Body, &r) != nil {
		return 0
	}
	if k := w.Set.Keeper(r.Keeper); k == nil || !key.Verify(k.Key, wire.Released, signed.Body, signed.Sig) {
		return 0
	}
	return r.Keeper
}

func TestEmergencyTakesAll(t *testing.T) {
	w := newShift(t)
	s := w.signIn(t, w.ben)
	eve := w.signIn(t, w.eve)
	stranger, err := key.NewPasskey(w.Set.RelyingParty)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		q    session.Request
		s    *custodytest.Session
		want abaton.Reason
	}{
		"no statement":             {session.Request{Patient: w.ana.ID, Grant: w.setID, Mode: session.Unseal, Purpose: abaton.Emergency, Time: w.clock().Unix()}, s, abaton.ReasonStepUp},
		"too old":                  {w.opens(t, s, w.setID, func(m *session.Emergency) { m.Time -= 61 }), s, abaton.ReasonStepUp},
		"from the future":          {w.opens(t, s, w.setID, func(m *session.Emergency) { m.Time += 300 }), s, abaton.ReasonStepUp},
		"about another patient":    {w.opens(t, s, w.setID, func(m *session.Emergency) { m.Patient = w.eve.ID }), s, abaton.ReasonStepUp},
		"about another set":        {w.opens(t, s, w.setID, func(m *session.Emergency) { m.Escrow = w.wideID }), s, abaton.ReasonStepUp},
		"of another session":       {w.opens(t, s, w.setID, func(m *session.Emergency) { m.Session = eve.ID }), s, abaton.ReasonStepUp},
		"by a colleague's passkey": {w.opensBy(t, w.eve, s, w.setID, nil), s, abaton.ReasonStepUp},
		"by a stranger's passkey": {func() session.Request {
			thief := *w.ben
			thief.Passkey = stranger
			return w.opensBy(t, &thief, s, w.setID, nil)
		}(), s, abaton.ReasonStepUp},
		"another role":        {w.opensBy(t, w.eve, eve, w.setID, nil), eve, abaton.ReasonStanding},
		"for another purpose": {func() session.Request { q := w.opens(t, s, w.setID, nil); q.Purpose = abaton.Treatment; return q }(), s, abaton.ReasonStepUp},
		"a wider set alone":   {w.opens(t, s, w.wideID, nil), s, abaton.ReasonSecond},
		"a set that is none":  {w.opens(t, s, w.grant.ID(), nil), s, abaton.ReasonGrant},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			for x := abaton.KeeperIndex(1); x <= 2; x++ {
				w.mustAsk(t, c.s, x, c.q, keeper.Refused, c.want)
			}
		})
	}
	if told := w.entries(t, 1, ledger.OpEmergency); len(told) != len(cases)-1 {
		t.Errorf("history: got %d refused openings, want %d", len(told), len(cases)-1)
	}
}

// TestNewEmergencyDoctors: a hospital in a thief's hands writes itself doctors;
// each keeper waits by its own clock, and a gap begins the wait anew.
func TestNewEmergencyDoctors(t *testing.T) {
	w := newYoungShift(t)
	ask := func(x abaton.KeeperIndex) abaton.Reason {
		s := w.signIn(t, w.ben)
		return w.reason(t, s, x, w.opens(t, s, w.setID, nil))
	}
	if got := ask(1); got != abaton.ReasonNewRole {
		t.Errorf("a role of today: got %q, want %q", got, abaton.ReasonNewRole)
	}
	w.Keepers[1].Ahead(custodytest.Wait)
	if got := ask(1); got != "" {
		t.Errorf("a role old enough at this keeper: got %q, want permitted", got)
	}
	if got := ask(2); got != abaton.ReasonNewRole {
		t.Errorf("at a keeper that heard later: got %q, want %q", got, abaton.ReasonNewRole)
	}
	w.Restart(t, 1, func() {})
	w.Keepers[1].AwaitMode(t)
	if got := ask(1); got != "" {
		t.Errorf("after a restart: got %q, want permitted", got)
	}
	w.Publish(t, w.org.Event(w.org.Member(w.ben.ID, abaton.RoleEmergency, abaton.RoleNurse)))
	if got := ask(1); got != "" {
		t.Errorf("a renewed role: got %q, want permitted", got)
	}
	w.Publish(t, w.org.Event(w.org.Member(w.ben.ID, abaton.RoleNurse)), w.org.Event(w.org.Member(w.ben.ID, abaton.RoleEmergency)))
	if got := ask(1); got != abaton.ReasonNewRole {
		t.Errorf("a role given again: got %q, want %q", got, abaton.ReasonNewRole)
	}
}

// TestWider: another line takes a second clinician first, from a session of
// the colleague's own that the keeper knows.
func TestWider(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newShift(t)
	rec := w.record(t, custodytest.Sensitive)
	s, eve, self := w.signIn(t, w.ben), w.signIn(t, w.eve), w.signIn(t, w.ben)
	with := func(by *custodytest.Person, second *custodytest.Session, change func(*session.Approval)) session.Request {
		q := w.opens(t, s, w.wideID, nil)
		q.Approval = custodytest.Agree(t, by, second, w.ana.ID, w.wideID, w.ben.ID, w.clock(), change)
		return q
	}
	// Eve's session is not known here yet.
	w.mustAsk(t, s, 1, with(w.eve, eve, nil), keeper.Refused, abaton.ReasonSecond)
	for _, x := range []abaton.KeeperIndex{1, 2, 3} {
		for _, known := range []*custodytest.Session{eve, self} {
			if _, err := w.Keepers[x].Call(t.Context(), keeper.RouteSession, known.Signed); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, q := range map[string]session.Request{
		"the opener's own word":    with(w.ben, self, nil),
		"by another passkey":       with(w.ben, eve, nil),
		"about another opener":     with(w.eve, eve, func(p *session.Approval) { p.Opener = w.doctor.ID }),
		"about another set":        with(w.eve, eve, func(p *session.Approval) { p.Escrow = w.setID }),
		"too old":                  with(w.eve, eve, func(p *session.Approval) { p.Time -= 301 }),
		"about an earlier opening": with(w.eve, eve, func(p *session.Approval) { p.Opening = [32]byte{1} }),
	} {
		w.mustAsk(t, s, 1, q, keeper.Refused, abaton.ReasonSecond)
		_ = name
	}
	q := with(w.eve, eve, nil)
	for _, x := range []abaton.KeeperIndex{1, 2, 3} {
		if r := w.mustAsk(t, s, x, q, keeper.Permitted, ""); len(r.Share) != 32 {
			t.Fatalf("keeper %d: got no share", x)
		}
	}
	w.mustAsk(t, s, 1, w.reads(rec, w.wideID), keeper.Permitted, "")
	told := w.entries(t, 1, ledger.OpEmergency)
	if last := told[len(told)-1]; last.Second != w.eve.ID {
		t.Error("history: the second clinician is not named")
	}
	// What a colleague agreed to beforehand needs no second word.
	w.later(t, abaton.EmergencyConfirm+time.Minute)
	again := w.signIn(t, w.ben)
	w.mustAsk(t, again, 1, w.opens(t, again, w.setID, nil), keeper.Permitted, "")
	// A colleague who left agrees to nothing.
	w.Publish(t, w.org.Event(&actor.Bar{Actor: w.eve.ID}))
	q = w.opens(t, again, w.wideID, nil)
	q.Approval = custodytest.Agree(t, w.eve, eve, w.ana.ID, w.wideID, w.ben.ID, w.clock(), nil)
	w.mustAsk(t, again, 1, q, keeper.Refused, abaton.ReasonSecond)
}

// later moves all clocks on and waits until keepers have heard each other at
// the new time.
func (w *shift) later(t *testing.T, d time.Duration) {
	t.Helper()
	w.pass(w.now + d)
	deadline := time.Now().Add(30 * time.Second)
	for x := abaton.KeeperIndex(1); x <= 3; {
		s := w.signIn(t, w.ana)
		r := w.reason(t, s, x, session.Request{Patient: w.ana.ID, Mode: session.History, Purpose: abaton.PatientAccess, Time: w.clock().Unix()})
		if r == "" {
			x++
			continue
		}
		if time.Now().After(deadline) {
			t.Fatalf("keeper %d does not serve at the new time: %s", x, r)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// TestRightEnds: four hours, through a restart and a new session, then no more.
func TestRightEnds(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newShift(t)
	rec := w.record(t, custodytest.EmergencySet)
	s := w.signIn(t, w.ben)
	w.mustAsk(t, s, 1, w.opens(t, s, w.setID, nil), keeper.Permitted, "")
	w.Restart(t, 1, func() {})
	w.Keepers[1].AwaitMode(t)
	w.later(t, abaton.EmergencyRight-time.Minute)
	s = w.signIn(t, w.ben)
	w.mustAsk(t, s, 1, w.reads(rec, w.setID), keeper.Permitted, "")
	elsewhere := *w.ben
	elsewhere.Device = w.eve.Device
	w.mustAsk(t, w.signIn(t, &elsewhere), 1, w.reads(rec, w.setID), keeper.Refused, abaton.ReasonNotFound)
	w.later(t, 2*time.Minute)
	s = w.signIn(t, w.ben)
	w.mustAsk(t, s, 1, w.reads(rec, w.setID), keeper.Refused, abaton.ReasonExpired)
}

// TestUnconfirmed: whoever opened and got no second clinician's word within a
// day opens nothing more; the word may come late, and may be "wrong".
func TestUnconfirmed(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newShift(t)
	s := w.signIn(t, w.ben)
	q := w.opens(t, s, w.setID, nil)
	opening := w.mustAsk(t, s, 1, q, keeper.Permitted, "").Request
	w.later(t, abaton.EmergencyConfirm+time.Minute)
	s = w.signIn(t, w.ben)
	w.mustAsk(t, s, 1, w.opens(t, s, w.setID, nil), keeper.Refused, abaton.ReasonUnconfirmed)
	w.mustAsk(t, s, 1, w.confirms(t, w.ben, s, opening, session.Right), keeper.Refused, abaton.ReasonSecond)
	eve := w.signIn(t, w.eve)
	w.mustAsk(t, eve, 1, w.confirms(t, w.eve, eve, [32]byte{1}, session.Right), keeper.Refused, abaton.ReasonNotFound)
	w.mustAsk(t, eve, 1, w.confirms(t, w.eve, eve, opening, session.Right), keeper.Permitted, "")
	second := w.mustAsk(t, s, 1, w.opens(t, s, w.setID, nil), keeper.Permitted, "").Request
	w.mustAsk(t, eve, 1, w.confirms(t, w.eve, eve, second, session.Wrong), keeper.Permitted, "")
	w.mustAsk(t, s, 1, w.opens(t, s, w.setID, nil), keeper.Refused, abaton.ReasonUnconfirmed)
	told := w.entries(t, 1, ledger.OpConfirm)
	if last := told[len(told)-1]; last.Actor != w.eve.ID || last.Second != w.ben.ID || last.Opening != second || last.Urgency != uint8(session.Wrong) {
		t.Error("history: the second clinician's word does not say who, whose and what")
	}
}

// TestBarInAnEmergency (H35): a person whom the patient bars opens nothing,
// unless nobody else is there; then the ledger says so.
func TestBarInAnEmergency(t *testing.T) {
	w := newShift(t)
	rec := w.record(t, custodytest.EmergencySet)
	w.Publish(t, w.ana.Event(&actor.Bar{Actor: w.ben.ID}))
	s := w.signIn(t, w.ben)
	w.mustAsk(t, s, 1, w.opens(t, s, w.setID, nil), keeper.Refused, abaton.ReasonBarred)
	w.mustAsk(t, s, 1, w.opens(t, s, w.setID, func(m *session.Emergency) { m.Sole = true }), keeper.Permitted, "")
	w.mustAsk(t, s, 1, w.reads(rec, w.setID), keeper.Permitted, "")
	told := w.entries(t, 1, ledger.OpEmergency)
	if len(told) != 2 || told[0].Loud || !told[1].Loud {
		t.Error("history: an opening against a bar is not loud")
	}
}

// TestOwnWords: keepers hold a reason that only the patient reads.
func TestOwnWords(t *testing.T) {
	w := newShift(t)
	const said = "she was found at the foot of the stairs and does not answer"
	s := w.signIn(t, w.ben)
	words, err := session.SealWords(w.ana.Box.Public(), s.ID, said)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := session.SealWords(w.ana.Box.Public(), s.ID, "because I say so"); err == nil {
		t.Error("four words: got sealed, want refused")
	}
	w.mustAsk(t, s, 1, w.opens(t, s, w.setID, func(m *session.Emergency) { m.Urgency, m.Words = session.InWords, words }), keeper.Permitted, "")
	told := w.entries(t, 1, ledger.OpEmergency)
	got, err := session.OpenWords(w.ana.Box, told[0].Session, told[0].Words)
	if err != nil || got != said {
		t.Errorf("the patient reads the reason: got %v, want the words", err)
	}
}

// TestEmergencyBudgets: counts are durable, of the last day, and of person,
// device and organisation.
func TestEmergencyBudgets(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newShift(t)
	open := func(p *custodytest.Person) abaton.Reason {
		bruno := custodytest.NewPatient(t, w.Set, w.org, 1)
		line := bruno.Root.Line(custodytest.General)
		e, err := escrow.Make(w.Set, bruno.ID, escrow.Emergency(w.authorities, 1, line), key.NewSecret(), escrow.Payload{Root: planted})
		if err != nil {
			t.Fatal(err)
		}
		event := bruno.Event(e)
		w.Publish(t, bruno.Inception, event)
		id := abaton.GrantID(actor.HashOf(event.Event))
		s := w.signIn(t, p)
		q := session.Request{Patient: bruno.ID, Grant: id, Mode: session.Unseal, Purpose: abaton.Emergency, Time: w.clock().Unix(),
			Emergency: custodytest.Touch(t, p, s, bruno.ID, id, w.clock(), nil)}
		second := w.signIn(t, w.eve) // or the watch asks for one after a few
		if _, err := w.Keepers[1].Call(t.Context(), keeper.RouteSession, second.Signed); err != nil {
			t.Fatal(err)
		}
		q.Approval = custodytest.Agree(t, w.eve, second, bruno.ID, id, p.ID, w.clock(), nil)
		for range 2 { // the same request again moves no budget
			if r := w.reason(t, s, 1, q); r != "" {
				return r
			}
		}
		return ""
	}
	for i := range abaton.EmergencyPersonMax {
		if r := open(w.ben); r != "" {
			t.Fatalf("opening %d: refused: %s", i+1, r)
		}
	}
	if r := open(w.ben); r != abaton.ReasonBudget {
		t.Errorf("one more by the same person: got %q, want %q", r, abaton.ReasonBudget)
	}
	w.Restart(t, 1, func() {})
	w.Keepers[1].AwaitMode(t)
	if r := open(w.ben); r != abaton.ReasonBudget {
		t.Errorf("after a restart: got %q, want %q", r, abaton.ReasonBudget)
	}
	// A colleague at the same device has what is left of the device's.
	amy := w.colleague(t)
	amy.Device = w.ben.Device
	for i := abaton.EmergencyPersonMax; i < abaton.EmergencyDeviceMax; i++ {
		if r := open(amy); r != "" {
			t.Fatalf("opening %d at one device: refused: %s", i+1, r)
		}
	}
	kim := w.colleague(t)
	own := kim.Device
	kim.Device = w.ben.Device
	if r := open(kim); r != abaton.ReasonBudget {
		t.Errorf("one more at the same device: got %q, want %q", r, abaton.ReasonBudget)
	}
	kim.Device = own
	if r := open(kim); r != "" {
		t.Errorf("at another device: got %q, want permitted", r)
	}
}

// colleague is another emergency clinician whose role the keepers know for
// long enough.
func (w *shift) colleague(t *testing.T) *custodytest.Person {
	t.Helper()
	p := custodytest.NewClinician(t, w.Set, w.org)
	p.Role = abaton.RoleEmergency
	w.Publish(t, p.Inception)
	w.employ(t, p)
	w.later(t, custodytest.Wait)
	return p
}

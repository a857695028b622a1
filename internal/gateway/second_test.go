package gateway

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/internal/detect"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// holdBack has all keepers hold somebody back, by the word of two of them.
func (w *world) holdBack(who abaton.ActorID, level detect.Level) {
	w.t.Helper()
	now := time.Now().Unix()
	m := keeper.Verdicts{V: wire.Version}
	for _, x := range []abaton.KeeperIndex{4, 5} {
		said, err := contain.Sign(w.keepers.Keepers[x].Identity.Key, contain.Verdict{Keeper: x, Organisation: w.org.id, Subject: contain.Person(who),
			Level: level, Rules: detect.Of(detect.D1), Time: now, Until: now + 3600})
		if err != nil {
			w.t.Fatal(err)
		}
		m.Verdicts = append(m.Verdicts, said.Marshal())
	}
	for x := range abaton.KeeperIndex(3) { // what a keeper said itself it has in its own ledger
		if _, err := w.keepers.Keepers[x+1].Call(w.t.Context(), keeper.RouteVerdict, wire.Marshal(m)); err != nil {
			w.t.Fatal(err)
		}
	}
}

// sent is the name of the page that a refusal names.
func sent(t *testing.T, body []byte, origin string) string {
	t.Helper()
	var o struct {
		Issue []struct{ Diagnostics string }
	}
	if err := json.Unmarshal(body, &o); err != nil || len(o.Issue) != 1 {
		t.Fatalf("refusal: got %s, want one issue", clip(body))
	}
	_, name, ok := strings.Cut(o.Issue[0].Diagnostics, ": "+origin+"/held#")
	if raw, err := hex.DecodeString(name); !ok || err != nil || len(raw) != 16 {
		t.Fatalf("refusal: got %q, want one that names a page by 16 random bytes", o.Issue[0].Diagnostics)
	}
	return name
}

// agreement is what a colleague's page signs about an entry of its list.
func agreement(t *testing.T, by *device, c *caller, of secondSeen, change func(*session.Approval)) string {
	t.Helper()
	opening, err := hex.DecodeString(of.Opening)
	if err != nil {
		t.Fatal(err)
	}
	patient, err1 := abaton.ParseActorID(of.Patient)
	opener, err2 := abaton.ParseActorID(of.Opener)
	escrow, err3 := abaton.ParseGrantID(of.Grant)
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	a := session.Approval{V: wire.Version, Session: sessionOf(t, c), Patient: patient, Escrow: escrow, Opener: opener, Opening: [32]byte(opening),
		Verdict: session.Right, Time: time.Now().Unix(), Nonce: [16]byte{1}}
	if change != nil {
		change(&a)
	}
	signed, err := by.passkey.Assert(a.Challenge())
	if err != nil {
		t.Fatal(err)
	}
	return jsonText(t, secondSaid{Ask: of.Ask, Approval: login.Encode((&session.SignedApproval{Approval: a, Assertion: *signed}).Marshal())})
}

func (c *caller) asked() []secondSeen {
	c.w.t.Helper()
	var out struct{ Asks []secondSeen }
	c.want(http.StatusOK, "GET", "/portal/second", "", &out)
	return out.Asks
}

// TestWardCareGoesOn: a suspended clinician's program is sent to a page, a
// colleague agrees on an own device, and the same request succeeds.
func TestWardCareGoesOn(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWorld(t)
	doctor, directory := w.clinician()
	colleague, _ := w.clinician()
	patient := w.patient()
	c := w.signIn(doctor, directory, w.share(patient, doctor, grant.Read, unshielded()...))
	resp, _ := c.with(headerPatient, patient.id.String()).want(http.StatusCreated, "POST", "/Patient", `{"resourceType":"Patient"}`, nil)
	id := idOf(resp)
	c.want(http.StatusCreated, "POST", "/Practitioner", `{"resourceType":"Practitioner","identifier":[{"system":"urn:abaton:actor","value":"`+doctor.id.String()+`"}],"name":[{"given":["Eda"],"family":"Voss"}]}`, nil)
	c.want(http.StatusOK, "GET", "/Practitioner", "", nil)
	open := &caller{w: w}
	ward := w.signIn(colleague)
	if got := ward.asked(); len(got) != 0 {
		t.Fatalf("before anybody is held back: got %d asks, want none", len(got))
	}

	w.holdBack(doctor.id, detect.SuspendPerson)
	w.clock.advance(lease) // what is in memory is not read for longer
	_, body := c.want(http.StatusForbidden, "GET", "/Patient/"+id, "", nil)
	name := sent(t, body, w.web.URL)
	for _, fact := range []string{id, patient.id.String(), doctor.id.String()} {
		if strings.Contains(string(body), fact) {
			t.Error("the refusal names the patient or the clinician")
		}
	}
	if _, body := c.want(http.StatusForbidden, "GET", "/Observation?patient="+id, "", nil); sent(t, body, w.web.URL) != name {
		t.Error("the same patient again: got another page, want the same")
	}
	var held pauseSeen
	open.want(http.StatusOK, "GET", "/portal/held/"+name, "", &held)
	if held.Touch || held.Code != "" || held.Agreed != 0 || held.Label != id || held.Actor != doctor.id.String() {
		t.Errorf("the page: got touch %v, code %q, agreed %d, want a colleague to be asked about this id", held.Touch, held.Code, held.Agreed)
	}
	if got := ward.asked(); len(got) != 0 {
		t.Errorf("nobody asked yet: got %d asks, want none", len(got))
	}
	open.want(http.StatusOK, "POST", "/portal/held/ask", jsonText(t, heldAsked{Held: name}), &held)
	asks := ward.asked()
	if len(asks) != 1 || asks[0].Code != held.Code || len(held.Code) != 6 || asks[0].Label != id || asks[0].Role != abaton.RolePhysician || asks[0].Who != "Eda Voss" {
		t.Fatalf("the colleague's list: got %d entries, want this one with the same code, label, role and name", len(asks))
	}

	// Nobody else's word, and not about anything else.
	again := w.signIn(doctor)
	if got := again.asked(); len(got) != 0 {
		t.Errorf("the one who asks: got %d asks, want none", len(got))
	}
	again.want(http.StatusForbidden, "POST", "/portal/second", agreement(t, doctor, again, asks[0], nil), nil)
	for what, change := range map[string]func(*session.Approval){
		"another patient": func(a *session.Approval) { a.Patient[0] ^= 1 }, "another grant": func(a *session.Approval) { a.Escrow[0] ^= 1 },
		"another person": func(a *session.Approval) { a.Opener[0] ^= 1 }, "another session": func(a *session.Approval) { a.Opening[0] ^= 1 },
		"beforehand": func(a *session.Approval) { a.Opening = [32]byte{} }, "no": func(a *session.Approval) { a.Verdict = session.Wrong },
		"in another's session": func(a *session.Approval) { a.Session[0] ^= 1 }, "old": func(a *session.Approval) { a.Time -= int64(session.StepUpMax / time.Second) },
	} {
		if resp := ward.do("POST", "/portal/second", agreement(t, colleague, ward, asks[0], change)); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: got %d, want %d", what, resp.StatusCode, http.StatusBadRequest)
		}
	}
	open.want(http.StatusUnauthorized, "POST", "/portal/second", agreement(t, colleague, ward, asks[0], nil), nil)
	me := w.signIn(patient)
	me.want(http.StatusForbidden, "POST", "/portal/second", agreement(t, patient, me, asks[0], nil), nil)
	c.want(http.StatusForbidden, "GET", "/Patient/"+id, "", nil)

	ward.want(http.StatusNoContent, "POST", "/portal/second", agreement(t, colleague, ward, asks[0], nil), nil)
	ward.want(http.StatusNotFound, "POST", "/portal/second", agreement(t, colleague, ward, asks[0], nil), nil) // answered
	open.want(http.StatusOK, "GET", "/portal/held/"+name, "", &held)
	if held.Agreed == 0 || held.Code != "" || held.Until <= held.Agreed {
		t.Errorf("the page, when somebody agreed: got %d, code %q, want when and until when", held.Agreed, held.Code)
	}
	c.want(http.StatusOK, "GET", "/Patient/"+id, "", nil)
	c.want(http.StatusOK, "GET", "/Patient/"+id+"/$everything", "", nil)
	w.clock.advance(lease / 2)
	c.want(http.StatusOK, "GET", "/Observation?patient="+id, "", nil)

	// For five minutes, in this session, for this patient.
	for _, p := range w.gateway.sessions.by {
		if p.actor != doctor.id || p.id != sessionOf(t, c) {
			continue
		}
		for after, with := range map[time.Duration]bool{0: true, session.StepUpMax - stepUpSpare - lease: true, session.StepUpMax - stepUpSpare: false} {
			lent, err := p.asks(t.Context(), w.gateway.network, patient.id, "", time.Now().Add(after))
			if err != nil || len(lent.asks) != 1 || (lent.asks[0].Approval != nil) != with {
				t.Errorf("%v after: got %v, want an approval %v", after, err, with)
			}
		}
	}
	w.holdBack(colleague.id, detect.SuspendPerson)
	w.clock.advance(20 * time.Second)
	c.dropCharts()
	_, body = c.want(http.StatusForbidden, "GET", "/Patient/"+id, "", nil)
	if !strings.Contains(string(body), "a second clinician agreed, and the keepers still refuse") {
		t.Errorf("the colleague is held back too: got %s, want to hear so", clip(body))
	}
	open.want(http.StatusOK, "GET", "/portal/held/"+name, "", &held)
	if !held.Vain {
		t.Error("the page does not say that it was in vain")
	}
}

// dropCharts has the next request ask the keepers.
func (c *caller) dropCharts() {
	for _, p := range c.w.gateway.sessions.by {
		for _, patient := range p.patients() {
			p.drop(patient)
		}
	}
}

// TestTouchForWhatIsHeldBack: at a step-up of the watch one's own passkey over
// these lines is enough, and nobody else's.
func TestTouchForWhatIsHeldBack(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWorld(t)
	doctor, directory := w.clinician()
	patient := w.patient()
	c := w.signIn(doctor, directory, w.share(patient, doctor, grant.Read, unshielded()...))
	resp, _ := c.with(headerPatient, patient.id.String()).want(http.StatusCreated, "POST", "/Patient", `{"resourceType":"Patient"}`, nil)
	id := idOf(resp)
	w.holdBack(doctor.id, detect.StepUp)
	w.clock.advance(lease)
	_, body := c.want(http.StatusForbidden, "GET", "/Patient/"+id, "", nil)
	name := sent(t, body, w.web.URL)
	var held pauseSeen
	open := &caller{w: w}
	open.want(http.StatusOK, "GET", "/portal/held/"+name, "", &held)
	if !held.Touch || len(held.Lines) != len(unshielded())-1 { // the emergency line is a copy
		t.Fatalf("the page: got touch %v, %d lines, want a touch over all that is opened", held.Touch, len(held.Lines))
	}
	open.want(http.StatusBadRequest, "POST", "/portal/held/ask", jsonText(t, heldAsked{Held: name}), nil)
	touch := func(by *key.Passkey, change func(*session.StepUp)) string {
		u := session.StepUp{V: wire.Version, Session: sessionOf(t, c), Patient: patient.id, Purpose: abaton.Purpose(held.Purpose), Time: time.Now().Unix(), Nonce: [16]byte{1}}
		for _, text := range held.Lines {
			line, err := abaton.ParseLine(text)
			if err != nil {
				t.Fatal(err)
			}
			u.Lines = append(u.Lines, line)
		}
		if change != nil {
			change(&u)
		}
		a, err := by.Assert(u.Challenge())
		if err != nil {
			t.Fatal(err)
		}
		return jsonText(t, heldTouched{Held: name, StepUp: login.Encode((&session.SignedStepUp{StepUp: u, Assertion: *a}).Marshal())})
	}
	for what, change := range map[string]func(*session.StepUp){
		"another patient": func(u *session.StepUp) { u.Patient[0] ^= 1 }, "another session": func(u *session.StepUp) { u.Session[0] ^= 1 },
		"another purpose": func(u *session.StepUp) { u.Purpose = abaton.Operations }, "fewer lines": func(u *session.StepUp) { u.Lines = u.Lines[1:] },
		"old": func(u *session.StepUp) { u.Time -= int64(session.StepUpMax / time.Second) },
	} {
		if resp := open.do("POST", "/portal/held/touch", touch(doctor.passkey, change)); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: got %d, want %d", what, resp.StatusCode, http.StatusBadRequest)
		}
	}
	open.want(http.StatusNoContent, "POST", "/portal/held/touch", touch(patient.passkey, nil), nil) // keepers verify whose it is
	c.want(http.StatusForbidden, "GET", "/Patient/"+id, "", nil)
	open.want(http.StatusNoContent, "POST", "/portal/held/touch", touch(doctor.passkey, nil), nil)
	c.want(http.StatusOK, "GET", "/Patient/"+id, "", nil)
}

// TestWhomAColleagueSees: people of the asker's teams, all of the house where the
// asker is in none, and no program, patient or stranger.
func TestWhomAColleagueSees(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWorld(t)
	doctor, _ := w.clinician()
	near, _ := w.clinician()
	far, _ := w.clinician()
	patient := w.patient()
	held := &person{actor: doctor.id, expires: w.clock.now().Add(time.Hour)}
	p := &pause{of: held, patient: patient.id}
	sees := func(who *device) bool {
		w.net.Refresh(w.org.id)
		w.gateway.network.Refresh(w.org.id)
		may, err := w.gateway.maySecond(t.Context(), &person{actor: who.id}, p)
		if err != nil {
			t.Fatal(err)
		}
		return may
	}
	for who, want := range map[*device]bool{near: true, far: true, doctor: false, patient: false, w.device(actor.Clinician): false} {
		if who.id == (abaton.ActorID{}) {
			continue
		}
		if got := sees(who); got != want {
			t.Errorf("in no team: got %v, want %v", got, want)
		}
	}
	team := &actor.Team{Team: actor.TeamID(w.org.id, [16]byte{7}), Nonce: [16]byte{7}, Epoch: 1, Public: key.NewBox().Public().Bytes()}
	for _, d := range []*device{doctor, near} {
		team.Seats = append(team.Seats, actor.Seat{Actor: d.id, Sealed: make([]byte, key.BoxOverhead+32)})
	}
	slices.SortFunc(team.Seats, func(a, b actor.Seat) int { return slices.Compare(a.Actor[:], b.Actor[:]) })
	if _, err := w.net.Append(t.Context(), client.KeyHand(w.org.id, w.org.signing), team); err != nil {
		t.Fatal(err)
	}
	if !sees(near) || sees(far) {
		t.Errorf("in a team: got near %v, far %v, want those of the team alone", sees(near), sees(far))
	}
	for _, app := range []*person{{actor: near.id, limits: &limits{}}, {actor: near.id, lender: held}} {
		if may, err := w.gateway.maySecond(t.Context(), app, p); may || err != nil {
			t.Errorf("an app: got %v, %v, want no", may, err)
		}
	}
}

// TestPausesAreFew: the oldest goes where one person, or all together, have too
// many, and what is over serves nobody.
func TestPausesAreFew(t *testing.T) {
	now := time.Now()
	s := pauses{by: make(map[string]*pause)}
	of := &person{actor: abaton.ActorID{1}, expires: now.Add(time.Hour)}
	var names []string
	for i := range pausesOfOneMax + 1 {
		names = append(names, s.note(&pause{of: of, patient: abaton.ActorID{byte(i), 1}}, now.Add(time.Duration(i))))
	}
	if len(s.by) != pausesOfOneMax || s.get(names[0], now) != nil || s.get(names[1], now) == nil {
		t.Errorf("of one person: got %d, want the newest %d", len(s.by), pausesOfOneMax)
	}
	for i := range pausesMax + 5 {
		s.note(&pause{of: &person{actor: abaton.ActorID{2, byte(i), byte(i >> 8)}, expires: now.Add(time.Hour)}}, now.Add(time.Second))
	}
	if len(s.by) != pausesMax {
		t.Errorf("of all: got %d, want %d", len(s.by), pausesMax)
	}
	last := s.note(&pause{of: of, patient: abaton.ActorID{9}}, now)
	if s.get(last, now.Add(pauseLife)) != nil || s.get(last, now) == nil {
		t.Error("a pause serves for its life")
	}
	of.closed = true
	if s.get(last, now) != nil {
		t.Error("a session that ended has a pause")
	}
	if s.sweep(now.Add(2 * pauseLife)); len(s.by) != 0 {
		t.Errorf("swept: got %d, want none", len(s.by))
	}
}

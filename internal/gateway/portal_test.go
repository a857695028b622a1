package gateway

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/internal/escrow"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// browser is what a person's browser holds: one passkey, and a root under it.
type browser struct {
	*device
	credentialID []byte
	prf          key.Secret
	secret       key.Secret
	body         *actor.Inception
}

// browserOf makes a patient as web/ does: the passkey proves, no other key.
func (w *world) browserOf() *browser {
	w.t.Helper()
	b := &browser{device: w.device(actor.Patient), credentialID: make([]byte, 16), prf: key.NewSecret(), secret: key.NewSecret()}
	rand.Read(b.credentialID)
	b.root = key.NewRoot(b.secret)
	b.box = key.BoxFromSeed(b.root.BoxSeed())
	b.body = w.inception(b.device, w.keepers.Set.ID())
	b.body.Keys = nil
	for _, c := range fhir.Categories() {
		b.body.Lines = append(b.body.Lines, actor.Epoch{Line: b.root.Line(c.ID()), Level: c.Level(), Epoch: 1, Segment: b.root.Segment(c.ID(), 1).Public().Bytes()})
	}
	return b
}

// event is the signed inception as it stands now.
func (b *browser) event(t *testing.T) []byte {
	t.Helper()
	event := actor.NewInception(time.Now().Unix(), b.body)
	b.id = actor.IDOf(event)
	return b.proved(t, event)
}

func (b *browser) proved(t *testing.T, event []byte) []byte {
	t.Helper()
	a, err := b.passkey.Assert(actor.HashOf(event))
	if err != nil {
		t.Fatal(err)
	}
	return actor.Signed(event, actor.ByPasskey(a)).Marshal()
}

func (b *browser) enrolment(t *testing.T) enrolment {
	t.Helper()
	wrap, err := key.WrapRoot(b.prf, b.secret, b.credentialID)
	if err != nil {
		t.Fatal(err)
	}
	return enrolment{Event: login.Encode(b.event(t)), CredentialID: login.Encode(b.credentialID), Wrap: login.Encode(wrap)}
}

func jsonText(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestEnrolSignInStepUpStop is what the pages do, without the pages.
func TestEnrolSignInStepUpStop(t *testing.T) {
	w := newWorld(t)
	doctor, directory := w.clinician()
	b := w.browserOf()
	b.body.Grants = []actor.Granted{b.firstGrant(t, w.org, grant.Deposit, abaton.Operations), b.firstGrant(t, doctor, grant.Read, abaton.Treatment)}
	open := &caller{w: w}
	var done struct{ Actor string }
	in := b.enrolment(t)
	open.want(http.StatusOK, "POST", "/portal/enrol", jsonText(t, in), &done)
	if done.Actor != b.id.String() {
		t.Fatalf("enrolled: got %s, want %s", done.Actor, b.id)
	}
	open.want(http.StatusOK, "POST", "/portal/enrol", jsonText(t, in), nil) // a lost answer: the same again
	inception, err := login.Decode(in.Event)
	if err != nil {
		t.Fatal(err)
	}
	b.printed(t, w, inception)

	var kept struct{ Actor, Public, Wrap string }
	open.want(http.StatusOK, "GET", "/portal/wrap/"+wrapName(b.credentialID), "", &kept)
	wrap, err := login.Decode(kept.Wrap)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := key.UnwrapRoot(b.prf, b.credentialID, wrap); err != nil || got != b.secret || kept.Actor != done.Actor || kept.Public != login.Encode(b.passkey.Public()) {
		t.Errorf("what is kept: got %v, want the root under the passkey", err)
	}

	// Nothing is stored before there is a second way back in.
	code := escrow.NewCode()
	kit, err := escrow.Make(w.keepers.Set, b.id, escrow.Kit(b.id, code, custodytest.Wait), code.Half(b.id), escrow.Payload{Root: b.secret})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.net.Append(t.Context(), client.PasskeyHand(b.id, b.passkey), kit); err != nil {
		t.Fatal(err)
	}

	// The clinic writes, also what is locked.
	var gave session.Bundle
	for id := range mustLog(t, w, b.id).Grants() {
		g, _ := mustLog(t, w, b.id).Grant(id)
		if g.Grantee == doctor.id {
			_, seeds := b.grantOf(doctor, grant.Read, abaton.Treatment)
			gave = session.Bundle{Patient: b.id, Grant: id, Seeds: seeds}
		}
	}
	c := w.signIn(doctor, directory, gave)
	resp, _ := c.with(headerPatient, b.id.String()).want(http.StatusCreated, "POST", "/Patient", `{"resourceType":"Patient"}`, nil)
	id := idOf(resp)
	note := `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/` + id + `"},` +
		`"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"PSYTHPN"}]}}`
	c.want(http.StatusCreated, "POST", "/Observation", note, nil)

	// The patient signs in with nothing lent, then lends, then steps up.
	me := w.signIn(b.device)
	var seen meSeen
	me.want(http.StatusOK, "GET", "/portal/me", "", &seen)
	if seen.Actor != done.Actor || len(seen.Lines) != len(fhir.Categories()) || len(seen.Grants) != 2 {
		t.Fatalf("me: got %d lines and %d grants, want %d and 2", len(seen.Lines), len(seen.Grants), len(fhir.Categories()))
	}
	me.want(http.StatusNotFound, "GET", "/Patient/"+id, "", nil)
	var own []grant.Seed
	for _, cat := range fhir.Categories() {
		own = append(own, grant.Seed{Line: b.root.Line(cat.ID()), Category: cat.ID(), Level: cat.Level(), Epoch: 1, Seed: b.root.SegmentSeed(cat.ID(), 1)})
	}
	more, err := login.Add(me.offer, *me.done, []session.Bundle{{Patient: b.id, Seeds: own}})
	if err != nil {
		t.Fatal(err)
	}
	me.want(http.StatusNoContent, "POST", "/login/seeds", jsonText(t, more), nil)
	count := func(want int, withheld bool) {
		t.Helper()
		var all struct{ Entry []struct{} }
		resp, _ := me.want(http.StatusOK, "GET", "/Patient/"+id+"/$everything", "", &all)
		if got := strings.Contains(resp.Header.Get("Warning"), "not shown"); len(all.Entry) != want || got != withheld {
			t.Errorf("record: got %d entries, withheld %v, want %d and %v", len(all.Entry), got, want, withheld)
		}
	}
	count(1, true)
	locked := b.root.Line(fhir.PsychotherapyNotes.ID())
	me.want(http.StatusBadRequest, "POST", "/portal/step-up", b.stepUp(t, me, abaton.SessionID{1}, b.id, time.Now(), locked), nil)
	me.want(http.StatusBadRequest, "POST", "/portal/step-up", b.stepUp(t, me, sessionOf(t, me), doctor.id, time.Now(), locked), nil)
	me.want(http.StatusBadRequest, "POST", "/portal/step-up", b.stepUp(t, me, sessionOf(t, me), b.id, time.Now().Add(-session.StepUpMax), locked), nil)
	me.want(http.StatusNoContent, "POST", "/portal/step-up", b.stepUp(t, me, sessionOf(t, me), b.id, time.Now(), abaton.Line{9}), nil)
	count(1, true) // of another line
	me.want(http.StatusNoContent, "POST", "/portal/step-up", b.stepUp(t, me, sessionOf(t, me), b.id, time.Now(), locked), nil)
	count(2, false)
	for after, withheld := range map[time.Duration]bool{session.StepUpMax - stepUpSpare - 2*time.Second: false, session.StepUpMax - stepUpSpare: true} {
		for _, p := range w.gateway.sessions.by {
			if p.actor != b.id {
				continue
			}
			lent, err := p.asks(t.Context(), w.gateway.network, b.id, "", time.Now().Add(after))
			if err != nil || lent.withheld != withheld || len(lent.asks) == 2 == withheld {
				t.Errorf("%v after the step-up: got withheld %v, %v, want %v", after, lent.withheld, err, withheld)
			}
		}
	}

	// Access is stopped by the patient's own event.
	head, err := hex.DecodeString(seen.Head)
	if err != nil {
		t.Fatal(err)
	}
	stop := actor.New(b.id, seen.Seq+1, []actor.Hash{actor.Hash(head)}, time.Now().Unix(), &actor.Revoke{Grant: gave.Grant})
	var out struct {
		InForce bool
		At, Of  int
	}
	open.want(http.StatusOK, "POST", "/portal/events", jsonText(t, relayed{Event: login.Encode(b.proved(t, stop))}), &out)
	if !out.InForce || out.At < 4 || out.Of != 5 {
		t.Errorf("stopped: got %+v, want in force at four of five or more", out)
	}
	me.want(http.StatusOK, "GET", "/portal/me", "", &seen)
	if len(seen.Grants) != 1 || !seen.Grants[0].Clinic {
		t.Errorf("after it: got %d grants, want the clinic's alone", len(seen.Grants))
	}
	w.clock.advance(lease)
	c.want(http.StatusNotFound, "GET", "/Patient/"+id, "", nil)
	if logged := w.logged.String(); strings.Contains(logged, done.Actor) || strings.Contains(logged, wrapName(b.credentialID)) {
		t.Error("the log names a person")
	}
}

func mustLog(t *testing.T, w *world, id abaton.ActorID) *actor.State {
	t.Helper()
	st, err := w.net.Log(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func sessionOf(t *testing.T, c *caller) abaton.SessionID {
	t.Helper()
	raw, err := login.Decode(c.done.Statement)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := session.ParseSigned(raw)
	if err != nil {
		t.Fatal(err)
	}
	return session.Challenge(signed.Statement)
}

func (b *browser) stepUp(t *testing.T, _ *caller, id abaton.SessionID, patient abaton.ActorID, at time.Time, lines ...abaton.Line) string {
	t.Helper()
	u := session.StepUp{V: wire.Version, Session: id, Patient: patient, Lines: lines, Purpose: abaton.PatientAccess, Time: at.Unix(), Nonce: [16]byte{1}}
	a, err := b.passkey.Assert(u.Challenge())
	if err != nil {
		t.Fatal(err)
	}
	return jsonText(t, steppedUp{StepUp: login.Encode((&session.SignedStepUp{StepUp: u, Assertion: *a}).Marshal())})
}

func (b *browser) grantOf(to *device, actions grant.Action, purpose abaton.Purpose) (grant.Grant, []grant.Seed) {
	now := time.Now().Unix()
	g := grant.Grant{V: wire.Version, Grantee: to.id, Actions: actions, NotBefore: now - 60, Expires: now + 36_000, Quota: 1 << 20, Purposes: []abaton.Purpose{purpose}}
	rand.Read(g.Nonce[:])
	var seeds []grant.Seed
	for _, c := range fhir.Categories() {
		s := grant.Seed{Line: b.root.Line(c.ID()), Category: c.ID(), Level: c.Level(), Epoch: 1}
		if actions == grant.Read {
			if c.Level() == actor.LevelMax {
				continue
			}
			s.Seed = b.root.SegmentSeed(c.ID(), 1)
		}
		g.Lines, seeds = append(g.Lines, s.Line), append(seeds, s)
	}
	g.Sort()
	return g, seeds
}

func (b *browser) firstGrant(t *testing.T, to *device, actions grant.Action, purpose abaton.Purpose) actor.Granted {
	t.Helper()
	g, seeds := b.grantOf(to, actions, purpose)
	wrap, err := grant.WrapSeeds(to.box.Public(), g.Marshal(), seeds)
	if err != nil {
		t.Fatal(err)
	}
	return actor.Granted{Grant: g.Marshal(), Wrap: wrap}
}

// TestBadEnrolments: none of them leaves a wrap or a log behind.
func TestBadEnrolments(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWorld(t)
	open := &caller{w: w}
	other := w.browserOf()
	tests := []struct {
		name   string
		status int
		body   func(*browser)
		change func(*browser, *enrolment)
	}{
		{"wrap cut short", 400, nil, func(_ *browser, e *enrolment) { e.Wrap = e.Wrap[:20] }},
		{"no wrap", 400, nil, func(_ *browser, e *enrolment) { e.Wrap = "" }},
		{"no credential id", 400, nil, func(_ *browser, e *enrolment) { e.CredentialID = "" }},
		{"long credential id", 400, nil, func(_ *browser, e *enrolment) { e.CredentialID = login.Encode(make([]byte, credentialIDMax+1)) }},
		{"not base64url", 400, nil, func(_ *browser, e *enrolment) { e.Event += "=" }},
		{"not an event", 400, nil, func(_ *browser, e *enrolment) { e.Event = login.Encode([]byte{1}) }},
		{"not an inception", 400, nil, func(b *browser, e *enrolment) {
			e.Event = login.Encode(b.proved(t, actor.New(b.id, 1, []actor.Hash{{1}}, 1, &actor.Bar{Actor: abaton.ActorID{1}})))
		}},
		{"forged", 400, nil, func(b *browser, e *enrolment) {
			raw, _ := login.Decode(e.Event)
			raw[len(raw)-1] ^= 1
			e.Event = login.Encode(raw)
		}},
		{"a clinician", 400, func(b *browser) { b.body.Kind, b.body.Lines = actor.Clinician, nil }, nil},
		{"of another clinic", 400, func(b *browser) {
			b.body.Organisation = abaton.ActorID{1}
			v := actor.Invitation{Organisation: abaton.ActorID{1}, Kind: actor.Patient, Expires: time.Now().Add(time.Hour).Unix(), Nonce: [16]byte{1}}
			b.body.Invitation = v.Sign(key.NewSigning())
		}, nil},
		{"of another keeper set", 400, func(b *browser) { b.body.Set[0] ^= 1 }, nil},
		{"with a key besides", 400, func(b *browser) {
			b.body.Keys = []actor.Key{{ID: key.NewSigning().ID(), Rights: actor.Manage}}
		}, nil},
		{"with somebody's passkey besides", 400, func(b *browser) {
			b.body.Credentials = append(b.body.Credentials, actor.Credential{Public: other.passkey.Public(), Class: actor.Bound})
		}, nil},
		{"enrolled as synced, but bound", 400, func(b *browser) { b.body.Credentials[0].Class = actor.Synced }, nil},
		{"invitation by a stranger", 403, func(b *browser) {
			v := actor.Invitation{Organisation: w.org.id, Kind: actor.Patient, Expires: time.Now().Add(time.Hour).Unix(), Nonce: [16]byte{1}}
			b.body.Invitation = v.Sign(key.NewSigning())
		}, nil},
		{"invitation run out", 403, func(b *browser) {
			v := actor.Invitation{Organisation: w.org.id, Kind: actor.Patient, Expires: time.Now().Add(-time.Hour).Unix(), Nonce: [16]byte{1}}
			b.body.Invitation = v.Sign(w.org.signing)
		}, nil},
	}
	for _, tt := range tests {
		b := w.browserOf()
		if tt.body != nil {
			tt.body(b)
		}
		e := b.enrolment(t)
		if tt.change != nil {
			tt.change(b, &e)
		}
		resp := open.do("POST", "/portal/enrol", jsonText(t, e))
		resp.Body.Close()
		if resp.StatusCode != tt.status {
			t.Errorf("%s: got %d, want %d", tt.name, resp.StatusCode, tt.status)
		}
		open.want(http.StatusNotFound, "GET", "/portal/wrap/"+wrapName(b.credentialID), "", nil)
	}
	files, err := os.ReadDir(w.config.Wraps)
	if err != nil || len(files) != 0 {
		t.Errorf("wraps: got %d files, %v, want none", len(files), err)
	}

	// One invitation lets one person in; a wrap is never replaced.
	b, twice := w.browserOf(), w.browserOf()
	open.want(http.StatusOK, "POST", "/portal/enrol", jsonText(t, b.enrolment(t)), nil)
	twice.body.Invitation = b.body.Invitation
	open.want(http.StatusForbidden, "POST", "/portal/enrol", jsonText(t, twice.enrolment(t)), nil)
	thief := w.browserOf()
	thief.credentialID = b.credentialID
	open.want(http.StatusConflict, "POST", "/portal/enrol", jsonText(t, thief.enrolment(t)), nil)
}

func TestPortalRefuses(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	open := &caller{w: k.world}
	for _, id := range []string{"x", strings.Repeat("0", 64), strings.Repeat("A", 64), strings.Repeat("a", 62)} {
		open.want(http.StatusNotFound, "GET", "/portal/wrap/"+id, "", nil)
	}
	patient := k.world.patient()
	for _, id := range []string{"act1", "x", patient.id.String(), k.org.id.String(), abaton.ActorID{1}.String()} {
		open.want(http.StatusNotFound, "GET", "/portal/box/"+id, "", nil)
	}
	k.c.want(http.StatusNotFound, "GET", "/portal/me", "", nil) // a clinician has no record of their own
	for _, body := range []string{"{}", `{"event":"AA"}`, `{"event":"` + login.Encode(patient.sign(k.inception(patient, k.keepers.Set.ID()))) + `"}`} {
		open.want(http.StatusBadRequest, "POST", "/portal/events", body, nil)
	}
	if err := os.WriteFile(filepath.Join(k.config.Wraps, strings.Repeat("0", 64)+wrapSuffix), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	open.want(http.StatusInternalServerError, "GET", "/portal/wrap/"+strings.Repeat("0", 64), "", nil)
}

// TestPagesKeepToTheirPolicy: no page or script may do more than its own.
func TestPagesKeepToTheirPolicy(t *testing.T) {
	w := newWorld(t)
	open := &caller{w: w}
	for _, path := range []string{"/enrol", "/sign-in", "/unlock", "/web/app.js", "/web/app.css"} {
		resp, body := open.with("Accept", "text/html,*/*").want(http.StatusOK, "GET", path, "", nil)
		policy := resp.Header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self'", "connect-src 'self'", "require-trusted-types-for 'script'", "trusted-types 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} {
			if !strings.Contains(policy, part) {
				t.Errorf("%s: policy %q lacks %q", path, policy, part)
			}
		}
		if strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q allows what is unsafe", path, policy)
		}
		if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") && (strings.Contains(string(body), "<style") || strings.Contains(string(body), " style=") || strings.Contains(string(body), "onclick")) {
			t.Errorf("%s: holds an inline style or script", path)
		}
	}
	for _, name := range []string{"page.html", "x.js", "..", "app"} {
		open.want(http.StatusNotFound, "GET", "/web/"+name, "", nil)
	}
}

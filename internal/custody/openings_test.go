package custody_test

import (
	"errors"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/internal/escrow"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// told asks keeper 1 what was opened, with a key.
func (w *shift) told(t *testing.T, by *key.Signing, about ...abaton.ActorID) ([]keeper.Opening, abaton.Reason) {
	t.Helper()
	q := keeper.Query{V: wire.Version, Kind: keeper.QueryOpened, Actors: about, Time: uint64(w.clock().Unix()), Key: by.ID()}
	answer, err := w.Keepers[1].Call(t.Context(), keeper.RouteQuery, wire.Marshal(by.Seal(wire.Query, wire.Marshal(q))))
	if refused, ok := errors.AsType[*abaton.RefusedError](err); ok {
		return nil, refused.Reason
	}
	if err != nil {
		t.Fatal(err)
	}
	var signed keeper.Signed
	var s keeper.Statements
	if wire.Unmarshal(answer, &signed) != nil || wire.Unmarshal(signed.Body, &s) != nil {
		t.Fatal("not an answer")
	}
	return s.Openings, ""
}

// TestWhoIsTold: an opening is told to the patient, the helpers, the opener,
// the organisation's managers and its security officer, and to nobody else.
func TestWhoIsTold(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newShift(t)
	officer, former := custodytest.NewClinician(t, w.Set, w.org), custodytest.NewClinician(t, w.Set, w.org)
	officer.Role, former.Role = abaton.RoleSecurityOfficer, abaton.RoleSecurityOfficer
	elsewhere := custodytest.NewOrganisation(t, w.Set)
	w.Publish(t, officer.Inception, former.Inception)
	w.employ(t, officer)
	w.employ(t, former)
	w.Publish(t, w.org.Event(&actor.Bar{Actor: former.ID}))
	var helpers []*custodytest.Person
	var holders []escrow.Holder
	for range 3 {
		p := custodytest.NewPatient(t, w.Set, w.org, 1)
		w.Publish(t, p.Inception)
		helpers, holders = append(helpers, p), append(holders, escrow.Holder{ID: p.ID, Box: p.Box.Public()})
	}
	e, err := escrow.Make(w.Set, w.ana.ID, escrow.Trustees(holders, 2, custodytest.Wait), key.NewSecret(), escrow.Payload{Root: key.NewSecret()})
	if err != nil {
		t.Fatal(err)
	}
	chosen := w.ana.Event(e)
	w.Publish(t, chosen)

	s := w.signIn(t, w.ben)
	opening := w.mustAsk(t, s, 1, w.opens(t, s, w.setID, nil), keeper.Permitted, "").Request
	w.mustAsk(t, s, 1, w.opens(t, s, w.wideID, nil), keeper.Refused, abaton.ReasonSecond) // nothing opened, nothing told
	bob := custodytest.NewPatient(t, w.Set, w.org, 1)
	w.Publish(t, bob.Inception)
	for _, c := range []struct {
		name  string
		by    *key.Signing
		about []abaton.ActorID
		want  int
		why   abaton.Reason
	}{
		{"the patient", w.ana.Manage, []abaton.ActorID{w.ana.ID}, 1, ""},
		{"a helper", helpers[2].Manage, []abaton.ActorID{w.ana.ID}, 1, ""},
		{"the opener", w.ben.Manage, []abaton.ActorID{w.ben.ID}, 1, ""},
		{"a manager", w.org.Manage, []abaton.ActorID{w.ben.ID, w.eve.ID}, 1, ""},
		{"the security officer", officer.Manage, []abaton.ActorID{w.eve.ID, w.ben.ID}, 1, ""},
		{"the officer of a patient", officer.Manage, []abaton.ActorID{w.ana.ID}, 0, abaton.ReasonCredential},
		{"a former officer", former.Manage, []abaton.ActorID{w.ben.ID}, 0, abaton.ReasonCredential},
		{"a colleague", w.eve.Manage, []abaton.ActorID{w.ben.ID}, 0, abaton.ReasonCredential},
		{"the gateway", w.org.Writer, []abaton.ActorID{w.ben.ID}, 0, abaton.ReasonCredential},
		{"another patient", bob.Manage, []abaton.ActorID{w.ana.ID}, 0, abaton.ReasonCredential},
		{"one too many", w.ana.Manage, []abaton.ActorID{w.ana.ID, bob.ID}, 0, abaton.ReasonCredential},
		{"the opener of a patient", w.ben.Manage, []abaton.ActorID{w.ana.ID}, 0, abaton.ReasonCredential},
		{"somebody unknown", elsewhere.Manage, []abaton.ActorID{w.ben.ID}, 0, abaton.ReasonCredential},
		{"about nobody known", w.ana.Manage, []abaton.ActorID{{9}}, 0, abaton.ReasonCredential},
		{"about nobody", w.ana.Manage, nil, 0, abaton.ReasonMalformed},
	} {
		got, why := w.told(t, c.by, c.about...)
		if len(got) != c.want || why != c.why {
			t.Errorf("%s: got %d openings, %q; want %d, %q", c.name, len(got), why, c.want, c.why)
			continue
		}
		if c.want == 1 && (got[0].Request != opening || got[0].Patient != w.ana.ID || got[0].Opener != w.ben.ID || got[0].Escrow != w.setID ||
			got[0].Urgency != uint8(session.CannotSpeak) || got[0].Verdict != 0) {
			t.Errorf("%s: the opening is not told as it was", c.name)
		}
	}

	// A word about it, and an end of a helper's part, are told at once.
	eve := w.signIn(t, w.eve)
	w.mustAsk(t, eve, 1, w.confirms(t, w.eve, eve, opening, session.Wrong), keeper.Permitted, "")
	for _, who := range []struct {
		by    *key.Signing
		about abaton.ActorID
	}{{w.ana.Manage, w.ana.ID}, {officer.Manage, w.ben.ID}} {
		if got, _ := w.told(t, who.by, who.about); len(got) != 1 || got[0].Verdict != uint8(session.Wrong) || got[0].Second != w.eve.ID {
			t.Errorf("after a second clinician's word: got %d openings without it, want one with it", len(got))
		}
	}
	w.Publish(t, w.ana.Event(&actor.Revoke{Grant: abaton.GrantID(actor.HashOf(chosen.Event))}))
	if _, why := w.told(t, helpers[0].Manage, w.ana.ID); why != abaton.ReasonCredential {
		t.Errorf("a helper of yesterday: got %q, want %q", why, abaton.ReasonCredential)
	}
}

// TestTheLastOpeningOfAStandingSetIsKept: however often a set is opened, what
// is to be burned is never forgotten.
func TestTheLastOpeningOfAStandingSetIsKept(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newShift(t)
	amy := w.colleague(t)
	s, eve, other := w.signIn(t, w.ben), w.signIn(t, w.eve), w.signIn(t, amy)
	if _, err := w.Keepers[1].Call(t.Context(), keeper.RouteSession, eve.Signed); err != nil {
		t.Fatal(err)
	}
	agreed := w.opens(t, s, w.wideID, nil)
	agreed.Approval = custodytest.Agree(t, w.eve, eve, w.ana.ID, w.wideID, w.ben.ID, w.clock(), nil)
	first := w.mustAsk(t, s, 1, agreed, keeper.Permitted, "").Request
	for range 35 {
		w.mustAsk(t, s, 1, w.opens(t, s, w.setID, nil), keeper.Permitted, "")
		w.mustAsk(t, other, 1, w.opensBy(t, amy, other, w.setID, nil), keeper.Permitted, "")
	}
	got, _ := w.told(t, w.ana.Manage, w.ana.ID)
	if len(got) != 64 || got[0].Request != first {
		t.Errorf("after 71 openings: got %d, want 64, the only one of the wider set among them", len(got))
	}
}

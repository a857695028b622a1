package custody_test

import (
	"crypto/rand"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/wire"
)

// looks puts one page of a look to keeper x.
func (w *shift) looks(t *testing.T, x abaton.KeeperIndex, by *key.Signing, look *ledger.Look, from uint64) (*keeper.Statements, abaton.Reason) {
	t.Helper()
	q := keeper.Query{V: wire.Version, Kind: keeper.QueryTouched, Look: look, From: from, Time: uint64(w.clock().Unix()), Key: by.ID()}
	rand.Read(q.Nonce[:])
	answer, err := w.Keepers[x].Call(t.Context(), keeper.RouteQuery, wire.Marshal(by.Seal(wire.Query, wire.Marshal(q))))
	if why := whyNot(err); why != "" {
		return nil, why
	}
	var signed keeper.Signed
	s := new(keeper.Statements)
	if wire.Unmarshal(answer, &signed) != nil || wire.Unmarshal(signed.Body, s) != nil {
		t.Fatal("not an answer")
	}
	return s, ""
}

func newLook(organisation abaton.ActorID) *ledger.Look {
	l := &ledger.Look{Organisation: organisation, Until: 1 << 40}
	rand.Read(l.Name[:])
	return l
}

// TestWhoMayLook: an organisation's entries are told to its managers and its
// security officer, and to nobody else, not even of another house.
func TestWhoMayLook(t *testing.T) {
	w := newShift(t)
	officer, former := custodytest.NewClinician(t, w.Set, w.org), custodytest.NewClinician(t, w.Set, w.org)
	officer.Role, former.Role = abaton.RoleSecurityOfficer, abaton.RoleSecurityOfficer
	elsewhere := custodytest.NewOrganisation(t, w.Set)
	w.Publish(t, officer.Inception, former.Inception)
	w.employ(t, officer)
	w.employ(t, former)
	w.Publish(t, w.org.Event(&actor.Bar{Actor: former.ID}))
	s := w.signIn(t, w.ben)
	w.mustAsk(t, s, 1, w.opens(t, s, w.setID, nil), keeper.Permitted, "")
	for _, c := range []struct {
		name string
		by   *key.Signing
		of   abaton.ActorID
		why  abaton.Reason
	}{
		{"a manager", w.org.Manage, w.org.ID, ""},
		{"the security officer", officer.Manage, w.org.ID, ""},
		{"a former officer", former.Manage, w.org.ID, abaton.ReasonCredential},
		{"the gateway", w.org.Writer, w.org.ID, abaton.ReasonCredential},
		{"a clinician", w.ben.Manage, w.org.ID, abaton.ReasonCredential},
		{"a patient", w.ana.Manage, w.org.ID, abaton.ReasonCredential},
		{"another house", elsewhere.Manage, w.org.ID, abaton.ReasonCredential},
		{"of another house", w.org.Manage, elsewhere.ID, abaton.ReasonCredential},
		{"a peer", w.Keepers[2].Identity.Key, w.org.ID, abaton.ReasonPeer},
		{"of the future", w.org.Manage, abaton.ActorID{255}, abaton.ReasonTime},
		{"of nobody", w.org.Manage, abaton.ActorID{}, abaton.ReasonMalformed},
	} {
		look := newLook(c.of)
		if c.why == abaton.ReasonTime {
			look.Since = 1<<40 - 1
		}
		got, why := w.looks(t, 1, c.by, look, 0)
		if why != c.why {
			t.Errorf("%s: got %q, want %q", c.name, why, c.why)
			continue
		}
		if why == "" && len(got.Disclosures) == 0 {
			t.Errorf("%s: got no entries, want what was opened", c.name)
		}
	}
}

// TestALookIsLedgeredFirst: the question is in the ledger before anything is
// told, once however many pages it has, and with what it was narrowed to; it
// tells what it is for and nothing else, each with a path to the checkpoint.
func TestALookIsLedgeredFirst(t *testing.T) {
	w := newShift(t)
	s, eve := w.signIn(t, w.ben), w.signIn(t, w.eve)
	w.mustAsk(t, s, 1, w.opens(t, s, w.setID, nil), keeper.Permitted, "")
	w.mustAsk(t, eve, 1, w.opens(t, eve, w.setID, nil), keeper.Refused, abaton.ReasonStanding)

	look := newLook(w.org.ID)
	look.Person = w.ben.ID
	before := w.Keepers[1].LedgerSize()
	first, _ := w.looks(t, 1, w.org.Manage, look, 0)
	w.looks(t, 1, w.org.Manage, look, before) // a later page
	if got := w.Keepers[1].LedgerSize(); got != before+1 {
		t.Fatalf("after two pages: got %d entries more, want one", got-before)
	}
	if len(first.Disclosures) != 2 {
		t.Fatalf("got %d entries of one person, want one, and the look's own", len(first.Disclosures))
	}
	w.looks(t, 1, w.org.Manage, newLook(w.org.ID), before) // no page of a new look goes unledgered
	all, _ := w.looks(t, 1, w.org.Manage, newLook(w.org.ID), 0)
	if got := w.Keepers[1].LedgerSize(); got != before+3 {
		t.Fatalf("after three looks: got %d entries, want three", got-before)
	}
	own := w.Set.Keeper(1)
	verifier, err := ledger.NewVerifier(own.Origin, own.Key)
	if err != nil {
		t.Fatal(err)
	}
	var looks []ledger.Entry
	for i := range all.Disclosures {
		d := &all.Disclosures[i]
		en, err := ledger.ParseEntry(d.Entry)
		if err != nil || en.Organisation != w.org.ID {
			t.Fatal("an entry that the organisation did not ask for")
		}
		if en.Op == ledger.OpLook {
			looks = append(looks, en)
		}
	}
	page := ledger.Found{Extract: ledger.Extract{Checkpoint: all.Checkpoint}}
	page.Cover, _ = keeper.ParseCover(all.Cover)
	for _, d := range all.Disclosures {
		page.Disclosures = append(page.Disclosures, ledger.Disclosure{Index: d.Index, Seq: d.Seq, Leaf: d.Leaf, Salt: d.Salt, Entry: d.Entry})
	}
	if err := page.Verify(own.Origin, verifier); err != nil {
		t.Fatal(err)
	}
	if len(looks) != 3 || looks[0].Request != look.Hash() || looks[0].Behalf != w.ben.ID || looks[0].Actor != w.org.ID || looks[0].Patient != (abaton.ActorID{}) {
		t.Errorf("got %d looks in the ledger, want three, the first as it was asked", len(looks))
	}
	for _, narrow := range []func(*ledger.Look){
		func(l *ledger.Look) { l.Session = abaton.SessionID{9} },
		func(l *ledger.Look) { l.Device = abaton.ActorID{9} },
		func(l *ledger.Look) { l.Grant = abaton.GrantID{9} },
		func(l *ledger.Look) { l.Until = 1 },
	} {
		l := newLook(w.org.ID)
		narrow(l)
		if got, why := w.looks(t, 1, w.org.Manage, l, 0); why != "" || len(got.Disclosures) != 1 {
			t.Errorf("a look for what is not there: got %d entries, %q; want its own", len(got.Disclosures), why)
		}
	}
}

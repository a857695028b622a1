package custody_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/seal"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// household is a patient who keeps a private record beside the one that she can
// be made to open, and a twin who has no such thing and lives the same life.
type household struct {
	*world
	twin, private *custodytest.Person
	therapist     *custodytest.Person
}

func newHousehold(t *testing.T) *household {
	t.Helper()
	h := &household{world: newWorld(t, 1)}
	h.twin, h.private = custodytest.NewPatient(t, h.Set, h.org, 1), custodytest.NewPatient(t, h.Set, h.org, 1)
	h.therapist = custodytest.NewClinician(t, h.Set, h.org)
	h.Publish(t, h.twin.Inception, h.private.Inception, h.therapist.Inception)
	return h
}

// sealsFor is one record of somebody's general line.
func (h *household) sealsFor(t *testing.T, p *custodytest.Person, seq uint64) *seal.Sealed {
	t.Helper()
	line := p.Root.Line(custodytest.General)
	s, err := seal.Seal(seal.Batch{
		Patient: p.ID, Line: line, Segment: p.Root.Segment(custodytest.General, 1).Public(), Set: h.Set.ID(),
		Shape: spread.FiveKeepers(), Writer: h.org.Writer, Seq: seq, Hour: 490_000, Author: seal.Author{Actor: h.org.ID, Key: h.org.Writer},
		Records: []seal.Record{{
			Envelope: seal.Envelope{Patient: p.ID, Line: line, Kind: seal.KindResource, Type: "Basic", ID: "a", VersionID: "1", LastUpdated: 1},
			Content:  []byte(`{"resourceType":"Basic"}`),
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	h.mustDeposit(t, s)
	return s
}

// lives is a week of an ordinary record: access is given to a doctor, something
// is written, the doctor reads it, and so does its owner.
func (h *household) lives(t *testing.T, p, doctor *custodytest.Person) *seal.Sealed {
	t.Helper()
	g := p.Grant(doctor.ID, grant.Read, 100)
	h.Publish(t, p.Event(&actor.Granted{Grant: g.Marshal()}))
	s := h.sealsFor(t, p, 1)
	q := session.Request{Patient: p.ID, Grant: g.ID(), Mode: session.Release, Purpose: abaton.Treatment, Rows: []session.Row{{Batch: s.Name, Bits: 1}}}
	office := h.SignIn(t, doctor)
	for x := range h.Keepers {
		h.mustAsk(t, office, x, q, keeper.Permitted, "")
	}
	q.Grant, q.Purpose = abaton.GrantID{}, abaton.PatientAccess
	own := h.SignIn(t, p)
	for x := range h.Keepers {
		h.mustAsk(t, own, x, q, keeper.Permitted, "")
	}
	return s
}

// seen is all that keeper x tells whoever holds the everyday passkey and every
// everyday key of p, with the names taken out that differ between any two people.
func (h *household) seen(t *testing.T, p *custodytest.Person, x abaton.KeeperIndex, foreign abaton.BatchName, line abaton.Line) (all []string) {
	t.Helper()
	note := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	for _, raw := range slices.Concat(h.tells(t, x, func() {}, p.ID)...) {
		var s keeper.Statement
		if err := wire.Unmarshal(raw, &s); err != nil {
			t.Fatal(err)
		}
		signed, err := actor.ParseSigned(s.Event)
		if err != nil {
			t.Fatal(err)
		}
		a, err := actor.Authenticate(signed, h.Set.RelyingParty)
		if err != nil {
			t.Fatal(err)
		}
		note("event %d of kind %d, %d bytes, certified by %d", a.Event().Seq, a.Kind(), len(signed.Event), len(s.Certificate))
	}
	slices.Sort(all) // an event and its certificate are told in the order of their hashes
	me := h.SignIn(t, p)
	own := p.Root.Line(custodytest.General)
	asks := []session.Request{
		{Mode: session.List, Lines: []abaton.Line{own}},
		{Mode: session.Parts, Lines: []abaton.Line{own}},
		{Mode: session.List, Lines: []abaton.Line{line}}, // one of the private record's
		{Mode: session.Release, Rows: []session.Row{{Batch: foreign, Bits: 1}}},
		{Mode: session.Locks, Rows: []session.Row{{Batch: foreign, Bits: 1}}},
		{Mode: session.History},
	}
	for _, q := range asks {
		q.Patient, q.Purpose = p.ID, abaton.PatientAccess
		r, err := h.Ask(t.Context(), me, x, q)
		if err != nil {
			note("mode %d: %v", q.Mode, err)
			continue
		}
		note("mode %d: outcome %d, %q, %d notices, %d pieces, %d entries of %d, next %d", q.Mode, r.Outcome, r.Reason, len(r.Notices), len(r.Pieces),
			len(r.Disclosures), r.Total, r.Next)
		for _, n := range r.Notices {
			note("notice of %d and %d bytes, gone %b, held %v", len(n.Head), len(n.Lock), n.Gone, n.Held)
		}
		for _, d := range r.Disclosures {
			e, err := ledger.ParseEntry(d.Entry)
			if err != nil {
				t.Fatal(err)
			}
			note("entry %d: operation %d, outcome %d, %q, %q as %q, own %v, %d rows, %d lines, %d bytes", d.Seq, e.Op, e.Outcome, e.Reason, e.Purpose, e.Role,
				e.Actor == p.ID, len(e.Rows), len(e.Lines), len(d.Entry))
		}
	}
	// Who granted p anything is p's own to ask.
	for _, about := range []abaton.ActorID{p.ID, h.doctor.ID} {
		q := keeper.Query{V: wire.Version, Kind: keeper.QueryGranted, Actors: []abaton.ActorID{about}, Time: uint64(time.Now().Unix()), Key: p.Manage.ID()}
		answer, err := h.Keepers[x].Call(t.Context(), keeper.RouteQuery, wire.Marshal(p.Manage.Seal(wire.Query, wire.Marshal(q))))
		var signed keeper.Signed
		var s keeper.Statements
		if err == nil && (wire.Unmarshal(answer, &signed) != nil || wire.Unmarshal(signed.Body, &s) != nil) {
			t.Fatal("not an answer")
		}
		note("granted to: %v, %d", err, len(s.Actors))
	}
	return all
}

// TestHiddenLeavesNoTrace (H20): whoever makes a patient open her record with
// the passkey of every day, with all her everyday keys and each of five keepers'
// answers, sees what a twin's record shows who hides nothing: the same events, the
// same counts and numbers, the same history, the same refusals.
func TestHiddenLeavesNoTrace(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	h := newHousehold(t)
	// newWorld gave the doctor access to ana's; the twin does the same.
	h.Publish(t, h.twin.Event(&actor.Granted{Grant: h.twin.Grant(h.doctor.ID, grant.Read, 100).Marshal()}))
	hidden := h.lives(t, h.private, h.therapist)
	h.lives(t, h.ana, h.doctor)
	h.lives(t, h.twin, h.doctor)
	h.goesOn(t)
	line := h.private.Root.Line(custodytest.General)
	for x := range h.Keepers {
		anas, twins := h.seen(t, h.ana, x, hidden.Name, line), h.seen(t, h.twin, x, hidden.Name, line)
		if !slices.Equal(anas, twins) {
			t.Errorf("keeper %d: got\n%q\nof who hides something, want what the twin's shows:\n%q", x, anas, twins)
		}
		if len(anas) < 20 {
			t.Errorf("keeper %d: got %d things seen, want more: this test sees too little", x, len(anas))
		}
	}
	// The private record is whole for its owner, with its own history.
	own := session.Request{Patient: h.private.ID, Mode: session.Release, Purpose: abaton.PatientAccess, Rows: []session.Row{{Batch: hidden.Name, Bits: 1}}}
	h.mustAsk(t, h.SignIn(t, h.private), 1, own, keeper.Permitted, "")

	// What would tell is seen: each thing that only the one does makes the two
	// differ in more.
	more := func() int {
		return len(h.seen(t, h.ana, 1, hidden.Name, line)) - len(h.seen(t, h.twin, 1, hidden.Name, line))
	}
	last := more()
	for what, act := range map[string]func(p *custodytest.Person){
		"access given": func(p *custodytest.Person) {
			h.Publish(t, p.Event(&actor.Granted{Grant: p.Grant(h.therapist.ID, grant.Read, 1).Marshal()}))
		},
		"a record written": func(p *custodytest.Person) { h.sealsFor(t, p, 9) },
		"a record erased": func(p *custodytest.Person) {
			h.Publish(t, p.Event(&actor.Erase{Rows: []actor.Row{{Batch: hidden.Name, Bits: 1}}}))
		},
	} {
		act(h.ana)
		now := more()
		if now <= last {
			t.Errorf("%s: not seen, so this test could not fail", what)
		}
		last = now
	}
}

// goesOn goes on with the private record after the everyday one: giving, taking
// back, writing and reading leave nothing behind in it.
func (h *household) goesOn(t *testing.T) {
	t.Helper()
	g := h.private.Grant(h.doctor.ID, grant.Read, 5)
	h.Publish(t, h.private.Event(&actor.Granted{Grant: g.Marshal()}), h.private.Event(&actor.Bar{Actor: h.ana.ID}))
	h.Publish(t, h.private.Event(&actor.Revoke{Grant: g.ID()}))
	h.sealsFor(t, h.private, 2)
}

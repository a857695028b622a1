package custody_test

import (
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/custody"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// sends one signed event to one keeper for its vote.
func (w *world) sends(t *testing.T, x abaton.KeeperIndex, e actor.SignedEvent) keeper.Result {
	t.Helper()
	body := wire.Marshal(keeper.Events{V: wire.Version, Events: [][]byte{e.Marshal()}})
	return w.single(t, x, keeper.RouteEvents, body)
}

// certifies sends one certified event to one keeper.
func (w *world) certifies(t *testing.T, x abaton.KeeperIndex, e actor.SignedEvent, votes []actor.Vote) keeper.Result {
	t.Helper()
	a, err := actor.Authenticate(e, w.Set.RelyingParty)
	if err != nil {
		t.Fatal(err)
	}
	place := actor.Place{Actor: a.Actor(), Seq: a.Event().Seq, Hash: a.Hash()}
	s := keeper.Statement{Event: e.Marshal(), Certificate: actor.NewCertificate(place, votes).Marshal()}
	return w.single(t, x, keeper.RouteCertify, wire.Marshal(keeper.Certificates{V: wire.Version, Statements: [][]byte{wire.Marshal(s)}}))
}

func (w *world) single(t *testing.T, x abaton.KeeperIndex, route string, body []byte) keeper.Result {
	t.Helper()
	answer, err := w.Keepers[x].Call(t.Context(), route, body)
	if err != nil {
		t.Fatal(err)
	}
	var r keeper.Results
	if err := wire.Unmarshal(answer, &r); err != nil {
		t.Fatal(err)
	}
	return r.Results[0]
}

// votes of all keepers that give one.
func (w *world) votes(t *testing.T, e actor.SignedEvent) []actor.Vote {
	t.Helper()
	var votes []actor.Vote
	for x := range w.Keepers {
		r := w.sends(t, x, e)
		if r.Reason != "" {
			continue
		}
		var v actor.Vote
		if err := wire.Unmarshal(r.OK, &v); err != nil {
			t.Fatal(err)
		}
		votes = append(votes, v)
	}
	return votes
}

// A patient erases records that its batch does not have: bits beyond the
// batch must not stop the keepers.
func TestAttackEraseBeyondTheBatch(t *testing.T) {
	w := newWorld(t, 1)
	sealed := w.seals(t, 1, 3)
	w.mustDeposit(t, sealed)
	w.Publish(t, w.ana.Event(&actor.Erase{Rows: []actor.Row{{Batch: sealed.Name, Bits: 1 | 1<<63}}}))
	for x, k := range w.Keepers {
		if k.Mode() != custody.Serving {
			t.Fatalf("keeper %d: got mode %q after an erasure beyond its batch, want serving", x, k.Mode())
		}
	}
	s := w.SignIn(t, w.doctor)
	r := w.mustAsk(t, s, 1, w.release(sealed, 0b1111), keeper.Permitted, "")
	p, err := spread.ParsePiece(r.Pieces[0])
	if err != nil || p.Rows[0].State != spread.RowErased || p.Rows[1].State != spread.RowReleased {
		t.Errorf("got %v, want record 0 erased and record 1 released", err)
	}
}

// An insider announces a hospital's writer key in its own log: without the key
// nobody can.
func TestAttackSquatOnAWriterKey(t *testing.T) {
	w := newWorld(t, 1)
	squat := w.doctor.Event(&actor.KeyAdd{Key: actor.Key{ID: w.org.Writer.ID(), Rights: actor.Write}})
	for x := range w.Keepers {
		if r := w.sends(t, x, squat); r.Reason != abaton.ReasonSignature {
			t.Errorf("keeper %d: a key added without its proof: got %q, want %q", x, r.Reason, abaton.ReasonSignature)
		}
	}
}

// The first event of an invited log lists a key that is not its own, before the
// key's owner does, and takes it away again: the owner, who has the key, must
// still deposit and ask.
func TestAttackSquatByInception(t *testing.T) {
	w := newWorld(t, 1)
	fresh := key.NewSigning()
	squatter := custodytest.NewClinician(t, w.Set, w.org, actor.Key{ID: fresh.ID(), Rights: actor.Write})
	w.Publish(t, squatter.Inception, squatter.Event(&actor.KeyRemove{ID: fresh.ID()}))
	w.Publish(t, adds(w.org, fresh))
	w.org.Writer = fresh
	for x, r := range w.deposits(t, w.seals(t, 1, 1)) {
		if r.Reason != "" {
			t.Errorf("keeper %d: deposit by the key's owner: got %q, want a receipt", x, r.Reason)
		}
	}
	for x := range w.Keepers {
		for _, kind := range []keeper.QueryKind{keeper.QueryLog, keeper.QueryGranted} {
			q := keeper.Query{V: wire.Version, Kind: kind, Actors: []abaton.ActorID{w.org.ID}, Time: uint64(time.Now().Unix()), Key: fresh.ID()}
			if _, err := w.Keepers[x].Call(t.Context(), keeper.RouteQuery, wire.Marshal(fresh.Seal(wire.Query, wire.Marshal(q)))); err != nil {
				t.Errorf("keeper %d: query of kind %d by the key's owner: %v", x, kind, err)
			}
		}
	}
	if _, err := w.Keepers[1].Call(t.Context(), keeper.RouteQuery, granted(w.doctor.ID, fresh)); reasonOf(err) != abaton.ReasonCredential {
		t.Errorf("who granted what to somebody else: got %v, want %q", err, abaton.ReasonCredential)
	}
}

// granted asks who granted something to an actor.
func granted(id abaton.ActorID, by *key.Signing) []byte {
	q := keeper.Query{V: wire.Version, Kind: keeper.QueryGranted, Actors: []abaton.ActorID{id}, Time: uint64(time.Now().Unix()), Key: by.ID()}
	return wire.Marshal(by.Seal(wire.Query, wire.Marshal(q)))
}

// adds is the event that adds a writer key, which proves it too.
func adds(p *custodytest.Person, k *key.Signing) actor.SignedEvent {
	e := p.Event(&actor.KeyAdd{Key: actor.Key{ID: k.ID(), Rights: actor.Write}})
	e.Proofs = append(e.Proofs, actor.ByKey(k, e.Event))
	return e
}

// A keeper that was rolled back and has not heard its peers must not append
// to the ledger it lost the end of, whatever narrowing event comes.
func TestAttackRolledBackKeeperMadeToFork(t *testing.T) {
	w := newWorld(t, 1)
	k := w.Keepers[3]
	yesterday, keys := k.Records.Snapshot(), k.Keys.Snapshot()
	before := k.LedgerSize()
	w.Publish(t, w.ana.Event(&actor.Bar{Actor: abaton.ActorID{1}}))
	w.AwaitCosigned(t, 3)
	w.Restart(t, 3, func() { k.Records.Restore(yesterday); k.Keys.Restore(keys) })
	w.sends(t, 3, w.ana.Event(&actor.Bar{Actor: abaton.ActorID{2}}))
	if got := w.Keepers[3].AwaitMode(t); got != "quarantined" {
		t.Fatalf("restored keeper: got mode %q, want quarantined", got)
	}
	r := w.sends(t, 3, w.ana.Event(&actor.Bar{Actor: abaton.ActorID{3}}))
	if r.Reason == "" {
		t.Error("a quarantined keeper voted: it may have forgotten its earlier vote for this slot")
	}
	if got := w.Keepers[3].LedgerSize(); got != before {
		t.Errorf("restored keeper: got %d entries appended to a ledger it lost the end of, want 0", got-before)
	}
}

// What narrows holds also at a keeper that has not heard its peers, and is
// ledgered once it has.
func TestNarrowingAtAStartingKeeperIsLedgeredLater(t *testing.T) {
	w := newWorld(t, 1)
	for x := range w.Keepers {
		if x != 2 {
			w.Keepers[x].Down(true)
		}
	}
	w.Restart(t, 2, func() {})
	before := w.Keepers[2].LedgerSize()
	revoke := w.ana.Event(&actor.Revoke{Grant: w.grant.ID()})
	if r := w.sends(t, 2, revoke); r.Reason != abaton.ReasonLease {
		t.Errorf("a keeper that has heard nobody: got %q, want %q and no vote", r.Reason, abaton.ReasonLease)
	}
	if got := w.Keepers[2].LedgerSize(); got != before {
		t.Fatalf("a keeper that has heard nobody appended %d entries", got-before)
	}
	for x := range w.Keepers {
		w.Keepers[x].Down(false)
	}
	if got := w.Keepers[2].AwaitMode(t); got != "serving" {
		t.Fatalf("got mode %q, want serving", got)
	}
	w.sends(t, 2, revoke)
	if got := w.Keepers[2].LedgerSize(); got != before+1 {
		t.Errorf("got %d entries for the revocation, want 1", got-before)
	}
}

// A patient's log splits; the erasure lies on the branch that lost. The merge
// must erase, not only say so.
func TestAttackErasureHiddenInABranch(t *testing.T) {
	w := newWorld(t, 1)
	sealed := w.seals(t, 1, 3)
	w.mustDeposit(t, sealed)
	other := *w.ana
	won := w.ana.Event(&actor.Granted{Grant: w.ana.Grant(w.doctor.ID, 1, 9).Marshal()})
	w.Publish(t, won)
	lost := other.Event(&actor.Granted{Grant: other.Grant(w.doctor.ID, 1, 8).Marshal()})
	erase := other.Event(&actor.Erase{Rows: []actor.Row{{Batch: sealed.Name, Bits: 1}}})
	for x := range w.Keepers {
		if r := w.sends(t, x, lost); r.Reason != abaton.ReasonSlot {
			t.Fatalf("keeper %d: second event of a slot: got %q", x, r.Reason)
		}
		if r := w.sends(t, x, erase); r.Reason != abaton.ReasonParent {
			t.Fatalf("keeper %d: event of a branch: got %q", x, r.Reason)
		}
	}
	w.Publish(t, other.Merge(won, erase))
	s := w.SignIn(t, w.doctor)
	r := w.mustAsk(t, s, 1, w.release(sealed, 1), keeper.Permitted, "")
	p, err := spread.ParsePiece(r.Pieces[0])
	if err != nil || p.Rows[0].State != spread.RowErased {
		t.Errorf("after the merge the erased record is still handed out (%v)", err)
	}
	for x, k := range w.Keepers {
		if k.Mode() != custody.Serving {
			t.Errorf("keeper %d: got mode %q, want serving", x, k.Mode())
		}
	}
}

// A certificate for the second event comes before the first one's: the key
// that the first one added must work at every keeper all the same.
func TestAttackCertificatesOutOfOrder(t *testing.T) {
	w := newWorld(t, 1)
	fresh := key.NewSigning()
	add, next := adds(w.org, fresh), adds(w.org, key.NewSigning())
	first, second := w.votes(t, add), w.votes(t, next)
	for x := range w.Keepers {
		w.certifies(t, x, next, second)
		w.certifies(t, x, add, first)
	}
	w.org.Writer = fresh
	for x, r := range w.deposits(t, w.seals(t, 1, 1)) {
		if r.Reason != "" {
			t.Errorf("keeper %d: deposit by the new key: got %q, want a receipt", x, r.Reason)
		}
	}
}

// The erasure comes before the batch: what is left of the batch must still
// verify, or an honest keeper stands accused.
func TestAttackErasureBeforeTheBatch(t *testing.T) {
	w := newWorld(t, 1)
	sealed := w.seals(t, 1, 3)
	w.Publish(t, w.ana.Event(&actor.Erase{Rows: []actor.Row{{Batch: sealed.Name, Bits: 0b0010}}}))
	w.mustDeposit(t, sealed)
	s := w.SignIn(t, w.doctor)
	g, err := spread.NewGather(sealed.Name, 0b1000, spread.FiveKeepers(), w.Set.ID(), func(*spread.Head, *spread.Lock) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	r := w.mustAsk(t, s, 1, w.release(sealed, 0b1000), keeper.Permitted, "")
	if err := g.Add(1, r.Pieces[0]); err != nil {
		t.Errorf("piece of a batch with a record erased before: %v", err)
	}
}

// Somebody who has left the organisation asks: the refusal stands in the
// patient's list.
func TestAttackProbeWithoutStanding(t *testing.T) {
	w := newWorld(t, 1)
	sealed := w.seals(t, 1, 1)
	w.mustDeposit(t, sealed)
	s := w.SignIn(t, w.doctor)
	w.mustAsk(t, s, 1, w.release(sealed, 1), keeper.Permitted, "")
	w.Publish(t, w.org.Event(&actor.Bar{Actor: w.doctor.ID}))
	size := w.Keepers[1].LedgerSize()
	w.mustAsk(t, s, 1, w.release(sealed, 1), keeper.Refused, abaton.ReasonStanding)
	if got := w.Keepers[1].LedgerSize(); got != size+1 {
		t.Errorf("refusal for standing: got %d entries, want 1", got-size)
	}
}

// A reader opens records under the name of an index.
func TestAttackRecordsAsIndex(t *testing.T) {
	w := newWorld(t, 1)
	sealed := w.seals(t, 1, 3)
	w.mustDeposit(t, sealed)
	s := w.SignIn(t, w.doctor)
	q := w.release(sealed, 0b1110)
	q.Mode = session.Index
	w.mustAsk(t, s, 1, q, keeper.Refused, abaton.ReasonNotFound)
	q = w.release(sealed, 0b0001)
	q.Mode = session.Index
	w.mustAsk(t, s, 1, q, keeper.Permitted, "")
}

// Lists asked for lines that are not granted are ledgered as such.
func TestAttackListOfForeignLines(t *testing.T) {
	w := newWorld(t, 1)
	s := w.SignIn(t, w.doctor)
	q := w.list()
	q.Lines = append(q.Lines, abaton.Line{1, 2, 3})
	w.mustAsk(t, s, 1, q, keeper.Partly, abaton.ReasonNotFound)
}

// list asks for the patient's one line.
func (w *world) list() session.Request {
	return session.Request{
		Patient: w.ana.ID, Grant: w.grant.ID(), Mode: session.List, Purpose: abaton.Treatment,
		Lines: []abaton.Line{w.ana.Root.Line(custodytest.General)},
	}
}

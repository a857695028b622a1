package client_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// log is the patient's key log as the network tells it now.
func (w *world) log(n *client.Network) *actor.State {
	w.t.Helper()
	n.Refresh(w.patient.id)
	st, err := n.Log(w.t.Context(), w.patient.id)
	if err != nil {
		w.t.Fatalf("log: %v", err)
	}
	return st
}

func (w *world) tip() actor.Place {
	w.t.Helper()
	p, ok := w.log(w.net).Certified()
	if !ok {
		w.t.Fatal("the patient's log is not certified")
	}
	return p
}

// after is a signed event of the patient's log after a place, by the signing
// key, which a thief may have.
func (w *world) after(p actor.Place, body actor.Body) []byte {
	event := actor.New(w.patient.id, p.Seq+1, []actor.Hash{p.Hash}, time.Now().Unix(), body)
	return actor.Signed(event, actor.ByKey(w.patient.signing, event)).Marshal()
}

// placeOf is the place of a signed event.
func placeOf(t testing.TB, signed []byte) actor.Place {
	t.Helper()
	se, err := actor.ParseSigned(signed)
	if err != nil {
		t.Fatal(err)
	}
	var e actor.Event
	if err := wire.Unmarshal(se.Event, &e); err != nil {
		t.Fatal(err)
	}
	return actor.Place{Actor: e.Actor, Seq: e.Seq, Hash: actor.HashOf(se.Event)}
}

// asks asks keepers for their votes for one event and nothing more: the device
// dies there.
func (w *world) asks(event []byte, xs ...abaton.KeeperIndex) (votes []actor.Vote) {
	w.t.Helper()
	for _, x := range xs {
		answer, err := w.keepers.Keepers[x].Call(w.t.Context(), keeper.RouteEvents, wire.Marshal(keeper.Events{V: wire.Version, Events: [][]byte{event}}))
		if err != nil {
			w.t.Fatal(err)
		}
		var r keeper.Results
		var v actor.Vote
		if err := wire.Unmarshal(answer, &r); err != nil {
			w.t.Fatal(err)
		}
		if r.Results[0].Reason == "" {
			if err := wire.Unmarshal(r.Results[0].OK, &v); err != nil {
				w.t.Fatal(err)
			}
			votes = append(votes, v)
		}
	}
	return votes
}

// certifies brings an event's certificate to all keepers.
func (w *world) certifies(event []byte, votes []actor.Vote) {
	w.t.Helper()
	s := keeper.Statement{Event: event, Certificate: actor.NewCertificate(placeOf(w.t, event), votes).Marshal()}
	for _, k := range w.keepers.Keepers {
		if _, err := k.Call(w.t.Context(), keeper.RouteCertify, wire.Marshal(keeper.Certificates{V: wire.Version, Statements: [][]byte{wire.Marshal(s)}})); err != nil {
			w.t.Fatal(err)
		}
	}
}

// tell changes what keeper x tells of key logs; the lie is signed as its own.
func (w *world) tell(x abaton.KeeperIndex, change func([][]byte) [][]byte) {
	identity := w.wires[x].keeper.Identity
	w.forge(keeper.RouteQuery, func(answer []byte) []byte {
		var s keeper.Signed
		var st keeper.Statements
		if wire.Unmarshal(answer, &s) != nil || wire.Unmarshal(s.Body, &st) != nil || len(st.Statements) == 0 {
			return answer
		}
		st.Statements = change(st.Statements)
		return wire.Marshal(identity.Key.Seal(wire.Feed, wire.Marshal(st)))
	}, x)
}

// bare is an answer without its certificates.
func bare(told [][]byte) [][]byte {
	var out [][]byte
	for _, b := range told {
		var s keeper.Statement
		if wire.Unmarshal(b, &s) != nil {
			continue
		}
		s.Certificate = nil
		out = append(out, wire.Marshal(s))
	}
	return out
}

func statement(event []byte) []byte { return wire.Marshal(keeper.Statement{Event: event}) }

// shares gives the doctor another grant through n.
func (w *world) shares(n *client.Network, h client.Hand) abaton.GrantID {
	w.t.Helper()
	id, p, err := n.Share(w.t.Context(), h, *w.newGrant(w.doctor.id, grant.Read, psychiatric), []grant.Seed{w.seed(psychiatric, 1)})
	if err != nil || !p.InForce || p.At < 4 {
		w.t.Fatalf("share: got %+v, %v, want in force at 4 or more", p, err)
	}
	return id
}

func (w *world) given() *actor.Granted {
	return &actor.Granted{Grant: w.newGrant(w.doctor.id, grant.Read, psychiatric).Marshal(), Wrap: []byte("sealed elsewhere")}
}

// split leaves two grants in one place, three votes against two.
func (w *world) split() (grants [2]abaton.GrantID) {
	w.t.Helper()
	tip := w.tip()
	for i, xs := range [][]abaton.KeeperIndex{{1, 2, 3}, {4, 5}} {
		body := w.given()
		grants[i] = grant.IDOf(body.Grant)
		if votes := w.asks(w.after(tip, body), xs...); len(votes) != len(xs) {
			w.t.Fatalf("split: got %d votes, want %d", len(votes), len(xs))
		}
	}
	return grants
}

// TestSplitIsMerged: a place split three against two comes to rest, what both
// devices gave counts, and both can widen again.
func TestSplitIsMerged(t *testing.T) {
	w := newWorld(t)
	grants := w.split()
	first, second := w.network(w.org.signing), w.network(w.org.signing)
	ids := append(grants[:], w.shares(first, w.patient.hand()))
	ids = append(ids, w.shares(second, client.PasskeyHand(w.patient.id, w.patient.passkey)))
	ids = append(ids, w.shares(first, w.patient.hand()))
	w.allGiven(ids...)
	if heads := w.log(w.net).Heads(); len(heads) != 1 {
		t.Errorf("got %d heads, want 1", len(heads))
	}
}

func (w *world) allGiven(ids ...abaton.GrantID) {
	w.t.Helper()
	live := w.log(w.net).Grants()
	for i, id := range ids {
		if live[id] == nil {
			w.t.Errorf("grant %d of %d is not in force", i, len(ids))
		}
	}
}

// TestSplitWithAKeeperAway: the same with the fifth keeper off, on either side.
func TestSplitWithAKeeperAway(t *testing.T) {
	for _, away := range []abaton.KeeperIndex{2, 5} {
		w := newWorld(t)
		w.split()
		w.cut(away)
		w.allGiven(w.shares(w.net, w.patient.hand()), w.shares(w.net, w.patient.hand()))
	}
}

// TestSplitBetweenLiars: a keeper that invents events and withholds certificates
// hinders nobody, and what it invented stands in nobody's log.
func TestSplitBetweenLiars(t *testing.T) {
	w := newWorld(t)
	grants := w.split()
	tip, stranger := w.tip(), key.NewSigning()
	invented := func(body actor.Body, p actor.Place) []byte {
		event := actor.New(w.patient.id, p.Seq+1, []actor.Hash{p.Hash}, time.Now().Unix(), body)
		return actor.Signed(event, actor.ByKey(stranger, event)).Marshal()
	}
	add := invented(&actor.Bar{Actor: w.doctor.id}, tip)
	widen := invented(w.given(), tip)
	further := invented(w.given(), placeOf(t, widen))
	w.tell(5, func(told [][]byte) [][]byte {
		out := bare(told)
		for _, b := range out { // the owner's events as a stranger's
			var s keeper.Statement
			if err := wire.Unmarshal(b, &s); err != nil {
				t.Error(err)
			}
			se, err := actor.ParseSigned(s.Event)
			if err != nil {
				t.Error(err)
			}
			out = append([][]byte{statement(actor.Signed(se.Event, actor.ByKey(stranger, se.Event)).Marshal())}, out...)
		}
		return append(out, statement(add), statement(widen), statement(further))
	})
	device := w.network(w.org.signing)
	w.allGiven(append(grants[:], w.shares(device, w.patient.hand()), w.shares(device, w.patient.hand()))...)
	w.mend(5)
	st := w.log(w.net)
	for _, event := range [][]byte{add, widen, further} {
		if st.Knows(placeOf(t, event).Hash) {
			t.Error("a stranger's event stands in the log")
		}
	}
}

// TestMiddleCertificateLost: a device got an event its votes and died; the next
// event is certified. The log reads to its end and the first one counts.
func TestMiddleCertificateLost(t *testing.T) {
	w := newWorld(t)
	body := w.given()
	middle := w.after(w.tip(), body)
	w.asks(middle, 1, 2, 3, 4, 5)
	last := w.after(placeOf(t, middle), &actor.Bar{Actor: abaton.ActorID{9}})
	w.certifies(last, w.asks(last, 1, 2, 3, 4))
	st := w.log(w.net)
	if tip, _ := st.Certified(); tip != placeOf(t, last) {
		t.Errorf("the log reads to place %d, want %d", tip.Seq, placeOf(t, last).Seq)
	}
	if _, ok := st.Given(grant.IDOf(body.Grant)); !ok {
		t.Error("an event that a certified one continues does not count")
	}
	w.allGiven(grant.IDOf(body.Grant), w.shares(w.net, w.patient.hand()))
}

// TestHalfWayEventIsFinished: a device got three votes and died; who comes next
// finishes its event and goes on.
func TestHalfWayEventIsFinished(t *testing.T) {
	w := newWorld(t)
	body := w.given()
	w.asks(w.after(w.tip(), body), 1, 2, 3)
	w.allGiven(w.shares(w.net, w.patient.hand()), grant.IDOf(body.Grant))
}

// TestRevokeInASplit: a revocation does not wait for a merge.
func TestRevokeInASplit(t *testing.T) {
	w := newWorld(t)
	w.split()
	before := w.wires[1].count(keeper.RouteEvents)
	p, err := w.net.Revoke(t.Context(), w.patient.hand(), w.grant, true)
	if err != nil || !p.InForce {
		t.Fatalf("revoke in a split log: got %+v, %v, want in force", p, err)
	}
	if sent := w.wires[1].count(keeper.RouteEvents) - before; sent != 1 {
		t.Errorf("got %d messages to a keeper before the revocation was in force, want 1", sent)
	}
	w.shares(w.net, w.patient.hand())
	if g, revoked := w.log(w.net).Grant(w.grant); g == nil || !revoked {
		t.Error("the revocation is lost in the merge")
	}
}

// TestThiefRacesTheRemoval: the owner removes a stolen key; in the same place
// the thief gives access, at two keepers. The owner goes on, the thief does not.
func TestThiefRacesTheRemoval(t *testing.T) {
	w := newWorld(t)
	tip := w.tip()
	remove := actor.New(w.patient.id, tip.Seq+1, []actor.Hash{tip.Hash}, time.Now().Unix(), &actor.KeyRemove{ID: w.patient.signing.ID()})
	hand := client.PasskeyHand(w.patient.id, w.patient.passkey)
	proof, err := hand.Prove(remove)
	if err != nil {
		t.Fatal(err)
	}
	theft := w.given()
	stolen := w.after(tip, theft)
	w.asks(stolen, 4, 5)
	w.asks(w.after(placeOf(t, stolen), w.given()), 5) // further, at one keeper
	w.asks(actor.Signed(remove, proof).Marshal(), 1, 2, 3, 4, 5)
	w.shares(w.net, hand)
	st := w.log(w.net)
	if st.Grants()[grant.IDOf(theft.Grant)] != nil {
		t.Error("what the thief gave counts")
	}
	if st.KeyRights(w.patient.signing.ID()) != 0 {
		t.Error("the stolen key is live")
	}
	w.shares(w.network(w.org.signing), hand)
}

// TestOldKeyCannotBeVouchedIn: a thief's removed key takes away on an old
// branch, and one keeper tells it. The owner's device must not bring it in.
func TestOldKeyCannotBeVouchedIn(t *testing.T) {
	w := newWorld(t)
	tip := w.tip()
	hand := client.PasskeyHand(w.patient.id, w.patient.passkey)
	if p, err := w.net.Append(t.Context(), hand, &actor.KeyRemove{ID: w.patient.signing.ID()}); err != nil || p.At < 4 {
		t.Fatalf("remove the stolen key: %+v, %v", p, err)
	}
	late := w.after(tip, &actor.CredentialRemove{Name: w.patient.passkey.Credential()})
	w.tell(1, func(told [][]byte) [][]byte { return append([][]byte{statement(late)}, told...) })
	w.cut(2) // so that the liar is heard
	if st := w.log(w.net); st.CredentialClass(w.patient.passkey.Credential()) == 0 {
		t.Fatal("a removed key has taken the owner's passkey away")
	}
	w.shares(w.net, hand)
	w.mend(1, 2)
	if w.log(w.net).Knows(placeOf(t, late).Hash) {
		t.Error("the owner's device has brought in the thief's event")
	}
}

// TestDevicesRace: many devices widen one log at once; each of them ends in
// force or is told that it is not yet, and what is said to be in force is.
func TestDevicesRace(t *testing.T) {
	w := newWorld(t)
	const devices, rounds = 3, 4
	var mu sync.Mutex
	var ids []abaton.GrantID
	var wg sync.WaitGroup
	for range devices {
		n := w.network(w.org.signing)
		wg.Go(func() {
			for range rounds {
				g := *w.newGrant(w.doctor.id, grant.Read, psychiatric)
				id, p, err := n.Share(t.Context(), w.patient.hand(), g, []grant.Seed{w.seed(psychiatric, 1)})
				mu.Lock()
				switch {
				case err == nil && p.InForce:
					ids = append(ids, id)
				case !errors.Is(err, abaton.ErrPending) && !beaten(err): // told that it was not given
					t.Errorf("share: got %+v, %v", p, err)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	w.allGiven(ids...)
	if len(ids) < devices*rounds*3/4 {
		t.Errorf("%d of %d grants came into force at the first asking, want three of four", len(ids), devices*rounds)
	}
	ids = append(ids, w.shares(w.net, w.patient.hand()))
	w.allGiven(ids...)
	live := w.log(w.net).Grants()
	if extra := len(live) - 2 - len(ids); extra > devices*rounds+1-len(ids) {
		t.Errorf("got %d live grants of %d wishes: one was given twice", len(live)-2, devices*rounds+1)
	}
	slices.SortFunc(ids, func(a, b abaton.GrantID) int { return slices.Compare(a[:], b[:]) })
	if len(slices.Compact(ids)) != len(ids) {
		t.Error("two wishes were told one grant")
	}
}

// beaten reports whether other devices had the slot each time.
func beaten(err error) bool {
	_, conflict := errors.AsType[*client.ConflictError](err)
	return conflict
}

// TestAddKey: a second device's key is added with its own proof, and works; a
// key without it is refused before anybody is asked.
func TestAddKey(t *testing.T) {
	w := newWorld(t)
	phone := key.NewSigning()
	if p, err := w.net.AddKey(t.Context(), w.patient.hand(), phone, actor.Manage); err != nil || !p.InForce {
		t.Fatalf("add key: got %+v, %v", p, err)
	}
	w.shares(w.net, client.KeyHand(w.patient.id, phone))
	stranger := &actor.KeyAdd{Key: actor.Key{ID: key.NewSigning().ID(), Rights: actor.Write}}
	if p, err := w.net.Append(t.Context(), w.patient.hand(), stranger); err == nil || p.At > 0 {
		t.Errorf("a key without its proof: got %+v, %v, want a refusal", p, err)
	}
}

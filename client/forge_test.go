package client_test

import (
	"errors"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/wire"
)

// forge changes what keepers answer to one route.
func (w *world) forge(route string, change func([]byte) []byte, xs ...abaton.KeeperIndex) {
	for _, x := range xs {
		w.wires[x].set(func(c *cable) {
			c.tap = func(r string, body []byte, next func([]byte) ([]byte, error)) ([]byte, error) {
				out, err := next(body)
				if r != route || err != nil {
					return out, err
				}
				return change(out), nil
			}
		})
	}
}

// flipResults falsifies the last byte of every accepted item.
func flipResults(answer []byte) []byte {
	var m keeper.Results
	if wire.Unmarshal(answer, &m) != nil {
		return answer
	}
	for i := range m.Results {
		if n := len(m.Results[i].OK); n > 0 {
			m.Results[i].OK[n-1] ^= 1
		}
	}
	return wire.Marshal(m)
}

// TestForgedReceipts: receipts that do not verify acknowledge nothing.
func TestForgedReceipts(t *testing.T) {
	w := newWorld(t)
	wr := w.writer(t.TempDir())
	w.net.Log(t.Context(), w.patient.id)
	w.forge(keeper.RouteDeposit, flipResults, 2, 3)
	out, err := wr.Put(t.Context(), w.writes(general, "a", 2))
	if !errors.Is(err, abaton.ErrPending) || out.At > 3 {
		t.Fatalf("two forged receipts: got %v at %+v, want pending", err, out)
	}
	w.mend(2, 3)
	settled(t, wr)
}

// TestForgedVotes: votes that do not verify are no votes: "revoked" is never
// said on the word of keepers that have not signed.
func TestForgedVotes(t *testing.T) {
	w := newWorld(t)
	w.forge(keeper.RouteEvents, flipResults, 2, 3)
	p, err := w.net.Revoke(t.Context(), w.patient.hand(), w.grant, false)
	if !errors.Is(err, abaton.ErrPending) || p.InForce || p.At != 3 {
		t.Errorf("two forged votes: got %v, %+v, want pending at 3 of 5", err, p)
	}
}

// TestForgedCertificate: an event with a certificate that does not verify
// gives nothing, whoever tells it.
func TestForgedCertificate(t *testing.T) {
	w := newWorld(t)
	state, err := w.net.Log(t.Context(), w.patient.id)
	if err != nil {
		t.Fatalf("log: %v", err)
	}
	head := state.Heads()[0]
	g := w.newGrant(w.doctor.id, grant.Read, psychiatric)
	event := actor.New(w.patient.id, head.Seq+1, []actor.Hash{head.Hash}, 1<<40, &actor.Granted{Grant: g.Marshal()})
	place := actor.Place{Actor: w.patient.id, Seq: head.Seq + 1, Hash: actor.HashOf(event)}
	var votes []actor.Vote
	for x := abaton.KeeperIndex(1); x <= 4; x++ {
		votes = append(votes, actor.Vote{X: x, Sig: make([]byte, 64)})
	}
	forged := wire.Marshal(keeper.Statement{
		Event:       actor.Signed(event, actor.ByKey(w.patient.signing, event)).Marshal(),
		Certificate: actor.NewCertificate(place, votes).Marshal(),
	})
	for x := abaton.KeeperIndex(1); x <= 5; x++ {
		identity := w.wires[x].keeper.Identity
		w.forge(keeper.RouteQuery, func(answer []byte) []byte {
			var s keeper.Signed
			var st keeper.Statements
			if wire.Unmarshal(answer, &s) != nil || wire.Unmarshal(s.Body, &st) != nil {
				return answer
			}
			st.Statements = append(st.Statements, forged)
			return wire.Marshal(identity.Key.Seal(wire.Feed, wire.Marshal(st)))
		}, x)
	}
	w.net.Refresh(w.patient.id)
	if state, err = w.net.Log(t.Context(), w.patient.id); err != nil {
		t.Fatalf("log: %v", err)
	}
	if given, _ := state.Grant(g.ID()); given != nil {
		t.Error("a grant with a forged certificate counts")
	}
}

// TestFaultNeedsTheReply: a proof against a keeper without its signature over
// those bytes proves nothing: anybody could have made the bytes.
func TestFaultNeedsTheReply(t *testing.T) {
	w := newWorld(t)
	w.put(w.writer(t.TempDir()), w.writes(general, "a", 2))
	r, l, ask := w.reader()
	w.lie(1, l, flipFragment)
	w.cut(5)
	for x := abaton.KeeperIndex(2); x <= 4; x++ {
		w.wires[x].set(func(c *cable) { c.delay = client.HedgeTest })
	}
	c, err := r.Chart(t.Context(), ask)
	if err != nil || len(c.Faults) == 0 {
		t.Fatalf("chart: %v, %d faults, want one", err, len(c.Faults))
	}
	f := c.Faults[0]
	if _, err := client.VerifyFault(w.keepers.Set, f); err != nil {
		t.Fatalf("fault: %v", err)
	}
	f.Reply = nil
	if _, err := client.VerifyFault(w.keepers.Set, f); err == nil {
		t.Error("fault without the signed reply: got a proof, want none")
	}
	f = c.Faults[0]
	f.Keeper = 2
	if _, err := client.VerifyFault(w.keepers.Set, f); err == nil {
		t.Error("fault with another keeper's name: got a proof, want none")
	}
}

// TestAppendTwice: two devices append at once; both events come into force,
// one after the other.
func TestAppendTwice(t *testing.T) {
	w := newWorld(t)
	a, b := w.network(w.org.signing), w.network(w.org.signing)
	done := make(chan error, 2)
	for _, n := range []*client.Network{a, b} {
		go func() {
			g := *w.newGrant(w.doctor.id, grant.Read, psychiatric)
			_, _, err := n.Share(t.Context(), w.patient.hand(), g, []grant.Seed{w.seed(psychiatric, 1)})
			done <- err
		}()
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Errorf("append: %v", err)
		}
	}
	w.net.Refresh(w.patient.id)
	state, err := w.net.Log(t.Context(), w.patient.id)
	if err != nil {
		t.Fatalf("log: %v", err)
	}
	if got := len(state.Grants()); got != 4 {
		t.Errorf("grants: got %d, want 4", got)
	}
}

// TestForgedOpenings: a keeper's word that it opened a session counts if that
// keeper signed it, about this session.
func TestForgedOpenings(t *testing.T) {
	w := newWorld(t)
	tx := w.writes(general, "a", 2)
	w.put(w.writer(t.TempDir()), tx)
	resigned := func(x abaton.KeeperIndex, change func(*keeper.Opened)) func([]byte) []byte {
		return func(answer []byte) []byte {
			var s keeper.Signed
			var o keeper.Opened
			if wire.Unmarshal(answer, &s) != nil || wire.Unmarshal(s.Body, &o) != nil {
				return answer
			}
			change(&o)
			return wire.Marshal(w.wires[x].keeper.Identity.Key.Seal(wire.Answer, wire.Marshal(o)))
		}
	}
	for name, change := range map[string]func(*keeper.Opened){
		"another session": func(o *keeper.Opened) { o.Session[0] ^= 1 },
		"another keeper":  func(o *keeper.Opened) { o.Keeper = o.Keeper%5 + 1 },
		"another version": func(o *keeper.Opened) { o.V = 2 },
		"no key":          func(o *keeper.Opened) { o.Enc = nil },
		"forged":          nil,
	} {
		r, _, ask := w.reader()
		for x := abaton.KeeperIndex(1); x <= 3; x++ {
			forge := func(answer []byte) []byte { answer[len(answer)-1] ^= 1; return answer }
			if change != nil {
				forge = resigned(x, change)
			}
			w.forge(keeper.RouteSession, forge, x)
		}
		if c, err := r.Chart(t.Context(), ask); err == nil {
			t.Errorf("%s at three keepers: got %d records, want too few answers", name, len(c.Records))
		}
		w.mend(1)
		c, err := r.Chart(t.Context(), ask)
		if err != nil {
			t.Fatalf("%s at two keepers: %v", name, err)
		}
		w.check(c, tx)
		w.mend(2, 3)
	}
}

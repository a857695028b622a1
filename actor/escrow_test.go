package actor_test

import (
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/key"
)

// sealedBytes stands for something sealed of the right length.
func sealedBytes(name string) []byte {
	s := seed(name)
	b := make([]byte, key.BoxOverhead+32)
	copy(b, s[:])
	return b
}

func sampleKit(name string, prover *key.Signing) *actor.Escrow {
	e := &actor.Escrow{Kind: actor.EscrowKit, Sealed: sealedBytes(name), Need: 1, Delay: 24 * 3600,
		Provers: []actor.Prover{{Key: prover.ID()}}, Nonce: [16]byte(seedHead(name))}
	for x := 1; x <= 5; x++ {
		e.Shares = append(e.Shares, actor.KeeperShare{X: abaton.KeeperIndex(x), Sealed: sealedBytes(name), Hash: seed(name)})
	}
	return e
}

func sampleTrustees(name string, who ...abaton.ActorID) *actor.Escrow {
	e := sampleKit(name, signing(name))
	e.Kind, e.Provers, e.Need = actor.EscrowTrustees, nil, 2
	for i, id := range who {
		e.Provers = append(e.Provers, actor.Prover{Actor: id})
		e.Wraps = append(e.Wraps, actor.HalfWrap{Holder: id, X: abaton.KeeperIndex(i + 1), Sealed: sealedBytes(name), Hash: seed(name)})
	}
	return e
}

func sampleAuthorities(kind actor.EscrowKind, lines ...abaton.Line) *actor.Escrow {
	e := sampleTrustees("authorities", abaton.ActorID{1}, abaton.ActorID{2})
	e.Kind, e.Provers, e.Need, e.Delay, e.Lines = kind, nil, 0, 0, lines
	if kind == actor.EscrowEmergency {
		e.Need = 1
	}
	for i := range e.Wraps {
		e.Wraps[i].X = 0
	}
	return e
}

// TestEscrowForms: each kind has its own parties and no other's; one defect
// each is refused.
func TestEscrowForms(t *testing.T) {
	kit := func() *actor.Escrow { return sampleKit("kit", signing("kit")) }
	three := func() *actor.Escrow {
		return sampleTrustees("three", abaton.ActorID{1}, abaton.ActorID{2}, abaton.ActorID{3})
	}
	emergency := func() *actor.Escrow { return sampleAuthorities(actor.EscrowEmergency, lineOf("ana")) }
	custody := func() *actor.Escrow { return sampleAuthorities(actor.EscrowCustody) }
	for _, c := range []struct {
		name   string
		make   func() *actor.Escrow
		change func(*actor.Escrow)
		want   abaton.Reason
	}{
		{"kit", kit, func(*actor.Escrow) {}, ""},
		{"trustees", three, func(*actor.Escrow) {}, ""},
		{"emergency", emergency, func(*actor.Escrow) {}, ""},
		{"custody", custody, func(*actor.Escrow) {}, ""},
		{"no kind", kit, func(e *actor.Escrow) { e.Kind = 0 }, abaton.ReasonMalformed},
		{"unknown kind", kit, func(e *actor.Escrow) { e.Kind = 99 }, abaton.ReasonMalformed},
		{"no payload", kit, func(e *actor.Escrow) { e.Sealed = nil }, abaton.ReasonMalformed},
		{"huge payload", kit, func(e *actor.Escrow) { e.Sealed = make([]byte, actor.WrapBytesMax+1) }, abaton.ReasonTooLarge},
		{"no nonce", kit, func(e *actor.Escrow) { e.Nonce = [16]byte{} }, abaton.ReasonMalformed},
		{"no shares", kit, func(e *actor.Escrow) { e.Shares = nil }, abaton.ReasonMalformed},
		{"one share", kit, func(e *actor.Escrow) { e.Shares = e.Shares[:1] }, abaton.ReasonMalformed},
		{"shares out of order", kit, func(e *actor.Escrow) { e.Shares[0], e.Shares[1] = e.Shares[1], e.Shares[0] }, abaton.ReasonMalformed},
		{"a short share", kit, func(e *actor.Escrow) { e.Shares[0].Sealed = e.Shares[0].Sealed[1:] }, abaton.ReasonMalformed},
		{"a share without hash", kit, func(e *actor.Escrow) { e.Shares[0].Hash = [32]byte{} }, abaton.ReasonMalformed},
		{"a kit without wait", kit, func(e *actor.Escrow) { e.Delay = 0 }, abaton.ReasonMalformed},
		{"a wait of ten years", kit, func(e *actor.Escrow) { e.Delay = 10 * 366 * 86400 }, abaton.ReasonMalformed},
		{"a kit without prover", kit, func(e *actor.Escrow) { e.Provers = nil }, abaton.ReasonMalformed},
		{"a kit with two provers", kit, func(e *actor.Escrow) { e.Provers = append(e.Provers, actor.Prover{Key: signing("x").ID()}) }, abaton.ReasonMalformed},
		{"a kit proved by an actor", kit, func(e *actor.Escrow) { e.Provers[0] = actor.Prover{Actor: abaton.ActorID{1}} }, abaton.ReasonMalformed},
		{"a kit that nobody need prove", kit, func(e *actor.Escrow) { e.Need = 0 }, abaton.ReasonMalformed},
		{"a kit with a wrap", kit, func(e *actor.Escrow) { e.Wraps = three().Wraps }, abaton.ReasonMalformed},
		{"a kit of lines", kit, func(e *actor.Escrow) { e.Lines = []abaton.Line{{1}} }, abaton.ReasonMalformed},
		{"a prover of both kinds", kit, func(e *actor.Escrow) { e.Provers[0].Actor = abaton.ActorID{1} }, abaton.ReasonMalformed},
		{"a prover of no kind", kit, func(e *actor.Escrow) { e.Provers[0] = actor.Prover{} }, abaton.ReasonMalformed},
		{"one helper is enough", three, func(e *actor.Escrow) { e.Need = 1 }, abaton.ReasonMalformed},
		{"more needed than there are", three, func(e *actor.Escrow) { e.Need = 4 }, abaton.ReasonMalformed},
		{"no wait", three, func(e *actor.Escrow) { e.Delay = 0 }, abaton.ReasonMalformed},
		{"a helper twice", three, func(e *actor.Escrow) {
			e.Wraps[1].Holder, e.Provers[1].Actor = e.Wraps[0].Holder, e.Provers[0].Actor
		}, abaton.ReasonMalformed},
		{"all of A to a helper", three, func(e *actor.Escrow) { e.Wraps[0].X = 0 }, abaton.ReasonMalformed},
		{"a prover who holds nothing", three, func(e *actor.Escrow) { e.Provers[0].Actor = abaton.ActorID{9} }, abaton.ReasonMalformed},
		{"a helper's key instead of the helper", three, func(e *actor.Escrow) { e.Provers[0] = actor.Prover{Key: signing("x").ID()} }, abaton.ReasonMalformed},
		{"a short wrap", three, func(e *actor.Escrow) { e.Wraps[0].Sealed = nil }, abaton.ReasonMalformed},
		{"seventeen helpers", three, func(e *actor.Escrow) {
			for len(e.Wraps) <= actor.HoldersMax {
				e.Wraps = append(e.Wraps, e.Wraps[0])
			}
		}, abaton.ReasonTooLarge},
		{"one authority", emergency, func(e *actor.Escrow) { e.Wraps = e.Wraps[:1] }, abaton.ReasonMalformed},
		{"an emergency of everything", emergency, func(e *actor.Escrow) { e.Lines = nil }, abaton.ReasonMalformed},
		{"a line twice", emergency, func(e *actor.Escrow) { e.Lines = append(e.Lines, e.Lines[0]) }, abaton.ReasonMalformed},
		{"no line", emergency, func(e *actor.Escrow) { e.Lines = []abaton.Line{{}} }, abaton.ReasonMalformed},
		{"an unknown line", emergency, func(e *actor.Escrow) { e.Lines = []abaton.Line{{1}} }, abaton.ReasonGrant},
		{"an emergency with provers", emergency, func(e *actor.Escrow) { e.Provers = kit().Provers }, abaton.ReasonMalformed},
		{"an emergency that takes two clinicians", emergency, func(e *actor.Escrow) { e.Need = 2 }, ""},
		{"an emergency that takes nobody", emergency, func(e *actor.Escrow) { e.Need = 0 }, abaton.ReasonMalformed},
		{"an emergency that takes three", emergency, func(e *actor.Escrow) { e.Need = 3 }, abaton.ReasonMalformed},
		{"a custody that takes a clinician", custody, func(e *actor.Escrow) { e.Need = 1 }, abaton.ReasonMalformed},
		{"a duty copy", custody, func(e *actor.Escrow) { e.Provers = []actor.Prover{{Actor: abaton.ActorID{1}}} }, ""},
		{"a duty copy about two", custody, func(e *actor.Escrow) {
			e.Provers = []actor.Prover{{Actor: abaton.ActorID{1}}, {Actor: abaton.ActorID{2}}}
		}, abaton.ReasonMalformed},
		{"a duty copy about a key", custody, func(e *actor.Escrow) { e.Provers = []actor.Prover{{Key: signing("x").ID()}} }, abaton.ReasonMalformed},
		{"a custody in parts", custody, func(e *actor.Escrow) { e.Wraps[0].X = 1 }, abaton.ReasonMalformed},
		{"a custody by nobody", custody, func(e *actor.Escrow) { e.Wraps = nil }, abaton.ReasonMalformed},
		{"a custody that waits", custody, func(e *actor.Escrow) { e.Delay = 1 }, abaton.ReasonMalformed},
		{"a wait below the rule", kit, func(e *actor.Escrow) { e.Delay-- }, abaton.ReasonWait},
	} {
		l := newWorld(t).patient("ana")
		e := c.make()
		c.change(e)
		if got := reason(admit(l, signed(l.event(e), byKey("ana")))); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// returning is a log with a kit, and what its owner needs to come back.
type returning struct {
	*log
	kit  abaton.GrantID
	door actor.Door
}

func newReturning(t *testing.T) *returning {
	t.Helper()
	l := newWorld(t).patient("ana")
	l.add(sampleKit("kit", signing("kit")), byKey("ana"))
	r := &returning{log: l, kit: abaton.GrantID(l.st.Heads()[0].Hash), door: l.w.door()}
	r.door.Heard = func(actor.Hash) (time.Time, bool) { return time.Time{}, false }
	return r
}

func (r *returning) body() *actor.Recover {
	return &actor.Recover{Escrow: r.kit, Box: box("new device").Public().Bytes(), Nonce: [16]byte{1},
		Credential: actor.Credential{Public: passkey(r.w.t, "new device").Public(), Class: actor.Bound}}
}

// begin applies a recovery that this copy heard at w.now.
func (r *returning) begin(t *testing.T) *actor.Authentic {
	t.Helper()
	a := r.w.authentic(r.event(r.body()), byKey("kit"))
	if err := r.st.Admit(a, r.door, r.w.now); err != nil {
		t.Fatalf("begin: %v", err)
	}
	if err := r.st.Apply(a); err != nil {
		t.Fatal(err)
	}
	heard, h := r.w.now, a.Hash()
	r.door.Heard = func(e actor.Hash) (time.Time, bool) { return heard, e == h }
	return a
}

func (r *returning) back(after ...actor.Place) *actor.Authentic {
	body := &actor.CredentialAdd{Credential: r.body().Credential}
	if len(after) == 0 {
		return r.w.authentic(r.event(body), byPasskey(r.w.t, "new device"))
	}
	return r.w.authentic(r.after(body, after...), byPasskey(r.w.t, "new device"))
}

func (r *returning) apply(a *actor.Authentic) {
	if err := r.st.Apply(a); err != nil {
		r.w.t.Fatalf("apply: %v", err)
	}
}

func (r *returning) live() bool {
	return r.st.CredentialClass(r.body().Credential.Public.Credential()) != 0
}

// TestTheRuleIsADay: not a second earlier than 24 h after this copy heard, by
// the keeper's clock; the event's own time says nothing.
func TestTheRuleIsADay(t *testing.T) {
	r := newReturning(t)
	if got := reason(r.st.Admit(r.back(), r.door, r.w.now)); got != abaton.ReasonCredential {
		t.Errorf("nothing begun: got %q, want %q", got, abaton.ReasonCredential)
	}
	r.begin(t)
	back := r.back()
	for _, c := range []struct {
		after time.Duration
		door  actor.Door
		want  abaton.Reason
	}{
		{0, r.door, abaton.ReasonWait},
		{24*time.Hour - time.Second, r.door, abaton.ReasonWait},
		{24 * time.Hour, r.door, ""},
		{365 * 24 * time.Hour, r.door, ""},
		{365 * 24 * time.Hour, r.w.door(), abaton.ReasonWait}, // a copy that notes no times lets nobody in
		{365 * 24 * time.Hour, actor.Door{}, abaton.ReasonWait},
	} {
		if got := reason(r.st.Admit(back, c.door, r.w.now.Add(c.after))); got != c.want {
			t.Errorf("after %v: got %q, want %q", c.after, got, c.want)
		}
	}
	if r.live() {
		t.Error("admitted and not certified: the passkey is live, want pending")
	}
	if err := r.st.Apply(back); err != nil {
		t.Fatal(err)
	}
	if r.live() {
		t.Error("applied and not certified: the passkey is live, want pending")
	}
	r.certify(back)
	if !r.live() || !r.st.Returned(r.body().Credential.Public.Credential(), r.kit) {
		t.Error("certified: the passkey is not live, want back in")
	}
}

// TestOldDevicesAreCut: whoever is back removes what was lost.
func TestOldDevicesAreCut(t *testing.T) {
	r := newReturning(t)
	r.begin(t)
	back := r.back()
	r.apply(back)
	r.certify(back)
	r.add(&actor.CredentialRemove{Name: passkey(t, "ana").Credential()}, byPasskey(t, "new device"))
	r.add(&actor.KeyRemove{ID: signing("ana").ID()}, byPasskey(t, "new device"))
	if r.st.CredentialClass(passkey(t, "ana").Credential()) != 0 || r.st.KeyRights(signing("ana").ID()) != 0 || !r.live() {
		t.Error("old devices: got one live, want only the new one")
	}
}

// TestNoMergeBringsARecoveryIn: a keeper may tell a live device of a return that
// still waits, and the device's merge may name it. It counts by its own
// certificate only.
func TestNoMergeBringsARecoveryIn(t *testing.T) {
	r := newReturning(t)
	r.begin(t)
	base := r.st.Heads()[0]
	early := r.back(base)
	if err := r.st.Vouchable(early, r.w.now); err != nil {
		t.Fatalf("vouch: %v", err) // a merge may name it
	}
	if err := r.st.Apply(early); err != nil {
		t.Fatal(err)
	}
	r.take(r.w.authentic(r.after(&actor.Bar{Actor: abaton.ActorID{1}}, base), byKey("ana")))
	merge := r.w.authentic(r.after(&actor.Merge{}, r.st.Heads()...), byKey("ana"))
	r.take(merge)
	r.certify(merge)
	if r.live() {
		t.Error("covered by a merge: the passkey is live, want pending")
	}
	next := r.w.authentic(r.event(&actor.Bar{Actor: abaton.ActorID{2}}), byPasskey(t, "new device"))
	if got := reason(r.st.Admit(next, r.door, r.w.now)); got != abaton.ReasonCredential {
		t.Errorf("the passkey speaks after the merge: got %q, want %q", got, abaton.ReasonCredential)
	}
}

// TestRecoveryInASplitLog: a log that was once split can still be recovered.
func TestRecoveryInASplitLog(t *testing.T) {
	r := newReturning(t)
	base := r.st.Heads()[0]
	for i := byte(1); i <= 2; i++ {
		r.take(r.w.authentic(r.after(&actor.Bar{Actor: abaton.ActorID{i}}, base), byKey("ana")))
	}
	merge := r.w.authentic(r.after(&actor.Merge{}, r.st.Heads()...), byKey("ana"))
	r.take(merge)
	r.certify(merge)
	r.begin(t)
	back := r.back()
	if err := r.st.Admit(back, r.door, r.w.now.Add(24*time.Hour)); err != nil {
		t.Fatalf("return: %v", err)
	}
	r.apply(back)
	ballot := new(actor.Ballot)
	if err := ballot.Cast(r.st, back.Hash()); err != nil {
		t.Errorf("vote: %v", err)
	}
	r.certify(back)
	if !r.live() {
		t.Error("certified: the passkey is not live, want back in")
	}
}

// TestVetoBeforeOrAfter: a veto holds also where it comes before what it
// names, and in any order the copies agree.
func TestVetoBeforeOrAfter(t *testing.T) {
	for _, first := range []string{"veto", "recovery"} {
		r := newReturning(t)
		event := r.event(r.body())
		veto := r.w.authentic(r.event(&actor.Veto{Recover: actor.HashOf(event)}), byKey("ana write"))
		begun := r.w.authentic(event, byKey("kit"))
		order := []*actor.Authentic{veto, begun}
		if first == "recovery" {
			order = []*actor.Authentic{begun, veto}
		}
		for _, a := range order {
			if err := r.st.Admit(a, r.door, r.w.now); err != nil {
				t.Fatalf("%s first: %v", first, err)
			}
			r.take(a)
		}
		r.door.Heard = func(actor.Hash) (time.Time, bool) { return r.w.now, true }
		if got := reason(r.st.Admit(r.back(r.st.Heads()[0]), r.door, r.w.now.Add(48*time.Hour))); got != abaton.ReasonVetoed {
			t.Errorf("%s first: got %q, want %q", first, got, abaton.ReasonVetoed)
		}
		if all := r.st.Recoveries(); len(all) != 1 || !all[0].Stopped || all[0].Done {
			t.Errorf("%s first: the log does not say that it was stopped", first)
		}
	}
}

// TestWhoMayVeto: any live key or passkey of the log, never the one that waits.
func TestWhoMayVeto(t *testing.T) {
	r := newReturning(t)
	h := r.begin(t).Hash()
	for _, c := range []struct {
		name string
		by   signer
		want abaton.Reason
	}{
		{"the old passkey", byPasskey(t, "ana"), ""},
		{"a key that may only write", byKey("ana write"), ""},
		{"the passkey that waits", byPasskey(t, "new device"), abaton.ReasonCredential},
		{"the kit", byKey("kit"), abaton.ReasonCredential},
		{"a stranger", byKey("stranger"), abaton.ReasonCredential},
	} {
		if got := reason(r.st.Admit(r.w.authentic(r.event(&actor.Veto{Recover: h}), c.by), r.door, r.w.now)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// TestARecoveryFloodLeavesOtherEscrows: whoever holds one kit may begin only so
// often, and nobody else is held up.
func TestARecoveryFloodLeavesOtherEscrows(t *testing.T) {
	r := newReturning(t)
	r.add(sampleKit("second", signing("second kit")), byKey("ana"))
	second := abaton.GrantID(r.st.Heads()[0].Hash)
	base := r.st.Heads()[0]
	try := func(id abaton.GrantID, n byte, by string) abaton.Reason {
		b := r.body()
		b.Escrow, b.Nonce = id, [16]byte{n}
		a := r.w.authentic(r.after(b, base), byKey(by))
		if err := r.st.Admit(a, r.door, r.w.now); err != nil {
			return reason(err)
		}
		r.take(a)
		return ""
	}
	for n := range byte(actor.RecoveriesMax) {
		if got := try(r.kit, n+1, "kit"); got != "" {
			t.Fatalf("recovery %d: got %q, want heard", n, got)
		}
	}
	if got := try(r.kit, 99, "kit"); got != abaton.ReasonTooLarge {
		t.Errorf("one more: got %q, want %q", got, abaton.ReasonTooLarge)
	}
	if got := try(second, 99, "second kit"); got != "" {
		t.Errorf("another kit: got %q, want heard", got)
	}
}

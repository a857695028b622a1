package custody_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/internal/escrow"
	"github.com/abaton-health/abaton/internal/store"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// kept is a patient with a kit and three helpers, and the device that comes
// back.
type kept struct {
	*world
	code      escrow.Code
	kit       *actor.Escrow
	kitID     abaton.GrantID
	helped    *actor.Escrow
	helpedID  abaton.GrantID
	helpers   []*custodytest.Person
	device    *key.Passkey
	deviceBox *key.Box
}

var planted = key.Secret{0: 0x5a, 9: 0x13, 17: 0xc4, 31: 0x77}

func newKept(t *testing.T) *kept {
	t.Helper()
	w := newWorld(t, 1)
	k := &kept{world: w, code: escrow.NewCode(), deviceBox: key.NewBox()}
	var err error
	if k.device, err = key.NewPasskey(w.Set.RelyingParty); err != nil {
		t.Fatal(err)
	}
	k.kit, err = escrow.Make(w.Set, w.ana.ID, escrow.Kit(w.ana.ID, k.code, custodytest.Wait), k.code.Half(w.ana.ID), escrow.Payload{Root: planted})
	if err != nil {
		t.Fatal(err)
	}
	k.kitID = k.give(t, k.kit)
	var holders []escrow.Holder
	for range 3 {
		h := custodytest.NewPatient(t, w.Set, w.org, 1)
		w.Publish(t, h.Inception)
		k.helpers = append(k.helpers, h)
		holders = append(holders, escrow.Holder{ID: h.ID, Box: h.Box.Public()})
	}
	k.helped, err = escrow.Make(w.Set, w.ana.ID, escrow.Trustees(holders, 2, custodytest.Wait), key.NewSecret(), escrow.Payload{Root: planted})
	if err != nil {
		t.Fatal(err)
	}
	k.helpedID = k.give(t, k.helped)
	return k
}

func (k *kept) give(t *testing.T, body actor.Body) abaton.GrantID {
	t.Helper()
	e := k.ana.Event(body)
	k.Publish(t, e)
	return abaton.GrantID(actor.HashOf(e.Event))
}

// recover is a Recover event's bytes, after the log's head.
func (k *kept) recover(id abaton.GrantID) []byte {
	body := &actor.Recover{Escrow: id, Box: k.deviceBox.Public().Bytes(),
		Credential: actor.Credential{Public: k.device.Public(), Class: actor.Bound}}
	rand.Read(body.Nonce[:])
	return k.ana.Unsigned(body)
}

// tell publishes an event that narrows at these keepers; the first refusal.
func (k *kept) tell(t *testing.T, e actor.SignedEvent, xs ...abaton.KeeperIndex) abaton.Reason {
	t.Helper()
	for _, x := range xs {
		if r := k.Tell(t, x, e); r != "" {
			return r
		}
	}
	return ""
}

var five = []abaton.KeeperIndex{1, 2, 3, 4, 5}

// begin starts a recovery with the kit at all keepers.
func (k *kept) begin(t *testing.T) actor.Hash {
	t.Helper()
	event := k.recover(k.kitID)
	return k.heardAll(t, actor.Signed(event, actor.ByKey(k.code.Prover(k.ana.ID), event)))
}

func (k *kept) heardAll(t *testing.T, e actor.SignedEvent) actor.Hash {
	t.Helper()
	if r := k.tell(t, e, five...); r != "" {
		t.Fatalf("begin: refused: %s", r)
	}
	k.ana.Stand(e)
	return actor.HashOf(e.Event)
}

// back is the new passkey adding itself.
func (k *kept) back(t *testing.T) actor.SignedEvent {
	t.Helper()
	event := k.ana.Unsigned(&actor.CredentialAdd{Credential: actor.Credential{Public: k.device.Public(), Class: actor.Bound}})
	a, err := k.device.Assert(actor.HashOf(event))
	if err != nil {
		t.Fatal(err)
	}
	return actor.Signed(event, actor.ByPasskey(a))
}

func (k *kept) pass(d time.Duration, xs ...abaton.KeeperIndex) {
	for _, x := range xs {
		k.Keepers[x].Ahead(d)
	}
}

// mustReturn finishes a recovery and gives the new device's session.
func (k *kept) mustReturn(t *testing.T) *custodytest.Session {
	t.Helper()
	k.pass(custodytest.Wait, five...)
	e := k.back(t)
	k.Publish(t, e)
	k.ana.Stand(e)
	again := *k.ana
	again.Passkey = k.device
	return k.SignInAt(t, &again, time.Now().Add(custodytest.Wait))
}

func (k *kept) unseal(id abaton.GrantID) session.Request {
	return session.Request{Patient: k.ana.ID, Grant: id, Mode: session.Unseal, Purpose: abaton.PatientAccess,
		Time: time.Now().Add(custodytest.Wait).Unix()}
}

func TestKitBringsBackIn(t *testing.T) {
	k := newKept(t)
	k.begin(t)
	s := k.mustReturn(t)
	var shares []spread.Share
	for _, x := range []abaton.KeeperIndex{1, 3, 5} {
		r := k.mustAsk(t, s, x, k.unseal(k.kitID), keeper.Permitted, "")
		if len(r.Share) != 32 || !k.kit.CheckShare(k.ana.ID, x, [32]byte(r.Share)) {
			t.Fatalf("keeper %d: got no share or another, want its own", x)
		}
		shares = append(shares, spread.Share{X: x, Y: [32]byte(r.Share)})
	}
	b, err := spread.Combine(shares)
	if err != nil {
		t.Fatal(err)
	}
	got, err := escrow.Open(k.ana.ID, k.kit, k.code.Half(k.ana.ID), b)
	if err != nil || !got.Root.Equal(planted) {
		t.Errorf("open: got %v, want the root", err)
	}
	h := k.mustAsk(t, s, 2, session.Request{Patient: k.ana.ID, Mode: session.History, Purpose: abaton.PatientAccess,
		Time: time.Now().Add(custodytest.Wait).Unix()}, keeper.Permitted, "")
	events := 0
	for _, d := range h.Disclosures {
		e, err := ledger.ParseEntry(d.Entry)
		if err == nil && e.Op == ledger.OpEvent {
			events++
		}
	}
	if want := 6; events != want { // inception, grant, kit, helpers, recovery, return
		t.Errorf("history: got %d events, want %d", events, want)
	}
}

func TestRecoveryWaitsAtEachKeeper(t *testing.T) {
	k := newKept(t)
	k.begin(t)
	k.pass(custodytest.Wait-5*time.Second, five...)
	back := k.back(t)
	for _, x := range five {
		if got := k.Tell(t, x, back); got != abaton.ReasonWait {
			t.Errorf("keeper %d, too early: got %q, want %q", x, got, abaton.ReasonWait)
		}
	}
	k.pass(custodytest.Wait, 1, 2)
	for _, x := range five {
		want := abaton.ReasonWait
		if x <= 2 {
			want = ""
		}
		if got := k.Tell(t, x, back); got != want {
			t.Errorf("keeper %d, two clocks: got %q, want %q", x, got, want)
		}
	}
	if reasonOf(k.TryPublish(t, back)) != abaton.ReasonWait {
		t.Error("two keepers whose wait is over: got a certificate, want four needed")
	}
	if r := k.askEarly(t); r == "" {
		t.Error("a session by a passkey that waits: got admitted, want refused")
	}
}

// askEarly signs in with the passkey that waits.
func (k *kept) askEarly(t *testing.T) abaton.Reason {
	t.Helper()
	again := *k.ana
	again.Passkey = k.device
	_, err := k.Ask(t.Context(), k.SignIn(t, &again), 1, k.unseal(k.kitID))
	return reasonOf(err)
}

// TestHeardSurvivesARestart: neither a restart nor the event's own time moves
// the time from which a keeper counts.
func TestHeardSurvivesARestart(t *testing.T) {
	k := newKept(t)
	k.begin(t)
	k.Restart(t, 1, func() {})
	k.Keepers[1].AwaitMode(t)
	k.pass(custodytest.Wait-5*time.Second, 1)
	back := k.back(t)
	if got := k.Tell(t, 1, back); got != abaton.ReasonWait {
		t.Errorf("restarted, too early: got %q, want %q", got, abaton.ReasonWait)
	}
	k.pass(custodytest.Wait, 1)
	if got := k.Tell(t, 1, back); got != "" {
		t.Errorf("restarted, in time: got %q, want a vote", got)
	}
}

func TestVetoKillsARecoveryForEver(t *testing.T) {
	k := newKept(t)
	h := k.begin(t)
	if r := k.tell(t, k.ana.Event(&actor.Veto{Recover: h}), five...); r != "" {
		t.Fatalf("veto: refused: %s", r)
	}
	k.pass(custodytest.Wait, five...)
	back := k.back(t)
	for _, x := range five {
		if got := k.Tell(t, x, back); got != abaton.ReasonVetoed {
			t.Errorf("keeper %d: got %q, want %q", x, got, abaton.ReasonVetoed)
		}
	}
}

func TestWhoMayNotRecover(t *testing.T) {
	k := newKept(t)
	stranger := key.NewSigning()
	kit, helped := k.recover(k.kitID), k.recover(k.helpedID)
	by := func(event []byte, keys ...*key.Signing) actor.SignedEvent {
		var proofs []actor.Proof
		for _, s := range keys {
			proofs = append(proofs, actor.ByKey(s, event))
		}
		return actor.Signed(event, proofs...)
	}
	nowhere := k.recover(abaton.GrantID{9})
	for name, e := range map[string]actor.SignedEvent{
		"a stranger with the event": by(kit, stranger),
		"another kit":               by(kit, escrow.NewCode().Prover(k.ana.ID)),
		"the kit of another log":    by(kit, k.code.Prover(k.org.ID)),
		"a helper for the kit":      by(kit, k.helpers[0].Manage),
		"the kit for the helpers":   by(helped, k.code.Prover(k.ana.ID)),
		"one helper alone":          by(helped, k.helpers[0].Manage),
		"a helper and a stranger":   by(helped, k.helpers[0].Manage, stranger),
		"the clinic's own key":      by(helped, k.org.Manage),
	} {
		for _, x := range five {
			if got := k.Tell(t, x, e); got != abaton.ReasonCredential {
				t.Errorf("%s, keeper %d: got %q, want %q", name, x, got, abaton.ReasonCredential)
			}
		}
	}
	if got := k.Tell(t, 1, by(nowhere, k.code.Prover(k.ana.ID))); got != abaton.ReasonGrant {
		t.Errorf("no such escrow: got %q, want %q", got, abaton.ReasonGrant)
	}
	if got := k.tell(t, by(helped, k.helpers[0].Manage, k.helpers[2].Manage), five...); got != "" {
		t.Errorf("two of three helpers: got %q, want heard", got)
	}
}

// TestAHelperWhoLeftCountsNoMore: a helper's proof counts only while its key is
// live, also after the recovery was heard.
func TestAHelperWhoLeftCountsNoMore(t *testing.T) {
	k := newKept(t)
	event := k.recover(k.helpedID)
	k.heardAll(t, actor.Signed(event, actor.ByKey(k.helpers[0].Manage, event), actor.ByKey(k.helpers[1].Manage, event)))
	h := k.helpers[1]
	k.tell(t, h.EventByPasskey(t, &actor.KeyRemove{ID: h.Manage.ID()}, h.Passkey), five...)
	k.pass(custodytest.Wait, five...)
	if got := k.Tell(t, 1, k.back(t)); got != abaton.ReasonCredential {
		t.Errorf("a helper's key was removed: got %q, want %q", got, abaton.ReasonCredential)
	}
}

func TestUnsealIsForTheOneWhoCameBack(t *testing.T) {
	k := newKept(t)
	q := k.unseal(k.kitID)
	q.Time = 0
	for name, p := range map[string]*custodytest.Person{"the patient's old passkey": k.ana, "the doctor": k.doctor} {
		s := k.SignIn(t, p)
		for x := abaton.KeeperIndex(1); x <= 2; x++ {
			ask := q
			if p == k.doctor {
				ask.Purpose = abaton.Treatment
			}
			if r := k.mustAsk(t, s, x, ask, keeper.Refused, abaton.ReasonGrant); len(r.Share) != 0 {
				t.Errorf("%s: got a share, want none", name)
			}
		}
	}
	k.begin(t)
	s := k.mustReturn(t)
	k.mustAsk(t, s, 1, k.unseal(k.helpedID), keeper.Refused, abaton.ReasonGrant) // came back under the kit
	k.mustAsk(t, s, 1, k.unseal(abaton.GrantID{1}), keeper.Refused, abaton.ReasonGrant)
	wrong := k.unseal(k.kitID)
	wrong.Purpose = abaton.Treatment
	k.mustAsk(t, s, 1, wrong, keeper.Refused, abaton.ReasonGrant)
	for n := range 16 {
		if r := k.mustAsk(t, s, 1, k.unseal(k.kitID), keeper.Permitted, ""); len(r.Share) != 32 {
			t.Fatalf("unseal %d: got no share", n)
		}
	}
	k.mustAsk(t, s, 1, k.unseal(k.kitID), keeper.Refused, abaton.ReasonQuota)
	k.tell(t, k.ana.Event(&actor.Revoke{Grant: k.kitID}), five...)
	k.mustAsk(t, s, 2, k.unseal(k.kitID), keeper.Refused, abaton.ReasonRevoked)
}

// TestEndedKitEndsItsRecoveries: an escrow that its owner ended gives nobody
// anything any more.
func TestEndedKitEndsItsRecoveries(t *testing.T) {
	k := newKept(t)
	k.begin(t)
	k.tell(t, k.ana.Event(&actor.Revoke{Grant: k.kitID}), five...)
	k.pass(custodytest.Wait, five...)
	if got := k.Tell(t, 1, k.back(t)); got != abaton.ReasonRevoked {
		t.Errorf("return: got %q, want %q", got, abaton.ReasonRevoked)
	}
	event := k.recover(k.kitID)
	if got := k.Tell(t, 1, actor.Signed(event, actor.ByKey(k.code.Prover(k.ana.ID), event))); got != abaton.ReasonRevoked {
		t.Errorf("begin again: got %q, want %q", got, abaton.ReasonRevoked)
	}
}

func TestKeepersRefuseAnEscrowTheyCouldNotOpen(t *testing.T) {
	k := newKept(t)
	make := func(change func(*actor.Escrow)) *actor.Escrow {
		code := escrow.NewCode()
		e, err := escrow.Make(k.Set, k.ana.ID, escrow.Kit(k.ana.ID, code, custodytest.Wait), code.Half(k.ana.ID), escrow.Payload{Root: planted})
		if err != nil {
			t.Fatal(err)
		}
		change(e)
		return e
	}
	for name, c := range map[string]struct {
		change func(*actor.Escrow)
		want   abaton.Reason
	}{
		"a share nobody can open": {func(e *actor.Escrow) { e.Shares[0].Sealed[0] ^= 1 }, abaton.ReasonShare},
		"another share's hash":    {func(e *actor.Escrow) { e.Shares[0].Hash = e.Shares[1].Hash }, abaton.ReasonShare},
		"one share missing":       {func(e *actor.Escrow) { e.Shares = e.Shares[:4] }, abaton.ReasonShare},
		"terms changed":           {func(e *actor.Escrow) { e.Delay++ }, abaton.ReasonShare},
		"a shorter wait":          {func(e *actor.Escrow) { e.Delay-- }, abaton.ReasonShare},
	} {
		event := k.ana.Unsigned(make(c.change))
		if got := k.Tell(t, 1, actor.Signed(event, actor.ByKey(k.ana.Manage, event))); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	code := escrow.NewCode()
	short, err := escrow.Make(k.Set, k.ana.ID, escrow.Kit(k.ana.ID, code, time.Second), code.Half(k.ana.ID), escrow.Payload{Root: planted})
	if err != nil {
		t.Fatal(err)
	}
	event := k.ana.Unsigned(short)
	if got := k.Tell(t, 1, actor.Signed(event, actor.ByKey(k.ana.Manage, event))); got != abaton.ReasonWait {
		t.Errorf("a wait below the set's: got %q, want %q", got, abaton.ReasonWait)
	}
}

// alone is a patient of whom only this passkey is known.
func alone(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, 1)
	for c := range w.spares(t) {
		w.Publish(t, w.ana.Event(&actor.CredentialRemove{Name: c}))
	}
	return w
}

// spares are the passkeys of ana's that she does not sign in with.
func (w *world) spares(t *testing.T) map[key.Credential]bool {
	t.Helper()
	var e actor.Event
	var in actor.Inception
	if wire.Unmarshal(w.ana.Inception.Event, &e) != nil || wire.Unmarshal(e.Body, &in) != nil {
		t.Fatal("an inception is well formed")
	}
	out := make(map[key.Credential]bool)
	for _, c := range in.Credentials {
		if c.Public.Credential() != w.ana.Passkey.Credential() {
			out[c.Public.Credential()] = true
		}
	}
	return out
}

// TestFirstRecordNeedsASecondWay: nobody's record begins on one phone alone.
func TestFirstRecordNeedsASecondWay(t *testing.T) {
	w := alone(t)
	first := w.seals(t, 1, 1)
	for x, r := range w.deposits(t, first) {
		if r.Reason != abaton.ReasonWays {
			t.Errorf("keeper %d, one way: got %q, want %q", x, r.Reason, abaton.ReasonWays)
		}
	}
	code := escrow.NewCode()
	kit, err := escrow.Make(w.Set, w.ana.ID, escrow.Kit(w.ana.ID, code, custodytest.Wait), code.Half(w.ana.ID), escrow.Payload{Root: planted})
	if err != nil {
		t.Fatal(err)
	}
	event := w.ana.Event(kit)
	w.Publish(t, event)
	w.mustDeposit(t, first)
	w.Publish(t, w.ana.Event(&actor.Revoke{Grant: abaton.GrantID(actor.HashOf(event.Event))}))
	w.mustDeposit(t, w.seals(t, 2, 1)) // care goes on
}

// TestTwoPasskeysOfOneClassAreOneWay: what syncs is lost together.
func TestTwoPasskeysOfOneClassAreOneWay(t *testing.T) {
	w := alone(t)
	second, err := key.NewPasskey(w.Set.RelyingParty)
	if err != nil {
		t.Fatal(err)
	}
	w.Publish(t, w.ana.Event(&actor.CredentialAdd{Credential: actor.Credential{Public: second.Public(), Class: actor.Bound}}))
	if r := w.deposits(t, w.seals(t, 1, 1))[1]; r.Reason != abaton.ReasonWays {
		t.Errorf("two of one class: got %q, want %q", r.Reason, abaton.ReasonWays)
	}
	w.Publish(t, w.ana.Event(&actor.CredentialAdd{Credential: custodytest.Spare(t)}))
	w.mustDeposit(t, w.seals(t, 2, 1))
}

// TestNoKeeperStoresASecret: after a whole recovery no keeper's store holds the
// payload, half A, half B, a share of it or the kit's code, in the clear or as
// hex or base64. What is sealed to that keeper alone it does hold; that it finds
// nothing else is shown by planting.
func TestNoKeeperStoresASecret(t *testing.T) {
	k := newKept(t)
	k.begin(t)
	s := k.mustReturn(t)
	var shares []spread.Share
	secrets := map[string][]byte{"root": planted[:], "code": k.code[:]}
	half := k.code.Half(k.ana.ID)
	secrets["half A"] = half[:]
	for _, x := range five {
		r := k.mustAsk(t, s, x, k.unseal(k.kitID), keeper.Permitted, "")
		shares = append(shares, spread.Share{X: x, Y: [32]byte(r.Share)})
		secrets[fmt.Sprintf("share %d", x)] = r.Share
	}
	b, err := spread.Combine(shares[:3])
	if err != nil {
		t.Fatal(err)
	}
	secrets["half B"] = b[:]
	for _, x := range five {
		for _, engine := range []*store.Memory{k.Keepers[x].Records, k.Keepers[x].Keys} {
			for name, secret := range secrets {
				if holds(t, engine, secret) {
					t.Errorf("keeper %d stores the %s", x, name)
				}
			}
		}
	}
	if id := k.Keepers[1].Identity.Key.ID(); !holds(t, k.Keepers[1].Records, id[:]) && !holds(t, k.Keepers[1].Records, k.ana.ID[:]) {
		t.Error("the search finds nothing at all: it shows nothing")
	}
}

// holds looks for bytes in every key and value of a store.
func holds(t *testing.T, engine *store.Memory, secret []byte) (found bool) {
	t.Helper()
	forms := [][]byte{secret, []byte(hex.EncodeToString(secret)), []byte(base64.StdEncoding.EncodeToString(secret)), []byte(base64.RawURLEncoding.EncodeToString(secret))}
	err := engine.Scan(nil, nil, func(key, value []byte) bool {
		for _, f := range forms {
			found = found || bytes.Contains(key, f) || bytes.Contains(value, f)
		}
		return !found
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestTheEventsOwnTimeSaysNothing: a recovery that was signed long ago waits from
// when a keeper first hears of it.
func TestTheEventsOwnTimeSaysNothing(t *testing.T) {
	k := newKept(t)
	event := k.recover(k.kitID)
	k.pass(20*time.Second, five...)
	k.heardAll(t, actor.Signed(event, actor.ByKey(k.code.Prover(k.ana.ID), event)))
	k.pass(custodytest.Wait, five...)
	back := k.back(t)
	for _, x := range five {
		if got := k.Tell(t, x, back); got != abaton.ReasonWait {
			t.Errorf("keeper %d: got %q, want %q", x, got, abaton.ReasonWait)
		}
	}
}

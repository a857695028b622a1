package actor_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/key"
)

func expectation(err error) string {
	if err == nil {
		return "ok"
	}
	return string(reason(err))
}

// byFixedPasskey asserts with a signature that is the same in every run (RFC
// 6979), which no authenticator promises but vectors need.
func byFixedPasskey(t testing.TB, name string) signer {
	return func(event []byte) actor.Proof {
		h := actor.HashOf(event)
		return actor.ByPasskey(fixedAssertion(t, name, h))
	}
}

func fixedAssertion(t testing.TB, name string, challenge [32]byte) *key.Assertion {
	t.Helper()
	scalar := seed(name)
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar[:])
	if err != nil {
		t.Fatal(err)
	}
	rp := sha256.Sum256([]byte(party.ID))
	auth := append(rp[:], 5, 0, 0, 0, 1)
	client := []byte(`{"type":"webauthn.get","challenge":"` + base64.RawURLEncoding.EncodeToString(challenge[:]) +
		`","origin":"` + party.Origins[0] + `","crossOrigin":false}`)
	clientHash := sha256.Sum256(client)
	sum := sha256.Sum256(append(append([]byte(nil), auth...), clientHash[:]...))
	sig, err := private.Sign(nil, sum[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return &key.Assertion{Public: cachedPublic(name), AuthData: auth, ClientData: client, Sig: sig}
}

// TestEventVectors: one event of each kind, and every defect that shows
// without a log.
func TestEventVectors(t *testing.T) {
	w := newWorld(t)
	l := w.patient("ana")
	var made []vector
	add := func(comment string, data []byte) {
		v := vector{Comment: comment, Source: "PROTOCOL.md#authenticate", Input: map[string]string{
			"signed": hex.EncodeToString(data), "rpID": party.ID, "origin": party.Origins[0]}}
		var a *actor.Authentic
		se, err := actor.ParseSigned(data)
		if err == nil {
			a, err = actor.Authenticate(se, party)
		}
		v.Expect = expectation(err)
		if err == nil {
			h := a.Hash()
			v.Output = map[string]string{"hash": hex.EncodeToString(h[:]), "actor": a.Actor().String()}
		}
		made = append(made, v)
	}
	add("inception of a patient, by passkey", signed(actor.NewInception(w.now.Unix(), w.inception(actor.Patient, "ben")), byFixedPasskey(t, "ben")).Marshal())
	add("inception of a keeper set", setInception(document(), 5).Marshal())
	for _, s := range samples {
		if s.owner == actor.Patient && s.kind != actor.EventMerge && s.kind != actor.EventEpoch || s.owner != actor.Patient && s.kind != actor.EventOrigins {
			add(fmt.Sprintf("event of kind %d, by key", s.kind), signed(l.event(s.make(l)), byKey("ana")).Marshal())
		}
	}
	add("event by passkey", signed(l.event(&actor.Bar{Actor: abaton.ActorID{9}}), byFixedPasskey(t, "ana")).Marshal())
	add("event of kind 16, by key", signed(w.org.event(w.org.policy(1)), byKey("org")).Marshal())
	event := l.event(&actor.Bar{Actor: abaton.ActorID{9}})
	add("no proof", actor.Signed(event).Marshal())
	add("proof of another event", actor.Signed(event, byKey("ana")([]byte("another"))).Marshal())
	add("assertion of another event", actor.Signed(event, byFixedPasskey(t, "ana")([]byte("another"))).Marshal())
	add("unknown proof", actor.Signed(event, actor.Proof{Tag: 3, Body: []byte{0xa0}}).Marshal())
	add("one good and one forged proof", actor.Signed(event, byKey("ana")(event), byKey("second")([]byte("another"))).Marshal())
	add("the same proof twice", actor.Signed(event, byKey("ana")(event), byKey("ana")(event)).Marshal())
	add("trailing byte", append(signed(event, byKey("ana")).Marshal(), 0))
	for _, change := range eventForms {
		add(change.name, signed(edit(event, change.make), byKey("ana")).Marshal())
	}
	forms := []struct {
		name string
		body actor.Body
	}{
		{"erase no bits", &actor.Erase{Rows: []actor.Row{{Batch: abaton.BatchName{1}}}}},
		{"erase a batch twice", &actor.Erase{Rows: []actor.Row{{Batch: abaton.BatchName{1}, Bits: 1}, {Batch: abaton.BatchName{1}, Bits: 2}}}},
		{"key with unknown rights", &actor.KeyAdd{Key: actor.Key{ID: abaton.KeyID{1}, Rights: 32}}},
		{"key without rights", &actor.KeyAdd{Key: actor.Key{ID: abaton.KeyID{1}}}},
		{"passkey of unknown class", &actor.CredentialAdd{Credential: actor.Credential{Public: cachedPublic("ana"), Class: 3}}},
		{"passkey without a public key", &actor.CredentialAdd{Credential: actor.Credential{Class: actor.Bound}}},
		{"passkey of unknown algorithm", &actor.CredentialAdd{Credential: actor.Credential{Public: spoiled(0), Class: actor.Bound}}},
		{"passkey off the curve", &actor.CredentialAdd{Credential: actor.Credential{Public: spoiled(65), Class: actor.Bound}}},
		{"passkey of an even modulus", &actor.CredentialAdd{Credential: actor.Credential{Public: evenModulus(), Class: actor.Synced}}},
		{"passkey longer than any", &actor.CredentialAdd{Credential: actor.Credential{Public: make(key.Public, key.PublicBytesMax+1), Class: actor.Synced}}},
		{"passkey of zero removed", &actor.CredentialRemove{}},
		{"grant that is none", &actor.Granted{Grant: []byte{0xa0}}},
		{"revoke nothing", &actor.Revoke{}},
		{"bar nobody", &actor.Bar{}},
		{"bar until before time began", &actor.Bar{Actor: abaton.ActorID{1}, Until: -1}},
		{"member without a role", &actor.Member{Actor: abaton.ActorID{1}, Expires: 1}},
		{"member in a role there is not", &actor.Member{Actor: abaton.ActorID{1}, Roles: []string{"king"}, Expires: 1}},
		{"member for two years", &actor.Member{Actor: abaton.ActorID{1}, Roles: []string{"nurse"}, Expires: 2 * 366 * 24 * 3600}},
		{"team under another's name", l.foreignTeam()},
		{"duty for two days", &actor.Duty{To: abaton.ActorID{1}, Team: abaton.ActorID{2}, Until: 48 * 3600, Sealed: make([]byte, key.BoxOverhead+32)}},
		{"duty without a seed", &actor.Duty{To: abaton.ActorID{1}, Team: abaton.ActorID{2}, Until: 3600}},
		{"hand-on of no grant", &actor.Onward{Terms: l.onward(ben, 1).Terms, Wrap: make([]byte, key.BoxOverhead)}},
		{"hand-on that goes on further", changed(l.onward(ben, 1), func(g *grant.Grant) { g.Onward = carl })},
		{"hand-on to write", changed(l.onward(ben, 1), func(g *grant.Grant) { g.Actions |= grant.Deposit })},
		{"hand-on without seeds", &actor.Onward{Parent: anasGrant, Terms: l.onward(ben, 1).Terms}},
		{"policy without a version", &actor.Policy{NotBefore: 1, Expires: 2, Text: []byte("a"), Simulation: [32]byte{1}}},
		{"policy that was not simulated", &actor.Policy{Version: 1, NotBefore: 1, Expires: 2, Text: []byte("a")}},
		{"policy for more than 366 days", &actor.Policy{Version: 1, NotBefore: 1, Expires: 366*86400 + 2, Text: []byte("a"), Simulation: [32]byte{1}}},
	}
	for _, f := range forms {
		add(f.name, signed(l.event(f.body), byKey("ana")).Marshal())
	}
	adding := l.event(&actor.KeyAdd{Key: actor.Key{ID: signing("new key").ID(), Rights: actor.Write}})
	add("key added without its own proof", actor.Signed(adding, byKey("ana")(adding)).Marshal())
	add("key added with another's proof", actor.Signed(adding, byKey("ana")(adding), byKey("second")(adding)).Marshal())
	in := w.inception(actor.Patient, "ben")
	in.Credentials[0].Class = actor.Synced
	add("inception by a passkey that is not of its class", signed(actor.NewInception(w.now.Unix(), in), byFixedPasskey(t, "ben")).Marshal())
	in.Credentials[0].Class = actor.Bound
	add("inception signed by a key it does not list", signed(actor.NewInception(w.now.Unix(), in), byKey("stranger")).Marshal())
	in.Invitation = nil
	add("inception without an invitation", signed(actor.NewInception(w.now.Unix(), in), byKey("ben")).Marshal())
	other := w.invitation(actor.Patient)
	other.Credential = cachedCredential("ana")
	in.Invitation = other.Sign(signing("org"))
	add("invitation for another passkey", signed(actor.NewInception(w.now.Unix(), in), byKey("ben")).Marshal())
	in.Invitation = w.invitation(actor.Patient).Ticket(signing("org"))
	add("a ticket instead of an invitation", signed(actor.NewInception(w.now.Unix(), in), byKey("ben")).Marshal())
	in.Invitation = w.invitation(actor.Clinician).Sign(signing("org"))
	add("invitation for another kind", signed(actor.NewInception(w.now.Unix(), in), byKey("ben")).Marshal())
	add("keeper set signed by four of five", setInception(document(), 4).Marshal())
	checkVectors(t, "event", made)
}

var eventForms = []struct {
	name string
	make func(*actor.Event)
}{
	{"unknown version", func(e *actor.Event) { e.V = 2 }},
	{"unknown kind", func(e *actor.Event) { e.Kind = 14 }},
	{"kind 0", func(e *actor.Event) { e.Kind = 0 }},
	{"body of another kind", func(e *actor.Event) { e.Kind = actor.EventErase }},
	{"no actor", func(e *actor.Event) { e.Actor = abaton.ActorID{} }},
	{"place 0", func(e *actor.Event) { e.Seq = 0 }},
	{"no parent", func(e *actor.Event) { e.Prev = nil }},
	{"two parents without a merge", func(e *actor.Event) { e.Prev = []actor.Hash{{1}, {2}} }},
	{"time before 1970", func(e *actor.Event) { e.Time = -1 }},
}

func TestCertificateVectors(t *testing.T) {
	w := newWorld(t)
	p := actor.Place{Actor: abaton.ActorID{1}, Seq: 3, Hash: actor.Hash{2}}
	vote := func(x int, name string, p actor.Place) actor.Vote {
		return actor.SignVote(w.set.ID(), abaton.KeeperIndex(x), signing(name), p)
	}
	var votes []actor.Vote
	for x := 1; x <= 5; x++ {
		votes = append(votes, vote(x, fmt.Sprintf("keeper %d", x), p))
	}
	other := p
	other.Hash[0]++
	var made []vector
	for _, c := range []struct {
		name  string
		votes []actor.Vote
	}{
		{"four votes", votes[:4]},
		{"three votes", votes[:3]},
		{"no votes", nil},
		{"a vote for another event", append(votes[:3:3], vote(4, "keeper 4", other))},
		{"a vote under another's index", append(votes[:3:3], vote(4, "keeper 5", p))},
		{"a vote of no keeper", append(votes[:3:3], vote(6, "keeper 6", p))},
		{"four votes and a forged one", append(votes[:4:4], vote(5, "stranger", p))},
		{"one vote four times", []actor.Vote{votes[0], votes[0], votes[0], votes[0]}},
	} {
		data := (&actor.Certificate{V: 1, Actor: p.Actor, Seq: p.Seq, Hash: p.Hash, Votes: c.votes}).Marshal()
		parsed, err := actor.ParseCertificate(data)
		if err == nil {
			_, err = parsed.Verify(w.set)
		}
		made = append(made, vector{Comment: c.name, Source: "PROTOCOL.md#certificate", Expect: expectation(err),
			Input: map[string]string{"set": hex.EncodeToString(w.setFile), "certificate": hex.EncodeToString(data)}})
	}
	checkVectors(t, "certificate", made)
}

// TestLogVectors: what a log says after events and certificates in an order.
// A step "apply" is an event's bytes with proofs already checked; a step
// "certify" is the hash of an event.
func TestLogVectors(t *testing.T) {
	s := newStolen(t)
	g := s.ownGift(t)
	var made []vector
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"inception without a certificate", []step{apply(s.first)}},
		{"inception", []step{apply(s.first), certify(s.first)}},
		{"grant without a certificate", []step{apply(s.first), certify(s.first), apply(g.giving)}},
		{"grant", []step{apply(s.first), certify(s.first), apply(g.giving), certify(g.giving)}},
		{"revocation on another branch", []step{apply(s.first), certify(s.first), apply(g.revoke), apply(g.giving), certify(g.giving)}},
		{"deny wins", []step{apply(s.first), certify(s.first), apply(s.theft), apply(s.remove), apply(s.merge), certify(s.merge)}},
	} {
		made = append(made, logVector(t, c.name, c.steps))
	}
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"event before its log", []step{apply(g.giving)}},
		{"event before its parents", []step{apply(s.first), apply(s.merge)}},
		{"second inception", []step{apply(s.first), apply(s.w.authentic(actor.NewInception(s.w.now.Unix(), s.w.inception(actor.Patient, "ben")), byKey("ben")))}},
		{"event of another log", []step{apply(s.first), apply(s.w.authentic(edit(s.after(&actor.Bar{Actor: abaton.ActorID{1}}, s.base), func(e *actor.Event) { e.Actor[0] ^= 1 }), byKey("ana")))}},
		{"certificate before its event", []step{apply(s.first), certify(g.giving)}},
		{"two certificates for one slot", []step{apply(s.first), certify(s.first), apply(s.theft), apply(g.revoke), certify(s.theft), certify(g.revoke)}},
		{"certificate before any log", []step{certify(s.first)}},
	} {
		made = append(made, logVector(t, c.name, c.steps))
	}
	checkVectors(t, "log", made)
}

type step struct {
	certify bool
	a       *actor.Authentic
}

func apply(a *actor.Authentic) step   { return step{a: a} }
func certify(a *actor.Authentic) step { return step{certify: true, a: a} }

func logVector(t *testing.T, comment string, steps []step) vector {
	t.Helper()
	v := vector{Comment: comment, Source: "PROTOCOL.md#state", Input: map[string]string{}, Output: map[string]string{}}
	st := new(actor.State)
	var err error
	for i, s := range steps {
		h := s.a.Hash()
		if s.certify {
			v.Input[fmt.Sprintf("%02d certify", i)] = hex.EncodeToString(h[:])
			err = st.Certify(certified(placeOf(s.a)))
		} else {
			v.Input[fmt.Sprintf("%02d apply", i)] = hex.EncodeToString(s.a.Signed().Event)
			err = st.Apply(s.a)
		}
	}
	v.Expect = expectation(err)
	if err != nil {
		v.Output = nil
		return v
	}
	for _, name := range []string{"ana", "thief"} {
		v.Output["rights of "+signing(name).ID().String()] = fmt.Sprint(uint8(st.KeyRights(signing(name).ID())))
	}
	var ids []string
	for id := range st.Grants() {
		ids = append(ids, id.String())
	}
	v.Output["grants"] = strings.Join(ids, " ")
	v.Output["heads"] = fmt.Sprint(len(st.Heads()))
	return v
}

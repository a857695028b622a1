package session_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
)

func expectation(err error) string {
	if err == nil {
		return "ok"
	}
	return string(reason(err))
}

// fixedAssertion asserts with a signature that is the same in every run (RFC
// 6979), which no authenticator promises but vectors need.
func fixedAssertion(t testing.TB, name, origin string, flags byte, challenge [32]byte) key.Assertion {
	t.Helper()
	scalar := seed(name)
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar[:])
	if err != nil {
		t.Fatal(err)
	}
	rp := sha256.Sum256([]byte(party.ID))
	auth := append(rp[:], flags, 0, 0, 0, 1)
	client := []byte(`{"type":"webauthn.get","challenge":"` + base64.RawURLEncoding.EncodeToString(challenge[:]) +
		`","origin":"` + origin + `","crossOrigin":false}`)
	clientHash := sha256.Sum256(client)
	sum := sha256.Sum256(append(append([]byte(nil), auth...), clientHash[:]...))
	sig, err := private.Sign(nil, sum[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return key.Assertion{Public: passkey(t, name).Public(), AuthData: auth, ClientData: client, Sig: sig}
}

func TestStatementVectors(t *testing.T) {
	a := newActors(t, actor.Clinician, actor.Bound)
	type change = func(*session.Statement)
	const good = 5 // user present and verified
	posture := func(change func(*actor.Posture)) func(*session.Signed) {
		return func(s *session.Signed) {
			p := a.posture()
			change(&p)
			s.Posture = p.Sign(signing("attest"))
		}
	}
	spoiled := map[string]func(*session.Signed){
		"no word of the device": func(s *session.Signed) { s.Device = nil },
		"the device signs another session": func(s *session.Signed) {
			s.Device = session.DeviceProof(signing("device sign"), abaton.SessionID{1})
		},
		"no posture":                 func(s *session.Signed) { s.Posture = nil },
		"posture of another device":  posture(func(p *actor.Posture) { p.Device[0] ^= 1 }),
		"posture for two days":       posture(func(p *actor.Posture) { p.Until = p.From + 48*3600 }),
		"forged posture":             func(s *session.Signed) { s.Posture[len(s.Posture)-1] ^= 1 },
		"a device that is not named": posture(func(*actor.Posture) {}),
	}
	var made []vector
	for _, c := range []struct {
		comment, signer, origin string
		flags                   byte
		change                  change
	}{
		{"valid", "ana", party.Origins[0], good, nil},
		{"version", "ana", party.Origins[0], good, func(s *session.Statement) { s.V = 2 }},
		{"no actor", "ana", party.Origins[0], good, func(s *session.Statement) { s.Actor = abaton.ActorID{} }},
		{"no session key", "ana", party.Origins[0], good, func(s *session.Statement) { s.Key = abaton.KeyID{} }},
		{"short reply key", "ana", party.Origins[0], good, func(s *session.Statement) { s.Reply = s.Reply[1:] }},
		{"ends as it begins", "ana", party.Origins[0], good, func(s *session.Statement) { s.Expires = s.NotBefore }},
		{"no keeper set", "ana", party.Origins[0], good, func(s *session.Statement) { s.Set = abaton.ActorID{} }},
		{"no checkpoint", "ana", party.Origins[0], good, func(s *session.Statement) { s.Checkpoints = nil }},
		{"six checkpoints", "ana", party.Origins[0], good, func(s *session.Statement) { s.Checkpoints = make([][]byte, 6) }},
		{"no nonce", "ana", party.Origins[0], good, func(s *session.Statement) { s.Nonce = [16]byte{} }},
		{"role with a line break", "ana", party.Origins[0], good, func(s *session.Statement) { s.Role = "a\nb" }},
		{"another passkey", "ben", party.Origins[0], good, nil},
		{"another origin", "ana", "https://abaton.evil", good, nil},
		{"user not verified", "ana", party.Origins[0], 1, nil},
		{"user not present", "ana", party.Origins[0], 4, nil},
		{"no word of the device", "ana", party.Origins[0], good, nil},
		{"the device signs another session", "ana", party.Origins[0], good, nil},
		{"no posture", "ana", party.Origins[0], good, nil},
		{"posture of another device", "ana", party.Origins[0], good, nil},
		{"posture for two days", "ana", party.Origins[0], good, nil},
		{"forged posture", "ana", party.Origins[0], good, nil},
		{"a device that is not named", "ana", party.Origins[0], good, func(s *session.Statement) { s.Device = abaton.ActorID{} }},
	} {
		st := a.statement()
		if c.change != nil {
			c.change(st)
		}
		bytes := st.Marshal()
		signed := &session.Signed{Statement: bytes, Assertion: fixedAssertion(t, c.signer, c.origin, c.flags, session.Challenge(bytes))}
		if st.Device != (abaton.ActorID{}) {
			signed.Device = session.DeviceProof(signing("device sign"), session.Challenge(bytes))
			signed.Posture = a.posture().Sign(signing("attest"))
		}
		if spoil := spoiled[c.comment]; spoil != nil {
			spoil(signed)
		}
		v := vector{Comment: c.comment, Source: "PROTOCOL.md#session", Input: map[string]string{
			"signed": hex.EncodeToString(signed.Marshal()), "rpID": party.ID, "origin": party.Origins[0]}}
		got, err := session.Authenticate(signed, party)
		v.Expect = expectation(err)
		if err == nil {
			v.Output = map[string]string{"id": got.ID().String()}
		}
		made = append(made, v)
	}
	checkVectors(t, "statement", made)
}

// handed is a hand-on of some grant.
var handed = abaton.Handed{From: abaton.ActorID{8}, ID: abaton.GrantID{9}}

func TestRequestVectors(t *testing.T) {
	a := newActors(t, actor.Patient, actor.Synced)
	s := a.session(a.statement())
	skew := int64(abaton.ClockSkewMax / time.Second)
	var made []vector
	for _, c := range []struct {
		comment, signer string
		change          func(*session.Request)
	}{
		{"release", "session", func(*session.Request) {}},
		{"list", "session", func(r *session.Request) { r.Mode, r.Rows, r.Lines = session.List, nil, []abaton.Line{{1}} }},
		{"parts", "session", func(r *session.Request) { r.Mode, r.Rows, r.Lines = session.Parts, nil, []abaton.Line{{1}} }},
		{"history", "session", func(r *session.Request) { r.Mode, r.Rows = session.History, nil }},
		{"another key", "stranger", func(*session.Request) {}},
		{"version", "session", func(r *session.Request) { r.V = 2 }},
		{"unknown mode", "session", func(r *session.Request) { r.Mode = 10 }},
		{"unknown purpose", "session", func(r *session.Request) { r.Purpose = "CURIOUS" }},
		{"no nonce", "session", func(r *session.Request) { r.Nonce = [16]byte{} }},
		{"release of nothing", "session", func(r *session.Request) { r.Rows = nil }},
		{"row without bits", "session", func(r *session.Request) { r.Rows[0].Bits = 0 }},
		{"batch twice", "session", func(r *session.Request) { r.Rows[1].Batch = r.Rows[0].Batch }},
		{"65 rows", "session", func(r *session.Request) { r.Rows = manyRows(65) }},
		{"list of no lines", "session", func(r *session.Request) { r.Mode, r.Rows = session.List, nil }},
		{"parts of no lines", "session", func(r *session.Request) { r.Mode, r.Rows = session.Parts, nil }},
		{"unseal", "session", func(r *session.Request) { r.Mode, r.Rows, r.Grant = session.Unseal, nil, abaton.GrantID{7} }},
		{"unseal of nothing", "session", func(r *session.Request) { r.Mode, r.Rows, r.Grant = session.Unseal, nil, abaton.GrantID{} }},
		{"emergency", "session", func(r *session.Request) { urgent(t, r, nil) }},
		{"emergency with another's word", "session", func(r *session.Request) { urgent(t, r, nil); r.Approval = approval(t, r, nil) }},
		{"emergency without a reason", "session", func(r *session.Request) { urgent(t, r, func(m *session.Emergency) { m.Urgency = 0 }) }},
		{"emergency for an unknown reason", "session", func(r *session.Request) { urgent(t, r, func(m *session.Emergency) { m.Urgency = 5 }) }},
		{"emergency in words that are not there", "session", func(r *session.Request) { urgent(t, r, func(m *session.Emergency) { m.Urgency = session.InWords }) }},
		{"emergency with words beside a reason", "session", func(r *session.Request) {
			urgent(t, r, func(m *session.Emergency) { m.Words = make([]byte, session.WordsSealedBytes) })
		}},
		{"emergency for treatment", "session", func(r *session.Request) { urgent(t, r, func(m *session.Emergency) { m.Purpose = abaton.Treatment }) }},
		{"emergency without a nonce", "session", func(r *session.Request) { urgent(t, r, func(m *session.Emergency) { m.Nonce = [16]byte{} }) }},
		{"emergency beside rows", "session", func(r *session.Request) { urgent(t, r, nil); r.Mode, r.Rows = session.Release, manyRows(1) }},
		{"another's word alone in an unsealing", "session", func(r *session.Request) { urgent(t, r, nil); r.Approval, r.Emergency = approval(t, r, nil), nil }},
		{"confirm", "session", func(r *session.Request) { confirm(t, r, nil) }},
		{"confirm nothing", "session", func(r *session.Request) { confirm(t, r, nil); r.Approval = nil }},
		{"confirm without a verdict", "session", func(r *session.Request) { confirm(t, r, func(p *session.Approval) { p.Verdict = 0 }) }},
		{"against what was not opened yet", "session", func(r *session.Request) {
			confirm(t, r, func(p *session.Approval) { p.Verdict, p.Opening = session.Wrong, [32]byte{} })
		}},
		{"confirm and open", "session", func(r *session.Request) { urgent(t, r, nil); r.Mode, r.Approval = session.Confirm, approval(t, r, nil) }},
		{"release by a hand-on", "session", func(r *session.Request) { r.Grant, r.Onward = abaton.GrantID{7}, handed }},
		{"by a hand-on of no grant", "session", func(r *session.Request) { r.Grant, r.Onward = abaton.GrantID{}, handed }},
		{"by a hand-on of nobody", "session", func(r *session.Request) { r.Grant, r.Onward = abaton.GrantID{7}, abaton.Handed{ID: handed.ID} }},
		{"history by a hand-on", "session", func(r *session.Request) {
			r.Mode, r.Rows, r.Grant, r.Onward = session.History, nil, abaton.GrantID{7}, handed
		}},
		{"unseal by a hand-on", "session", func(r *session.Request) {
			r.Mode, r.Rows, r.Grant, r.Onward = session.Unseal, nil, abaton.GrantID{7}, handed
		}},
		{"another session", "session", func(r *session.Request) { r.Session[0] ^= 1 }},
		{"too late", "session", func(r *session.Request) { r.Time -= skew + 1 }},
		{"too early", "session", func(r *session.Request) { r.Time += skew + 1 }},
	} {
		r := request(abaton.SessionID{1})
		r.Session = s.ID()
		c.change(r)
		data := r.Sign(signing(c.signer))
		id, sessionKey := s.ID(), signing("session").ID()
		v := vector{Comment: c.comment, Source: "PROTOCOL.md#request", Now: start.Unix(), Input: map[string]string{
			"signed": hex.EncodeToString(data), "session": id.String(), "key": sessionKey.String()}}
		asked, err := session.ParseRequest(data)
		if err == nil {
			err = asked.Authenticate(s, start)
		}
		v.Expect = expectation(err)
		if err == nil {
			h := asked.Hash()
			v.Output = map[string]string{"hash": hex.EncodeToString(h[:])}
		}
		made = append(made, v)
	}
	checkVectors(t, "request", made)
}

// TestReplyVectors opens one committed reply, and must not open it wrongly.
func TestReplyVectors(t *testing.T) {
	a := newActors(t, actor.Patient, actor.Synced)
	id, hash := a.session(a.statement()).ID(), [32]byte{1}
	enc, sealed := keptReply(t, a.session(a.statement()), hash)
	altered := append([]byte(nil), sealed...)
	altered[len(altered)-1] ^= 1
	var made []vector
	for _, c := range []struct {
		comment string
		id      abaton.SessionID
		x       abaton.KeeperIndex
		hash    [32]byte
		sealed  []byte
	}{
		{"the reader opens", id, 2, hash, sealed},
		{"another session", abaton.SessionID{1}, 2, hash, sealed},
		{"another keeper", id, 3, hash, sealed},
		{"another request", id, 2, [32]byte{2}, sealed},
		{"altered", id, 2, hash, altered},
	} {
		secret := seed("reply")
		v := vector{Comment: c.comment, Source: "PROTOCOL.md#sealed-reply", Expect: "ok", Input: map[string]string{
			"seed": hex.EncodeToString(secret[:]), "session": c.id.String(), "keeper": strconv.Itoa(int(c.x)), "enc": hex.EncodeToString(enc),
			"request": hex.EncodeToString(c.hash[:]), "sealed": hex.EncodeToString(c.sealed)}}
		ch, err := session.AcceptChannel(box("reply"), c.id, c.x, enc)
		if err != nil {
			t.Fatal(err)
		}
		s, err := session.ParseSealed(c.sealed)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ch.OpenReply(c.hash, s); err != nil {
			v.Expect = "sealed"
		} else {
			v.Output = map[string]string{"reply": string(got)}
		}
		made = append(made, v)
	}
	checkVectors(t, "reply", made)
}

func keptReply(t *testing.T, s *session.Session, hash [32]byte) (enc, sealed []byte) {
	t.Helper()
	enc, ok := keptInput(t, "reply", "enc")
	if ok {
		sealed, _ = keptInput(t, "reply", "sealed")
		return enc, sealed
	}
	ch, enc, err := session.OpenChannel(s, 2)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := ch.SealReply(hash, []byte("a parcel"))
	if err != nil {
		t.Fatal(err)
	}
	return enc, reply.Marshal()
}

// TestSeedVectors opens one committed hand-over of seeds to a session.
func TestSeedVectors(t *testing.T) {
	id, secret := abaton.SessionID{3}, seed("reply")
	bundles := []session.Bundle{{Patient: abaton.ActorID{1}, Grant: abaton.GrantID{2},
		Seeds: []grant.Seed{{Line: abaton.Line{1}, Level: 1, Epoch: 1, Seed: key.Secret{4}}}}}
	sealed, ok := keptInput(t, "seeds", "sealed")
	if !ok {
		var err error
		if sealed, err = session.SealSeeds(box("reply").Public(), id, bundles); err != nil {
			t.Fatal(err)
		}
	}
	var made []vector
	for _, c := range []struct {
		comment string
		id      abaton.SessionID
		sealed  []byte
	}{
		{"the session opens", id, sealed},
		{"another session", abaton.SessionID{4}, sealed},
		{"cut short", id, sealed[:len(sealed)-1]},
	} {
		v := vector{Comment: c.comment, Source: "PROTOCOL.md#session-seeds", Expect: "ok", Input: map[string]string{
			"seed": hex.EncodeToString(secret[:]), "session": c.id.String(), "sealed": hex.EncodeToString(c.sealed)}}
		got, err := session.OpenSeeds(box("reply"), c.id, c.sealed)
		if err != nil {
			v.Expect = "box"
		} else {
			v.Output = map[string]string{"patient": got[0].Patient.String(), "grant": got[0].Grant.String()}
		}
		made = append(made, v)
	}
	checkVectors(t, "seeds", made)
}

package key_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/abaton-health/abaton/key"
)

var rp = key.RelyingParty{ID: "portal.abaton.example", Origins: []string{"https://portal.abaton.example", "https://staff.abaton.example"}}

// parts is an assertion before it is signed, to be spoiled one part at a time.
type parts struct {
	rp         key.RelyingParty
	challenge  [32]byte
	signer     signer
	authData   []byte
	clientData []byte
	assertion  key.Assertion
}

const (
	userPresent  = 0x01
	userVerified = 0x04
	backedUp     = 0x18 // eligible for backup and backed up: a synced passkey
)

func authDataFor(rpID string, flags byte) []byte {
	h := sha256.Sum256([]byte(rpID))
	return append(h[:], flags, 0, 0, 0, 7)
}

func clientDataFor(challenge [32]byte, origin, rest string) []byte {
	return []byte(`{"type":"webauthn.get","challenge":"` + base64.RawURLEncoding.EncodeToString(challenge[:]) +
		`","origin":"` + origin + `"` + rest)
}

func (p *parts) sign() {
	client := sha256.Sum256(p.clientData)
	p.assertion.Sig = p.signer.sign(append(bytes.Clone(p.authData), client[:]...))
	p.assertion.AuthData, p.assertion.ClientData = p.authData, p.clientData
}

// assertionCase spoils an assertion before or after the device signs it.
type assertionCase struct {
	name   string
	want   string        // "ok" or the check that refuses
	make   func() signer // nil: ES256
	before func(*parts)
	after  func(*parts)
}

func (c assertionCase) build() *parts {
	if c.make == nil {
		c.make = newES256
	}
	p := &parts{rp: rp, challenge: sha256.Sum256([]byte("a statement")), signer: c.make()}
	p.assertion.Public = p.signer.public
	p.authData = authDataFor(rp.ID, userPresent|userVerified)
	p.clientData = clientDataFor(p.challenge, rp.Origins[0], `,"crossOrigin":false}`)
	if c.before != nil {
		c.before(p)
	}
	p.sign()
	if c.after != nil {
		c.after(p)
	}
	return p
}

func (c assertionCase) vector() assertionVector {
	p := c.build()
	name := p.assertion.Credential()
	return assertionVector{
		Comment: c.name, Source: "PROTOCOL.md#passkey", Challenge: hex.EncodeToString(p.challenge[:]),
		RPID: p.rp.ID, Origins: p.rp.Origins, Public: hex.EncodeToString(p.assertion.Public), Credential: hex.EncodeToString(name[:]),
		AuthData: hex.EncodeToString(p.assertion.AuthData), ClientData: hex.EncodeToString(p.assertion.ClientData),
		Sig: hex.EncodeToString(p.assertion.Sig), Expect: c.want,
	}
}

// client makes a case whose client data is text after the origin, or another
// text as a whole.
func client(name, want, origin, rest string) assertionCase {
	return assertionCase{name: name, want: want, before: func(p *parts) { p.clientData = clientDataFor(p.challenge, origin, rest) }}
}

func edited(name, want, old, new string) assertionCase {
	return assertionCase{name: name, want: want, before: func(p *parts) {
		if !bytes.Contains(p.clientData, []byte(old)) {
			panic("key_test: client data does not hold " + old)
		}
		p.clientData = bytes.Replace(p.clientData, []byte(old), []byte(new), 1)
	}}
}

func flags(name, want string, b byte) assertionCase {
	return assertionCase{name: name, want: want, before: func(p *parts) { p.authData = authDataFor(rp.ID, b) }}
}

func assertionCases(t *testing.T) []assertionCase {
	t.Helper()
	const first = "https://portal.abaton.example"
	return []assertionCase{
		{name: "as a device makes it", want: "ok"},
		client("second origin", "ok", rp.Origins[1], `,"crossOrigin":false}`),
		client("no crossOrigin member", "ok", first, `}`),
		client("a member added on purpose (Level 3, section 5.8.1.1)", "ok", first, `,"crossOrigin":false,"other_keys_can_be_added_here":"x"}`),
		flags("synced passkey", "ok", userPresent|userVerified|backedUp),
		{name: "extensions after the authenticator data", want: "ok", before: func(p *parts) { p.authData = append(p.authData, 0xa0) }},

		client("origin of another site", "origin", "https://portal.abaton.example.evil.example", `,"crossOrigin":false}`),
		client("origin as a prefix", "origin", "https://portal.abaton.exampl", `,"crossOrigin":false}`),
		client("plain http", "origin", "http://portal.abaton.example", `,"crossOrigin":false}`),
		client("origin with a port", "origin", first+":8443", `,"crossOrigin":false}`),
		client("origin with a path", "origin", first+"/", `,"crossOrigin":false}`),
		client("origin in capitals", "origin", strings.ToUpper(first), `,"crossOrigin":false}`),
		client("origin of the sub-domain", "origin", "https://a.portal.abaton.example", `,"crossOrigin":false}`),
		client("crossOrigin true", "origin", first, `,"crossOrigin":true}`),
		client("crossOrigin true, then a member", "origin", first, `,"crossOrigin":true,"topOrigin":"https://evil.example"}`),
		client("crossOrigin in quotes", "origin", first, `,"crossOrigin":"false"}`),
		client("crossOrigin begins like false", "origin", first, `,"crossOrigin":falsehood}`),
		client("another member before crossOrigin", "origin", first, `,"topOrigin":"https://evil.example","crossOrigin":false}`),
		client("white space after the origin", "origin", first, ` ,"crossOrigin":false}`),
		client("client data ends after the origin", "origin", first, ``),
		client("bytes after the closing brace", "origin", first, `}x`),
		{name: "relying party without origins", want: "origin", after: func(p *parts) { p.rp.Origins = nil }},
		{name: "relying party with an origin that JSON escapes", want: "origin", before: func(p *parts) {
			p.rp.Origins = []string{`x","crossOrigin":false,"`}
			p.clientData = clientDataFor(p.challenge, p.rp.Origins[0], `,"crossOrigin":false}`)
		}},
		{name: "relying party with an empty origin", want: "origin", before: func(p *parts) {
			p.rp.Origins = []string{""}
			p.clientData = clientDataFor(p.challenge, "", `,"crossOrigin":false}`)
		}},

		edited("registration, not assertion", "challenge", "webauthn.get", "webauthn.create"),
		edited("payment, not assertion", "challenge", "webauthn.get", "payment.get"),
		edited("type name in capitals", "challenge", `"type"`, `"Type"`),
		edited("white space in front", "challenge", `{"type"`, ` {"type"`),
		edited("white space after a colon", "challenge", `"type":`, `"type": `),
		edited("type twice", "challenge", `"challenge"`, `"type":"webauthn.get","challenge"`),
		edited("challenge after the origin", "challenge", `"challenge"`, `"origin":"https://portal.abaton.example","challenge"`),
		edited("escaped character in the type", "challenge", `webauthn`, `web\u0061uthn`),
		edited("challenge with padding", "challenge", `","origin"`, `=","origin"`),
		{name: "challenge of another statement", want: "challenge", before: func(p *parts) {
			p.clientData = clientDataFor(sha256.Sum256([]byte("another")), rp.Origins[0], `,"crossOrigin":false}`)
		}},
		{name: "another statement is shown", want: "challenge", after: func(p *parts) { p.challenge[31] ^= 1 }},
		{name: "no client data", want: "challenge", before: func(p *parts) { p.clientData = nil }},
		{name: "client data not JSON", want: "challenge", before: func(p *parts) { p.clientData = []byte("webauthn.get") }},

		{name: "another relying party", want: "relying party", before: func(p *parts) { p.authData = authDataFor("evil.example", userPresent|userVerified) }},
		{name: "relying party without id", want: "relying party", before: func(p *parts) {
			p.rp.ID = ""
			p.authData = authDataFor("", userPresent|userVerified)
		}},
		flags("user not verified", "user verification", userPresent),
		flags("user verified but not present", "user verification", userVerified),
		flags("no flags", "user verification", 0),
		flags("backed up although it does not sync", "backup state", userPresent|userVerified|0x10),
		flags("all flags but the two", "user verification", 0xff&^(userPresent|userVerified)),
		{name: "authenticator data cut short", want: "authenticator data", before: func(p *parts) { p.authData = p.authData[:36] }},
		{name: "no authenticator data", want: "authenticator data", before: func(p *parts) { p.authData = nil }},

		{name: "signature flipped", want: "signature", after: func(p *parts) { p.assertion.Sig[len(p.assertion.Sig)-1] ^= 1 }},
		{name: "signature cut short", want: "signature", after: func(p *parts) { p.assertion.Sig = p.assertion.Sig[:len(p.assertion.Sig)-1] }},
		{name: "bytes after the signature", want: "signature", after: func(p *parts) { p.assertion.Sig = append(p.assertion.Sig, 0) }},
		{name: "no signature", want: "signature", after: func(p *parts) { p.assertion.Sig = nil }},
		{name: "signature of zeros", want: "signature", after: func(p *parts) { p.assertion.Sig = []byte{0x30, 6, 2, 1, 0, 2, 1, 0} }},
		{name: "counter altered after signing", want: "signature", after: func(p *parts) {
			p.assertion.AuthData = bytes.Clone(p.assertion.AuthData)
			p.assertion.AuthData[36] ^= 1
		}},
		{name: "member added after signing", want: "signature", after: func(p *parts) {
			p.assertion.ClientData = clientDataFor(p.challenge, rp.Origins[0], `,"crossOrigin":false,"a":1}`)
		}},
		{name: "origin altered to another allowed one after signing", want: "signature", after: func(p *parts) {
			p.assertion.ClientData = clientDataFor(p.challenge, rp.Origins[1], `,"crossOrigin":false}`)
		}},
		{name: "credential of another passkey", want: "signature", after: func(p *parts) {
			p.assertion.Public = newES256().public
		}},
		{name: "another passkey's ES256 signature under EdDSA", want: "signature", after: func(p *parts) { p.assertion.Public = newEdDSA().public }},
	}
}

func TestAssertionVerify(t *testing.T) {
	for _, c := range append(assertionCases(t), algorithmCases()...) {
		t.Run(c.name, func(t *testing.T) {
			p := c.build()
			err := p.assertion.Verify(p.challenge, p.rp)
			switch {
			case c.want == "ok" && err != nil:
				t.Errorf("got %v, want it to hold", err)
			case c.want != "ok" && !errors.Is(err, key.ErrAssertion):
				t.Errorf("got %v, want ErrAssertion", err)
			case c.want != "ok" && !strings.HasPrefix(err.Error(), c.want+": "):
				t.Errorf("got %q, want it refused by the check of the %s", err, c.want)
			}
		})
	}
}

func TestPasskey(t *testing.T) {
	p, err := key.NewPasskey(rp)
	if err != nil {
		t.Fatal(err)
	}
	again, err := key.ParsePasskey(p.Bytes(), rp)
	if err != nil || again.Credential() != p.Credential() {
		t.Fatalf("parse: got %v, want the same credential", err)
	}
	challenge := sha256.Sum256([]byte("x"))
	a, err := again.Assert(challenge)
	if err != nil {
		t.Fatal(err)
	}
	if a.Credential() != p.Credential() || a.Synced() {
		t.Error("assertion: got another credential, want the passkey's")
	}
	if err := a.Verify(challenge, rp); err != nil {
		t.Errorf("verify: got %v, want it to hold", err)
	}
	b, err := p.WithSync().Assert(challenge)
	if err != nil || !b.Synced() || b.Verify(challenge, rp) != nil || b.Credential() != p.Credential() {
		t.Errorf("a passkey that syncs: got %v, want the same passkey saying so", err)
	}
	if err := a.Verify(sha256.Sum256([]byte("y")), rp); !errors.Is(err, key.ErrAssertion) {
		t.Errorf("other challenge: got %v, want ErrAssertion", err)
	}
}

func TestPasskeyRefuses(t *testing.T) {
	for name, bad := range map[string]key.RelyingParty{"no id": {Origins: rp.Origins}, "no origin": {ID: rp.ID}} {
		if _, err := key.NewPasskey(bad); !errors.Is(err, key.ErrKey) {
			t.Errorf("relying party with %s: got %v, want ErrKey", name, err)
		}
	}
	for name, scalar := range map[string][]byte{"nothing": nil, "zero": make([]byte, 32), "short": make([]byte, 31), "over the order": bytes.Repeat([]byte{0xff}, 32)} {
		if _, err := key.ParsePasskey(scalar, rp); !errors.Is(err, key.ErrKey) {
			t.Errorf("scalar %s: got %v, want ErrKey", name, err)
		}
	}
}

// FuzzClientData changes client data after the device signed it: only the
// very bytes that were signed may hold.
func FuzzClientData(f *testing.F) {
	good := assertionCase{}.build()
	f.Add(good.clientData)
	f.Add(clientDataFor(good.challenge, rp.Origins[0], `}`))
	f.Add([]byte(`{"type":"webauthn.get"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		a := good.assertion
		a.ClientData = data
		if err := a.Verify(good.challenge, rp); err == nil && !bytes.Equal(data, good.clientData) {
			t.Error("client data held that the device never signed")
		}
	})
}

// FuzzOrigin signs any client data: what holds begins with the one prefix for
// an allowed origin and is followed by nothing that makes it cross-origin.
func FuzzOrigin(f *testing.F) {
	f.Add(rp.Origins[0], `,"crossOrigin":false}`)
	f.Add(rp.Origins[1], `}`)
	f.Add("https://evil.example", `,"crossOrigin":true}`)
	f.Fuzz(func(t *testing.T, origin, rest string) {
		p := client("", "", origin, rest).build()
		if p.assertion.Verify(p.challenge, p.rp) != nil {
			return
		}
		text := string(p.clientData)
		for _, allowed := range rp.Origins {
			prefix := string(clientDataFor(p.challenge, allowed, ""))
			after, ok := strings.CutPrefix(text, prefix)
			if ok && (after == "}" || strings.HasPrefix(after, `,"crossOrigin":false`)) {
				return
			}
		}
		t.Errorf("client data held for an origin that is not allowed: %q", origin)
	})
}

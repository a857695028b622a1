package gateway

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/attest"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// authenticator vouches for passkeys as a maker's security key does.
type authenticator struct {
	t     *testing.T
	key   *ecdsa.PrivateKey
	chain [][]byte
	roots *x509.CertPool
	model attest.Model
}

func newAuthenticator(t *testing.T) *authenticator {
	t.Helper()
	a := &authenticator{t: t, roots: x509.NewCertPool(), model: attest.Model{7}}
	now := time.Now()
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Root"}, NotBefore: now.Add(-time.Hour),
		NotAfter: now.Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: root.NotBefore, NotAfter: root.NotAfter, BasicConstraintsValid: true,
		Subject: pkix.Name{Country: []string{"SE"}, Organization: []string{"Maker"}, OrganizationalUnit: []string{"Authenticator Attestation"}, CommonName: "Key"}}
	maker, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	own, err2 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	a.key = own
	rootDER, err1 := x509.CreateCertificate(rand.Reader, root, root, maker.Public(), maker)
	leafDER, err2 := x509.CreateCertificate(rand.Reader, leaf, root, own.Public(), maker)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	c, err := x509.ParseCertificate(rootDER)
	if err != nil {
		t.Fatal(err)
	}
	a.roots.AddCert(c)
	a.chain = [][]byte{leafDER}
	return a
}

// register vouches for a passkey made for a ticket.
func (a *authenticator) register(p *key.Passkey, ticket []byte, flags byte) attested {
	a.t.Helper()
	rp := sha256.Sum256([]byte(custodytest.RelyingParty.ID))
	auth := append(append(rp[:], flags, 0, 0, 0, 0), a.model[:]...)
	auth = append(auth, 0, 2, 1, 1, 0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32)
	point := p.Public()[2:]
	auth = append(append(append(auth, point[:32]...), 0x22, 0x58, 32), point[32:]...)
	challenge := wire.Hash(wire.Enrolment, ticket)
	client := []byte(`{"type":"webauthn.create","challenge":"` + base64.RawURLEncoding.EncodeToString(challenge[:]) + `","origin":"` + custodytest.RelyingParty.Origins[0] + `","crossOrigin":false}`)
	clientSum := sha256.Sum256(client)
	sum := sha256.Sum256(append(bytes.Clone(auth), clientSum[:]...))
	sig, err := ecdsa.SignASN1(rand.Reader, a.key, sum[:])
	if err != nil {
		a.t.Fatal(err)
	}
	object := wire.Marshal(map[string]any{"fmt": "packed", "attStmt": map[string]any{"alg": -7, "sig": sig, "x5c": a.chain}, "authData": auth})
	return attested{Ticket: login.Encode(ticket), Object: login.Encode(object), ClientData: login.Encode(client)}
}

const attestedFlags = 0x45 // user present and verified, credential attested

func (w *world) ticketOf(k *key.Signing, change func(*actor.Invitation)) []byte {
	v := actor.Invitation{Organisation: w.org.id, Kind: actor.Clinician, Expires: time.Now().Add(time.Hour).Unix()}
	rand.Read(v.Nonce[:])
	if change != nil {
		change(&v)
	}
	return v.Ticket(k)
}

// clinicianOf makes a clinician's enrolment as web/ does.
func (w *world) clinicianOf(d *device, invitation []byte) (enrolment, *actor.Inception) {
	w.t.Helper()
	secret, id := key.NewSecret(), []byte{1, 1}
	d.root = key.NewRoot(secret)
	d.signing, d.box = key.SigningFromSeed(d.root.ManageSeed()), key.BoxFromSeed(d.root.BoxSeed())
	in := w.inception(d, w.keepers.Set.ID())
	in.Invitation = invitation
	wrap, err := key.WrapRoot(key.NewSecret(), secret, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return enrolment{Event: login.Encode(d.sign(in)), CredentialID: login.Encode(append(id, d.passkey.Public()[2])), Wrap: login.Encode(wrap)}, in
}

// TestClinicianEnrols with a key that the clinic takes, and signs in with it.
func TestClinicianEnrols(t *testing.T) {
	w := newWorld(t)
	a := newAuthenticator(t)
	w.gateway.authenticators = attest.Policy{Models: []attest.Model{a.model}, Roots: a.roots}
	open := &caller{w: w}
	d := w.device(actor.Clinician)
	ticket := w.ticketOf(w.org.signing, nil)
	var given struct{ Invitation string }
	open.want(http.StatusOK, "POST", "/portal/attest", jsonText(t, a.register(d.passkey, ticket, attestedFlags)), &given)
	invitation, err := login.Decode(given.Invitation)
	if err != nil {
		t.Fatal(err)
	}

	// The invitation is for that passkey: another one is refused, also by keepers.
	other := w.device(actor.Clinician)
	e, in := w.clinicianOf(other, invitation)
	open.want(http.StatusBadRequest, "POST", "/portal/enrol", jsonText(t, e), nil)
	if _, err := w.net.Publish(t.Context(), other.sign(in)); err == nil {
		t.Error("keepers let in a passkey that the invitation does not name")
	}
	// Nor does the gateway take a clinician whom it did not look at.
	plain := actor.Invitation{Organisation: w.org.id, Kind: actor.Clinician, Expires: time.Now().Add(time.Hour).Unix(), Nonce: [16]byte{5}}
	e, _ = w.clinicianOf(other, plain.Sign(w.org.signing))
	open.want(http.StatusBadRequest, "POST", "/portal/enrol", jsonText(t, e), nil)

	e, _ = w.clinicianOf(d, invitation)
	open.want(http.StatusOK, "POST", "/portal/enrol", jsonText(t, e), nil)
	if got := mustLog(t, w, d.id); got.Kind() != actor.Clinician || got.CredentialClass(d.passkey.Credential()) != actor.Bound {
		t.Errorf("enrolled: got kind %d, want a clinician with a bound passkey", got.Kind())
	}
	w.at(d)
	w.takeOn(d, abaton.RolePhysician, abaton.ActorID{})
	w.signIn(d)

	// A ticket lets in one.
	open.want(http.StatusOK, "POST", "/portal/attest", jsonText(t, a.register(other.passkey, ticket, attestedFlags)), &given)
	if invitation, err = login.Decode(given.Invitation); err != nil {
		t.Fatal(err)
	}
	e, _ = w.clinicianOf(other, invitation)
	open.want(http.StatusForbidden, "POST", "/portal/enrol", jsonText(t, e), nil)
}

func TestAttestationsRefused(t *testing.T) {
	w := newWorld(t)
	a := newAuthenticator(t)
	policy := attest.Policy{Models: []attest.Model{a.model}, Roots: a.roots}
	d := w.device(actor.Clinician)
	good := w.ticketOf(w.org.signing, nil)
	tests := []struct {
		name   string
		status int
		policy attest.Policy
		make   func() attested
	}{
		{"no policy", 403, attest.Policy{}, func() attested { return a.register(d.passkey, good, attestedFlags) }},
		{"another maker", 403, policy, func() attested { return newAuthenticator(t).register(d.passkey, good, attestedFlags) }},
		{"synced", 403, policy, func() attested { return a.register(d.passkey, good, attestedFlags|8) }},
		{"user not verified", 403, policy, func() attested { return a.register(d.passkey, good, attestedFlags&^4) }},
		{"ticket of a stranger", 403, policy, func() attested {
			return a.register(d.passkey, w.ticketOf(key.NewSigning(), nil), attestedFlags)
		}},
		{"ticket by the gateway's own key", 403, policy, func() attested {
			return a.register(d.passkey, w.ticketOf(w.org.writer, nil), attestedFlags)
		}},
		{"ticket run out", 403, policy, func() attested {
			return a.register(d.passkey, w.ticketOf(w.org.signing, func(v *actor.Invitation) { v.Expires = time.Now().Add(-time.Hour).Unix() }), attestedFlags)
		}},
		{"ticket for a patient", 403, policy, func() attested {
			return a.register(d.passkey, w.ticketOf(w.org.signing, func(v *actor.Invitation) { v.Kind = actor.Patient }), attestedFlags)
		}},
		{"ticket of another clinic", 403, policy, func() attested {
			return a.register(d.passkey, w.ticketOf(w.org.signing, func(v *actor.Invitation) { v.Organisation = abaton.ActorID{1} }), attestedFlags)
		}},
		{"an invitation, no ticket", 403, policy, func() attested {
			v := actor.Invitation{Organisation: w.org.id, Kind: actor.Clinician, Expires: time.Now().Add(time.Hour).Unix(), Nonce: [16]byte{1}}
			return a.register(d.passkey, v.Sign(w.org.signing), attestedFlags)
		}},
		{"not base64url", 400, policy, func() attested {
			in := a.register(d.passkey, good, attestedFlags)
			in.Object += "="
			return in
		}},
	}
	for _, tt := range tests {
		w.gateway.authenticators = tt.policy
		resp := (&caller{w: w}).do("POST", "/portal/attest", jsonText(t, tt.make()))
		resp.Body.Close()
		if resp.StatusCode != tt.status {
			t.Errorf("%s: got %d, want %d", tt.name, resp.StatusCode, tt.status)
		}
	}
	// A credential as a whole, with what its PRF gave, is not read at all.
	whole := strings.Replace(jsonText(t, a.register(d.passkey, good, attestedFlags)), "{", `{"clientExtensionResults":{"prf":{"results":{"first":"AA"}}},`, 1)
	(&caller{w: w}).want(http.StatusBadRequest, "POST", "/portal/attest", whole, nil)
}

package attest_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton/internal/attest"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

var (
	rp    = key.RelyingParty{ID: "clinic.example", Origins: []string{"https://clinic.example"}}
	model = attest.Model{1, 2, 3}
	now   = time.Unix(1_800_000_000, 0)
)

func must[T any](v T, err error) T {
	if err != nil {
		panic("attest_test: " + err.Error())
	}
	return v
}

// maker is a maker of authenticators with its own root.
type maker struct {
	key  *ecdsa.PrivateKey
	root *x509.Certificate
	der  []byte
}

func newMaker() maker {
	k := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	t := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Root"}, NotBefore: now.Add(-time.Hour),
		NotAfter: now.Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der := must(x509.CreateCertificate(rand.Reader, t, t, k.Public(), k))
	return maker{key: k, root: must(x509.ParseCertificate(der)), der: der}
}

func (m maker) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(m.root)
	return p
}

// parts is a registration before it is signed.
type parts struct {
	maker      maker
	leaf       x509.Certificate
	model      attest.Model
	rpID       string
	flags      byte
	key        []byte // COSE
	extra      []byte
	algorithm  int64
	format     string
	clientData []byte
	challenge  [32]byte
	policy     attest.Policy
	now        time.Time
	after      func(*statement)
	object     []byte // instead of what is made
}

type statement struct {
	Algorithm int64    `cbor:"alg"`
	Sig       []byte   `cbor:"sig"`
	Chain     [][]byte `cbor:"x5c"`
}

type object struct {
	Format    string    `cbor:"fmt"`
	Statement statement `cbor:"attStmt"`
	AuthData  []byte    `cbor:"authData"`
}

func newParts(m maker) *parts {
	point := must(must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)).PublicKey.Bytes())
	p := &parts{maker: m, model: model, rpID: rp.ID, flags: 0x45, algorithm: -7, format: "packed", now: now, challenge: sha256.Sum256([]byte("ticket")),
		policy: attest.Policy{Models: []attest.Model{{9}, model}, Roots: m.pool()}}
	p.key = append([]byte{0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32}, point[1:33]...)
	p.key = append(append(p.key, 0x22, 0x58, 32), point[33:]...)
	p.clientData = clientData("webauthn.create", p.challenge, rp.Origins[0])
	p.leaf = x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), BasicConstraintsValid: true,
		Subject: pkix.Name{Country: []string{"SE"}, Organization: []string{"Maker"}, OrganizationalUnit: []string{"Authenticator Attestation"}, CommonName: "Key"}}
	p.aaguid(model[:], false)
	return p
}

func (p *parts) aaguid(b []byte, critical bool) {
	p.leaf.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 45724, 1, 1, 4}, Critical: critical, Value: must(asn1.Marshal(b))}}
}

func clientData(kind string, challenge [32]byte, origin string) []byte {
	return []byte(`{"type":"` + kind + `","challenge":"` + base64.RawURLEncoding.EncodeToString(challenge[:]) + `","origin":"` + origin + `","crossOrigin":false}`)
}

func (p *parts) registration() attest.Registration {
	if p.object != nil {
		return attest.Registration{Object: p.object, ClientData: p.clientData}
	}
	hash := sha256.Sum256([]byte(p.rpID))
	auth := append(hash[:], p.flags, 0, 0, 0, 0)
	auth = append(append(auth, p.model[:]...), 0, 4, 7, 7, 7, 7)
	auth = append(append(auth, p.key...), p.extra...)
	client := sha256.Sum256(p.clientData)
	sum := sha256.Sum256(append(bytes.Clone(auth), client[:]...))
	var signer crypto.Signer = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	if p.algorithm == -257 {
		signer = must(rsa.GenerateKey(rand.Reader, 2048))
	}
	der := must(x509.CreateCertificate(rand.Reader, &p.leaf, p.maker.root, signer.Public(), p.maker.key))
	s := statement{Algorithm: p.algorithm, Sig: must(signer.Sign(rand.Reader, sum[:], crypto.SHA256)), Chain: [][]byte{der}}
	if p.after != nil {
		p.after(&s)
	}
	return attest.Registration{Object: wire.Marshal(object{Format: p.format, Statement: s, AuthData: auth}), ClientData: p.clientData}
}

func TestVerify(t *testing.T) {
	own, foreign := newMaker(), newMaker()
	rsaKey := func(p *parts) {
		n := must(rsa.GenerateKey(rand.Reader, 2048)).N.Bytes()
		p.key = append(append([]byte{0xa4, 1, 3, 3, 0x39, 1, 0, 0x20, 0x59, 1, 0}, n...), 0x21, 0x43, 1, 0, 1)
	}
	tests := []struct {
		name, want string
		change     func(*parts)
	}{
		{"a security key", "", nil},
		{"with extensions", "", func(p *parts) { p.flags, p.extra = p.flags|0x80, []byte{0xa0} }},
		{"vouched for with RSA", "", func(p *parts) { p.algorithm = -257 }},
		{"an RS256 passkey", "", rsaKey},
		{"certificate without a model", "", func(p *parts) { p.leaf.ExtraExtensions = nil }},

		{"zero policy", "model", func(p *parts) { p.policy = attest.Policy{} }},
		{"models without roots", "chain", func(p *parts) { p.policy.Roots = nil }},
		{"model not taken", "model", func(p *parts) { p.model = attest.Model{8}; p.aaguid(p.model[:], false) }},
		{"model of zeros, even if listed", "model", func(p *parts) {
			p.model, p.policy.Models = attest.Model{}, []attest.Model{{}}
			p.aaguid(p.model[:], false)
		}},
		{"another maker", "chain", func(p *parts) { p.maker = foreign }},
		{"certificate run out", "chain", func(p *parts) { p.now = now.Add(2 * time.Hour) }},
		{"no certificate", "chain", func(p *parts) { p.after = func(s *statement) { s.Chain = nil } }},
		{"six certificates", "chain", func(p *parts) {
			p.after = func(s *statement) { s.Chain = append(s.Chain, own.der, own.der, own.der, own.der, own.der) }
		}},
		{"certificate that is none", "chain", func(p *parts) { p.after = func(s *statement) { s.Chain = [][]byte{{1}} } }},
		{"certificate of another model", "certificate", func(p *parts) { p.aaguid([]byte("another model 16"), false) }},
		{"critical model", "chain", func(p *parts) { p.aaguid(model[:], true) }},
		{"certificate of another use", "certificate", func(p *parts) { p.leaf.Subject.OrganizationalUnit = []string{"Web"} }},
		{"certificate without a country", "certificate", func(p *parts) { p.leaf.Subject.Country = nil }},
		{"certificate of an authority", "certificate", func(p *parts) { p.leaf.IsCA = true }},
		{"forged signature", "signature", func(p *parts) { p.after = func(s *statement) { s.Sig[len(s.Sig)-1] ^= 1 } }},
		{"another algorithm named", "signature", func(p *parts) { p.after = func(s *statement) { s.Algorithm = -257 } }},
		{"unknown algorithm", "signature", func(p *parts) { p.after = func(s *statement) { s.Algorithm = -65535 } }},
		{"synced", "synced", func(p *parts) { p.flags |= 8 }},
		{"backed up", "synced", func(p *parts) { p.flags |= 16 }},
		{"user not verified", "user verification", func(p *parts) { p.flags &^= 4 }},
		{"user not present", "user verification", func(p *parts) { p.flags &^= 1 }},
		{"no credential", "user verification", func(p *parts) { p.flags &^= 64 }},
		{"another relying party", "relying party", func(p *parts) { p.rpID = "evil.example" }},
		{"extensions not announced", "authenticator data", func(p *parts) { p.extra = []byte{0xa0} }},
		{"extensions announced and not there", "authenticator data", func(p *parts) { p.flags |= 0x80 }},
		{"key off the curve", "public key", func(p *parts) { p.key[len(p.key)-1] ^= 1 }},
		{"key of another form", "public key", func(p *parts) { p.key[1] = 3 }},
		{"key cut short", "public key", func(p *parts) { p.key = p.key[:40] }},
		{"self-signed", "form", func(p *parts) {
			p.object = wire.Marshal(map[string]any{"fmt": "packed", "attStmt": map[string]any{"alg": -7, "sig": []byte{1}}, "authData": []byte{1}})
		}},
		{"none", "form", func(p *parts) {
			p.object = wire.Marshal(map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": []byte{1}})
		}},
		{"nothing", "form", func(p *parts) { p.object = []byte{} }},
		{"too long", "form", func(p *parts) { p.object = make([]byte, attest.ObjectBytesMax+1) }},
		{"another format", "format", func(p *parts) { p.format = "tpm" }},
		{"assertion, not registration", "client data", func(p *parts) { p.clientData = clientData("webauthn.get", p.challenge, rp.Origins[0]) }},
		{"of another ticket", "client data", func(p *parts) { p.clientData = clientData("webauthn.create", [32]byte{1}, rp.Origins[0]) }},
		{"at another origin", "client data", func(p *parts) { p.clientData = clientData("webauthn.create", p.challenge, "https://evil.example") }},
	}
	for _, tt := range tests {
		p := newParts(own)
		if tt.change != nil {
			tt.change(p)
		}
		made, err := attest.Verify(p.registration(), p.challenge, rp, p.policy, p.now)
		switch {
		case tt.want == "" && (err != nil || !made.Public.Valid() || made.Model != model || !bytes.Equal(made.CredentialID, []byte{7, 7, 7, 7})):
			t.Errorf("%s: got %v, want it taken", tt.name, err)
		case tt.want != "" && (!errors.Is(err, attest.ErrAttestation) || !strings.HasPrefix(err.Error(), tt.want+": ")):
			t.Errorf("%s: got %v, want it refused by the check of the %s", tt.name, err, tt.want)
		}
	}
}

// FuzzVerify: no object panics, and none is taken that nobody vouched for.
func FuzzVerify(f *testing.F) {
	p := newParts(newMaker())
	good := p.registration()
	f.Add(good.Object)
	f.Add(wire.Marshal(object{Format: "packed"}))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := attest.Registration{Object: data, ClientData: good.ClientData}
		if _, err := attest.Verify(r, p.challenge, rp, p.policy, now); err == nil && !bytes.Equal(data, good.Object) {
			t.Error("an object was taken that no authenticator made")
		}
	})
}

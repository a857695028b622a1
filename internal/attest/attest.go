// Package attest checks how a passkey was made: which model of authenticator,
// vouched for by its maker, that it cannot leave its device, and that it was
// made for this very enrolment (WebAuthn Level 3, sections 7.1 and 8.2).
//
//	p := attest.Policy{Models: models, Roots: roots}
//	made, err := attest.Verify(registration, challenge, rp, p, now)
//
// Only the format "packed" with a certificate is taken, which security keys
// give; self-signed and absent attestations prove nothing, and those of
// platforms (tpm, apple, android-key) are refused for now. It does not know
// which models were withdrawn since: the policy's owner does.
package attest

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// ErrAttestation says that a passkey is not one the policy takes; the text
// names the check.
var ErrAttestation = errors.New("attestation does not hold")

// Model is an authenticator's AAGUID: what its maker calls this model.
type Model [16]byte

// Policy is which authenticators an organisation takes. The zero Policy takes
// none.
type Policy struct {
	Models []Model
	Roots  *x509.CertPool // of their makers
}

// Registration is what a browser sends of a new passkey, and no more.
type Registration struct {
	Object     []byte // attestation object
	ClientData []byte
}

// Made is a passkey that the policy takes.
type Made struct {
	Public       key.Public
	CredentialID []byte
	Model        Model
}

// Limits of a registration, in bytes.
const (
	// ObjectBytesMax is the largest attestation object: a chain of five.
	ObjectBytesMax = 16 << 10
	chainMax       = 5
)

type object struct {
	Format    string    `cbor:"fmt"`
	Statement statement `cbor:"attStmt"`
	AuthData  []byte    `cbor:"authData"`
}

type statement struct {
	Algorithm int64    `cbor:"alg"`
	Sig       []byte   `cbor:"sig"`
	Chain     [][]byte `cbor:"x5c"`
}

func refuse(check string) error { return fmt.Errorf("%s: %w", check, ErrAttestation) }

// Verify checks everything; ErrAttestation with the check that refuses.
func Verify(r Registration, challenge [32]byte, rp key.RelyingParty, p Policy, now time.Time) (*Made, error) {
	if err := key.CheckClientData(r.ClientData, key.ClientCreate, challenge, rp.Origins); err != nil {
		return nil, refuse("client data")
	}
	var o object
	if len(r.Object) > ObjectBytesMax || wire.Unmarshal(r.Object, &o) != nil {
		return nil, refuse("form") // self-signed and absent ones have another form
	}
	if o.Format != "packed" {
		return nil, refuse("format")
	}
	made, err := readAuthData(o.AuthData, rp.ID)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(p.Models, made.Model) || made.Model == (Model{}) {
		return nil, refuse("model")
	}
	leaf, err := p.chain(o.Statement.Chain, now)
	if err != nil {
		return nil, err
	}
	if err := checkLeaf(leaf, made.Model); err != nil {
		return nil, err
	}
	client := sha256.Sum256(r.ClientData)
	if err := checkSignature(leaf, o.Statement, append(bytes.Clone(o.AuthData), client[:]...)); err != nil {
		return nil, err
	}
	return made, nil
}

func checkSignature(leaf *x509.Certificate, s statement, signed []byte) error {
	algorithm := x509.UnknownSignatureAlgorithm
	switch s.Algorithm {
	case -7:
		algorithm = x509.ECDSAWithSHA256
	case -257:
		algorithm = x509.SHA256WithRSA
	}
	if leaf.CheckSignature(algorithm, signed, s.Sig) != nil {
		return refuse("signature")
	}
	return nil
}

// chain is the leaf of a chain that leads to one of the policy's roots.
func (p *Policy) chain(der [][]byte, now time.Time) (*x509.Certificate, error) {
	if p.Roots == nil || len(der) == 0 || len(der) > chainMax {
		return nil, refuse("chain")
	}
	between := x509.NewCertPool()
	var leaf *x509.Certificate
	for i, b := range der {
		c, err := x509.ParseCertificate(b)
		if err != nil {
			return nil, refuse("chain")
		}
		if i == 0 {
			leaf = c
			continue
		}
		between.AddCert(c)
	}
	how := x509.VerifyOptions{Roots: p.Roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	if _, err := leaf.Verify(how); err != nil {
		return nil, refuse("chain")
	}
	return leaf, nil
}

// checkLeaf: WebAuthn Level 3, section 8.2.1.
func checkLeaf(leaf *x509.Certificate, model Model) error {
	unit := leaf.Subject.OrganizationalUnit
	if leaf.Version != 3 || leaf.IsCA || !leaf.BasicConstraintsValid || len(unit) != 1 || unit[0] != "Authenticator Attestation" ||
		len(leaf.Subject.Country) != 1 || len(leaf.Subject.Organization) != 1 || leaf.Subject.CommonName == "" {
		return refuse("certificate")
	}
	for _, e := range leaf.Extensions {
		if !e.Id.Equal(aaguidExtension()) {
			continue
		}
		var inside []byte
		if rest, err := asn1.Unmarshal(e.Value, &inside); err != nil || len(rest) > 0 || e.Critical || !bytes.Equal(inside, model[:]) {
			return refuse("certificate")
		}
	}
	return nil
}

// aaguidExtension is id-fido-gen-ce-aaguid.
func aaguidExtension() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 45724, 1, 1, 4}
}

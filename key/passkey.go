package key

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// ErrAssertion says that a passkey assertion does not hold for this challenge
// and relying party.
var ErrAssertion = errors.New("passkey assertion does not hold")

// RelyingParty is where an assertion must come from. It stands in the
// keeper-set document.
type RelyingParty struct {
	ID      string   `cbor:"1,keyasint"`
	Origins []string `cbor:"2,keyasint"`
}

// Assertion is what a passkey returns (WebAuthn Level 3, section 6.3.3): the
// public key that signed, authenticator data, client data and the signature
// in the form of the algorithm.
type Assertion struct {
	Public     Public `cbor:"1,keyasint"`
	AuthData   []byte `cbor:"2,keyasint"`
	ClientData []byte `cbor:"3,keyasint"`
	Sig        []byte `cbor:"4,keyasint"`
}

// Credential is the name of the passkey that signed.
func (a *Assertion) Credential() Credential { return a.Public.Credential() }

// Synced reports whether the authenticator says that this passkey may leave
// the device (bit BE; WebAuthn Level 3, section 6.1.3). It never changes in
// the life of a passkey, and it means nothing before Verify.
func (a *Assertion) Synced() bool {
	return len(a.AuthData) >= authDataBytes && a.AuthData[flagsAt]&flagBackupEligible != 0
}

// Flags of authenticator data (WebAuthn Level 3, section 6.1).
const (
	flagUserPresent    = 1 << 0
	flagUserVerified   = 1 << 2
	flagBackupEligible = 1 << 3
	flagBackedUp       = 1 << 4
	flagsAt            = 32
	countAt            = 33
	authDataBytes      = 37
)

// Count is the authenticator's signature counter, zero where it keeps none
// (WebAuthn Level 3, section 6.1.1). It means nothing before Verify.
func (a *Assertion) Count() uint32 {
	if len(a.AuthData) < authDataBytes {
		return 0
	}
	return binary.BigEndian.Uint32(a.AuthData[countAt:authDataBytes])
}

// Verify checks the assertion over challenge: type, challenge, exact origin,
// not cross-origin, RP ID hash, user present and verified, not backed up where
// that cannot be, signature. Whether the credential is live, and whether it was
// enrolled as one that syncs, is the caller's question.
func (a *Assertion) Verify(challenge [32]byte, rp RelyingParty) error {
	if err := CheckClientData(a.ClientData, ClientGet, challenge, rp.Origins); err != nil {
		return err
	}
	if len(a.AuthData) < authDataBytes {
		return fmt.Errorf("authenticator data: %w", ErrAssertion)
	}
	rpHash := sha256.Sum256([]byte(rp.ID))
	if rp.ID == "" || !bytes.Equal(a.AuthData[:32], rpHash[:]) {
		return fmt.Errorf("relying party: %w", ErrAssertion)
	}
	const need = flagUserPresent | flagUserVerified
	flags := a.AuthData[flagsAt]
	if flags&need != need {
		return fmt.Errorf("user verification: %w", ErrAssertion)
	}
	if flags&(flagBackupEligible|flagBackedUp) == flagBackedUp {
		return fmt.Errorf("backup state: %w", ErrAssertion)
	}
	verify := a.Public.parse()
	if verify == nil {
		return fmt.Errorf("credential: %w", ErrAssertion)
	}
	client := sha256.Sum256(a.ClientData)
	if !verify(append(append([]byte(nil), a.AuthData...), client[:]...), a.Sig) {
		return fmt.Errorf("signature: %w", ErrAssertion)
	}
	return nil
}

// ClientKind is what a browser was asked to do; zero is nothing.
type ClientKind string

// The kinds of client data (WebAuthn Level 3, section 5.8.1).
const (
	ClientGet    ClientKind = "webauthn.get"
	ClientCreate ClientKind = "webauthn.create"
)

// CheckClientData reports, as nil or ErrAssertion, whether client data is of
// this kind, over this challenge, from one of origins, in no frame of another
// site. It compares the fixed-order prefix that WebAuthn guarantees
// (Level 3, section 5.8.1.1) instead of parsing JSON: encoding/json matches
// names without regard to case, and clients add members after it on purpose.
func CheckClientData(data []byte, kind ClientKind, challenge [32]byte, origins []string) error {
	rest, ok := bytes.CutPrefix(data, clientPrefix(kind, challenge))
	if !ok || kind == "" {
		return fmt.Errorf("challenge: %w", ErrAssertion)
	}
	for _, origin := range origins {
		after, ok := bytes.CutPrefix(rest, []byte(origin+`"`))
		if !ok || !plainOrigin(origin) {
			continue
		}
		if bytes.Equal(after, []byte(`}`)) || bytes.HasPrefix(after, []byte(`,"crossOrigin":false}`)) ||
			bytes.HasPrefix(after, []byte(`,"crossOrigin":false,`)) {
			return nil
		}
	}
	return fmt.Errorf("origin: %w", ErrAssertion)
}

func clientPrefix(kind ClientKind, challenge [32]byte) []byte {
	return []byte(`{"type":"` + string(kind) + `","challenge":"` +
		base64.RawURLEncoding.EncodeToString(challenge[:]) + `","origin":"`)
}

// plainOrigin refuses origins that JSON would have to escape.
func plainOrigin(origin string) bool {
	return origin != "" && !strings.ContainsAny(origin, "\"\\<>&") && strings.IndexFunc(origin, func(r rune) bool { return r < 0x20 || r > 0x7e }) < 0
}

// Passkey is a software authenticator for the command line and for tests: one
// P-256 credential (ES256) bound to one relying party, which says that it does
// not sync. It says "user verified" because whoever runs it has unlocked the
// folder that holds it.
type Passkey struct {
	private *ecdsa.PrivateKey
	rpID    string
	origin  string
	count   uint32
	syncs   bool
}

// WithCount is the same passkey, but it says that it signs for the n-th time.
// Left alone it keeps no count and says zero.
func (p *Passkey) WithCount(n uint32) *Passkey {
	q := *p
	q.count = n
	return &q
}

// WithSync is the same passkey, but it says that it may leave the device
// (class Synced).
func (p *Passkey) WithSync() *Passkey {
	q := *p
	q.syncs = true
	return &q
}

// NewPasskey makes a credential for the relying party's first origin.
func NewPasskey(rp RelyingParty) (*Passkey, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make passkey: %w", err)
	}
	return newPasskey(private, rp)
}

// ParsePasskey reads the 32-byte private scalar that Bytes gave.
func ParsePasskey(data []byte, rp RelyingParty) (*Passkey, error) {
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), data)
	if err != nil {
		return nil, ErrKey
	}
	return newPasskey(private, rp)
}

func newPasskey(private *ecdsa.PrivateKey, rp RelyingParty) (*Passkey, error) {
	if rp.ID == "" || len(rp.Origins) == 0 {
		return nil, fmt.Errorf("relying party: %w", ErrKey)
	}
	return &Passkey{private: private, rpID: rp.ID, origin: rp.Origins[0]}, nil
}

// Bytes is the private scalar, to be stored under lock.
func (p *Passkey) Bytes() []byte {
	b, err := p.private.Bytes()
	if err != nil {
		panic("key: a P-256 key always encodes")
	}
	return b
}

// Public is the public key.
func (p *Passkey) Public() Public {
	b, err := p.private.PublicKey.Bytes()
	if err != nil {
		panic("key: a P-256 key always encodes")
	}
	return append(Public{AlgorithmES256}, b...)
}

// Credential is the passkey's name.
func (p *Passkey) Credential() Credential { return p.Public().Credential() }

// Assert signs challenge as an authenticator would.
func (p *Passkey) Assert(challenge [32]byte) (*Assertion, error) {
	rpHash := sha256.Sum256([]byte(p.rpID))
	flags := byte(flagUserPresent | flagUserVerified)
	if p.syncs {
		flags |= flagBackupEligible
	}
	authData := append(rpHash[:], flags)
	authData = binary.BigEndian.AppendUint32(authData, p.count)
	clientData := append(clientPrefix(ClientGet, challenge), p.origin+`","crossOrigin":false}`...)
	client := sha256.Sum256(clientData)
	sum := sha256.Sum256(append(append([]byte(nil), authData...), client[:]...))
	sig, err := ecdsa.SignASN1(rand.Reader, p.private, sum[:])
	if err != nil {
		return nil, fmt.Errorf("sign assertion: %w", err)
	}
	return &Assertion{Public: p.Public(), AuthData: authData, ClientData: clientData, Sig: sig}, nil
}

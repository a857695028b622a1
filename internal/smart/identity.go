package smart

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

// Signer signs id_tokens. Its key lives as long as the process: an id_token is
// read at once, and none outlives five minutes.
type Signer struct {
	signer jose.Signer
	public []byte
}

// NewSigner makes a key (ES256) and the key set that apps verify with.
func NewSigner() (*Signer, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make identity key: %w", err)
	}
	public := jose.JSONWebKey{Key: private.Public(), Algorithm: string(jose.ES256), Use: "sig"}
	sum, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("name identity key: %w", err)
	}
	public.KeyID = base64.RawURLEncoding.EncodeToString(sum)
	options := new(jose.SignerOptions).WithType("JWT").WithHeader("kid", public.KeyID)
	s := new(Signer)
	if s.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: private}, options); err != nil {
		return nil, fmt.Errorf("make identity signer: %w", err)
	}
	if s.public, err = json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{public}}); err != nil {
		return nil, fmt.Errorf("encode identity key: %w", err)
	}
	return s, nil
}

// Keys is the public key set, JSON (RFC 7517).
func (s *Signer) Keys() []byte { return s.public }

// Identity is what an id_token says (OpenID Connect Core, section 2; SMART App
// Launch 2.2, "Scopes for requesting identity data").
type Identity struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"` // differs from app to app
	Audience string `json:"aud"` // the app
	Expires  int64  `json:"exp"`
	Issued   int64  `json:"iat"`
	Nonce    string `json:"nonce,omitempty"`
	FHIRWho  string `json:"fhirUser,omitempty"`
}

// Sign writes an id_token that begins now.
func (s *Signer) Sign(i Identity, now time.Time) (string, error) {
	i.Issued, i.Expires = now.Unix(), now.Add(IdentityLife).Unix()
	text, err := json.Marshal(i)
	if err != nil {
		return "", fmt.Errorf("encode identity: %w", err)
	}
	signed, err := s.signer.Sign(text)
	if err != nil {
		return "", fmt.Errorf("sign identity: %w", err)
	}
	return signed.CompactSerialize()
}

package alert

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/abaton-health/abaton"
)

// Headers of a webhook: github.com/standard-webhooks/standard-webhooks, spec,
// version 1.0.0.
const (
	HeaderID        = "Webhook-Id"
	HeaderTimestamp = "Webhook-Timestamp"
	HeaderSignature = "Webhook-Signature"
)

// Prefixes of the secrets of webhooks, of the same specification.
const (
	sharedPrefix  = "whsec_"
	privatePrefix = "whsk_"
	publicPrefix  = "whpk_"
)

// Bounds of a shared secret, in bytes, of the same specification.
const (
	sharedMin = 24
	sharedMax = 64
)

// Webhook is the body of a webhook: type, time and the OCSF event.
func (a *Alert) Webhook(organisation abaton.ActorID, link string) []byte {
	body, err := json.Marshal(struct {
		Type      string          `json:"type"`
		Timestamp string          `json:"timestamp"`
		Data      json.RawMessage `json:"data"`
	}{"abaton." + a.What.String() + "." + a.Act.String(), time.Unix(a.Time, 0).UTC().Format(time.RFC3339), a.OCSF(organisation, link)})
	if err != nil {
		panic("alert: a body has no JSON: " + err.Error())
	}
	return body
}

// Signer signs webhooks: with a shared secret (v1), a key (v1a), or both. The zero
// Signer signs nothing, and Ready says so.
type Signer struct {
	shared  []byte
	private ed25519.PrivateKey
}

// ErrSecret says that a secret is not of the form that the specification has.
var ErrSecret = errors.New("webhook: not a whsec_ secret of 24 to 64 bytes, or a whsk_ Ed25519 key")

// Shared adds a secret of the form whsec_BASE64.
func (s *Signer) Shared(text string) error {
	secret, err := decode(text, sharedPrefix)
	if err != nil || len(secret) < sharedMin || len(secret) > sharedMax {
		return ErrSecret
	}
	s.shared = secret
	return nil
}

// Private adds a key of the form whsk_BASE64: the seed, or seed and public key.
func (s *Signer) Private(text string) error {
	secret, err := decode(text, privatePrefix)
	switch {
	case err == nil && len(secret) == ed25519.SeedSize:
	case err == nil && len(secret) == ed25519.PrivateKeySize && ed25519.NewKeyFromSeed(secret[:ed25519.SeedSize]).Equal(ed25519.PrivateKey(secret)):
	default:
		return ErrSecret
	}
	s.private = ed25519.NewKeyFromSeed(secret[:ed25519.SeedSize])
	return nil
}

func decode(text, prefix string) ([]byte, error) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(text), prefix)
	if !ok {
		return nil, ErrSecret
	}
	return base64.StdEncoding.Strict().DecodeString(rest)
}

// Ready reports whether there is anything to sign with.
func (s *Signer) Ready() bool { return s.shared != nil || s.private != nil }

// Public is the key that receivers verify v1a with, as whpk_BASE64; empty for none.
func (s *Signer) Public() string {
	if s.private == nil {
		return ""
	}
	return publicPrefix + base64.StdEncoding.EncodeToString(s.private.Public().(ed25519.PublicKey))
}

// Sign gives the headers for one try at a time: the name of the message stays the
// same, the time is that of the try. It panics when it is not Ready.
func (s *Signer) Sign(id string, now time.Time, body []byte) map[string]string {
	if !s.Ready() {
		panic("alert: nothing to sign with")
	}
	stamp := strconv.FormatInt(now.Unix(), 10)
	message := fmt.Appendf(nil, "%s.%s.%s", id, stamp, body)
	var all []string
	if s.private != nil {
		all = append(all, "v1a,"+base64.StdEncoding.EncodeToString(ed25519.Sign(s.private, message)))
	}
	if s.shared != nil {
		mac := hmac.New(sha256.New, s.shared)
		mac.Write(message)
		all = append(all, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return map[string]string{HeaderID: id, HeaderTimestamp: stamp, HeaderSignature: strings.Join(all, " ")}
}

// Package login is how a person's device lends a gateway a session: the offer
// a gateway makes, the statement the device signs with its passkey, and the
// seeds it seals to that session and to nothing else (RULINGS 1). Both ends
// use it, so that they cannot differ.
//
//	offer := ...                              // POST /login/offer
//	c, err := login.Answer(offer, device, held, time.Now())
//	access := ...                             // POST /login/complete with c
//
// The long-term keys stay with the device. It does not protect the seeds once
// the gateway has opened them: what a session holds, that gateway can open,
// with three keepers, until the session ends (docs/protocol/gateway.md).
package login

import (
	"encoding/base64"
	"errors"

	"github.com/abaton-health/abaton"
)

// ErrLogin says that a login message is not in its form, or not for this
// device; the text names the field.
var ErrLogin = errors.New("login message does not hold")

// Offer is the gateway's answer to POST /login/offer: what the device signs.
type Offer struct {
	Offer        string   `json:"offer"`        // names this offer, for one use
	Session      string   `json:"session"`      // the session's signing key, key1...
	Reply        string   `json:"reply"`        // the session's box key, base64url, 1,216 bytes
	Nonce        string   `json:"nonce"`        // base64url, 16 bytes
	Checkpoints  []string `json:"checkpoints"`  // the keepers' newest, signed notes
	Set          string   `json:"set"`          // the keeper set, act1...
	Organisation string   `json:"organisation"` // whose gateway this is, act1...
	Expires      int64    `json:"expires"`      // until when the offer stands, unix seconds
}

// Completion is the device's answer, POST /login/complete.
type Completion struct {
	Offer     string `json:"offer"`
	Statement string `json:"statement"` // base64url of session.Signed
	Seeds     string `json:"seeds"`     // base64url of session.SealSeeds
}

// More brings further seeds to a live session, POST /login/seeds.
type More struct {
	Seeds string `json:"seeds"`
}

// Access is what the gateway hands out: a value for the Authorization header
// (Bearer) of this gateway alone, and when it ends.
type Access struct {
	Access  string `json:"access"`
	Expires int64  `json:"expires"` // unix seconds
	Actor   string `json:"actor"`   // who signed in, act1...
}

// Encode is how bytes stand in these messages.
func Encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// Decode reads what Encode wrote, and nothing else.
func Decode(text string) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || Encode(b) != text { // the decoder passes over line ends
		return nil, ErrLogin
	}
	return b, nil
}

// DirectoryCategory is the category from which an organisation derives the
// line and the segments of its own directory. It is no sensitivity category of
// a patient.
func DirectoryCategory() (c abaton.Category) {
	copy(c[:], "directory")
	return c
}

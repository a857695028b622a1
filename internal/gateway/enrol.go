package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"sync"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/durable"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// wraps are people's roots, each under the PRF of a passkey: one file each,
// by the hash of the WebAuthn credential id. Only that passkey opens one.
type wraps struct {
	dir string // empty: none are kept
	mu  sync.Mutex
}

// kept is one file of the folder.
type kept struct {
	V      uint64         `cbor:"1,keyasint"`
	Actor  abaton.ActorID `cbor:"2,keyasint"`
	Public key.Public     `cbor:"3,keyasint"`
	Wrap   []byte         `cbor:"4,keyasint"`
}

// errWraps says that the folder does not take or give a wrap.
var errWraps = errors.New("wrapped roots")

const wrapSuffix = ".wrap"

func (g *Gateway) openWraps(c Config) error {
	g.wraps = &wraps{dir: c.Wraps}
	if c.Wraps == "" {
		return nil
	}
	if err := os.MkdirAll(c.Wraps, 0o700); err != nil {
		return fmt.Errorf("gateway: Wraps: %w", err)
	}
	return nil
}

// put keeps a wrap durably. The same again changes nothing; another one under
// the same credential is not taken (false).
func (w *wraps) put(name string, k kept) (fresh, ok bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	data := wire.Marshal(k)
	path := filepath.Join(w.dir, name+wrapSuffix)
	switch have, err := os.ReadFile(path); {
	case err == nil:
		return false, string(have) == string(data), nil
	case !errors.Is(err, fs.ErrNotExist):
		return false, false, fmt.Errorf("%w: %w", errWraps, err)
	}
	if err := durable.WriteFile(path, data, 0o600); err != nil {
		return false, false, fmt.Errorf("%w: %w", errWraps, err)
	}
	return true, true, nil
}

func (w *wraps) get(name string) (*kept, error) {
	data, err := os.ReadFile(filepath.Join(w.dir, name+wrapSuffix))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, abaton.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errWraps, err)
	}
	var k kept
	if wire.Unmarshal(data, &k) != nil || k.V != wire.Version {
		return nil, fmt.Errorf("%w: a file is damaged", errWraps)
	}
	return &k, nil
}

func (w *wraps) drop(name string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return os.Remove(filepath.Join(w.dir, name+wrapSuffix))
}

// wrapName is the name of a credential's file.
func wrapName(credentialID []byte) string {
	sum := sha256.Sum256(credentialID)
	return hex.EncodeToString(sum[:])
}

// enrolment is POST /portal/enrol. All bytes are base64url.
type enrolment struct {
	Event        string `json:"event"` // signed inception
	CredentialID string `json:"credentialId"`
	Wrap         string `json:"wrap"` // the root under the passkey's PRF
}

// notEnrolled is the one answer to an enrolment that is not in its form.
func notEnrolled() error {
	return refusal(http.StatusBadRequest, "value", "this enrolment is not complete or not for this clinic; open the invitation again, or ask for a new one")
}

// enrol answers POST /portal/enrol: it keeps the wrapped root, then brings the
// inception into force. A root is never lost to a log that is there.
func (g *Gateway) enrol(ctx context.Context, c *call) (*answer, error) {
	if g.wraps.dir == "" {
		return nil, refusal(http.StatusNotFound, "not-supported", "nobody enrols at this gateway; ask the clinic where to")
	}
	var in enrolment
	if err := decodeJSON(c.body, &in); err != nil {
		return nil, err
	}
	signed, a, name, k, err := g.readEnrolment(in)
	if err != nil {
		return nil, err
	}
	fresh, ok, err := g.wraps.put(name, k)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, refusal(http.StatusConflict, "conflict", "this passkey is enrolled already; sign in with it")
	}
	if err := g.bring(ctx, signed); err != nil {
		if o := outcomeOf(err); fresh && o.Status < http.StatusInternalServerError { // refused for good
			err = errors.Join(err, g.wraps.drop(name))
		}
		return nil, err
	}
	g.log.InfoContext(ctx, "person enrolled", "kind", int(a.Inception().Kind))
	return jsonAnswer(struct {
		Actor string `json:"actor"`
	}{a.Actor().String()})
}

// readEnrolment checks what shows without a log: an inception that a browser
// makes, for this organisation and keeper set.
func (g *Gateway) readEnrolment(in enrolment) (signed []byte, a *actor.Authentic, name string, k kept, err error) {
	signed, err1 := login.Decode(in.Event)
	id, err2 := login.Decode(in.CredentialID)
	wrap, err3 := login.Decode(in.Wrap)
	if err1 != nil || err2 != nil || err3 != nil || len(id) == 0 || len(id) > credentialIDMax || len(wrap) != key.RootWrapBytes {
		return nil, nil, "", k, notEnrolled()
	}
	se, err := actor.ParseSigned(signed)
	if err != nil {
		return nil, nil, "", k, notEnrolled()
	}
	if a, err = actor.Authenticate(se, g.set.RelyingParty); err != nil {
		return nil, nil, "", k, notEnrolled()
	}
	body := a.Inception()
	if body == nil || body.Organisation != g.org || body.Set != g.set.ID() || !enrols(a) {
		return nil, nil, "", k, notEnrolled()
	}
	return signed, a, wrapName(id), kept{V: wire.Version, Actor: a.Actor(), Public: body.Credentials[0].Public, Wrap: wrap}, nil
}

// bring publishes one event until it is in force.
func (g *Gateway) bring(ctx context.Context, signed []byte) error {
	out, err := g.network.Publish(ctx, signed)
	if err == nil && len(out) == 1 && !out[0].InForce {
		err = errors.Join(out[0].Err, abaton.ErrUnavailable)
	}
	return eventRefused(err)
}

// eventRefused says what a person can do about an event that the keepers do
// not take.
func eventRefused(err error) error {
	r, ok := errors.AsType[*abaton.RefusedError](err)
	if !ok {
		if _, conflict := errors.AsType[*client.ConflictError](err); conflict {
			return refusal(http.StatusConflict, "conflict", "another device of yours changed something meanwhile; sign in again and repeat it")
		}
		return err
	}
	switch r.Reason {
	case abaton.ReasonInvitation, abaton.ReasonReplay:
		return refusal(http.StatusForbidden, "forbidden", "this invitation was used or has run out; ask the clinic for a new one")
	case abaton.ReasonTime, abaton.ReasonClock:
		return refusal(http.StatusBadRequest, "value", "the clock of this device is wrong; set it and try again")
	case abaton.ReasonCredential, abaton.ReasonSignature:
		return refusal(http.StatusForbidden, "forbidden", "the keepers do not take this passkey for this; use the one you enrolled with")
	}
	switch r.Reason { // of a recovery
	case abaton.ReasonWait:
		return refusal(http.StatusConflict, "conflict", "the wait is not over at enough keepers; come back later")
	case abaton.ReasonVetoed:
		return refusal(http.StatusForbidden, "forbidden", "somebody with a device of this record stopped this; talk to your clinic")
	}
	return refusal(http.StatusConflict, "conflict", "the keepers do not take this; sign in again and repeat it")
}

// wrapOf answers GET /portal/wrap/{id}: what is kept for a credential.
func (g *Gateway) wrapOf(_ context.Context, c *call) (*answer, error) {
	if raw, err := hex.DecodeString(c.id); err != nil || len(raw) != sha256.Size || g.wraps.dir == "" || hex.EncodeToString(raw) != c.id {
		return nil, absent()
	}
	k, err := g.wraps.get(c.id)
	if err != nil {
		return nil, err
	}
	return jsonAnswer(struct {
		Actor  string `json:"actor"`
		Public string `json:"public"`
		Wrap   string `json:"wrap"`
	}{k.Actor.String(), login.Encode(k.Public), login.Encode(k.Wrap)})
}

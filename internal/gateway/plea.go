package gateway

import (
	"context"
	"encoding/hex"
	"net/http"
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// pleaSent is POST /portal/plea.
type pleaSent struct {
	Event string `json:"event"` // recover event, not signed, base64url
}

// plead answers POST /portal/plea: it keeps a recover event for helpers to
// prove. Whether they should, they find out by voice (PROTOCOL.md#recovery-words).
func (g *Gateway) plead(ctx context.Context, c *call) (*answer, error) {
	bad := refusal(http.StatusBadRequest, "value", "this does not ask for help to come back to a record here; begin again")
	var in pleaSent
	if err := decodeJSON(c.body, &in); err != nil {
		return nil, err
	}
	event, err := login.Decode(in.Event)
	if err != nil || g.pleas.dir == "" {
		return nil, bad
	}
	if who, body := readRecover(event); body != nil {
		g.network.Refresh(who) // helpers chosen a moment ago count
	}
	of, escrow, err := g.pleaded(ctx, event)
	if err != nil {
		return nil, err
	}
	if escrow == nil {
		return nil, bad
	}
	ok, err := g.pleas.put(of, event)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, refusal(http.StatusServiceUnavailable, "transient", "too many ask for help just now; try again tomorrow, or come back with a kit")
	}
	id := actor.HashOf(event)
	return jsonAnswer(struct {
		Plea string `json:"plea"`
	}{hex.EncodeToString(id[:])})
}

// pleaded is whose record a recover event is of and the live escrow of helpers
// by which; nil where it is not of this form, or not of a patient here.
func (g *Gateway) pleaded(ctx context.Context, event []byte) (of abaton.ActorID, e *actor.Escrow, err error) {
	of, body := readRecover(event)
	if body == nil {
		return of, nil, nil
	}
	st, err := g.network.Log(ctx, of)
	if err != nil {
		return of, nil, err
	}
	e, ended := st.Escrow(body.Escrow)
	if st.Kind() != actor.Patient || st.Organisation() != g.org || e == nil || ended || e.Kind != actor.EscrowTrustees {
		return of, nil, nil
	}
	return of, e, nil
}

// readRecover reads a recover event that nobody signed yet; nil where it is
// not of this form.
func readRecover(event []byte) (of abaton.ActorID, body *actor.Recover) {
	var e actor.Event
	var b actor.Recover
	if len(event) > pleaBytesMax || wire.Unmarshal(event, &e) != nil || e.V != wire.Version || e.Kind != actor.EventRecover ||
		wire.Unmarshal(e.Body, &b) != nil || !b.Credential.Public.Valid() {
		return of, nil
	}
	if _, err := key.ParseBoxPublic(b.Box); err != nil {
		return of, nil
	}
	return e.Actor, &b
}

func pleaNamed(text string) (id actor.Hash, ok bool) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(id) || hex.EncodeToString(raw) != text {
		return id, false
	}
	return actor.Hash(raw), true
}

// pleaSeen is GET /portal/plea/{id}.
type pleaSeen struct {
	Event string     `json:"event"`
	Helps []helpSeen `json:"helps"`
}

type helpSeen struct {
	Trustee string `json:"helper"` // act1...
	Proof   string `json:"proof"`
	Part    string `json:"part"`
}

// plea answers GET /portal/plea/{id} for whoever was told its name: a helper,
// or the page that asked.
func (g *Gateway) plea(_ context.Context, c *call) (*answer, error) {
	id, ok := pleaNamed(c.id)
	if !ok {
		return nil, absent()
	}
	one, err := g.pleas.get(id)
	if err != nil {
		return nil, err
	}
	out := pleaSeen{Event: login.Encode(one.Event), Helps: []helpSeen{}}
	for _, h := range one.Helps {
		out.Helps = append(out.Helps, helpSeen{Trustee: h.Trustee.String(), Proof: login.Encode(h.Proof), Part: login.Encode(h.Part)})
	}
	return jsonAnswer(out)
}

// helpSent is POST /portal/help.
type helpSent struct {
	Plea string `json:"plea"` // hash of the event, hex
	helpSeen
}

// help answers POST /portal/help: a helper of that record proved the event with
// a live passkey and gives a part. The part is sealed to the new device, which
// alone can tell whether it is the right one.
func (g *Gateway) help(ctx context.Context, c *call) (*answer, error) {
	bad := refusal(http.StatusForbidden, "forbidden", "you are not a helper of this record, or used another passkey; nothing was given")
	var in helpSent
	if err := decodeJSON(c.body, &in); err != nil {
		return nil, err
	}
	id, ok := pleaNamed(in.Plea)
	if !ok {
		return nil, absent()
	}
	one, err := g.pleas.get(id)
	if err != nil {
		return nil, err
	}
	who, err1 := abaton.ParseActorID(in.Trustee)
	proof, err2 := login.Decode(in.Proof)
	part, err3 := login.Decode(in.Part)
	if err1 != nil || err2 != nil || err3 != nil || len(part) == 0 || len(part) > pleaBytesMax {
		return nil, bad
	}
	ok, err = g.mayHelp(ctx, one.Event, who, proof)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, bad
	}
	fresh, err := g.pleas.answer(id, help{Trustee: who, Proof: proof, Part: part})
	if err != nil {
		return nil, err
	}
	if !fresh {
		return nil, refusal(http.StatusConflict, "conflict", "you have helped already; one helper counts once")
	}
	return &answer{status: http.StatusNoContent}, nil
}

// mayHelp reports whether who is a helper by whom this event may be proved, and
// the proof is by a passkey that is live in who's own log.
func (g *Gateway) mayHelp(ctx context.Context, event []byte, who abaton.ActorID, proof []byte) (bool, error) {
	_, e, err := g.pleaded(ctx, event)
	if err != nil || e == nil {
		return false, err
	}
	var a key.Assertion
	if wire.Unmarshal(proof, &a) != nil || !slices.ContainsFunc(e.Provers, func(p actor.Prover) bool { return p.Actor == who }) {
		return false, nil
	}
	if _, err := actor.Authenticate(actor.Signed(event, actor.ByPasskey(&a)), g.set.RelyingParty); err != nil {
		return false, nil
	}
	st, err := g.network.Log(ctx, who)
	if err != nil {
		return false, err
	}
	return st.CredentialClass(a.Credential()) != 0, nil
}

// originOf answers GET /portal/helper/{id}: the event that a patient's log here
// began with. Its hash is the name, so the page that chooses a helper checks
// the box key by itself.
func (g *Gateway) originOf(ctx context.Context, c *call) (*answer, error) {
	id, err := abaton.ParseActorID(c.id)
	if err != nil {
		return nil, absent()
	}
	st, err := g.network.Log(ctx, id)
	if err != nil {
		return nil, err
	}
	if st.Kind() != actor.Patient || st.Organisation() != g.org {
		return nil, absent()
	}
	return jsonAnswer(struct {
		Event string `json:"event"`
	}{login.Encode(st.Origin())})
}

package gateway

import (
	"context"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// waySeen is GET /portal/way/{id}: what the owner of a log without any device
// needs to come back: where the next event stands, and the kits, which open
// nothing.
type waySeen struct {
	Seq  uint64    `json:"seq"`
	Head string    `json:"head"` // hex
	Kits []kitSeen `json:"kits"`

	Trustees   []kitSeen      `json:"helpers"`    // escrows that helpers open together
	Recoveries []recoverySeen `json:"recoveries"` // under way, stopped and done
}

// recoverySeen is somebody on the way back in.
type recoverySeen struct {
	Event   string `json:"event"` // hash of the recover event, hex
	By      string `json:"by"`    // kit, helpers
	Begun   int64  `json:"begun"` // unix seconds, by the clock of whoever began it
	Wait    int64  `json:"wait"`  // seconds, from when each keeper first heard of it
	Stopped bool   `json:"stopped"`
	Done    bool   `json:"done"`
}

func (g *Gateway) recoveriesOf(st *actor.State) []recoverySeen {
	out := []recoverySeen{}
	for _, r := range st.Recoveries() {
		one := recoverySeen{Event: hex.EncodeToString(r.Event[:]), By: "kit", Begun: r.Begun.Unix(),
			Wait: int64(max(r.Wait, g.set.RecoveryWait()) / time.Second), Stopped: r.Stopped, Done: r.Done}
		if r.Kind == actor.EscrowTrustees {
			one.By = "helpers"
		}
		out = append(out, one)
	}
	return out
}

type kitSeen struct {
	ID     string `json:"id"`     // gra1...
	Escrow string `json:"escrow"` // the event's body, base64url
}

// wayIn answers GET /portal/way/{id} for a patient of this organisation.
func (g *Gateway) wayIn(ctx context.Context, c *call) (*answer, error) {
	id, err := abaton.ParseActorID(c.id)
	if err != nil {
		return nil, absent()
	}
	g.network.Refresh(id)
	st, err := g.network.Log(ctx, id)
	if err != nil {
		return nil, err
	}
	if st.Kind() != actor.Patient || st.Organisation() != g.org {
		return nil, absent()
	}
	draft, err := g.network.Draft(ctx, id, new(actor.CredentialAdd))
	if err != nil {
		return nil, err
	}
	var e actor.Event
	if err := wire.Unmarshal(draft, &e); err != nil {
		return nil, err
	}
	out := waySeen{Seq: e.Seq - 1, Head: hex.EncodeToString(e.Prev[0][:]), Kits: []kitSeen{}, Trustees: []kitSeen{},
		Recoveries: g.recoveriesOf(st)}
	for name, kit := range st.Escrows() {
		seen := kitSeen{ID: name.String(), Escrow: login.Encode(wire.Marshal(kit))}
		switch kit.Kind {
		case actor.EscrowKit:
			out.Kits = append(out.Kits, seen)
		case actor.EscrowTrustees:
			out.Trustees = append(out.Trustees, seen)
		}
	}
	for _, all := range [][]kitSeen{out.Kits, out.Trustees} {
		slices.SortFunc(all, func(a, b kitSeen) int { return strings.Compare(a.ID, b.ID) })
	}
	return jsonAnswer(out)
}

// unsealed is POST /portal/unseal.
type unsealed struct {
	Escrow string `json:"escrow"` // gra1...
}

// unseal answers POST /portal/unseal for a patient's own session: half B of an
// escrow by which this very passkey came back, as the keepers decide. Half A
// never comes here.
func (g *Gateway) unseal(ctx context.Context, c *call) (*answer, error) {
	p := c.person
	if p.limits != nil || p.lender != nil {
		return nil, absent()
	}
	var in unsealed
	if err := decodeJSON(c.body, &in); err != nil {
		return nil, err
	}
	id, err := abaton.ParseGrantID(in.Escrow)
	if err != nil {
		return nil, absent()
	}
	st, err := g.network.Log(ctx, p.actor)
	if err != nil {
		return nil, err
	}
	e, ended := st.Escrow(id)
	if e == nil || ended {
		return nil, absent()
	}
	got, err := p.reader.Unseal(ctx, client.Ask{Patient: p.actor, Grant: id, Purpose: abaton.PatientAccess}, e)
	if err != nil {
		return nil, err
	}
	return jsonAnswer(struct {
		Half string `json:"half"`
	}{login.Encode(got.Half[:])})
}

// rewrapped is POST /portal/wrap: the root under a passkey that the log holds
// by now.
type rewrapped struct {
	CredentialID string `json:"credentialId"`
	Public       string `json:"public"`
	Wrap         string `json:"wrap"`
}

// keepWrap answers POST /portal/wrap for a patient's own session.
func (g *Gateway) keepWrap(ctx context.Context, c *call) (*answer, error) {
	p := c.person
	if p.limits != nil || p.lender != nil || g.wraps.dir == "" {
		return nil, absent()
	}
	var in rewrapped
	if err := decodeJSON(c.body, &in); err != nil {
		return nil, err
	}
	id, err1 := login.Decode(in.CredentialID)
	public, err2 := login.Decode(in.Public)
	wrap, err3 := login.Decode(in.Wrap)
	if err1 != nil || err2 != nil || err3 != nil || len(id) == 0 || len(id) > credentialIDMax || len(wrap) != key.RootWrapBytes {
		return nil, notEnrolled()
	}
	st, err := g.network.Log(ctx, p.actor)
	if err != nil {
		return nil, err
	}
	if st.Kind() != actor.Patient || st.CredentialClass(key.Public(public).Credential()) == 0 {
		return nil, notEnrolled()
	}
	_, ok, err := g.wraps.put(wrapName(id), kept{V: wire.Version, Actor: p.actor, Public: key.Public(public), Wrap: wrap})
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, refusal(http.StatusConflict, "conflict", "this passkey is enrolled already; sign in with it")
	}
	return &answer{status: http.StatusNoContent}, nil
}

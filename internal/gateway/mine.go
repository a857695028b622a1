package gateway

import (
	"context"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/gateway/login"
)

// meSeen is GET /portal/me: what a patient's own log says, and where it ends.
type meSeen struct {
	Actor    string      `json:"actor"`
	Seq      uint64      `json:"seq"`  // of the certified end
	Head     string      `json:"head"` // its hash, hex
	Lines    []lineSeen  `json:"lines"`
	Grants   []grantSeen `json:"grants"`
	Ways     int         `json:"ways"`     // independent ways in; keepers take no first record below actor.WaysNeeded
	Kit      bool        `json:"kit"`      // one of them is on paper
	Trustees bool        `json:"helpers"`  // one of them is several people together
	Passkeys []string    `json:"passkeys"` // names of those in force, hex
	Keys     []string    `json:"keys"`     // ids of those in force, hex

	Recoveries []recoverySeen `json:"recoveries"`
}

type lineSeen struct {
	Line  string `json:"line"`
	Level uint8  `json:"level"`
	Epoch uint32 `json:"epoch"`
}

type grantSeen struct {
	ID       string           `json:"id"`
	Grantee  string           `json:"grantee"`
	Kind     actor.Kind       `json:"kind"`   // of the grantee; 0 if its log is not here
	Clinic   bool             `json:"clinic"` // the grantee is this organisation
	Actions  uint64           `json:"actions"`
	Lines    []string         `json:"lines"`
	Purposes []abaton.Purpose `json:"purposes"`
	Expires  int64            `json:"expires"`
}

// me answers GET /portal/me for a patient's own session; an app's may not.
func (g *Gateway) me(ctx context.Context, c *call) (*answer, error) {
	p := c.person
	if p.limits != nil || p.lender != nil {
		return nil, absent()
	}
	g.network.Refresh(p.actor)
	st, err := g.network.Log(ctx, p.actor)
	if err != nil {
		return nil, err
	}
	at, ok := st.Certified()
	if st.Kind() != actor.Patient || !ok {
		return nil, absent()
	}
	out := meSeen{Actor: p.actor.String(), Seq: at.Seq, Head: hex.EncodeToString(at.Hash[:]), Lines: []lineSeen{}, Grants: []grantSeen{},
		Passkeys: []string{}, Keys: []string{}}
	ways := st.Ways()
	out.Ways, out.Kit, out.Trustees = ways.Count(), ways.Kit, ways.Trustees
	out.Recoveries = g.recoveriesOf(st)
	for name := range st.LiveCredentials() {
		out.Passkeys = append(out.Passkeys, hex.EncodeToString(name[:]))
	}
	for id := range st.LiveKeys() {
		out.Keys = append(out.Keys, hex.EncodeToString(id[:]))
	}
	slices.Sort(out.Passkeys)
	slices.Sort(out.Keys)
	for _, l := range st.Lines() {
		out.Lines = append(out.Lines, lineSeen{Line: l.Line.String(), Level: l.Level, Epoch: l.Epoch})
	}
	if out.Grants, err = g.grantsOf(ctx, st); err != nil {
		return nil, err
	}
	return jsonAnswer(out)
}

// grantsOf are the grants of a log that hold now, those that end last first.
func (g *Gateway) grantsOf(ctx context.Context, st *actor.State) ([]grantSeen, error) {
	out := []grantSeen{}
	for id, one := range st.Grants() {
		if one.Expires <= g.now().Unix() {
			continue
		}
		seen := grantSeen{ID: id.String(), Grantee: one.Grantee.String(), Clinic: one.Grantee == g.org, Actions: uint64(one.Actions),
			Purposes: one.Purposes, Expires: one.Expires}
		for _, l := range one.Lines {
			seen.Lines = append(seen.Lines, l.String())
		}
		switch who, err := g.network.Log(ctx, one.Grantee); {
		case err == nil:
			seen.Kind = who.Kind()
		case !notMine(err):
			return nil, err
		}
		out = append(out, seen)
	}
	slices.SortFunc(out, func(a, b grantSeen) int {
		if a.Expires != b.Expires {
			return int(b.Expires - a.Expires)
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out, nil
}

// relayed is POST /portal/events: one signed event for the keepers.
type relayed struct {
	Event string `json:"event"` // base64url
}

// relay answers POST /portal/events. The event carries its own proofs; the
// gateway adds nothing and could not. Inceptions go by /portal/enrol.
func (g *Gateway) relay(ctx context.Context, c *call) (*answer, error) {
	bad := refusal(http.StatusBadRequest, "value", "this is not a signed event of a person's key log; sign in again and repeat it")
	var in relayed
	if err := decodeJSON(c.body, &in); err != nil {
		return nil, err
	}
	signed, err := login.Decode(in.Event)
	if err != nil {
		return nil, bad
	}
	se, err := actor.ParseSigned(signed)
	if err != nil {
		return nil, bad
	}
	a, err := actor.Authenticate(se, g.set.RelyingParty)
	if err != nil || a.Kind() == actor.EventInception {
		return nil, bad
	}
	out, err := g.network.Publish(ctx, signed)
	if len(out) != 1 {
		return nil, eventRefused(err)
	}
	if !out[0].InForce && out[0].At == 0 {
		return nil, eventRefused(err)
	}
	return jsonAnswer(struct {
		InForce bool `json:"inForce"`
		At      int  `json:"at"`
		Of      int  `json:"of"`
	}{out[0].InForce, out[0].At, out[0].Of})
}

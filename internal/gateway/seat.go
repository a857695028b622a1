package gateway

import (
	"context"
	"net/http"

	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/gateway/login"
)

// enrolDevice answers POST /portal/device: it brings the first event of a
// computer of this organisation into force. That managers invited it, keepers
// check; what the organisation says of it each day comes with each sign-in.
func (g *Gateway) enrolDevice(ctx context.Context, c *call) (*answer, error) {
	bad := refusal(http.StatusBadRequest, "value", "this is not the first event of a device of this clinic; open the link again, or ask for a new one")
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
	if err != nil || !seats(a) || a.Inception().Organisation != g.org || a.Inception().Set != g.set.ID() {
		return nil, bad
	}
	if err := g.bring(ctx, signed); err != nil {
		return nil, err
	}
	g.log.InfoContext(ctx, "device enrolled")
	return jsonAnswer(struct {
		Actor string `json:"actor"`
	}{a.Actor().String()})
}

// seats reports whether an inception is one that a computer makes in a browser:
// one key that signs for sessions and one that manages the log, no passkey.
func seats(a *actor.Authentic) bool {
	in := a.Inception()
	if in == nil || in.Kind != actor.Device || len(in.Credentials) != 0 || len(in.Keys) != 2 {
		return false
	}
	return in.Keys[0].Rights|in.Keys[1].Rights == actor.DeviceRight|actor.Manage && in.Keys[0].Rights&in.Keys[1].Rights == 0
}

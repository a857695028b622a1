package gateway

import (
	"context"
	"net/http"
	"time"

	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/attest"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// attestedLife is how long a clinician has to go on after the attestation.
const attestedLife = 10 * time.Minute

// attested is POST /portal/attest. All bytes are base64url. It names what is
// needed of a registration; a credential as a whole would hold the PRF's
// output, and is refused as unknown members are.
type attested struct {
	Ticket     string `json:"ticket"`
	Object     string `json:"attestationObject"`
	ClientData string `json:"clientDataJSON"`
}

// attest answers POST /portal/attest: for a ticket of the organisation and a
// passkey that its policy takes, an invitation for this passkey alone.
func (g *Gateway) attest(ctx context.Context, c *call) (*answer, error) {
	bad := refusal(http.StatusBadRequest, "value", "this is not a registration with a ticket of this clinic; open the link again, or ask for a new one")
	var in attested
	if err := decodeJSON(c.body, &in); err != nil {
		return nil, err
	}
	ticket, err1 := login.Decode(in.Ticket)
	object, err2 := login.Decode(in.Object)
	client, err3 := login.Decode(in.ClientData)
	if err1 != nil || err2 != nil || err3 != nil {
		return nil, bad
	}
	v, err := g.ticket(ctx, ticket)
	if err != nil {
		return nil, err
	}
	made, err := attest.Verify(attest.Registration{Object: object, ClientData: client}, wire.Hash(wire.Enrolment, ticket),
		g.set.RelyingParty, g.authenticators, g.now())
	if err != nil {
		g.log.WarnContext(ctx, "attestation refused", "error", err.Error())
		return nil, refusal(http.StatusForbidden, "forbidden", "this clinic does not take this kind of passkey from its staff; use one of the security keys it hands out")
	}
	v.Credential = made.Public.Credential()
	if end := g.now().Add(attestedLife).Unix(); end < v.Expires {
		v.Expires = end
	}
	return jsonAnswer(struct {
		Invitation string `json:"invitation"`
	}{login.Encode(v.Sign(g.signing))})
}

// ticket is one for a clinician of this organisation, signed by as many
// managers as it demands, in time. Each lets in one: keepers remember its nonce.
func (g *Gateway) ticket(ctx context.Context, data []byte) (*actor.Invitation, error) {
	used := refusal(http.StatusForbidden, "forbidden", "this link is not of this clinic, or has run out; ask for a new one")
	v, err := actor.ParseTicket(data)
	if err != nil || v.Kind != actor.Clinician || v.Organisation != g.org || v.Expires <= g.now().Unix() || v.Credential != (key.Credential{}) {
		return nil, used
	}
	org, err := g.network.Log(ctx, g.org)
	if err != nil {
		return nil, err
	}
	if !org.ByManagers(v) {
		return nil, used
	}
	return v, nil
}

// enrols reports whether an inception is one that its kind of person makes in
// a browser: a patient by the passkey alone; a clinician with a key that
// manages the log, a bound passkey, and an invitation for that passkey.
func enrols(a *actor.Authentic) bool {
	in := a.Inception()
	if len(in.Credentials) != 1 {
		return false
	}
	switch in.Kind {
	case actor.Patient:
		return len(in.Keys) == 0
	case actor.Clinician:
		return len(in.Keys) == 1 && in.Keys[0].Rights == actor.Manage && in.Credentials[0].Class == actor.Bound &&
			a.Invitation().Credential == in.Credentials[0].Public.Credential()
	}
	return false
}

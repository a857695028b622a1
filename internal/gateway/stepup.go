package gateway

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/session"
)

// stepUpSpare is how long before its end a step-up is no longer used: a
// request has to reach the keepers within it.
const stepUpSpare = 15 * time.Second

// steppedUp is POST /portal/step-up.
type steppedUp struct {
	StepUp string `json:"stepUp"` // base64url of session.SignedStepUp
}

// stepUp answers POST /portal/step-up: the person's passkey signed again, for
// exactly these lines and this purpose. The gateway hands it on; each keeper
// verifies it at every use.
func (g *Gateway) stepUp(_ context.Context, c *call) (*answer, error) {
	bad := refusal(http.StatusBadRequest, "value", "this step-up is not for this session, or too old; touch the passkey again")
	var in steppedUp
	if err := decodeJSON(c.body, &in); err != nil {
		return nil, err
	}
	signed, err := login.Decode(in.StepUp)
	if err != nil {
		return nil, bad
	}
	u, err := session.ParseStepUp(signed)
	if err != nil || u.StepUp.Session != c.person.id || !c.person.stepUp(u, g.now()) {
		return nil, bad
	}
	return &answer{status: http.StatusNoContent}, nil
}

// stepUp keeps a step-up for a patient of whom something is held; the chart is
// opened anew. An app's session has none: it shows what its scopes allow.
func (p *person) stepUp(u *session.SignedStepUp, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.held[u.StepUp.Patient]
	if h == nil || p.limits != nil || p.lender != nil || !freshStepUp(u, now) {
		return false
	}
	h.stepUp, h.chart, h.part = u, nil, nil
	return true
}

func freshStepUp(u *session.SignedStepUp, now time.Time) bool { return freshTouch(u.StepUp.Time, now) }

// freshTouch: a touch of that time reaches the keepers before it is too old.
func freshTouch(at int64, now time.Time) bool {
	age := now.Sub(time.Unix(at, 0))
	return age > -abaton.ClockSkewMax && age < session.StepUpMax-stepUpSpare
}

// raise is the request for the lines of level 3 that a step-up covers, apart
// from all others: when it ends, they are dropped and the rest stays. Callers
// hold the person's mu.
func (h *held) raise(ask client.Ask, lines []abaton.Line, now time.Time) (client.Ask, bool) {
	u := h.stepUp
	if u == nil || u.StepUp.Purpose != ask.Purpose || !freshStepUp(u, now) {
		return client.Ask{}, false
	}
	for _, l := range lines {
		if !slices.Contains(u.StepUp.Lines, l) {
			return client.Ask{}, false
		}
	}
	slices.SortFunc(lines, func(a, b abaton.Line) int { return slices.Compare(a[:], b[:]) })
	ask.Lines, ask.StepUp = lines, u
	return ask, len(lines) > 0
}

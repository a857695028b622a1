package gateway

import (
	"context"
	"encoding/hex"
	"net/http"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/session"
)

// wayOn is what goes along with requests about one patient while keepers hold
// the session back. Keepers verify both at every use.
type wayOn struct {
	touch    *session.SignedStepUp   // the clinician's own; nil without one
	approval *session.SignedApproval // a second clinician's; nil without one
}

// session is whose reader this is: an app may use another's.
func (p *person) session() *person {
	for p.lender != nil {
		p = p.lender
	}
	return p
}

// onward is the way on at a patient, as far as it is fresh.
func (p *person) onward(patient abaton.ActorID, now time.Time) (way wayOn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.held[patient]
	if h == nil {
		return way
	}
	for _, u := range []*session.SignedStepUp{h.stepUp, h.way.touch} {
		if u != nil && freshStepUp(u, now) {
			way.touch = u
		}
	}
	if a := h.way.approval; a != nil && freshTouch(a.Approval.Time, now) {
		way.approval = a
	}
	return way
}

// goOn keeps a touch or a word for a patient; the chart is opened anew.
func (p *person) goOn(patient abaton.ActorID, way wayOn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.held[patient]
	if h == nil || p.closed {
		return false
	}
	if way.touch != nil {
		h.way.touch = way.touch
	}
	if way.approval != nil {
		h.way.approval = way.approval
	}
	h.chart, h.part = nil, nil
	return true
}

// takes puts the way on beside the requests that it is for. A second clinician
// agrees to one grant: what only others open is left out meanwhile, or keepers
// would refuse all of it.
func (a *asking) takes(way wayOn) {
	if way.approval != nil {
		of := func(ask client.Ask) bool { return ask.Grant == way.approval.Approval.Escrow }
		if slices.ContainsFunc(a.asks, of) {
			all := len(a.asks)
			a.asks = slices.DeleteFunc(a.asks, func(ask client.Ask) bool { return !of(ask) })
			a.withheld = a.withheld || len(a.asks) < all
			for i := range a.asks {
				a.asks[i].Approval = way.approval
			}
		}
	}
	for i := range a.asks {
		if ask := &a.asks[i]; ask.StepUp == nil && way.touch != nil && touches(way.touch, ask) {
			ask.StepUp = way.touch
		}
	}
}

// touches reports whether a touch is over all that is asked for, and why.
func touches(u *session.SignedStepUp, ask *client.Ask) bool {
	return u.StepUp.Purpose == ask.Purpose && !slices.ContainsFunc(ask.Lines, func(l abaton.Line) bool { return !slices.Contains(u.StepUp.Lines, l) })
}

// heldOutcome says where to go, or that the way on led nowhere.
func heldOutcome(p *pause, where string) *fhir.OutcomeError {
	o := refusal(http.StatusForbidden, "suppressed", "the keepers hold this session or person back; a second clinician can agree that you go on with this patient, for five minutes; the page that this answer names asks one")
	switch {
	case p.why == abaton.ReasonStepUp:
		o = refusal(http.StatusForbidden, "suppressed", "the keepers ask for a fresh touch of your passkey for this patient; the page that this answer names takes it, then try again")
	case p.vain:
		o = refusal(http.StatusForbidden, "suppressed", "a second clinician agreed, and the keepers still refuse: they know of no reason for you to open this patient, or hold that colleague back too; in an emergency open as one, and call the security officer")
	}
	o.Diagnostics += ": " + where
	return o
}

// notPaused is the one answer to a name that leads nowhere.
func notPaused() error {
	return refusal(http.StatusNotFound, "not-found", "nobody is held back here by that name, or it is over; try again in your program, it says where to go")
}

// pauseSeen is GET /portal/held/{id}.
type pauseSeen struct {
	Session string   `json:"session"` // hex: what a touch is for
	Actor   string   `json:"actor"`   // act1..., who is held back
	Patient string   `json:"patient"` // act1...
	Label   string   `json:"label"`   // what this organisation calls the patient; empty for its directory
	Lines   []string `json:"lines"`   // lin1..., what a touch is over
	Purpose string   `json:"purpose"`
	Touch   bool     `json:"touch"`  // a touch lets go on; else a second clinician
	Code    string   `json:"code"`   // of who is asked; empty: nobody is
	Agreed  int64    `json:"agreed"` // when a second clinician agreed, unix seconds; 0: nobody did
	Until   int64    `json:"until"`  // how long that serves
	Vain    bool     `json:"vain"`   // the keepers refused although
}

func seenOf(p *pause) *pauseSeen {
	out := &pauseSeen{Session: hex.EncodeToString(p.of.id[:]), Actor: p.of.actor.String(), Patient: p.patient.String(), Label: p.label, Lines: []string{},
		Purpose: string(p.purpose), Touch: p.why == abaton.ReasonStepUp, Code: p.code, Vain: p.vain}
	for _, l := range p.lines {
		out.Lines = append(out.Lines, l.String())
	}
	if p.agreed != (time.Time{}) {
		out.Agreed, out.Until = p.agreed.Unix(), p.agreed.Add(session.StepUpMax-stepUpSpare).Unix()
	}
	return out
}

// held answers GET /portal/held/{id}: the page that a clinician who is held back
// was sent to.
func (g *Gateway) held(_ context.Context, c *call) (*answer, error) {
	p := g.pauses.get(c.id, g.now())
	if p == nil {
		return nil, notPaused()
	}
	return jsonAnswer(seenOf(p))
}

// heldTouched is POST /portal/held/touch.
type heldTouched struct {
	Held   string `json:"held"`
	StepUp string `json:"stepUp"` // base64url of session.SignedStepUp
}

// heldTouch answers POST /portal/held/touch: the clinician's passkey signed for
// exactly this session, patient, lines and purpose.
func (g *Gateway) heldTouch(_ context.Context, c *call) (*answer, error) {
	bad := refusal(http.StatusBadRequest, "value", "this touch is not for what is held back, or too old; touch the passkey again")
	var in heldTouched
	if err := decodeJSON(c.body, &in); err != nil {
		return nil, err
	}
	p := g.pauses.get(in.Held, g.now())
	if p == nil {
		return nil, notPaused()
	}
	signed, err := login.Decode(in.StepUp)
	if err != nil {
		return nil, bad
	}
	u, err := session.ParseStepUp(signed)
	if err != nil || u.StepUp.Session != p.of.id || u.StepUp.Patient != p.patient || u.StepUp.Purpose != p.purpose || !freshStepUp(u, g.now()) ||
		slices.ContainsFunc(p.lines, func(l abaton.Line) bool { return !slices.Contains(u.StepUp.Lines, l) }) || !p.of.goOn(p.patient, wayOn{touch: u}) {
		return nil, bad
	}
	return &answer{status: http.StatusNoContent}, nil
}

// heldAsked is POST /portal/held/ask.
type heldAsked struct {
	Held string `json:"held"`
}

// askSecond answers POST /portal/held/ask: colleagues of the same team see it
// from now on, with the code that both read to each other.
func (g *Gateway) askSecond(_ context.Context, c *call) (*answer, error) {
	var in heldAsked
	if err := decodeJSON(c.body, &in); err != nil {
		return nil, err
	}
	p := g.pauses.get(in.Held, g.now())
	if p == nil {
		return nil, notPaused()
	}
	if p.why != abaton.ReasonSuspended {
		return nil, refusal(http.StatusBadRequest, "value", "here your own passkey lets you go on; touch it on this page")
	}
	g.pauses.ask(p.name, g.now())
	return jsonAnswer(seenOf(g.pauses.get(p.name, g.now())))
}

// secondSeen is one entry of GET /portal/second.
type secondSeen struct {
	Ask     string `json:"ask"`
	Code    string `json:"code"`
	Who     string `json:"who"`     // in the directory's words; empty where it was not open
	Role    string `json:"role"`    // as what the asker signed in
	Opener  string `json:"opener"`  // act1..., who asks
	Opening string `json:"opening"` // the session that asks, hex
	Patient string `json:"patient"` // act1...
	Label   string `json:"label"`   // what this organisation calls the patient; empty for its directory
	Grant   string `json:"grant"`   // gra1...
	Purpose string `json:"purpose"`
}

// secondAsked answers GET /portal/second: what colleagues of one's team ask.
func (g *Gateway) secondAsked(ctx context.Context, c *call) (*answer, error) {
	out := struct {
		Asks []secondSeen `json:"asks"`
	}{[]secondSeen{}}
	for _, p := range g.pauses.asking(g.now()) {
		may, err := g.maySecond(ctx, c.person, &p)
		if err != nil {
			return nil, err
		}
		if may {
			out.Asks = append(out.Asks, secondSeen{Ask: p.asked, Code: p.code, Who: p.who, Role: p.of.role, Opener: p.of.actor.String(),
				Opening: hex.EncodeToString(p.of.id[:]), Patient: p.patient.String(), Label: p.label, Grant: p.grant.String(), Purpose: string(p.purpose)})
		}
	}
	return jsonAnswer(out)
}

// maySecond: another clinician of this organisation, of a team of the asker's;
// anybody of the house where the asker is in no team. What keepers demand
// besides, they judge.
func (g *Gateway) maySecond(ctx context.Context, by *person, p *pause) (bool, error) {
	if by.actor == p.of.actor || by.lender != nil || by.limits != nil {
		return false, nil
	}
	log, err := g.network.Log(ctx, by.actor)
	if err != nil || log.Kind() != actor.Clinician {
		return false, err
	}
	org, err := g.network.Log(ctx, g.org)
	if err != nil || org.Member(by.actor, g.now()) == nil {
		return false, err
	}
	alone := true
	for _, t := range org.Teams() {
		if !org.Seated(t.Team, p.of.actor, g.now()) {
			continue
		}
		if alone = false; org.Seated(t.Team, by.actor, g.now()) {
			return true, nil
		}
	}
	return alone, nil
}

// secondSaid is POST /portal/second.
type secondSaid struct {
	Ask      string `json:"ask"`
	Approval string `json:"approval"` // base64url of session.SignedApproval
}

// secondAgrees answers POST /portal/second: a second clinician's passkey signed
// that a colleague goes on with one patient. The session of who agrees begins at
// the keepers first, or they would know nobody by that word.
func (g *Gateway) secondAgrees(ctx context.Context, c *call) (*answer, error) {
	var in secondSaid
	if err := decodeJSON(c.body, &in); err != nil {
		return nil, err
	}
	p := g.pauses.find(g.now(), func(p *pause) bool { return p.asked != "" && p.asked == in.Ask })
	if p == nil {
		return nil, notPaused()
	}
	may, err := g.maySecond(ctx, c.person, p)
	if err != nil {
		return nil, err
	}
	if !may {
		return nil, refusal(http.StatusForbidden, "forbidden", "you are not a colleague of the same team, or work as somebody who does not look at records; ask another colleague")
	}
	signed, err := readApproval(in.Approval, c.person, p, g.now())
	if err != nil {
		return nil, err
	}
	if err := c.person.reader.Introduce(ctx); err != nil {
		return nil, err
	}
	if !p.of.goOn(p.patient, wayOn{approval: signed}) {
		return nil, notPaused()
	}
	g.pauses.agreed(p.name, g.now())
	return &answer{status: http.StatusNoContent}, nil
}

// readApproval is an approval by this person about this pause, in time.
func readApproval(text string, by *person, p *pause, now time.Time) (*session.SignedApproval, error) {
	bad := refusal(http.StatusBadRequest, "value", "this agreement is not about what your colleague asks, or too old; touch the passkey again")
	signed, err := login.Decode(text)
	if err != nil {
		return nil, bad
	}
	a, err := session.ParseApproval(signed)
	if err != nil {
		return nil, bad
	}
	if s := &a.Approval; s.Session != by.id || s.Patient != p.patient || s.Escrow != p.grant || s.Opener != p.of.actor ||
		s.Opening != [32]byte(p.of.id) || s.Verdict != session.Right || !freshTouch(s.Time, now) {
		return nil, bad
	}
	return a, nil
}

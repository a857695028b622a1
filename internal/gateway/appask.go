package gateway

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/smart"
)

// askState is how far an ask has come. The zero state is none.
type askState uint8

const (
	askWaits    askState = 1 + iota // for a person
	askApproved                     // a session is lent; the browser has not come back yet
	askRefused                      // the person said no
	askAnswered                     // the browser took the answer to the app
	askRedeemed                     // the code became access, or was lost
)

// ask is one app's request on its way to a person and back.
type ask struct {
	*smart.Request
	handle  string
	browser [32]byte // hash of the cookie of the browser it came from
	code    string   // what the person types on the own device
	expires time.Time
	launch  *launch // nil for a standalone one
	state   askState
	decided chan struct{} // closed when a person has
	given   *authorized
	until   time.Time // until when the authorization code holds
}

// launch is a clinician's system handing a patient in view to an app.
type launch struct {
	app       string
	by        abaton.ActorID
	patient   abaton.ActorID
	patientID string
	expires   time.Time
}

// codeLetters are those of approval codes: no vowels and nothing that looks
// like something else, so that they can be read out and spell nothing.
const (
	codeLetters = "BCDFGHJKLMNPQRSTVWXZ23456789"
	codeChars   = 8
)

// approvalCode is a fresh code, 28^8 of them; a guess finds one of the few that
// wait with odds of one in a thousand million, and gives nothing but the name
// of an app.
func approvalCode() string {
	var b strings.Builder
	for b.Len() < codeChars {
		var one [1]byte
		rand.Read(one[:])
		if limit := 256 - 256%len(codeLetters); int(one[0]) < limit {
			b.WriteByte(codeLetters[int(one[0])%len(codeLetters)])
		}
	}
	return b.String()
}

// shownCode is the code as people read it.
func shownCode(code string) string { return code[:codeChars/2] + "-" + code[codeChars/2:] }

// typedCode is a code as people type it.
func typedCode(text string) string {
	return strings.ToUpper(strings.NewReplacer("-", "", " ", "").Replace(text))
}

// authorize answers GET and POST /authorize: it checks the request, remembers
// it, and sends the browser to the page that waits.
func (g *Gateway) authorize(_ context.Context, c *call) (*answer, error) {
	d, err := g.desk()
	if err != nil {
		return nil, err
	}
	query := c.r.URL.RawQuery
	if c.method == http.MethodPost {
		query = string(c.body)
	}
	params, err := smart.ParseParams(query)
	if err != nil {
		return refusedPage(err), nil
	}
	r, err := d.registry().Authorize(params, d.base)
	if told, ok := errors.AsType[*smart.RedirectError](err); ok {
		return redirect(smart.Answer(told.Redirect, d.base, "error", string(told.Refusal.Code), "error_description", told.Refusal.Says, "state", told.State)), nil
	}
	if err != nil {
		return refusedPage(err), nil
	}
	a, cookie, err := d.file(r, g.now())
	if err != nil {
		refused, _ := errors.AsType[*smart.Error](err)
		return redirect(smart.Answer(r.Redirect, d.base, "error", string(refused.Code), "error_description", refused.Says, "state", r.State)), nil
	}
	to := redirect("/authorize/" + a.handle)
	set := &http.Cookie{Name: a.cookie(), Value: cookie, Path: "/authorize/" + a.handle, MaxAge: int(smart.AskLife / time.Second),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: strings.HasPrefix(d.base, "https:")}
	to.header.Set("Set-Cookie", set.String())
	return to, nil
}

// cookie names the cookie that ties an ask to the browser it came from: whoever
// only knows the page's address cannot take its answer.
func (a *ask) cookie() string { return "abaton_ask_" + a.handle[:8] }

// file remembers a request. Errors are *smart.Error.
func (d *appDesk) file(r *smart.Request, now time.Time) (*ask, string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := &ask{Request: r, state: askWaits, decided: make(chan struct{}), expires: now.Add(smart.AskLife)}
	if r.Launch != "" {
		if a.launch = d.takeLaunch(r.Launch, r.App.ID, now); a.launch == nil {
			return nil, "", &smart.Error{Code: smart.InvalidRequest, Says: "this launch is used, too old or not for this app; launch again"}
		}
	}
	if len(d.asks) >= asksMax {
		return nil, "", &smart.Error{Code: smart.Unavailable, Says: "too many apps are asking; try again in a minute"}
	}
	var handle [16]byte
	rand.Read(handle[:])
	a.handle = hex.EncodeToString(handle[:])
	for a.code = approvalCode(); d.byCode[a.code] != nil; a.code = approvalCode() {
	}
	var cookie string
	cookie, a.browser = secret()
	d.asks[a.handle], d.byCode[a.code] = a, a
	return a, cookie, nil
}

// takeLaunch uses a launch up. Callers hold mu.
func (d *appDesk) takeLaunch(text, app string, now time.Time) *launch {
	name, ok := nameOf(text)
	l := d.launches[name]
	if !ok || l == nil || l.app != app || !now.Before(l.expires) {
		return nil
	}
	delete(d.launches, name)
	return l
}

// asked finds an ask by the page's address and the browser's cookie.
func (d *appDesk) asked(r *http.Request, handle string, now time.Time) *ask {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.asks[handle]
	if a == nil || !now.Before(a.expires) {
		return nil
	}
	cookie, err := r.Cookie(a.cookie())
	if err != nil {
		return nil
	}
	name, ok := nameOf(cookie.Value)
	if !ok || subtle.ConstantTimeCompare(name[:], a.browser[:]) != 1 {
		return nil
	}
	return a
}

// wait answers GET /authorize/{id}: the page that says what is asked and shows
// the code, until the person has decided; then the way back to the app. The
// page asks for itself anew, and that request is held a while: the page stays
// as it is, with what has the focus, until there is news.
func (g *Gateway) wait(ctx context.Context, c *call) (*answer, error) {
	d, err := g.desk()
	if err != nil {
		return nil, err
	}
	a := d.asked(c.r, c.id, g.now())
	if a == nil {
		return gonePage(), nil
	}
	if c.query == againQuery {
		hold := time.NewTimer(waitHold)
		defer hold.Stop()
		select {
		case <-a.decided:
		case <-hold.C:
		case <-ctx.Done():
		}
	}
	to, waits := d.outcome(a, g.now())
	switch {
	case waits:
		return askPage(a, g.now()), nil
	case to == "":
		return gonePage(), nil
	}
	return redirect(to), nil
}

// outcome is the answer an ask takes to the app, once; waits while the person
// has not decided.
func (d *appDesk) outcome(a *ask, now time.Time) (to string, waits bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch a.state {
	case askWaits:
		return "", true
	case askRefused:
		a.state = askRedeemed
		return smart.Answer(a.Redirect, d.base, "error", string(smart.AccessDenied), "state", a.State), false
	case askApproved:
		code, name := secret()
		a.state, a.until = askAnswered, now.Add(smart.CodeLife)
		d.codes[name] = a
		return smart.Answer(a.Redirect, d.base, "code", code, "state", a.State), false
	}
	return "", false
}

// decline answers POST /authorize/{id}: the person says no on the page.
func (g *Gateway) decline(_ context.Context, c *call) (*answer, error) {
	d, err := g.desk()
	if err != nil {
		return nil, err
	}
	a := d.asked(c.r, c.id, g.now())
	if a == nil || !d.refuse(a) {
		return gonePage(), nil
	}
	return declinedPage(a), nil
}

// refuse notes a no; false when it comes too late.
func (d *appDesk) refuse(a *ask) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if a.state != askWaits {
		return false
	}
	a.state = askRefused
	close(a.decided)
	delete(d.byCode, a.code)
	return true
}

// pending is the ask that waits under an approval code.
func (d *appDesk) pending(code string, now time.Time) *ask {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.byCode[typedCode(code)]
	if a == nil || a.state != askWaits || !now.Before(a.expires) {
		return nil
	}
	return a
}

// approve ties a lent session to an ask; false when it was decided meanwhile.
func (d *appDesk) approve(a *ask, given *authorized) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if a.state != askWaits {
		return false
	}
	a.state, a.given = askApproved, given
	close(a.decided)
	delete(d.byCode, a.code)
	return true
}

// redeemed gives what a code stands for, and whether it was used before.
func (d *appDesk) redeemed(code string, now time.Time) (a *ask, again bool) {
	value, ok := nameOf(code)
	if !ok {
		return nil, false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	a = d.codes[value]
	switch {
	case a == nil:
		return nil, false
	case a.state != askAnswered:
		return a, true
	}
	a.state = askRedeemed // whatever comes of it: a code is tried once
	if !now.Before(a.until) {
		return a, true
	}
	return a, false
}

// page answers are never kept, framed or told to the next site.
func redirect(to string) *answer {
	return &answer{status: http.StatusSeeOther, location: to, header: pageHeader(), content: contentHTML}
}

// hashOf is the hash of a text in the form of CSP.
func hashOf(text string) [sha256.Size]byte { return sha256.Sum256([]byte(text)) }

package gateway

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/seal"
)

const (
	contentFHIR = "application/fhir+json; charset=utf-8"
	contentJSON = "application/json"
)

// withheldWarning is what a list without its level 3 part says.
const withheldWarning = "a part of this record needs a fresh passkey touch and is not shown here"

// partialWarning is what a list says while too few keepers give some record.
const partialWarning = "a part of this record cannot be opened now, so this may lack something; try again in a moment"

// answer is what a handler gives back.
type answer struct {
	status   int
	body     []byte // empty sends none
	content  string // content type; contentFHIR if empty
	etag     string // with its quotes
	modified time.Time
	location string
	warning  string // text of a Warning header, fixed
	header   http.Header

	contentLocation string                  // where a job's status is
	progress        string                  // of a job, X-Progress
	retryAfter      string                  // seconds
	expires         time.Time               // of a job's files
	stream          func(w io.Writer) error // instead of body, written as it is made
	sent            bool                    // the handler has written it, all or
	cut             bool                    // only a part
}

func (a *answer) write(w http.ResponseWriter) {
	if a.sent {
		return
	}
	h := w.Header()
	maps.Copy(h, a.header)
	if a.etag != "" {
		h.Set("ETag", a.etag)
	}
	if !a.modified.IsZero() {
		h.Set("Last-Modified", a.modified.UTC().Format(http.TimeFormat))
	}
	if a.location != "" {
		h.Set("Location", a.location)
	}
	if a.warning != "" {
		h.Set("Warning", `199 - "`+a.warning+`"`)
	}
	for name, text := range map[string]string{"Content-Location": a.contentLocation, "X-Progress": a.progress, "Retry-After": a.retryAfter} {
		if text != "" {
			h.Set(name, text)
		}
	}
	if !a.expires.IsZero() {
		h.Set("Expires", a.expires.UTC().Format(http.TimeFormat))
	}
	if len(a.body) > 0 || a.stream != nil {
		content := a.content
		if content == "" {
			content = contentFHIR
		}
		h.Set("Content-Type", content)
	}
	if a.stream != nil {
		w.WriteHeader(a.status)
		if err := a.stream(&steady{w: w}); err != nil {
			panic(http.ErrAbortHandler) // the client sees that it is not whole
		}
		return
	}
	if a.status != http.StatusNoContent && a.status != http.StatusNotModified {
		h.Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
	w.Write(a.body) // a broken connection is the caller's to notice
}

// refusal makes an outcome. Diagnostics is fixed text that says what to do
// next and holds no patient fact.
func refusal(status int, code, diagnostics string) *fhir.OutcomeError {
	return &fhir.OutcomeError{Status: status, Code: code, Diagnostics: diagnostics}
}

// absent is the one answer for what is not here and what is not yours.
func absent() *fhir.OutcomeError {
	return refusal(http.StatusNotFound, "not-found", "no such resource, or no access to it; check the id, or ask the patient to give access and sign in again")
}

// outcomeOf turns any error into what a client is told.
func outcomeOf(err error) *fhir.OutcomeError {
	if o, ok := errors.AsType[*fhir.OutcomeError](err); ok {
		return o
	}
	if _, ok := errors.AsType[*fhir.SyntaxError](err); ok {
		return fhir.AsOutcome(err)
	}
	if r, ok := errors.AsType[*abaton.RefusedError](err); ok {
		return outcomeOfReason(r.Reason)
	}
	switch {
	case errors.Is(err, abaton.ErrNotFound):
		return absent()
	case errors.Is(err, abaton.ErrErased):
		return refusal(http.StatusGone, "deleted", "the patient had this erased; nothing is left to read")
	case errors.Is(err, seal.ErrTooLarge):
		return refusal(http.StatusRequestEntityTooLarge, "too-long", "the resource is larger than a record may be; put large content into a Binary, in parts")
	case errors.Is(err, abaton.ErrUnavailable), errors.Is(err, abaton.ErrPending), errors.Is(err, context.DeadlineExceeded):
		return refusal(http.StatusServiceUnavailable, "transient", "too few keepers answered; try again in a moment")
	}
	return fhir.AsOutcome(err)
}

// outcomeOfReason says what to do about a keeper's refusal. A grant that does
// not hold looks like a resource that does not exist.
func outcomeOfReason(reason abaton.Reason) *fhir.OutcomeError {
	switch reason {
	case abaton.ReasonGrant, abaton.ReasonPurpose, abaton.ReasonExpired, abaton.ReasonRevoked,
		abaton.ReasonBarred, abaton.ReasonNotFound, abaton.ReasonActor, abaton.ReasonFrozen, abaton.ReasonDormant:
		return absent()
	case abaton.ReasonErased:
		return outcomeOf(abaton.ErrErased)
	case abaton.ReasonNoSession, abaton.ReasonSession, abaton.ReasonCredential, abaton.ReasonSignature:
		return refusal(http.StatusUnauthorized, "login", "the keepers no longer accept this session; sign in again with abaton login")
	case abaton.ReasonCloned:
		return refusal(http.StatusUnauthorized, "login", "this passkey was used on two devices that do not know of each other: somebody may hold a copy; remove it, enrol another and tell the clinic")
	case abaton.ReasonStepUp:
		return refusal(http.StatusForbidden, "suppressed", "this part needs a fresh passkey touch over it; sign in again with step-up")
	case abaton.ReasonSuspended:
		return refusal(http.StatusForbidden, "suppressed", "the keepers hold this session or person back; for a patient in your care ask a second clinician to agree, in an emergency open as one with a second clinician, and call the security officer")
	case abaton.ReasonThrottled:
		return refusal(http.StatusTooManyRequests, "throttled", "many new patients were opened in a short time; the next one opens in half a minute")
	case abaton.ReasonQuota, abaton.ReasonBudget:
		return refusal(http.StatusTooManyRequests, "throttled", "the grant's quota or the budget for this time is used up; wait, or ask the patient for a new grant")
	case abaton.ReasonStanding, abaton.ReasonPolicy:
		return refusal(http.StatusForbidden, "forbidden", "role, training or the organisation's policy do not allow this; ask the practice's administrator")
	case abaton.ReasonWriter:
		return refusal(http.StatusForbidden, "forbidden", "this organisation may not deposit here; ask the patient to let it deposit")
	case abaton.ReasonWays:
		return refusal(http.StatusForbidden, "forbidden", "the patient has no second way back in, so nothing is stored yet; ask the patient to make a kit first")
	case abaton.ReasonTooLarge:
		return refusal(http.StatusRequestEntityTooLarge, "too-long", "this is over a limit of the keepers; send it in parts")
	case abaton.ReasonTime, abaton.ReasonClock, abaton.ReasonLease, abaton.ReasonQuarantine, abaton.ReasonStorage:
		return refusal(http.StatusServiceUnavailable, "transient", "too many keepers cannot answer now (clock, catching up or storage); try again, and tell the operator if it stays")
	}
	return refusal(http.StatusBadGateway, "exception", "the keepers refused the gateway's request; tell the operator")
}

// retryAfter is what 503 and 429 suggest, in seconds.
const retryAfter = "5"

// refuse writes an outcome.
func refuse(w http.ResponseWriter, o *fhir.OutcomeError) {
	switch o.Status {
	case http.StatusUnauthorized:
		if w.Header().Get("WWW-Authenticate") == "" {
			w.Header().Set("WWW-Authenticate", `Bearer realm="abaton"`)
		}
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		if w.Header().Get("Retry-After") == "" {
			w.Header().Set("Retry-After", retryAfter)
		}
	}
	(&answer{status: o.Status, body: o.Outcome()}).write(w)
}

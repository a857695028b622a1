package intake

import (
	"context"
	"errors"
	"net/http"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/gateway"
	"github.com/abaton-health/abaton/internal/hl7"
)

// job is one message in hand.
type job struct {
	raw    []byte
	key    [32]byte
	header hl7.Header
	mapped *hl7.Mapped
	retry  bool         // it was in the quarantine, and its sender knows
	why    *hl7.Refusal // of one to be set aside
	answer hl7.Answer
	done   chan struct{}
}

// answered ends a job.
func (j *job) answered(a hl7.Answer) {
	j.answer = a
	close(j.done)
}

// Texts of answers: fixed words.
const (
	textNoSession = "no service session; send again"
	textTransient = "not durable yet; send again"
	textAside     = "set aside, sealed; people will look at it"
	textTooLarge  = "over the limit; not kept"
)

// take reads a message, finds whose it is, and puts it into that patient's
// lane. What cannot be filed goes to the quarantine's.
func (in *Intake) take(ctx context.Context, raw []byte) *job {
	raw, retry := hl7.CutRetry(raw)
	j := &job{raw: raw, key: hl7.KeyOf(raw), header: hl7.HeaderOf(raw), retry: retry, done: make(chan struct{})}
	m, err := hl7.Parse(raw)
	if err == nil {
		j.header = m.Header()
		j.mapped, err = hl7.Map(m, hl7.Options{Zone: in.c.Zone, Systems: in.c.Systems, Received: in.c.Now()})
	}
	if refusal, ok := errors.AsType[*hl7.Refusal](err); ok {
		in.aside(j, refusal)
		return j
	}
	in.address(ctx, j)
	return j
}

// address finds the patient of a mapped message.
func (in *Intake) address(ctx context.Context, j *job) {
	s, err := in.c.Session()
	if err != nil {
		in.deferred(j, textNoSession)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, fileMax)
	defer cancel()
	patient, birth, err := s.FindPatient(ctx, j.mapped.Patients)
	switch {
	case errors.Is(err, abaton.ErrNotFound):
		in.aside(j, &hl7.Refusal{Reason: hl7.ReasonPatient, Place: "PID-3"})
	case errors.Is(err, gateway.ErrSeveral):
		in.aside(j, &hl7.Refusal{Reason: hl7.ReasonAmbiguous, Place: "PID-3"})
	case err != nil:
		in.deferred(j, textTransient)
	case !j.mapped.Corrects && differ(j.mapped.BirthDate, birth):
		in.aside(j, &hl7.Refusal{Reason: hl7.ReasonMismatch, Place: "PID-7"})
	default:
		in.enqueue(patient, j)
	}
}

// differ: two dates that are both given and not the same as far as both go.
func differ(a, b string) bool {
	n := min(len(a), len(b))
	return n > 0 && a[:n] != b[:n]
}

// aside puts a message into the quarantine's lane.
func (in *Intake) aside(j *job, why *hl7.Refusal) {
	j.why = why
	in.enqueue(abaton.ActorID{}, j)
}

// deferred: nothing is kept, the sender sends again.
func (in *Intake) deferred(j *job, text string) {
	in.counters.answered("deferred", "")
	j.answered(hl7.Answer{Code: "AE", Text: text})
}

// filed: it is durable in the patient's record.
func (in *Intake) filed(j *job, outcome string) {
	in.counters.answered(outcome, "")
	j.answered(hl7.Answer{Code: "AA"})
}

// kept: it is durable in the quarantine. What is no message at all is refused
// besides, so that its sender looks at it too.
func (in *Intake) kept(j *job) {
	in.counters.answered("quarantined", j.why.Reason)
	a := hl7.Answer{Code: "AA", Reason: j.why.Reason, Text: textAside}
	if j.why.Reason == hl7.ReasonSyntax || j.why.Reason == hl7.ReasonCharset {
		a.Code = "AR"
	}
	j.answered(a)
}

// passing reports whether trouble may pass: then the message is to be sent
// again. All else is about the message, and it is set aside.
func passing(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, abaton.ErrUnavailable) || errors.Is(err, abaton.ErrPending) {
		return true
	}
	if o, ok := errors.AsType[*fhir.OutcomeError](err); ok {
		return o.Status >= 500 || o.Status == http.StatusTooManyRequests || o.Status == http.StatusUnauthorized
	}
	if r, ok := errors.AsType[*abaton.RefusedError](err); ok {
		return !lasting(r.Reason)
	}
	_, syntax := errors.AsType[*fhir.SyntaxError](err)
	return !syntax && !errors.Is(err, abaton.ErrNotFound)
}

// lasting are the keepers' refusals that sending again does not mend.
func lasting(reason abaton.Reason) bool {
	switch reason {
	case abaton.ReasonWriter, abaton.ReasonGrant, abaton.ReasonRevoked, abaton.ReasonExpired, abaton.ReasonBarred, abaton.ReasonActor,
		abaton.ReasonErased, abaton.ReasonWays, abaton.ReasonTooLarge, abaton.ReasonMalformed, abaton.ReasonPurpose:
		return true
	}
	return false
}

// whyNot is the reason under which a refused message is set aside.
func whyNot(err error) *hl7.Refusal {
	reason := hl7.ReasonRefused
	if o, ok := errors.AsType[*fhir.OutcomeError](err); ok && (o.Status == http.StatusForbidden || o.Status == http.StatusNotFound) {
		reason = hl7.ReasonForbidden
	}
	if _, ok := errors.AsType[*abaton.RefusedError](err); ok || errors.Is(err, abaton.ErrNotFound) {
		reason = hl7.ReasonForbidden
	}
	return &hl7.Refusal{Reason: reason}
}

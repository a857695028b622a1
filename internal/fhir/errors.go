package fhir

import (
	"errors"
	"fmt"
)

// A SyntaxError says where a text stops being strict JSON and why. The reason
// is one of a fixed set of sentences; the text itself is never quoted.
type SyntaxError struct {
	Offset int    // byte offset into the source
	Reason string // fixed text
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("fhir json: %s at byte %d", e.Reason, e.Offset)
}

// An OutcomeError is a refusal that a FHIR client can act on. Diagnostics is
// fixed text that says what to do next; it never holds a patient fact.
// Expression is a FHIRPath to the place, made of element names and indexes.
type OutcomeError struct {
	Status      int    // HTTP status
	Code        string // FHIR issue-type, http://hl7.org/fhir/ValueSet/issue-type
	Diagnostics string
	Expression  string  // optional
	More        []Issue // further issues, optional
}

func (e *OutcomeError) Error() string {
	if e.Expression == "" {
		return fmt.Sprintf("fhir %d %s: %s", e.Status, e.Code, e.Diagnostics)
	}
	return fmt.Sprintf("fhir %d %s at %s: %s", e.Status, e.Code, e.Expression, e.Diagnostics)
}

// AsOutcome turns any error of this package into what a client is told. An
// error it does not know becomes a 500 that says nothing of its text.
func AsOutcome(err error) *OutcomeError {
	if o, ok := errors.AsType[*OutcomeError](err); ok {
		return o
	}
	if s, ok := errors.AsType[*SyntaxError](err); ok {
		return &OutcomeError{
			Status:      statusBadRequest,
			Code:        "structure",
			Diagnostics: fmt.Sprintf("the body is not strict JSON: %s at byte %d; correct it and send it again", s.Reason, s.Offset),
		}
	}
	return &OutcomeError{Status: statusInternal, Code: "exception", Diagnostics: "the request could not be carried out; try again, and tell the operator if it stays"}
}

func refuse(status int, code, expression, diagnostics string) *OutcomeError {
	return &OutcomeError{Status: status, Code: code, Diagnostics: diagnostics, Expression: expression}
}

// HTTP statuses by name (RFC 9110, section 15). They are written here because
// a pure room imports no network package.
const (
	statusBadRequest    = 400
	statusNotFound      = 404
	statusNotAllowed    = 405
	statusPrecondition  = 412
	statusTooLarge      = 413
	statusUnprocessable = 422
	statusInternal      = 500
)

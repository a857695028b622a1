package view

import (
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/fhir"
)

// A Request is what somebody asks of a patient: a Consent with status proposed
// and scope patient-privacy. It gives nothing; the patient's device reads it,
// and the patient gives a grant or does not.
type Request struct {
	Patient    abaton.ActorID  // if the Consent names an actor, else zero
	Reference  string          // if it names a FHIR Patient, else empty
	Grantee    abaton.ActorID  // who is to read, if it says so: else whoever asks
	Categories []fhir.Category // at least one
	Purpose    abaton.Purpose
	Start, End time.Time // zero if it does not say
	Reason     string    // one line that the patient reads word for word; may be empty
}

// ReasonMax is the longest reason of a request, in characters: one line.
const ReasonMax = 200

// ErrRequest says that a Consent asks for something that no grant can give.
var ErrRequest = errors.New("not an access request that can be given")

// IsRequest reports whether a resource asks for access.
func IsRequest(r fhir.Resource) bool {
	return r.Type == "Consent" && r.Get("status").Is("proposed") && hasCode(r.Get("scope"), systemScope, "patient-privacy")
}

// RequestOf reads a request; ErrRequest where it names no known purpose, a
// part of a record that there is not, more than one grantee, or denies.
// Without a label it asks for the general part, without a purpose to treat.
func RequestOf(r fhir.Resource) (q Request, err error) {
	if !IsRequest(r) {
		return q, ErrRequest
	}
	p := r.Get("provision")
	q.Purpose = abaton.Treatment
	q.Reference = r.Path("patient", "reference").Text()
	if q.Patient, err = namedActor(r.Path("patient", "identifier")); err != nil {
		return q, err
	}
	if p.Kind() != fhir.Absent && p.Kind() != fhir.Object || p.Get("type").Is("deny") || p.Get("provision").Kind() != fhir.Absent || p.Get("actor").Len() > 1 {
		return q, ErrRequest
	}
	for a := range p.Get("actor").Each() {
		if q.Grantee, err = namedActor(a.Path("reference", "identifier")); err != nil {
			return q, err
		}
	}
	if err := q.why(p); err != nil {
		return q, err
	}
	if err := q.reason(r); err != nil {
		return q, err
	}
	return q, q.parts(p)
}

// why reads purpose and period.
func (q *Request) why(p fhir.Value) error {
	for v := range p.Get("purpose").Each() {
		code := abaton.Purpose(v.Get("code").Text())
		if !v.Get("system").Is(systemReason) || !code.Valid() || p.Get("purpose").Len() > 1 {
			return ErrRequest
		}
		q.Purpose = code
	}
	for name, at := range map[string]*time.Time{"start": &q.Start, "end": &q.End} {
		s := p.Path("period", name).Text()
		if s == "" {
			continue
		}
		when, ok := instant(s)
		if !ok {
			return ErrRequest
		}
		*at = when
	}
	return nil
}

// reason reads the reason in own words: plain text of one line. What a screen
// would not show, or would show as something else, refuses the request.
func (q *Request) reason(r fhir.Resource) error {
	for e := range r.Get("extension").Each() {
		if !e.Get("url").Is(ReasonExtension) {
			continue
		}
		text := e.Get("valueString").Text()
		if q.Reason != "" || text == "" || utf8.RuneCountInString(text) > ReasonMax ||
			strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return ErrRequest
		}
		q.Reason = text
	}
	return nil
}

// instant reads a FHIR dateTime of a day or finer.
func instant(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// parts reads the labels. A code of HL7's must stand for a part; one of ours
// must be a part.
func (q *Request) parts(p fhir.Value) error {
	for v := range p.Get("securityLabel").Each() {
		c, ok := partOf(v.Get("system").Text(), v.Get("code").Text())
		if !ok {
			return ErrRequest
		}
		if !slices.Contains(q.Categories, c) {
			q.Categories = append(q.Categories, c)
		}
	}
	if len(q.Categories) == 0 {
		q.Categories = []fhir.Category{fhir.General}
	}
	return nil
}

func partOf(system, code string) (fhir.Category, bool) {
	switch system {
	case SystemCategory:
		return fhir.ParseCategory(code)
	case systemActCode:
		for _, c := range fhir.Categories() {
			if slices.Contains(sensitivity(c), code) {
				return c, true
			}
		}
	}
	return 0, false
}

// namedActor reads an identifier of ours; one of another system names nobody.
func namedActor(v fhir.Value) (abaton.ActorID, error) {
	if !v.Get("system").Is(SystemActor) {
		return abaton.ActorID{}, nil
	}
	id, err := abaton.ParseActorID(v.Get("value").Text())
	if err != nil {
		return id, ErrRequest
	}
	return id, nil
}

func hasCode(v fhir.Value, system, code string) bool {
	for c := range v.Get("coding").Each() {
		if c.Get("system").Is(system) && c.Get("code").Is(code) {
			return true
		}
	}
	return false
}

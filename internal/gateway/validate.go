package gateway

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/validate"
)

// Validation says what is done with what a write brings that is no valid FHIR.
type Validation uint8

// What is done with invalid writes.
const (
	// ValidateOff stores what clients send, as long as it can be read.
	ValidateOff Validation = iota
	// ValidateWarn stores it, and tells those who ask for an
	// OperationOutcome what was found.
	ValidateWarn
	// ValidateRefuse answers 422 to what has errors, with all of them.
	ValidateRefuse
)

// ParseValidation reads the setting: off, warn or refuse. Empty is off.
func ParseValidation(s string) (Validation, error) {
	switch s {
	case "", "off":
		return ValidateOff, nil
	case "warn":
		return ValidateWarn, nil
	case "refuse":
		return ValidateRefuse, nil
	}
	return ValidateOff, fmt.Errorf("validate is off, warn or refuse")
}

// checker makes the validator at its first use: a gateway that validates
// nothing does not pay for the tables.
func checker() func() (*validate.Validator, error) {
	return sync.OnceValues(func() (*validate.Validator, error) { return validate.New(validate.Config{}) })
}

// validate answers POST [type]/$validate and [type]/[id]/$validate: what is
// wrong with a resource, and what was not looked at. Nothing is written, and
// nothing of any chart is read but, for a deletion, whether this session sees
// the resource.
func (g *Gateway) validate(ctx context.Context, c *call) (*answer, error) {
	q, err := c.validation()
	if err != nil {
		return nil, err
	}
	if q.mode == "delete" {
		return g.validateDelete(ctx, c)
	}
	v, err := g.checker()
	if err != nil {
		return nil, err
	}
	report := q.unread
	if report == nil {
		if q.resource.Kind() == fhir.Absent {
			return nil, refusal(http.StatusBadRequest, "required", "there is no resource to validate; send it as the body, or as the parameter resource")
		}
		r := v.Check(q.resource, q.profiles...)
		report = &r
	}
	issues := append(c.placement(&q), outcomeIssues(report)...)
	return &answer{status: http.StatusOK, body: fhir.OperationOutcome(append(issues, closing(issues, report))...)}, nil
}

// question is what a call of $validate asks.
type question struct {
	resource fhir.Value
	mode     string
	profiles []string
	unread   *validate.Report // instead of a resource: why it could not be read
}

// validation reads the body, which is the resource or a Parameters with it,
// and the query.
func (c *call) validation() (q question, err error) {
	values, err := url.ParseQuery(c.query)
	if err != nil {
		return q, refusal(http.StatusBadRequest, "invalid", "the query cannot be read; correct it")
	}
	q.mode, q.profiles = values.Get("mode"), values["profile"]
	d, err := fhir.Parse(c.body)
	if err != nil {
		o := fhir.AsOutcome(err)
		q.unread = &validate.Report{Issues: []validate.Issue{{Severity: validate.Fatal, Code: o.Code, Message: "json", Text: o.Diagnostics}}}
		return q, nil
	}
	q.resource = d.Root()
	if d.Root().Get("resourceType").Is("Parameters") {
		q.parameters(d.Root(), c.kind)
	}
	switch q.mode {
	case "", "create", "update", "delete", "profile":
		return q, nil
	}
	return q, refusal(http.StatusBadRequest, "not-supported", "mode is create, update, delete or profile; correct it")
}

// parameters takes the operation's parameters out of a Parameters resource. One
// without them, sent to Parameters/$validate, is itself to be validated.
func (q *question) parameters(root fhir.Value, kind string) {
	found := false
	var resource fhir.Value
	for p := range root.Get("parameter").Each() {
		switch name := p.Get("name"); {
		case name.Is("resource"):
			resource, found = p.Get("resource"), true
		case name.Is("mode"):
			q.mode, found = p.Get("valueCode").Text(), true
		case name.Is("profile"):
			for _, form := range []string{"valueUri", "valueCanonical", "valueUrl"} {
				if s := p.Get(form).Text(); s != "" {
					q.profiles, found = append(q.profiles, s), true
				}
			}
		}
	}
	if found || kind != "Parameters" {
		q.resource = resource
	}
}

// placement is what is wrong with the resource at this URL.
func (c *call) placement(q *question) (issues []fhir.Issue) {
	if q.unread != nil {
		return nil
	}
	if !q.resource.Get("resourceType").Is(c.kind) {
		issues = append(issues, fhir.Issue{Severity: "error", Code: "invalid", Diagnostics: "type: the resource's type is not that of the URL; make them the same"})
	}
	if id := q.resource.Get("id").Text(); c.id != "" && id != c.id {
		issues = append(issues, fhir.Issue{Severity: "error", Code: "invalid", Diagnostics: "id: the resource's id is not that of the URL; make them the same"})
	}
	return issues
}

// validateDelete tells whether the resource is there to be deleted.
func (g *Gateway) validateDelete(ctx context.Context, c *call) (*answer, error) {
	if c.id == "" {
		return nil, refusal(http.StatusBadRequest, "required", "a deletion is validated at [type]/[id]/$validate; name the resource")
	}
	chart, err := g.locate(ctx, c.person, c, c.kind, c.id)
	if err != nil {
		return nil, err
	}
	if _, _, err := chart.find(c.kind, c.id); err != nil {
		return nil, err
	}
	return &answer{status: http.StatusOK, body: fhir.OperationOutcome(fhir.Issue{Severity: "information", Code: "informational",
		Diagnostics: "the resource is there; whether the keepers take its deletion is known when they are asked"})}, nil
}

// outcomeIssues are a report's issues as an OperationOutcome has them.
func outcomeIssues(r *validate.Report) (out []fhir.Issue) {
	for _, i := range r.Issues {
		out = append(out, fhir.Issue{Severity: i.Severity.String(), Code: i.Code, Diagnostics: i.Message + ": " + i.Text, Expression: i.Expression})
	}
	if r.Cut {
		out = append(out, fhir.Issue{Severity: "warning", Code: "too-costly", Diagnostics: "there are more issues than are listed; correct these first"})
	}
	return out
}

// closing is the last issue: what was not looked at.
func closing(issues []fhir.Issue, r *validate.Report) fhir.Issue {
	said := "no error was found"
	for _, i := range issues {
		if i.Severity == "error" || i.Severity == "fatal" {
			said = "errors were found"
		}
	}
	if len(r.Unchecked) > 0 {
		said += "; not checked: " + strings.Join(r.Unchecked, "; ")
	}
	return fhir.Issue{Severity: "information", Code: "informational", Diagnostics: said}
}

// judge holds what is to be written against the definitions, as the setting
// wants it. The findings are for the answer; an error refuses.
func (g *Gateway) judge(r fhir.Resource) (findings []fhir.Issue, err error) {
	if g.validation == ValidateOff {
		return nil, nil
	}
	v, err := g.checker()
	if err != nil {
		return nil, err
	}
	report := v.Check(r.Value)
	issues := outcomeIssues(&report)
	issues = append(issues, closing(issues, &report))
	if g.validation == ValidateRefuse && report.Errors() > 0 {
		o := refusal(http.StatusUnprocessableEntity, "invalid", "the resource is no valid FHIR R4; correct what is listed and send it again")
		o.More = issues
		return nil, o
	}
	return issues, nil
}

// done is the OperationOutcome of a write that took place.
func (p *plan) done() []byte {
	all := append([]fhir.Issue{{Severity: "information", Code: "informational", Diagnostics: "done; four keepers hold it"}}, p.findings...)
	return fhir.OperationOutcome(all...)
}

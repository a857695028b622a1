package fhir

import "strconv"

// An Issue is one issue of an OperationOutcome.
type Issue struct {
	Severity    string // fatal, error, warning or information
	Code        string // FHIR issue-type
	Detail      string // optional: a stable code of docs/ERRORS.md, of SystemOutcome
	Diagnostics string // optional; no patient facts
	Expression  string // optional FHIRPath
}

// OperationOutcome is the resource with these issues; R4 wants at least one.
func OperationOutcome(issues ...Issue) []byte {
	if len(issues) == 0 {
		panic("fhir: an OperationOutcome needs an issue")
	}
	out := []byte(`{"resourceType":"OperationOutcome","issue":[`)
	for i, issue := range issues {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendText(append(out, `{"severity":`...), issue.Severity)
		out = appendText(append(out, `,"code":`...), issue.Code)
		if issue.Detail != "" {
			out = appendText(append(out, `,"details":{"coding":[{"system":`...), SystemOutcome)
			out = append(appendText(append(out, `,"code":`...), issue.Detail), "}]}"...)
		}
		if issue.Diagnostics != "" {
			out = appendText(append(out, `,"diagnostics":`...), issue.Diagnostics)
		}
		if issue.Expression != "" {
			out = append(appendText(append(out, `,"expression":[`...), issue.Expression), ']')
		}
		out = append(out, '}')
	}
	return append(out, "]}"...)
}

// SystemOutcome is the system of the stable codes of outcomes
// (docs/ERRORS.md).
const SystemOutcome = "urn:abaton:outcome"

// Detail is the stable code of the error: its HTTP status and FHIR issue
// type. Software branches on it; the diagnostics are for people.
func (e *OutcomeError) Detail() string { return strconv.Itoa(e.Status) + "-" + e.Code }

// Outcome is the error as an OperationOutcome.
func (e *OutcomeError) Outcome() []byte {
	first := Issue{Severity: "error", Code: e.Code, Detail: e.Detail(), Diagnostics: e.Diagnostics, Expression: e.Expression}
	return OperationOutcome(append([]Issue{first}, e.More...)...)
}

// Package validate holds FHIR R4 resources against the official definitions:
// types, cardinalities, choice types, primitive formats, required bindings,
// invariants, references, contained resources, narratives, Bundles and the
// content of terminology resources.
//
// The shortest correct use:
//
//	v, err := validate.New(validate.Config{})
//	report := v.Validate(body)
//	if report.Errors() > 0 { ... }
//
// A Validator is immutable and safe for concurrent use. Reports name places by
// element names and indexes alone; they quote nothing of the resource.
//
// What it does not protect: a report without errors does not say that a
// resource is right. What was not looked at stands in Report.Unchecked: codes
// of terminologies that are not part of the definitions, profiles it does not
// know, what references mean outside of the body. It decides nothing about
// access.
package validate

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/path"
	"github.com/abaton-health/abaton/internal/fhir/structure"
)

// Severity says how bad an issue is. The zero Severity is Error, so that an
// issue nobody rated is one.
type Severity uint8

// Severities of issues.
const (
	Error Severity = iota
	Fatal
	Warning
	Information
)

func (s Severity) String() string {
	return [...]string{"error", "fatal", "warning", "information"}[s]
}

// An Issue is one finding.
type Issue struct {
	Severity   Severity
	Code       string // FHIR issue-type
	Message    string // which check, one of a fixed set; an invariant by its key
	Expression string // FHIRPath to the place: element names and indexes
	Text       string // fixed text, or of the definitions
}

// A Report is what was found and what was not looked at.
type Report struct {
	Issues    []Issue  // at most IssuesMax
	Cut       bool     // there are more
	Unchecked []string // sorted sentences, each once
}

// Errors is how many issues are errors.
func (r *Report) Errors() int {
	n := 0
	for _, i := range r.Issues {
		if i.Severity == Error || i.Severity == Fatal {
			n++
		}
	}
	return n
}

// Config says how strict to be. The zero Config is usable.
type Config struct {
	// KnownExtensions makes an extension that the definitions do not have an
	// error, as HL7's validator does. Without it such an extension is named
	// among what was not checked.
	KnownExtensions bool
	// NoHTML makes strings that look like HTML an error.
	NoHTML bool
	// NoExamples makes URLs of example.org and its like an error.
	NoExamples bool
}

// A Validator holds the compiled definitions.
type Validator struct {
	config Config
	types  *structure.Set
	rules  map[*structure.Rule]*path.Expression
	shapes map[string]*shape // profiles by URL
}

// New compiles the definitions of R4.
func New(c Config) (*Validator, error) {
	v := &Validator{config: c, types: structure.R4(), rules: map[*structure.Rule]*path.Expression{}}
	for rule := range v.types.Rules() {
		e, err := path.Compile(rule.Expression)
		if err != nil {
			return nil, fmt.Errorf("compile invariant %s: %w", rule.Key, err)
		}
		v.rules[rule] = e
	}
	var err error
	if v.shapes, err = shapes(v.types); err != nil {
		return nil, fmt.Errorf("read profiles: %w", err)
	}
	return v, nil
}

// Validate reads and checks one resource. It never fails: what cannot be read
// is an issue.
func (v *Validator) Validate(body []byte) Report {
	d, err := fhir.Parse(body)
	if err != nil {
		o := fhir.AsOutcome(err)
		return Report{Issues: []Issue{{Fatal, o.Code, "json", "", o.Diagnostics}}}
	}
	return v.Check(d.Root())
}

// Check checks one resource that has been read. Profiles by their URLs that
// as named by the caller count as those that it claims itself.
func (v *Validator) Check(root fhir.Value, as ...string) Report {
	w := &walk{v: v, as: as, unchecked: map[string]bool{}, steps: stepsMax}
	w.resource(root, nil)
	slices.SortStableFunc(w.issues, func(a, b Issue) int { return cmp.Compare(b.Severity, a.Severity) }) // fatal first
	room := min(len(w.notes), IssuesMax-len(w.issues))
	r := Report{Issues: append(w.issues, w.notes[:room]...), Cut: w.cut || room < len(w.notes)}
	for what := range w.unchecked {
		r.Unchecked = append(r.Unchecked, what)
	}
	slices.Sort(r.Unchecked)
	return r
}

// Package path evaluates FHIRPath (2.0, http://hl7.org/fhirpath/N1) over the
// read-only tree of package fhir, with the types of package structure.
//
// The shortest correct use:
//
//	e, err := path.Compile("name.where(use = 'official').given")
//	found, err := e.Eval(path.Scope{Types: structure.R4(), Focus: path.Of(structure.R4(), r.Value)})
//
// An Expression is immutable and safe for concurrent use. Numbers keep their
// literals: arithmetic is exact, and 1.50 is printed as 1.50. Dates keep their
// precision: comparing a day with a month gives nothing, as the language says.
// The package is pure; the time that now() gives is the scope's.
//
// What it does not protect: it decides nothing about access. Values hold
// patient facts in the clear; errors never do.
package path

import (
	"errors"
	"time"

	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/structure"
)

// An Expression is a compiled expression.
type Expression struct {
	source string
	root   form
}

// String is the source.
func (e *Expression) String() string { return e.source }

// A Scope is what an evaluation works on. Types is needed; the zero of every
// other field is described with it.
type Scope struct {
	Types     *structure.Set
	Focus     Item                  // the absent Item: an empty collection
	Resource  Item                  // %resource; absent: the focus
	Root      Item                  // %rootResource; absent: the resource
	Variables map[string]Collection // %name of the caller; nil: none

	// Resolve finds what a reference means; nil finds only contained
	// resources.
	Resolve func(reference string) (Item, bool)
	// HTML checks a narrative for htmlChecks(); nil: that function is an
	// error.
	HTML func(xhtml string) bool
	// MemberOf answers memberOf(); known false gives nothing. nil: never known.
	MemberOf func(code Item, valueSet string) (in, known bool)
	// Now is what now() and today() say; zero: those functions are an error.
	Now time.Time
	// Steps is the budget; 0: StepsDefault.
	Steps int
	// Strict makes a name that the type does not have an error. Otherwise it
	// gives nothing.
	Strict bool
}

// ErrBudget ends an evaluation that costs too much.
var ErrBudget = errors.New("fhirpath: the evaluation costs too much")

// An EvalError says why an evaluation has no result. Its text is fixed and
// holds nothing of what was evaluated.
type EvalError struct{ Reason string }

func (e *EvalError) Error() string { return "fhirpath: " + e.Reason }

func fault(reason string) error { return &EvalError{reason} }

// run is one evaluation.
type run struct {
	scope *Scope
	types *structure.Set
	steps int
	calls int
}

// frame is where an evaluation stands: the focus and what the dollar words
// mean.
type frame struct {
	this  Collection
	index int // -1 outside of a loop
	total Collection
}

// step pays for n steps.
func (r *run) step(n int) error {
	if r.steps -= n; r.steps < 0 {
		return ErrBudget
	}
	return nil
}

// Eval is the value of the expression. Errors are *EvalError and ErrBudget.
func (e *Expression) Eval(s Scope) (Collection, error) {
	out, _, err := e.evaluate(s)
	return out, err
}

func (e *Expression) evaluate(s Scope) (out Collection, left int, err error) {
	if s.Types == nil {
		return nil, s.Steps, fault("the scope has no types")
	}
	if s.Steps == 0 {
		s.Steps = StepsDefault
	}
	if s.Resource.absent() {
		s.Resource = s.Focus
	}
	if s.Root.absent() {
		s.Root = s.Resource
	}
	r := &run{scope: &s, types: s.Types, steps: s.Steps}
	at := frame{index: -1}
	if !s.Focus.absent() {
		at.this = Collection{s.Focus}
	}
	out, err = r.eval(e.root, at)
	return out, max(r.steps, 0), err
}

// Test evaluates an invariant. known is false if the result is empty: there
// was something to compare, and no answer (a day with a month, say). left is
// what is left of the budget.
func (e *Expression) Test(s Scope) (holds, known bool, left int, err error) {
	out, left, err := e.evaluate(s)
	if err == nil {
		holds, known, err = truth(out)
	}
	return holds, known, left, err
}

// Of is the item of a resource or an element whose type is named in it; for
// other elements, see Element.
func Of(types *structure.Set, v fhir.Value) Item {
	return Item{value: v, def: types.Type(v.Get("resourceType").Text())}
}

// Element is the item of an element of a type. extra is its companion
// ("_birthDate"), absent for anything but a primitive.
func Element(def *structure.Type, v, extra fhir.Value) Item {
	return Item{value: v, extra: extra, def: def}
}

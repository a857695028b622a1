// Package policy decides what an organisation may tune: which of its people,
// applications and devices may ask for what, from where, when and how often. The
// rules are Cedar (cedarpolicy.com), in a dialect so narrow that no rule can err
// on valid facts; what nobody may tune is Go, in package custody and grant.
//
//	schema, err := policy.NewSchema()
//	rules, err := policy.Parse(text, schema)
//	set, err := policy.NewSet(rules, version, notBefore, expires)
//	d := policy.Decide(set, facts)
//	if !d.Permit { return abaton.Refuse(abaton.ReasonPolicy) }
//
// It only takes away. It protects no record from an organisation that publishes
// "permit": the patient's grant and the five keepers do. That a set is signed and
// certified is the key log's word (package actor).
package policy

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"

	"github.com/abaton-health/abaton/wire"
)

// ID names the text of a policy: its hash (PROTOCOL.md#policy).
type ID [32]byte

// IDOf names a text as it was published, byte for byte.
func IDOf(text []byte) ID { return wire.Hash(wire.Policy, text) }

// String is the first 16 hexadecimal digits: enough for people to compare.
func (id ID) String() string { return fmt.Sprintf("%x", id[:8]) }

// Rules are a parsed text. They do not change and are safe for concurrent use.
type Rules struct {
	id    ID
	rules []rule
	clock clock
}

type rule struct {
	id, why string
	cedar   *cedar.Policy
}

// ID names the text.
func (r *Rules) ID() ID { return r.id }

// Len is how many rules there are.
func (r *Rules) Len() int { return len(r.rules) }

// Why is what the rule of that id says of itself, in plain words; empty when
// there is none.
func (r *Rules) Why(id string) string {
	for i := range r.rules {
		if r.rules[i].id == id {
			return r.rules[i].why
		}
	}
	return ""
}

// All yields the rules in the order of the text (cedar.PolicyIterator).
func (r *Rules) All() iter.Seq2[cedar.PolicyID, *cedar.Policy] {
	return func(yield func(cedar.PolicyID, *cedar.Policy) bool) {
		for i := range r.rules {
			if !yield(cedar.PolicyID(r.rules[i].id), r.rules[i].cedar) {
				return
			}
		}
	}
}

// Set is rules in force for a time. The zero Set refuses everything.
type Set struct {
	rules     *Rules
	version   uint64
	notBefore int64
	expires   int64
}

// WarnBefore is how long before its end a set asks to be renewed.
const WarnBefore = 30 * 24 * time.Hour

// ErrSet is what NewSet returns for a time that never is or a missing text.
var ErrSet = errors.New("policy set: no rules, or it ends before it begins")

// NewSet is rules in force from notBefore, inclusive, to expires, exclusive,
// both unix seconds. ErrSet.
func NewSet(r *Rules, version uint64, notBefore, expires int64) (*Set, error) {
	if r == nil || len(r.rules) == 0 || version == 0 || notBefore < 0 || expires <= notBefore {
		return nil, ErrSet
	}
	return &Set{rules: r, version: version, notBefore: notBefore, expires: expires}, nil
}

// Baseline is the shipped policy of a small practice, which holds where an
// organisation has published none. It has version 0 and no end but that of the
// software that ships it.
func Baseline(s *Schema) (*Set, error) {
	text, err := Shipped("solo")
	if err != nil {
		return nil, err
	}
	r, err := Parse(text, s)
	if err != nil {
		return nil, fmt.Errorf("shipped policy: %w", err)
	}
	return &Set{rules: r, expires: math.MaxInt64}, nil
}

// Rules are the set's.
func (s *Set) Rules() *Rules { return s.rules }

// Version is the set's, as published; zero for the baseline.
func (s *Set) Version() uint64 { return s.version }

// Expires is when the set ends, in unix seconds, exclusive.
func (s *Set) Expires() int64 { return s.expires }

// Standing is how a set stands at a time, for people.
func (s *Set) Standing(now time.Time) string {
	switch t := now.Unix(); {
	case t < s.notBefore:
		return "not yet in force"
	case t >= s.expires:
		return "ended: it refuses everything but emergencies"
	case s.expires-t <= int64(WarnBefore/time.Second):
		return "in force, ends soon"
	}
	return "in force"
}

// Why says what a decision comes from. It is for people and simulations; on the
// wire every refusal is abaton.ReasonPolicy.
type Why string

// The reasons of version 1.
const (
	WhyNone      Why = "no-policy"     // the zero set
	WhyFacts     Why = "facts"         // facts that no keeper states
	WhyEarly     Why = "not-yet"       // the set is not in force yet
	WhyExpired   Why = "expired"       // the set has ended, and this is no emergency
	WhyError     Why = "error"         // a rule could not be evaluated
	WhyForbidden Why = "forbidden"     // Rule forbids it
	WhyUnnamed   Why = "not-permitted" // no rule permits it
	WhyPermitted Why = "permitted"     // Rule permits it and none forbids it
)

// Decision is the outcome; the zero value refuses.
type Decision struct {
	Permit bool
	Why    Why
	Rule   string // the first rule in the text that decided; empty where none did
}

func refuse(w Why) Decision { return Decision{Why: w} }

// Decide permits or refuses. It is pure and total, and remembers nothing: every
// request is decided anew. A request is permitted if at least one rule permits
// it, none forbids it, and every rule could be evaluated: Cedar skips a forbid
// that errs, so any error refuses.
func Decide(s *Set, f *Facts) Decision {
	if s == nil || s.rules == nil || len(s.rules.rules) == 0 {
		return refuse(WhyNone)
	}
	if f == nil || !f.Valid() {
		return refuse(WhyFacts)
	}
	switch {
	case f.Now < s.notBefore:
		return refuse(WhyEarly)
	case f.Now >= s.expires && !f.emergency():
		return refuse(WhyExpired)
	}
	return s.rules.decide(f)
}

func (r *Rules) decide(f *Facts) Decision {
	who, request := f.cedar(r.clock)
	answer, diag := cedar.Authorize(r, who, request)
	if len(diag.Errors) > 0 {
		return Decision{Why: WhyError, Rule: string(diag.Errors[0].PolicyID)}
	}
	if len(diag.Reasons) == 0 {
		return refuse(WhyUnnamed)
	}
	first := string(diag.Reasons[0].PolicyID)
	if answer != types.Allow {
		return Decision{Why: WhyForbidden, Rule: first}
	}
	return Decision{Permit: true, Why: WhyPermitted, Rule: first}
}

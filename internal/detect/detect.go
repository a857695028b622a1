// Package detect says what is odd about one request, from what one keeper has
// seen itself: theft with both locks in hand differs from care only in how it
// asks (docs/DETECTION.md, docs/adr/0031).
//
//	w := detect.New(detect.Default())
//	f := w.Judge(&act)                 // before anything is released
//	... the ladder decides; the ledger has it ...
//	w.Note(&act, released)             // afterwards, also when refused
//	w.Settle(now)                      // once a minute
//
// It is pure and total: the time comes with the act, and any stream of acts
// gives a finding and no more memory than limits.go says. The same acts in the
// same order give the same memory, so that a keeper makes it again from its
// ledger.
//
// It does not protect against one unremarkable look at a patient without a
// reason, during a shift; against whoever opens only patients that a relation
// names, slowly; and it knows only what this keeper was asked.
// A Watch is not safe for use by several goroutines at once.
package detect

import (
	"strconv"
	"strings"

	"github.com/abaton-health/abaton"
)

// Level is a rung of the ladder (docs/adr/0031, 3). Zero: nothing to say.
type Level uint8

// The rungs, from the mildest. A higher one includes what the lower ones ask,
// but for Notify, which the ladder does from StepUp on as well.
const (
	Log            Level = iota + 1 // for a person to look at, some day soon
	Notify                          // the patient and who opened are told
	StepUp                          // a fresh assertion by the person, or nothing is released
	Throttle                        // one new patient in 30 s
	SuspendSession                  // this session opens nothing more
	SuspendPerson                   // this person opens related patients only, each with a second clinician
	Quarantine                      // a device or an organisation; never given by this package
)

// String is the word for the rung that stands in docs/DETECTION.md.
func (l Level) String() string {
	words := [...]string{"none", "log", "notify", "step-up", "throttle", "suspend-session", "suspend-person", "quarantine"}
	if int(l) < len(words) {
		return words[l]
	}
	return "level-" + strconv.Itoa(int(l))
}

// Rule is one detector (docs/DETECTION.md has a row for each).
type Rule uint8

// The rules, by the numbers of docs/DETECTION.md.
const (
	D0  Rule = iota // rate: new patients faster than a hand can
	D1              // volume: many patients in ten minutes or in a day
	D2              // burst: unrelated patients within an hour
	D3              // slow: unrelated patients within a day, a week
	D4              // drift: the share of unrelated patients has moved up
	D5              // enumeration: asks for what it may not have, again and again
	D6              // delicate: own record, kin, colleague, raised
	D7              // two devices: a session or a person in two places
	D8              // emergencies: many openings without a grant
	D9              // honey: a made-up patient
	D10             // off shift, and unrelated
	D11             // surprise: an hour this role hardly ever has
	D12             // readers: several unrelated people at one patient
	D13             // a keeper's own state; found by keepers, never given here
	D14             // late: unrelated a day ago and still without a reason
	ruleCount
)

// String is the number of the rule, as in D7.
func (r Rule) String() string { return "D" + strconv.Itoa(int(r)) }

// Rules is a set of rules: bit i stands for Di.
type Rules uint32

// AllRules is every rule there is.
const AllRules Rules = 1<<ruleCount - 1

// Of is the set of these rules.
func Of(rules ...Rule) (s Rules) {
	for _, r := range rules {
		s |= 1 << r
	}
	return s
}

// Has reports whether r is in the set.
func (s Rules) Has(r Rule) bool { return s&(1<<r) != 0 }

// String lists the rules by number, as in "D2,D10".
func (s Rules) String() string {
	var words []string
	for r := range Rule(32) {
		if s.Has(r) {
			words = append(words, r.String())
		}
	}
	return strings.Join(words, ",")
}

// Finding is what the rules say of one act. The zero Finding: nothing.
type Finding struct {
	Level Level // the highest that any of Rules asks for
	Rules Rules // all that hold
}

// String is the level and the rules, as in "step-up D2,D10". It names nobody.
func (f Finding) String() string {
	if f.Rules == 0 {
		return f.Level.String()
	}
	return f.Level.String() + " " + f.Rules.String()
}

// add takes one rule's word in.
func (f *Finding) add(r Rule, l Level, off Rules) {
	if l == 0 || off.Has(r) {
		return
	}
	f.Rules |= 1 << r
	f.Level = max(f.Level, l)
}

// Act is one request as the keeper judged it. All names are pseudonyms.
type Act struct {
	Time int64 // unix seconds by this keeper's clock

	Actor        abaton.ActorID // who asks: a person or a program
	Organisation abaton.ActorID // whose member asks; zero: none
	Device       abaton.ActorID // on which the session was signed; zero: none
	Patient      abaton.ActorID
	Session      abaton.SessionID
	Role         string // as in roles.go; an unknown one has the default profile

	// Opens: would release something that opens records. A list does not.
	Opens bool
	// Emergency: opens without a grant, or reads by such an opening.
	Emergency bool
	// Renewal: the permit of an opening that counted already (RULINGS 22).
	Renewal bool
	// Stepped: carries a fresh assertion by the person over this request.
	Stepped bool
	// Refused: by an earlier check; "" where only detection can still refuse.
	Refused abaton.Reason

	Related  bool // a grant, a hand-on or a fresh relation names the person
	Delicate bool // own record, kin, colleague, raised
	Honey    bool // a made-up patient
	OffShift bool // neither on the roster now, two hours around it, nor on call
	Program  bool // acts without a person at it
}

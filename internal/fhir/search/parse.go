package search

import (
	"slices"
	"strings"
	"time"

	"github.com/abaton-health/abaton/internal/fhir"
)

// Options is what a query is read with.
type Options struct {
	Now  time.Time // of the prefix ap: a tenth of the time to now
	Base string    // this gateway's base URL: references under it are its own

	// Allows narrows the sets a query runs on further than their owner did:
	// what it does not allow is not in the set, for conditions, chains and
	// inclusions alike. Nil allows all.
	Allows func(*fhir.Version) bool
}

// A Summary is what _summary asks for. The zero Summary is everything.
type Summary string

// The values of _summary.
const (
	SummaryNone   Summary = ""
	SummaryTrue   Summary = "true"
	SummaryText   Summary = "text"
	SummaryNoText Summary = "data"
	SummaryCount  Summary = "count"
)

// An Ignored is a parameter that was not applied, by name only, and why.
type Ignored struct{ Name, Reason string }

// A Query is a search, read and compiled. It is immutable and may run any
// number of times, on any sets.
type Query struct {
	Type    string
	Used    []fhir.Param // what is applied, for the self link
	Ignored []Ignored
	Count   int // entries a page
	Summary Summary
	Element []string // of _elements; nil for all
	NoTotal bool     // _total=none

	filters  []filter
	sort     []sortRule
	includes []include
	kinds    map[string]bool // of which types an answer needs the resources
	every    bool            // or of any type
	options  Options
}

// Limits of one query.
const (
	chainMax    = 4    // references followed by one parameter
	valuesMax   = 500  // alternatives of one parameter
	sortMax     = 4    // keys of _sort
	includesMax = 16   // _include and _revinclude parameters
	roundsMax   = 8    // rounds of :iterate
	IncludedMax = 2000 // resources included on one page
)

func bad(code, diagnostics string) error {
	return &fhir.OutcomeError{Status: 400, Code: code, Diagnostics: diagnostics}
}

// Parse reads the parameters of a search for one type. A parameter that is
// not known is not applied and named in Ignored: the caller tells the client,
// or refuses if the client asked for strict handling. A value that cannot be
// read and a modifier that a parameter does not take are errors, as R4 wants
// (search.html#modifiers), of status 400; their text holds no value.
func Parse(name string, params []fhir.Param, o Options) (*Query, error) {
	q := &Query{Type: name, Count: fhir.CountDefault, kinds: map[string]bool{name: true}, options: o}
	if programs()[name] == nil {
		return nil, bad("not-supported", "this is no resource type of FHIR R4; correct it")
	}
	for _, p := range params {
		if err := q.take(p); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(q.filters, func(a, b filter) int { return cost(a) - cost(b) })
	if q.Summary != SummaryNone && q.Element != nil {
		return nil, bad("invalid", "_summary and _elements do not go together; send one of them")
	}
	return q, nil
}

// cost orders filters: what is cheap or rules out whole charts comes first,
// what reads resources again last.
func cost(f filter) int {
	switch f := f.(type) {
	case *idFilter, *typeFilter, *constantFilter:
		return 0
	case *valueFilter:
		if _, ok := f.test.(*targetTest); ok {
			return 1
		}
		return 2
	case *compositeFilter:
		return 4
	case *resourceFilter:
		return 5
	}
	return 3
}

func (q *Query) take(p fhir.Param) error {
	name, modifier, _ := strings.Cut(p.Name, ":")
	var err error
	known := true
	switch name {
	case "_count", "_summary", "_elements", "_total", "_sort":
		if modifier != "" {
			return badModifier()
		}
		known, err = q.shape(name, p)
	case "_include", "_revinclude":
		err = q.include(name == "_revinclude", modifier, p.Value)
	case "_has":
		err = q.has(p)
	case "_format", "_pretty":
		known = false // not a condition: nothing to tell
		return nil
	default:
		var f filter
		if f, err = q.filter(q.Type, p.Name, p.Value, chainMax); f != nil {
			q.filters = append(q.filters, f)
		}
	}
	if skip, ok := err.(*skipped); ok {
		q.Ignored = append(q.Ignored, Ignored{p.Name, skip.reason})
		return nil
	}
	if err == nil && known {
		q.Used = append(q.Used, p)
	}
	return err
}

// skipped is a parameter that cannot be applied and need not be.
type skipped struct{ reason string }

func (s *skipped) Error() string { return s.reason }

func skip(reason string) error { return &skipped{reason} }

func badModifier() error {
	return bad("not-supported", "a modifier is not supported on its parameter; leave it out, or see the CapabilityStatement")
}

// shape reads what asks for a form of answer and not for resources.
func (q *Query) shape(name string, p fhir.Param) (known bool, err error) {
	switch name {
	case "_count":
		n, ok := wholeNumber(p.Value)
		if !ok {
			return true, bad("value", "_count must be a whole number; correct it")
		}
		q.Count = min(n, fhir.CountMax)
	case "_summary":
		switch s := Summary(p.Value); s {
		case SummaryTrue, SummaryText, SummaryNoText, SummaryCount:
			q.Summary = s
		case "false":
		default:
			return true, bad("value", "_summary is true, text, data, count or false; correct it")
		}
	case "_elements":
		for element := range strings.SplitSeq(p.Value, ",") {
			element = strings.TrimPrefix(strings.TrimSpace(element), q.Type+".")
			if element == "" {
				return true, bad("value", "_elements is a list of element names; correct it")
			}
			q.Element = append(q.Element, element)
		}
	case "_total":
		switch p.Value {
		case "none":
			q.NoTotal = true
		case "estimate", "accurate":
		default:
			return true, bad("value", "_total is none, estimate or accurate; correct it")
		}
	case "_sort":
		return true, q.sortBy(p.Value)
	}
	return true, nil
}

// wholeNumber reads up to nine digits; more counts as the largest.
func wholeNumber(s string) (n int, ok bool) {
	if s == "" {
		return 0, false
	}
	for _, r := range s {
		if r < '0' || r > '9' {
			return 0, false
		}
		n = min(n*10+int(r-'0'), 1<<30)
	}
	return n, true
}

// Kinds are the types whose resources an answer may need; every tells that it
// may be any.
func (q *Query) Kinds() (kinds map[string]bool, every bool) { return q.kinds, q.every }

// Conditional reports whether some condition narrows the search.
func (q *Query) Conditional() bool { return len(q.filters) > 0 }

// splitValues cuts at commas that no backslash escapes, leaving all other
// escapes for later (search.html#escaping).
func splitValues(s string, at byte) (values []string) {
	from := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case at:
			values, from = append(values, s[from:i]), i+1
		}
	}
	return append(values, s[from:])
}

// cutAt cuts at the first such byte that no backslash escapes.
func cutAt(s string, at byte) (before, after string, found bool) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case at:
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// plain takes the escapes off.
func plain(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	return strings.NewReplacer(`\,`, `,`, `\|`, `|`, `\$`, `$`, `\\`, `\`).Replace(s)
}

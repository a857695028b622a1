package fhir

import (
	"cmp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// A Param is one name and value of a search query, decoded.
type Param struct{ Name, Value string }

// ParseQuery takes an application/x-www-form-urlencoded query apart. Errors
// are *OutcomeError of status 400.
func ParseQuery(query string) ([]Param, error) {
	if len(query) > QueryBytesMax {
		return nil, refuse(statusBadRequest, "too-long", "", "the query is too long; use POST _search in parts")
	}
	var params []Param
	for part := range strings.SplitSeq(query, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		n, ok1 := unquery(name)
		v, ok2 := unquery(value)
		if !ok1 || !ok2 || n == "" {
			return nil, refuse(statusBadRequest, "invalid", "", "the query is not well formed; encode it as a URL query")
		}
		if params = append(params, Param{n, v}); len(params) > QueryParametersMax {
			return nil, refuse(statusBadRequest, "too-costly", "", "the query has too many parameters; use fewer")
		}
	}
	return params, nil
}

// unquery decodes percent signs and plus signs.
func unquery(s string) (string, bool) {
	if !strings.ContainsAny(s, "%+") {
		return s, true
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '+':
			out = append(out, ' ')
		case '%':
			if i+2 >= len(s) {
				return "", false
			}
			b, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				return "", false
			}
			out = append(out, byte(b))
			i += 2
		default:
			out = append(out, s[i])
		}
	}
	return string(out), true
}

// A Cursor is a place in the stable order of a chart: after the resource of
// this lastUpdated, type and id.
type Cursor struct {
	LastUpdated time.Time
	Type, ID    string
}

func (v *Version) cursor() Cursor { return Cursor{v.LastUpdated, v.Type, v.ID} }

func (a Cursor) compare(b Cursor) int {
	return cmp.Or(a.LastUpdated.Compare(b.LastUpdated), strings.Compare(a.Type, b.Type), strings.Compare(a.ID, b.ID))
}

// A Query asks a chart for current resources.
type Query struct {
	Type   string // one type, "" for all
	Params []Param
	After  Cursor // zero for the first page
}

// A Found is one page of an answer.
type Found struct {
	Versions []Version
	Total    int     // over all pages
	Count    int     // entries a page, as asked for or CountDefault
	Next     *Cursor // nil on the last page
	Used     []Param // the parameters that were applied, for the self link
	Ignored  []string
}

// Search answers one page, ordered by lastUpdated, type and id. It knows _id,
// _lastUpdated, _type, _count, identifier and, on types that have it, patient;
// commas mean or, repetition means and. A parameter it does not know, or a
// modifier, is not applied and named in Ignored: the caller tells the client,
// or refuses if the client asked for strict handling. Errors are
// *OutcomeError of status 400.
func (c *Chart) Search(q Query) (Found, error) {
	found := Found{Count: CountDefault}
	var tests []func(*chartItem) bool
	for _, p := range q.Params {
		test, known, err := q.test(p, &found)
		if err != nil {
			return Found{}, err
		}
		if !known {
			found.Ignored = append(found.Ignored, p.Name)
			continue
		}
		found.Used = append(found.Used, p)
		if test != nil {
			tests = append(tests, test)
		}
	}
	c.collect(q, tests, &found)
	return found, nil
}

func (c *Chart) collect(q Query, tests []func(*chartItem) bool, found *Found) {
	first := q.After == Cursor{}
	for _, item := range c.sorted {
		if q.Type != "" && item.version().Type != q.Type || !passes(item, tests) {
			continue
		}
		found.Total++
		if !first && item.version().cursor().compare(q.After) <= 0 {
			continue
		}
		switch {
		case len(found.Versions) < found.Count:
			found.Versions = append(found.Versions, *item.version())
		case found.Next == nil && found.Count > 0:
			next := found.Versions[len(found.Versions)-1].cursor()
			found.Next = &next
		}
	}
}

func passes(item *chartItem, tests []func(*chartItem) bool) bool {
	for _, test := range tests {
		if !test(item) {
			return false
		}
	}
	return true
}

// test compiles one parameter; a known one may need no test.
func (q *Query) test(p Param, found *Found) (test func(*chartItem) bool, known bool, err error) {
	values := splitValues(p.Value)
	switch p.Name {
	case "_count":
		n, err := strconv.ParseUint(p.Value, 10, 31)
		if err != nil {
			return nil, true, refuse(statusBadRequest, "value", "", "_count must be a whole number; correct it")
		}
		found.Count = int(min(n, CountMax))
		return nil, true, nil
	case "_id":
		return func(i *chartItem) bool { return slices.Contains(values, i.version().ID) }, true, nil
	case "_type":
		return func(i *chartItem) bool { return slices.Contains(values, i.version().Type) }, true, nil
	case "_lastUpdated":
		test, err := lastUpdatedTest(values)
		return test, true, err
	case "identifier":
		return identifierTest(values), true, nil
	case "patient", "patient:Patient":
		if patientPaths(q.Type) == nil {
			return nil, false, nil
		}
		return patientTest(values), true, nil
	}
	return nil, false, nil
}

// splitValues cuts at commas that no backslash escapes (search.html#escaping).
func splitValues(s string) (values []string) {
	var b []byte
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && s[i+1] == ',':
			b = append(b, ',')
			i++
		case s[i] == '\\' && i+1 < len(s): // another escape, for cutBar to read
			b = append(b, s[i], s[i+1])
			i++
		case s[i] == ',':
			values, b = append(values, string(b)), b[:0]
		default:
			b = append(b, s[i])
		}
	}
	return append(values, string(b))
}

func patientTest(values []string) func(*chartItem) bool {
	var wanted []Ref
	for _, v := range values {
		if IsID(v) {
			v = "Patient/" + v
		}
		if r, ok := ParseRef(v); ok && r.Type == "Patient" && r.ID != "" {
			wanted = append(wanted, r.unversioned())
		}
	}
	return func(i *chartItem) bool {
		return slices.ContainsFunc(i.patients, func(r Ref) bool { return slices.Contains(wanted, r) })
	}
}

// identifierTest reads value, system|value, |value and system|, each side
// with its own escapes.
func identifierTest(values []string) func(*chartItem) bool {
	type wanted struct {
		Code
		bar bool // a system was named, if only as none
	}
	var list []wanted
	for _, v := range values {
		before, after, bar := cutBar(v)
		switch {
		case bar && (before != "" || after != ""):
			list = append(list, wanted{Code{before, after}, true})
		case !bar && before != "":
			list = append(list, wanted{Code{"", before}, false})
		}
	}
	return func(i *chartItem) bool {
		for _, have := range i.identifiers {
			for _, want := range list {
				if (!want.bar || have.System == want.System) && (want.Value == "" || have.Value == want.Value) {
					return true
				}
			}
		}
		return false
	}
}

// cutBar cuts at the first bar that no backslash escapes.
func cutBar(s string) (before, after string, found bool) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '|':
			return unbar(s[:i]), unbar(s[i+1:]), true
		}
	}
	return unbar(s), "", false
}

func unbar(s string) string {
	return strings.NewReplacer(`\|`, `|`, `\\`, `\`, `\$`, `$`).Replace(s)
}

// lastUpdatedTest compares with FHIR's periods: a value means the whole of
// the span it names (search.html#date).
func lastUpdatedTest(values []string) (func(*chartItem) bool, error) {
	type bound struct {
		prefix   string
		from, to time.Time
	}
	var bounds []bound
	for _, v := range values {
		b := bound{prefix: "eq"}
		if len(v) > 2 && v[0] > '9' {
			b.prefix, v = v[:2], v[2:]
		}
		var ok bool
		b.from, b.to, ok = span(v)
		if !ok || !slices.Contains([]string{"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"}, b.prefix) {
			return nil, refuse(statusBadRequest, "value", "", "_lastUpdated must be a FHIR date with one of eq ne gt lt ge le sa eb before it; correct it")
		}
		bounds = append(bounds, b)
	}
	return func(i *chartItem) bool {
		t := i.version().LastUpdated
		for _, b := range bounds {
			before, after := t.Before(b.from), !t.Before(b.to)
			switch b.prefix {
			case "eq":
				if !before && !after {
					return true
				}
			case "ne":
				if before || after {
					return true
				}
			case "gt", "sa":
				if after {
					return true
				}
			case "lt", "eb":
				if before {
					return true
				}
			case "ge":
				if !before {
					return true
				}
			case "le":
				if !after {
					return true
				}
			}
		}
		return false
	}, nil
}

// span is the time a FHIR date or dateTime covers, from included, to not. A
// time without a zone is taken as UTC; a space stands for the plus sign that
// a client forgot to encode.
func span(s string) (from, to time.Time, ok bool) {
	s = strings.Replace(s, " ", "+", 1)
	for _, form := range []struct {
		layout              string
		years, months, days int
		rest                time.Duration
	}{
		{"2006", 1, 0, 0, 0},
		{"2006-01", 0, 1, 0, 0},
		{"2006-01-02", 0, 0, 1, 0},
		{"2006-01-02T15:04Z07:00", 0, 0, 0, time.Minute},
		{"2006-01-02T15:04", 0, 0, 0, time.Minute},
		{"2006-01-02T15:04:05Z07:00", 0, 0, 0, time.Second},
		{"2006-01-02T15:04:05", 0, 0, 0, time.Second},
	} {
		t, err := time.Parse(form.layout, s)
		if err != nil {
			continue
		}
		if dot := strings.IndexByte(s, '.'); dot > 0 { // Parse takes fractions unasked
			digits := sort.Search(len(s)-dot-1, func(i int) bool { return s[dot+1+i] < '0' || s[dot+1+i] > '9' })
			form.rest = time.Second
			for range min(digits, 9) {
				form.rest /= 10
			}
		}
		return t, t.AddDate(form.years, form.months, form.days).Add(form.rest), true
	}
	return time.Time{}, time.Time{}, false
}

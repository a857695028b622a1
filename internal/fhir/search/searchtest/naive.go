// Package searchtest answers FHIR searches a second time, by other means: it
// walks decoded JSON by rules written by hand for each parameter that US Core
// 8.0.0 wants and compares every resource. It shares no code with the engine
// that it is held against.
//
//	r, err := searchtest.Read("Patient", "1", updated, body)
//	ok := r.Matches([]searchtest.Condition{{Name: "name", Value: "smi"}})
//
// It is for tests. It protects nothing, and it knows no modifiers.
package searchtest

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// A Resource is one, decoded.
type Resource struct {
	Type, ID string
	Updated  time.Time
	Body     map[string]any
}

// A Condition is one parameter of a query: its name and its decoded value.
type Condition struct{ Name, Value string }

// Read decodes a resource.
func Read(kind, id string, updated time.Time, body []byte) (*Resource, error) {
	r := &Resource{Type: kind, ID: id, Updated: updated}
	return r, json.Unmarshal(body, &r.Body)
}

// Matches reports whether all conditions hold.
func (r *Resource) Matches(all []Condition) bool {
	for _, c := range all {
		if !r.matches(c) {
			return false
		}
	}
	return true
}

func (r *Resource) matches(c Condition) bool {
	for _, value := range strings.Split(c.Value, ",") {
		if r.one(c.Name, value) {
			return true
		}
	}
	return false
}

func (r *Resource) one(name, value string) bool {
	switch name {
	case "_id":
		return r.ID == value
	case "_lastUpdated":
		return inTime(value, r.Updated, r.Updated.Add(time.Millisecond))
	}
	at, ok := rules()[r.Type+"."+name]
	if !ok {
		panic(fmt.Sprintf("searchtest: no rule for %s.%s", r.Type, name))
	}
	for _, path := range strings.Fields(at.paths) {
		for _, v := range walk(r.Body, strings.Split(path, ".")) {
			if at.test(v, value) {
				return true
			}
		}
	}
	return false
}

// walk is every value at a path, arrays opened.
func walk(v any, path []string) (out []any) {
	if list, ok := v.([]any); ok {
		for _, one := range list {
			out = append(out, walk(one, path)...)
		}
		return out
	}
	if len(path) == 0 {
		return []any{v}
	}
	if object, ok := v.(map[string]any); ok && object[path[0]] != nil {
		return walk(object[path[0]], path[1:])
	}
	return nil
}

// A rule is where a parameter looks, and how.
type rule struct {
	paths string
	test  func(v any, value string) bool
}

func text(v any, path ...string) string {
	for _, one := range walk(v, path) {
		if s, ok := one.(string); ok {
			return s
		}
	}
	return ""
}

// concept compares a CodeableConcept.
func concept(v any, value string) bool {
	for _, c := range walk(v, []string{"coding"}) {
		if coding(c, value) {
			return true
		}
	}
	return false
}

func coding(v any, value string) bool {
	return pair(text(v, "system"), strings.ToLower(text(v, "code")), strings.ToLower(value), strings.ToLower)
}

func identifier(v any, value string) bool {
	return pair(text(v, "system"), text(v, "value"), value, func(s string) string { return s })
}

// pair compares code, system|code, |code and system|.
func pair(system, code, value string, form func(string) string) bool {
	if code == "" && system == "" {
		return false
	}
	before, after, bar := strings.Cut(value, "|")
	if !bar {
		return code == value
	}
	return form(system) == before && (after == "" || code == after)
}

func code(v any, value string) bool {
	s, _ := v.(string)
	_, after, bar := strings.Cut(value, "|")
	return bar && strings.EqualFold(s, after) || !bar && strings.EqualFold(s, value)
}

func reference(v any, value string) bool {
	target, _, _ := strings.Cut(text(v, "reference"), "/_history/")
	if !strings.Contains(value, "/") {
		_, id, _ := strings.Cut(target, "/")
		return id == value
	}
	return target == value
}

// patient is a reference that counts only if it is to a Patient.
func patient(v any, value string) bool {
	return strings.HasPrefix(text(v, "reference"), "Patient/") && reference(v, value)
}

func canonical(v any, value string) bool {
	s, _ := v.(string)
	url, _, _ := strings.Cut(s, "|")
	return s == value || url == value
}

func starts(v any, value string) bool {
	s, _ := v.(string)
	return strings.HasPrefix(strings.ToLower(s), strings.ToLower(value))
}

func nameParts(v any, value string) bool {
	return anyPart(v, value, "family", "given", "prefix", "suffix", "text")
}

func addressParts(v any, value string) bool {
	return anyPart(v, value, "line", "city", "district", "state", "postalCode", "country", "text")
}

func anyPart(v any, value string, parts ...string) bool {
	for _, part := range parts {
		for _, one := range walk(v, []string{part}) {
			if starts(one, value) {
				return true
			}
		}
	}
	return false
}

// moment compares a date, a dateTime, a Period or the bounds of a Timing.
func moment(v any, value string) bool {
	if s, ok := v.(string); ok {
		from, to, ok := covers(s)
		return ok && inTime(value, from, to)
	}
	from, to := time.Time{}, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	start, end := text(v, "start"), text(v, "end")
	if start == "" && end == "" {
		return false
	}
	if a, _, ok := covers(start); ok {
		from = a
	}
	if _, b, ok := covers(end); ok {
		to = b
	}
	return inTime(value, from, to)
}

// inTime compares a span with the one a value names.
func inTime(value string, from, to time.Time) bool {
	prefix := "eq"
	if len(value) > 2 && value[0] > '9' {
		prefix, value = value[:2], value[2:]
	}
	a, b, ok := covers(value)
	if !ok {
		panic("searchtest: a date that is none: " + value)
	}
	inside := !from.Before(a) && !to.After(b)
	switch prefix {
	case "eq":
		return inside
	case "ne":
		return !inside
	case "gt":
		return to.After(b)
	case "lt":
		return from.Before(a)
	case "ge":
		return inside || to.After(b)
	case "le":
		return inside || from.Before(a)
	case "sa":
		return !from.Before(b)
	case "eb":
		return !to.After(a)
	}
	panic("searchtest: no rule for the prefix " + prefix)
}

// covers is the span of a date by its length.
func covers(s string) (from, to time.Time, ok bool) {
	switch {
	case len(s) == 4:
		from, err := time.Parse("2006", s)
		return from, from.AddDate(1, 0, 0), err == nil
	case len(s) == 7:
		from, err := time.Parse("2006-01", s)
		return from, from.AddDate(0, 1, 0), err == nil
	case len(s) == 10:
		from, err := time.Parse("2006-01-02", s)
		return from, from.AddDate(0, 0, 1), err == nil
	}
	from, err := time.Parse(time.RFC3339Nano, s)
	if dot := strings.IndexByte(s, '.'); dot > 0 {
		return from, from.Add(time.Millisecond), err == nil
	}
	return from, from.Add(time.Second), err == nil
}

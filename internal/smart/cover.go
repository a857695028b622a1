package smart

import (
	"slices"
	"strings"

	"github.com/abaton-health/abaton/internal/fhir"
)

// Place says in whose chart a resource lies, as a session with a patient in
// context sees it. The zero Place is nowhere and covered by nothing.
type Place uint8

const (
	// InContext is the chart of the patient in context.
	InContext Place = 1 + iota
	// Elsewhere is another patient's chart.
	Elsewhere
	// InDirectory is the organisation's directory: nobody's chart.
	InDirectory
)

// covers reports whether a scope is about a type and a place, and allows at
// least one of some actions there.
func (s Scope) covers(actions Action, at Place, kind string) bool {
	if s.Actions&actions == 0 || s.Type != Any && s.Type != kind {
		return false
	}
	wide := s.Level == PersonLevel || s.Level == SystemLevel
	switch at {
	case InContext:
		return wide || s.Level == PatientLevel
	case InDirectory: // to look up who is named in the chart, not to change it
		return wide || s.Level == PatientLevel && s.Actions&actions&(Read|Search) != 0
	case Elsewhere:
		return wide
	}
	return false
}

// Can reports whether an action is allowed on some resource of a type: if not,
// the whole type is refused (403), else each resource is asked about.
func (s Scopes) Can(a Action, kind string) bool {
	return slices.ContainsFunc(s.Clinical, func(c Scope) bool { return c.covers(a, InContext, kind) })
}

// Covers reports whether one of some actions is allowed on a resource. Of a
// resource without text (a deletion that kept none) only scopes without
// parameters can tell.
func (s Scopes) Covers(actions Action, at Place, kind string, r fhir.Resource) bool {
	return slices.ContainsFunc(s.Clinical, func(c Scope) bool { return c.covers(actions, at, kind) && holds(r, c.Params) })
}

// Granular reports whether what is covered of a type hangs on what is in the
// resource.
func (s Scopes) Granular(kind string) bool {
	return slices.ContainsFunc(s.Clinical, func(c Scope) bool { return len(c.Params) > 0 && (c.Type == Any || c.Type == kind) })
}

// elementOf is where a search parameter of a granular scope looks. The table
// is short on purpose: a parameter that is not in it drops the scope, so what
// cannot be judged is not given.
func elementOf(param string) []string {
	switch param {
	case "category":
		return []string{"category"}
	case "code":
		return []string{"code"}
	case "status":
		return []string{"status"}
	case "type":
		return []string{"type"}
	case "intent":
		return []string{"intent"}
	case "class":
		return []string{"class"}
	case "clinical-status":
		return []string{"clinicalStatus"}
	case "verification-status":
		return []string{"verificationStatus"}
	case "_security":
		return []string{"meta", "security"}
	case "_tag":
		return []string{"meta", "tag"}
	}
	return nil
}

// canFilter reports whether all parameters are known and have values.
func canFilter(params []fhir.Param) bool {
	for _, p := range params {
		if elementOf(p.Name) == nil || p.Value == "" || slices.Contains(alternatives(p.Value), "") {
			return false
		}
	}
	return true
}

func alternatives(value string) []string { return strings.Split(value, ",") }

// holds evaluates parameters on a resource: all of them.
func holds(r fhir.Resource, params []fhir.Param) bool {
	for _, p := range params {
		if r.Kind() != fhir.Object || !matches(r.Path(elementOf(p.Name)...), alternatives(p.Value)) {
			return false
		}
	}
	return true
}

// matches holds codes, Codings and CodeableConcepts against alternatives of
// the form code, system|code, |code or system| (FHIR R4, search.html#token).
func matches(element fhir.Value, wanted []string) bool {
	for v := range element.Each() {
		if v.Kind() == fhir.String && slices.ContainsFunc(wanted, func(w string) bool { return codeIs(w, "", false, v.Text()) }) {
			return true
		}
		if v.Kind() != fhir.Object {
			continue
		}
		if coded(v, wanted) {
			return true
		}
		for c := range v.Get("coding").Each() {
			if coded(c, wanted) {
				return true
			}
		}
	}
	return false
}

func coded(c fhir.Value, wanted []string) bool {
	code, system := c.Get("code"), c.Get("system")
	if code.Kind() != fhir.String && system.Kind() != fhir.String {
		return false
	}
	return slices.ContainsFunc(wanted, func(w string) bool { return codeIs(w, system.Text(), true, code.Text()) })
}

// codeIs holds one code against one alternative. A code element of its own
// has a system that is not written, so only the code is compared there.
func codeIs(wanted, system string, hasSystem bool, code string) bool {
	wantSystem, wantCode, bar := strings.Cut(wanted, "|")
	if !bar {
		return wanted == code
	}
	if hasSystem && wantSystem != system {
		return false
	}
	return wantCode == code || wantCode == "" && wantSystem != "" && hasSystem
}

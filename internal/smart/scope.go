package smart

import (
	"net/url"
	"slices"
	"strings"

	"github.com/abaton-health/abaton/internal/fhir"
)

// Action is what an app does with resources: a letter of a v2 scope. Several
// are a set. The zero Action is none.
type Action uint8

// The actions, in the order in which a scope must write them.
const (
	Create Action = 1 << iota
	Read          // read, vread, history of one resource
	Update        // and patch
	Delete
	Search // and history of a type
)

const letters = "cruds"

// String are the letters.
func (a Action) String() string {
	var b strings.Builder
	for i := range len(letters) {
		if a&(1<<i) != 0 {
			b.WriteByte(letters[i])
		}
	}
	return b.String()
}

// parseActions reads letters, each once and in order.
func parseActions(text string) (a Action, ok bool) {
	for i := range len(text) {
		at := strings.IndexByte(letters, text[i])
		if at < 0 || a >= 1<<at {
			return 0, false
		}
		a |= 1 << at
	}
	return a, a != 0
}

// Level says whose resources a scope is about. The zero Level is none.
type Level uint8

const (
	// PatientLevel is the one patient in context.
	PatientLevel Level = 1 + iota
	// PersonLevel is all that the signed-in person may use ("user/").
	PersonLevel
	// SystemLevel is all that was granted to a service itself.
	SystemLevel
)

func (l Level) String() string {
	switch l {
	case PatientLevel:
		return "patient"
	case PersonLevel:
		return "user"
	case SystemLevel:
		return "system"
	}
	return "none"
}

// Scope is one clinical scope, patient/Observation.rs?category=laboratory. The
// zero Scope covers nothing.
type Scope struct {
	Level   Level
	Type    string // a type of R4, or *
	Actions Action
	Params  []fhir.Param // all must hold; each value is a list of alternatives
	v1      string       // read, write or * if it was written so
}

// Any is the type of a scope over all types.
const Any = "*"

// parseScope reads a clinical scope; false for what is none, or has a part
// that is not known here.
func parseScope(text string) (s Scope, ok bool) {
	head, query, granular := strings.Cut(text, "?")
	level, rest, _ := strings.Cut(head, "/")
	kind, actions, _ := strings.Cut(rest, ".")
	for _, l := range []Level{PatientLevel, PersonLevel, SystemLevel} {
		if l.String() == level {
			s.Level = l
		}
	}
	s.Type = kind
	if s.Level == 0 || kind != Any && !fhir.IsType(kind) {
		return Scope{}, false
	}
	switch actions {
	case "read":
		s.v1, s.Actions = actions, Read|Search
	case "write":
		s.v1, s.Actions = actions, Create|Update|Delete
	case "*":
		s.v1, s.Actions = actions, Create|Read|Update|Delete|Search
	default:
		if s.Actions, ok = parseActions(actions); !ok {
			return Scope{}, false
		}
	}
	if !granular {
		return s, true
	}
	params, err := fhir.ParseQuery(query)
	if err != nil || s.v1 != "" || len(params) == 0 || len(params) > scopeParamsMax || !canFilter(params) {
		return Scope{}, false
	}
	s.Params = params
	return s, true
}

// String writes the scope as SMART 2 does, or as SMART 1 if it came so and was
// not narrowed.
func (s Scope) String() string {
	actions := s.v1
	if actions == "" {
		actions = s.Actions.String()
	}
	var b strings.Builder
	b.WriteString(s.Level.String() + "/" + s.Type + "." + actions)
	for i, p := range s.Params {
		if i == 0 {
			b.WriteByte('?')
		} else {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(p.Name) + "=" + url.QueryEscape(p.Value))
	}
	return b.String()
}

// within is what two scopes both cover.
func (s Scope) within(o Scope) (Scope, bool) {
	out := Scope{Level: s.Level, Type: s.Type, Actions: s.Actions & o.Actions, Params: s.Params, v1: s.v1}
	switch {
	case s.Level != o.Level || out.Actions == 0:
		return Scope{}, false
	case s.Type == Any:
		out.Type = o.Type
	case o.Type != Any && o.Type != s.Type:
		return Scope{}, false
	}
	for _, p := range o.Params {
		if !slices.Contains(out.Params, p) {
			out.Params = append(slices.Clip(out.Params), p)
		}
	}
	if out.Actions != s.Actions || len(out.Params) > 0 {
		out.v1 = ""
	}
	return out, len(out.Params) <= 2*scopeParamsMax
}

// Scopes beside the clinical ones.
const (
	Launch        = "launch"
	LaunchPatient = "launch/patient"
	OpenID        = "openid"
	FHIRWho       = "fhirUser"
	Offline       = "offline_access"
	Online        = "online_access"
)

func others() []string { return []string{Launch, LaunchPatient, OpenID, FHIRWho, Offline, Online} }

// Scopes is what an app asks for or was given. The zero Scopes covers nothing.
type Scopes struct {
	Clinical []Scope
	Others   []string // launch, openid and their like, each once
}

// ParseScopes reads a scope parameter. What is not known is not in the result
// but in dropped: the app is told what it was given. Errors are *Error.
func ParseScopes(text string) (s Scopes, dropped []string, err error) {
	if len(text) > ScopeBytesMax {
		return Scopes{}, nil, refuse(InvalidScope, "scope is too long; ask for less")
	}
	count := 0
	for item := range strings.SplitSeq(text, " ") {
		if item == "" {
			continue
		}
		if count++; count > scopesMax {
			return Scopes{}, nil, refuse(InvalidScope, "scope names too many; ask for less")
		}
		if slices.Contains(others(), item) {
			if !s.Has(item) {
				s.Others = append(s.Others, item)
			}
			continue
		}
		one, ok := parseScope(item)
		switch {
		case !ok:
			dropped = append(dropped, item)
		case !s.names(one):
			s.Clinical = append(s.Clinical, one)
		}
	}
	return s, dropped, nil
}

func (s Scopes) names(one Scope) bool {
	text := one.String()
	return slices.ContainsFunc(s.Clinical, func(o Scope) bool { return o.String() == text })
}

// Has reports whether one of the scopes beside the clinical ones is there.
func (s Scopes) Has(other string) bool { return slices.Contains(s.Others, other) }

// Renews reports whether access is to be renewed without asking again.
func (s Scopes) Renews() bool { return s.Has(Offline) || s.Has(Online) }

// String is the scope parameter.
func (s Scopes) String() string {
	items := slices.Clone(s.Others)
	for _, c := range s.Clinical {
		items = append(items, c.String())
	}
	return strings.Join(items, " ")
}

// Within is what both cover: what is asked for, cut down to what is allowed.
func (s Scopes) Within(allowed Scopes) (out Scopes) {
	for _, o := range s.Others {
		if allowed.Has(o) {
			out.Others = append(out.Others, o)
		}
	}
	for _, c := range s.Clinical {
		for _, a := range allowed.Clinical {
			if both, ok := c.within(a); ok && !out.names(both) && len(out.Clinical) < scopesMax {
				out.Clinical = append(out.Clinical, both)
			}
		}
	}
	return out
}

// Only are the clinical scopes of some levels, with the other scopes.
func (s Scopes) Only(levels ...Level) Scopes {
	out := Scopes{Others: slices.Clone(s.Others)}
	for _, c := range s.Clinical {
		if slices.Contains(levels, c.Level) {
			out.Clinical = append(out.Clinical, c)
		}
	}
	return out
}

// Without takes scopes beside the clinical ones away.
func (s Scopes) Without(names ...string) Scopes {
	out := Scopes{Clinical: s.Clinical}
	for _, o := range s.Others {
		if !slices.Contains(names, o) {
			out.Others = append(out.Others, o)
		}
	}
	return out
}

// At reports whether a scope of a level is there.
func (s Scopes) At(l Level) bool {
	return slices.ContainsFunc(s.Clinical, func(c Scope) bool { return c.Level == l })
}

// Empty reports whether no resource at all is covered.
func (s Scopes) Empty() bool { return len(s.Clinical) == 0 }

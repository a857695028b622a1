package gateway

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/abaton-health/abaton/internal/fhir"
)

// policy says who may use a route. The zero policy cannot be registered, so a
// route without one does not exist.
type policy uint8

const (
	// open routes tell what the gateway can do, or lead to a session.
	open policy = 1 + iota
	// bySession routes need the access value of a live session.
	bySession
)

// bodyKind is what a route takes in.
type bodyKind uint8

const (
	noBody       bodyKind = 1 + iota
	resourceBody          // application/fhir+json, one resource
	bundleBody            // application/fhir+json, a Bundle
	formBody              // application/x-www-form-urlencoded
	loginBody             // application/json
	patchBody             // application/json-patch+json
	linesBody             // application/fhir+ndjson, or a Bundle
	anyBody               // application/fhir+json, a Parameters resource or nothing
	documentBody          // a CDA, a PDF or a text
	streamBody            // any type; the handler reads it as it comes, and bounds it
)

// route is one entry of the sealed table. A pattern is a path whose segments
// {type}, {id} and {version} stand for any valid one.
type route struct {
	method  string
	pattern string
	policy  policy
	body    bodyKind
	starts  bool  // a GET that begins something, which a HEAD must not
	bodyMax int64 // bytes; 0 for noBody and streamBody
	native  bool  // the handler looks at Accept and may answer by itself
	handle  func(*Gateway, context.Context, *call) (*answer, error)

	segments []string
}

// table is a sealed set of routes.
type table struct{ routes []route }

// sealTable checks that every route is complete and returns the table; it
// names the first that is not.
func sealTable(routes []route) (*table, error) {
	t := &table{}
	for _, r := range routes {
		if err := r.complete(); err != nil {
			return nil, err
		}
		r.segments = strings.Split(strings.TrimPrefix(r.pattern, "/"), "/")
		if slices.ContainsFunc(t.routes, func(o route) bool { return o.method == r.method && o.pattern == r.pattern }) {
			return nil, fmt.Errorf("route %s %s: registered twice", r.method, r.pattern)
		}
		t.routes = append(t.routes, r)
	}
	return t, nil
}

func (r *route) complete() error {
	switch {
	case r.policy != open && r.policy != bySession:
		return fmt.Errorf("route %s: no policy", r.pattern)
	case r.handle == nil:
		return fmt.Errorf("route %s: no handler", r.pattern)
	case !strings.HasPrefix(r.pattern, "/"):
		return fmt.Errorf("route %q: no path", r.pattern)
	case r.body < noBody || r.body > streamBody || (r.body == noBody || r.body == streamBody) != (r.bodyMax == 0):
		return fmt.Errorf("route %s: no body kind or cap", r.pattern)
	case !slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}, r.method):
		return fmt.Errorf("route %s: method %s", r.pattern, r.method)
	}
	return nil
}

// place is what the variable segments of a path say.
type place struct{ kind, id, version string }

// find gives the route of a method and an escaped path. allow lists the
// methods the path has when the method is not one of them. Paths with empty,
// dot or encoded segments match nothing; a dollar sign may be encoded, as
// some clients do.
func (t *table) find(method, path string) (r *route, p place, allow []string) {
	path = strings.Replace(path, "/%24", "/$", 1)
	if !strings.HasPrefix(path, "/") || strings.Contains(path, "%") || len(path) > 512 {
		return nil, place{}, nil
	}
	segments := strings.Split(path[1:], "/")
	for i := range t.routes {
		candidate := &t.routes[i]
		at, ok := candidate.match(segments)
		if !ok {
			continue
		}
		head := candidate.method == http.MethodGet && !candidate.starts // RFC 9110, section 9.3.2
		if candidate.method == method || head && method == http.MethodHead {
			return candidate, at, nil
		}
		if allow = append(allow, candidate.method); head {
			allow = append(allow, http.MethodHead)
		}
	}
	return nil, place{}, allow
}

func (r *route) match(segments []string) (p place, ok bool) {
	if len(segments) != len(r.segments) {
		return place{}, false
	}
	for i, want := range r.segments {
		have := segments[i]
		switch want {
		case "{type}":
			p.kind, ok = have, fhir.IsType(have)
		case "{id}":
			p.id, ok = have, fhir.IsID(have) && have != "." && have != ".."
		case "{version}":
			p.version, ok = have, fhir.IsID(have) && have != "." && have != ".."
		default:
			ok = have == want
		}
		if !ok {
			return place{}, false
		}
	}
	return p, true
}

// paths lists the table, sorted, for audits: policy, method, pattern.
func (t *table) paths() []string {
	var out []string
	for _, r := range t.routes {
		who := "session"
		if r.policy == open {
			who = "open"
		}
		out = append(out, who+" "+r.method+" "+r.pattern)
	}
	slices.Sort(out)
	return out
}

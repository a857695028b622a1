package gateway

import (
	"context"
	"slices"
	"strings"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/search"
)

// mirrorKinds are the types of a query of which some resources are computed.
func mirrorKinds(q *search.Query) (kinds []string) {
	named, every := q.Kinds()
	for _, kind := range []string{"Consent", "AuditEvent", "Provenance", "Subscription"} {
		if !every && named[kind] {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// withMirrors is a set with the computed resources that a query can find
// beside it: of each patient in it, or of the own record where the query names
// nobody. They are indexed for this one search.
func (g *Gateway) withMirrors(ctx context.Context, c *call, set searchSet, kinds []string, used []fhir.Param) (searchSet, error) {
	out := set
	for _, kind := range kinds {
		if kind == "Subscription" {
			own, err := g.lives(c.person)
			if err != nil {
				return nil, err
			}
			lives, err := g.overlay(c.person, abaton.ActorID{}, own...)
			if err != nil {
				return nil, err
			}
			out = append(out, lives)
			continue
		}
		for _, at := range set {
			if at.patient == g.org || at.part != nil {
				continue
			}
			versions, warning, err := g.mirrored(ctx, c.person, at, kind)
			if err != nil {
				return nil, err
			}
			shown, err := g.overlay(c.person, at.patient, ofVersion(versions, used)...)
			if err != nil {
				return nil, err
			}
			shown.aside = warning
			out = append(out, shown)
		}
	}
	return out, nil
}

// ofVersion are the computed Provenances of the versions that target names; all
// where it names none. The index knows no versions of references.
func ofVersion(versions []fhir.Version, used []fhir.Param) []fhir.Version {
	value, ok := param(used, "target")
	if !ok || !strings.Contains(value, "/_history/") {
		return versions
	}
	return slices.DeleteFunc(versions, func(v fhir.Version) bool {
		r, err := fhir.ParseResource(v.Body)
		return err != nil || v.Type == "Provenance" && !targets(r, value)
	})
}

// targets reports whether a Provenance is about one of the references; a
// reference without a version means every version.
func targets(r fhir.Resource, values string) bool {
	for want := range strings.SplitSeq(values, ",") {
		for target := range r.Get("target").Each() {
			have := target.Get("reference").Text()
			if have == want || strings.HasPrefix(have, want+"/_history/") {
				return true
			}
		}
	}
	return false
}

// inChart leaves the patient out of a search for Consents in one patient's
// chart: a request for access may name the patient by actor alone, and in that
// chart it is the patient's.
func (s searchSet) inChart(kind string, params []fhir.Param) []fhir.Param {
	if kind != "Consent" || len(s) == 0 {
		return params
	}
	for _, c := range s {
		if c.patient != s[0].patient {
			return params
		}
	}
	return slices.DeleteFunc(slices.Clone(params), func(p fhir.Param) bool { return p.Name == "patient" || p.Name == "patient:Patient" })
}

// now are the current resources of a type.
func (c *chart) now(kind string) (out []fhir.Version) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for v := range c.index.All() {
		if v.Type == kind {
			out = append(out, v)
		}
	}
	return out
}

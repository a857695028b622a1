package gateway

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/fhir"
)

// searchMirrored answers a search of a type of which some resources are
// computed: they and the stored ones of the same chart, together.
func (g *Gateway) searchMirrored(ctx context.Context, c *call, query string) (*answer, error) {
	params, err := fhir.ParseQuery(query)
	if err != nil {
		return nil, err
	}
	params, page := takePage(params)
	bound := "/" + c.kind + "?" + queryOf(params)
	after := fhir.Cursor{}
	if page != "" {
		at, err := c.person.pages.open(page, bound)
		if err != nil {
			return nil, err
		}
		after = at.after()
	}
	at, err := g.mirrorChart(ctx, c, params)
	if err != nil && !notMine(err) {
		return nil, err
	}
	var all []fhir.Version
	warning := ""
	if err != nil && c.kind == "Subscription" { // without the directory there are still the own ones
		if at, err = overlay(abaton.ActorID{}); err != nil {
			return nil, err
		}
	}
	if err == nil {
		if all, warning, err = g.mirrored(ctx, c.person, at, c.kind); err != nil {
			return nil, err
		}
		all = append(all, at.now(c.kind)...)
		if text := at.warning(); text != "" {
			warning = text
		}
	}
	rest, used, all, err := narrow(c.kind, params, all)
	if err != nil {
		return nil, err
	}
	list, err := overlay(abaton.ActorID{}, all...)
	if err != nil {
		return nil, err
	}
	found, err := list.search(fhir.Query{Type: c.kind, Params: rest, After: after})
	if err != nil {
		return nil, err
	}
	found.Used = append(used, found.Used...)
	a, err := c.searchset(found, bound)
	if err == nil {
		a.warning = warning
	}
	return a, err
}

// mirrorChart is the chart a search of computed resources looks in: that of
// the target, of the patient, or of whoever asks for the own.
func (g *Gateway) mirrorChart(ctx context.Context, c *call, params []fhir.Param) (*chart, error) {
	if text, ok := param(params, "target"); ok && c.kind == "Provenance" {
		ref, ok := fhir.ParseRef(text)
		if !ok || ref.ID == "" {
			return nil, absent()
		}
		return g.locate(ctx, c.person, c, ref.Type, ref.ID)
	}
	if c.kind == "Subscription" {
		return g.directory(ctx, c.person, false)
	}
	own := c.person.actor
	if _, ok := param(params, "patient", "patient:Patient", "_id"); !ok && c.patient == (abaton.ActorID{}) && c.person.holds(own) && own != g.org {
		return g.chartOf(ctx, c.person, own, c.purpose, false)
	}
	return g.searchedIn(ctx, c, params)
}

// now are the current resources of a type.
func (c *chart) now(kind string) (out []fhir.Version) {
	for _, v := range c.timeline(kind, time.Time{}) {
		if current, _, _ := c.current(kind, v.ID); current.VersionID == v.VersionID && !v.Deleted {
			out = append(out, v)
		}
	}
	return out
}

// narrow applies the parameters that only these types have. The chart is the
// patient's, so all in it is the patient's.
func narrow(kind string, params []fhir.Param, all []fhir.Version) (rest, used []fhir.Param, kept []fhir.Version, err error) {
	kept = all
	for _, p := range params {
		var passes func(fhir.Version, fhir.Resource) bool
		switch {
		case p.Name == "patient" || p.Name == "patient:Patient":
			passes = func(fhir.Version, fhir.Resource) bool { return true }
		case p.Name == "status" && (kind == "Consent" || kind == "Subscription"):
			passes = func(_ fhir.Version, r fhir.Resource) bool {
				return slices.Contains(strings.Split(p.Value, ","), r.Get("status").Text())
			}
		case p.Name == "target" && kind == "Provenance":
			passes = func(_ fhir.Version, r fhir.Resource) bool { return targets(r, p.Value) }
		case dateParams[kind] != "" && p.Name == dateParams[kind]:
			in, err := within(kind, kept, p.Value)
			if err != nil {
				return nil, nil, nil, err
			}
			passes = func(v fhir.Version, _ fhir.Resource) bool { return in[v.ID] }
		default:
			rest = append(rest, p)
			continue
		}
		used = append(used, p)
		kept = slices.DeleteFunc(slices.Clone(kept), func(v fhir.Version) bool {
			r, err := fhir.ParseResource(v.Body)
			return err != nil || !passes(v, r)
		})
	}
	return rest, used, kept, nil
}

// dateParams are the search parameters that mean when it happened, and
// dateElements where it stands (FHIR R4, searchparameter-registry.html).
var (
	dateParams   = map[string]string{"Consent": "date", "AuditEvent": "date", "Provenance": "recorded"}
	dateElements = map[string]string{"Consent": "dateTime", "AuditEvent": "recorded", "Provenance": "recorded"}
)

// within are the ids of resources whose date lies as the value asks. It lays
// the dates into an index of their own, so that FHIR's periods and prefixes
// mean what they mean everywhere.
func within(kind string, all []fhir.Version, value string) (map[string]bool, error) {
	var dates fhir.Chart
	stubs := make([]fhir.Version, 0, len(all))
	for _, v := range all {
		r, err := fhir.ParseResource(v.Body)
		if err != nil {
			return nil, err
		}
		when, err := time.Parse(time.RFC3339, r.Get(dateElements[kind]).Text())
		if err != nil {
			if when, err = time.Parse(time.DateOnly, r.Get(dateElements[kind]).Text()); err != nil {
				continue
			}
		}
		stubs = append(stubs, fhir.Version{Type: kind, ID: v.ID, VersionID: "1", LastUpdated: when, Body: []byte(`{"resourceType":"` + kind + `"}`)})
	}
	if err := dates.Add(stubs...); err != nil {
		return nil, err
	}
	in := make(map[string]bool)
	q := fhir.Query{Params: []fhir.Param{{Name: "_lastUpdated", Value: value}, {Name: "_count", Value: "1000"}}}
	for {
		found, err := dates.Search(q)
		if err != nil {
			return nil, err
		}
		for _, v := range found.Versions {
			in[v.ID] = true
		}
		if found.Next == nil {
			return in, nil
		}
		q.After = *found.Next
	}
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

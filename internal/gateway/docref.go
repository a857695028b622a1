package gateway

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/abaton-health/abaton/internal/fhir"
)

// docref answers DocumentReference/$docref of US Core 8.0.0, by GET with
// parameters or by POST with Parameters: references to the documents that are
// stored. This gateway makes no documents of its own, so of those made on
// demand there are none.
func (g *Gateway) docref(ctx context.Context, c *call) (*answer, error) {
	params, err := c.operationParams()
	if err != nil {
		return nil, err
	}
	want, err := docrefOf(params, c.strict)
	if err != nil {
		return nil, err
	}
	out := fhir.OutBundle{Kind: "searchset", Self: c.base + "/DocumentReference/$docref"}
	if c.method == http.MethodGet {
		out.Self += "?" + queryOf(params)
	}
	patient, err := g.patientByID(ctx, c.person, want.patient)
	if notMine(err) {
		return &answer{status: http.StatusOK, body: out.Bytes()}, nil
	}
	if err != nil {
		return nil, err
	}
	chart, err := g.chartOf(ctx, c.person, patient, c.purpose, false)
	if notMine(err) {
		return &answer{status: http.StatusOK, body: out.Bytes()}, nil
	}
	if err != nil {
		return nil, err
	}
	for _, v := range want.choose(chart.now("DocumentReference")) {
		body, err := render(v)
		if err != nil {
			return nil, err
		}
		out.Entries = append(out.Entries, fhir.OutEntry{FullURL: c.base + "/" + v.Type + "/" + v.ID, Resource: body, Search: "match"})
	}
	out.Total = len(out.Entries)
	return &answer{status: http.StatusOK, body: out.Bytes(), warning: chart.warning()}, nil
}

// docrefQuery is what $docref asks for.
type docrefQuery struct {
	patient    string
	start, end time.Time // zero: open
	types      []string  // system|code or code; none: all
	onDemand   bool
}

func docrefOf(params []fhir.Param, strict bool) (q docrefQuery, err error) {
	for _, p := range params {
		switch p.Name {
		case "patient":
			q.patient = p.Value[strings.LastIndexByte(p.Value, '/')+1:]
		case "start":
			q.start, _, err = day(p.Value)
		case "end":
			_, q.end, err = day(p.Value)
		case "type":
			q.types = append(q.types, strings.Split(p.Value, ",")...)
		case "on-demand":
			if p.Value != "true" && p.Value != "false" {
				return q, badValue("on-demand is true or false; correct it")
			}
			q.onDemand = p.Value == "true"
		default:
			if strict {
				return q, refusal(http.StatusBadRequest, "not-supported", "$docref takes patient, start, end, type and on-demand here; leave the others out")
			}
		}
		if err != nil {
			return q, badValue("start and end must be FHIR dates; correct them")
		}
	}
	switch {
	case !fhir.IsID(q.patient):
		return q, refusal(http.StatusBadRequest, "required", "$docref needs patient, the id of one patient; add it")
	case !q.start.IsZero() && !q.end.IsZero() && q.end.Before(q.start):
		return q, badValue("end lies before start; correct them")
	}
	return q, nil
}

func badValue(text string) error { return refusal(http.StatusBadRequest, "value", text) }

// day is the span of a FHIR dateTime: from, and the first instant after it.
func day(text string) (from, to time.Time, err error) {
	for _, form := range []struct {
		layout              string
		years, months, days int
		rest                time.Duration
	}{{time.RFC3339, 0, 0, 0, time.Second}, {time.DateOnly, 0, 0, 1, 0}, {"2006-01", 0, 1, 0, 0}, {"2006", 1, 0, 0, 0}} {
		if from, err = time.Parse(form.layout, strings.Replace(text, " ", "+", 1)); err == nil {
			return from, from.AddDate(form.years, form.months, form.days).Add(form.rest), nil
		}
	}
	return from, to, err
}

// choose keeps what is asked for: without dates the newest document of each
// type, with dates those whose care falls into the range.
func (q *docrefQuery) choose(all []fhir.Version) (out []fhir.Version) {
	if q.onDemand {
		return nil
	}
	type candidate struct {
		fhir.Version
		kind string
		from time.Time
	}
	var found []candidate
	for _, v := range all {
		r, err := fhir.ParseResource(v.Body)
		if err != nil || r.Get("status").Is("entered-in-error") || !q.ofType(r) {
			continue
		}
		from, to := careDates(r)
		if !q.start.IsZero() && to.Before(q.start) || !q.end.IsZero() && !from.Before(q.end) {
			continue
		}
		found = append(found, candidate{v, string(r.Get("type").Raw()), from})
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return b.from.Compare(a.from) })
	seen := make(map[string]bool)
	for _, f := range found {
		if q.start.IsZero() && q.end.IsZero() {
			if seen[f.kind] {
				continue
			}
			seen[f.kind] = true
		}
		out = append(out, f.Version)
	}
	return out
}

func (q *docrefQuery) ofType(r fhir.Resource) bool {
	if len(q.types) == 0 {
		return true
	}
	for v := range r.Path("type", "coding").Each() {
		code := v.Get("code").Text()
		if slices.Contains(q.types, code) || slices.Contains(q.types, v.Get("system").Text()+"|"+code) {
			return true
		}
	}
	return false
}

// careDates are when the care of a document was given: its context's period,
// else its own date. One without any is of all times.
func careDates(r fhir.Resource) (from, to time.Time) {
	to = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	period := r.Path("context", "period")
	if start, _, err := day(period.Get("start").Text()); err == nil {
		from = start
	}
	if _, end, err := day(period.Get("end").Text()); err == nil {
		to = end
	}
	if period.Kind() == fhir.Absent {
		if start, end, err := day(r.Get("date").Text()); err == nil {
			return start, end
		}
	}
	return from, to
}

// operationParams are the parameters of an operation: of the query, or of a
// Parameters resource. Of its values only primitive ones and Codings count.
func (c *call) operationParams() ([]fhir.Param, error) {
	params, err := fhir.ParseQuery(c.query)
	if err != nil || c.method != http.MethodPost || len(c.body) == 0 {
		return params, err
	}
	r, err := fhir.ParseResource(c.body)
	if err != nil {
		return nil, err
	}
	if r.Type != "Parameters" {
		return nil, refusal(http.StatusBadRequest, "invalid", "the body of an operation is a Parameters resource; send one")
	}
	for p := range r.Get("parameter").Each() {
		name := p.Get("name").Text()
		for v := range p.Children() {
			if !strings.HasPrefix(v.Name(), "value") || len(params) >= fhir.QueryParametersMax {
				continue
			}
			switch {
			case v.Get("code").Kind() == fhir.String:
				params = append(params, fhir.Param{Name: name, Value: v.Get("system").Text() + "|" + v.Get("code").Text()})
			case v.Get("reference").Kind() == fhir.String:
				params = append(params, fhir.Param{Name: name, Value: v.Get("reference").Text()})
			case v.Kind() == fhir.String:
				params = append(params, fhir.Param{Name: name, Value: v.Text()})
			default:
				params = append(params, fhir.Param{Name: name, Value: string(v.Raw())})
			}
		}
	}
	return params, nil
}

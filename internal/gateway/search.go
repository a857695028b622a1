package gateway

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/fhir"
)

// paramPage carries the sealed cursor of the next page.
const paramPage = "_page"

// search answers GET [type]?... and POST [type]/_search: within one patient's
// chart, or the directory.
func (g *Gateway) search(ctx context.Context, c *call) (*answer, error) {
	query := c.query
	if c.method == http.MethodPost {
		if query = string(c.body); c.query != "" {
			query = c.query + "&" + query
		}
	}
	if mirrors(c.kind) {
		return g.searchMirrored(ctx, c, query)
	}
	params, err := fhir.ParseQuery(query)
	if err != nil {
		return nil, err
	}
	params, page := takePage(params)
	chart, err := g.searched(ctx, c, params)
	if err != nil {
		return nil, err
	}
	bound := "/" + c.kind + "?" + queryOf(params)
	q := fhir.Query{Type: c.kind, Params: params}
	if page != "" {
		at, err := c.person.pages.open(page, bound)
		if err != nil {
			return nil, err
		}
		q.After = at.after()
	}
	found := fhir.Found{Count: fhir.CountDefault}
	if chart != nil {
		if found, err = chart.search(q); err != nil {
			return nil, err
		}
	}
	a, err := c.searchset(found, bound)
	if err == nil && chart != nil {
		a.warning = chart.warning()
	}
	return a, err
}

// searchset writes a page. What was not applied is told in an entry of its
// own, or refused if the caller asked for strict handling.
func (c *call) searchset(found fhir.Found, bound string) (*answer, error) {
	if len(found.Ignored) > 0 && c.strict {
		return nil, refusal(http.StatusBadRequest, "not-supported", "a search parameter is not supported here and handling is strict; the CapabilityStatement lists those that are")
	}
	out := fhir.OutBundle{Kind: "searchset", Total: found.Total, Self: c.base + "/" + c.kind}
	if used := queryOf(found.Used); used != "" {
		out.Self += "?" + used
	}
	if found.Next != nil {
		out.Next = c.base + bound + "&" + paramPage + "=" + c.person.pages.seal(cursorAfter(*found.Next), bound)
	}
	for _, v := range found.Versions {
		body, err := render(v)
		if err != nil {
			return nil, err
		}
		out.Entries = append(out.Entries, fhir.OutEntry{FullURL: c.base + "/" + v.Type + "/" + v.ID, Resource: body, Search: "match"})
	}
	if len(found.Ignored) > 0 {
		out.Entries = append(out.Entries, fhir.OutEntry{Search: "outcome", Resource: fhir.OperationOutcome(fhir.Issue{
			Severity: "warning", Code: "not-supported",
			Diagnostics: "search parameters that are not supported here were not applied; the CapabilityStatement lists those that are"})})
	}
	return &answer{status: http.StatusOK, body: out.Bytes()}, nil
}

// searched is the chart a search looks in, nil if there is nothing the caller
// may look in: not granted is not there.
func (g *Gateway) searched(ctx context.Context, c *call, params []fhir.Param) (*chart, error) {
	chart, err := g.searchedIn(ctx, c, params)
	if notMine(err) {
		return nil, nil
	}
	return chart, err
}

func (g *Gateway) searchedIn(ctx context.Context, c *call, params []fhir.Param) (*chart, error) {
	if id, ok := param(params, "patient", "patient:Patient"); ok {
		id = id[strings.LastIndexByte(id, '/')+1:]
		if !fhir.IsID(id) {
			return nil, refusal(http.StatusBadRequest, "value", "patient must name one patient, as an id or Patient/id; search for one at a time")
		}
		patient, err := g.patientByID(ctx, c.person, id)
		if err != nil {
			return nil, err
		}
		return g.chartOf(ctx, c.person, patient, c.purpose, false)
	}
	if fhir.Directory(c.kind) {
		return g.directory(ctx, c.person, false)
	}
	if id, ok := param(params, "_id"); ok {
		if !fhir.IsID(id) {
			return nil, refusal(http.StatusBadRequest, "value", "without patient, _id must be one id; search for one at a time")
		}
		return g.locate(ctx, c.person, c, c.kind, id)
	}
	if c.patient != (abaton.ActorID{}) {
		return g.chartOf(ctx, c.person, c.patient, c.purpose, false)
	}
	return nil, refusal(http.StatusBadRequest, "too-costly", "a search over several patients is not supported; add patient=[id], or _id=[id]")
}

// param is the value of the first parameter with one of these names.
func param(params []fhir.Param, names ...string) (string, bool) {
	for _, p := range params {
		if slices.Contains(names, p.Name) {
			return p.Value, true
		}
	}
	return "", false
}

// takePage takes the cursor out of the parameters.
func takePage(params []fhir.Param) (rest []fhir.Param, page string) {
	for _, p := range params {
		if p.Name == paramPage {
			page = p.Value
		} else {
			rest = append(rest, p)
		}
	}
	return rest, page
}

// queryOf is parameters as a query.
func queryOf(params []fhir.Param) string {
	var b strings.Builder
	for _, p := range params {
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(p.Name) + "=" + url.QueryEscape(p.Value))
	}
	return b.String()
}

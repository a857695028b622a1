package gateway

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/search"
)

// paramPage carries the sealed cursor of the next page.
const paramPage = "_page"

// search answers GET [type]?... and POST [type]/_search: within the charts and
// the directory that the session may open, and as if there were nothing else.
func (g *Gateway) search(ctx context.Context, c *call) (*answer, error) {
	text := c.query
	if c.method == http.MethodPost {
		if text = string(c.body); c.query != "" {
			text = c.query + "&" + text
		}
	}
	query, after, err := c.pageOf(text)
	if err != nil {
		return nil, err
	}
	params, err := fhir.ParseQuery(query)
	if err != nil {
		return nil, err
	}
	if params, err = g.sidewise(ctx, c, params); err != nil {
		return nil, err
	}
	q, err := search.Parse(c.kind, params, search.Options{Now: g.now(), Base: c.base})
	if err != nil {
		return nil, err
	}
	if len(q.Ignored) > 0 && c.strict {
		return nil, refusal(http.StatusBadRequest, "not-supported", "a search parameter is not supported here and handling is strict; the CapabilityStatement lists those that are")
	}
	set, err := g.setFor(ctx, c, q)
	if err != nil {
		return nil, err
	}
	asked := q
	if c.kind == "Consent" {
		if asked, err = search.Parse(c.kind, set.inChart(c.kind, params), search.Options{Now: g.now(), Base: c.base}); err != nil {
			return nil, err
		}
	}
	page, err := set.run(asked, after)
	if err != nil {
		return nil, err
	}
	if err := g.linkedAll(ctx, c.person, page.Versions, page.Included); err != nil {
		return nil, err
	}
	a, err := c.searchset(q, page, query)
	if err == nil {
		a.warning = set.warning()
	}
	return a, err
}

// A link is what the address of a next page holds, sealed: the whole query,
// which may tell of a patient, and the place in the answer.
type link struct {
	Query string        `cbor:"1,keyasint"`
	After search.Cursor `cbor:"2,keyasint"`
}

// pageOf takes a request for a next page apart; any other is the first page
// of its own query.
func (c *call) pageOf(text string) (query string, after *search.Cursor, err error) {
	page, ok := strings.CutPrefix(text, paramPage+"=")
	if !ok {
		return text, nil, nil
	}
	var at link
	if err := c.person.pages.open(page, "/"+c.kind, &at); err != nil {
		return "", nil, err
	}
	return at.Query, &at.After, nil
}

// searchset writes a page. What was not applied is told in an entry of its
// own.
func (c *call) searchset(q *search.Query, page *search.Page, query string) (*answer, error) {
	out := fhir.OutBundle{Kind: "searchset", Total: page.Total, Self: c.base + "/" + c.kind}
	if used := queryOf(q.Used); used != "" {
		out.Self += "?" + used
	}
	if q.NoTotal {
		out.Total = -1
	}
	if page.Next != nil {
		out.Next = c.base + "/" + c.kind + "?" + paramPage + "=" + c.person.pages.seal(link{query, *page.Next}, "/"+c.kind)
	}
	subset := fhir.Subset{Elements: q.Element, Summary: string(q.Summary)}
	for _, mode := range []struct {
		name     string
		versions []*fhir.Version
	}{{"match", page.Versions}, {"include", page.Included}} {
		for _, v := range mode.versions {
			entry, err := c.entry(v, mode.name, subset)
			if err != nil {
				return nil, err
			}
			out.Entries = append(out.Entries, entry)
		}
	}
	if len(q.Ignored) > 0 {
		out.Entries = append(out.Entries, fhir.OutEntry{FullURL: outcomeURL, Search: "outcome", Resource: notApplied(q.Ignored)})
	}
	return &answer{status: http.StatusOK, body: out.Bytes()}, nil
}

// entry is a resource of a searchset, or what a subset shows of it.
func (c *call) entry(v *fhir.Version, mode string, subset fhir.Subset) (fhir.OutEntry, error) {
	shown := *v
	var err error
	if !subset.All() {
		if shown.Body, err = subset.Cut(v.Body); err != nil {
			return fhir.OutEntry{}, err
		}
	}
	body, err := render(shown)
	return fhir.OutEntry{FullURL: c.base + "/" + v.Type + "/" + v.ID, Resource: body, Search: mode}, err
}

// outcomeURL identifies the one OperationOutcome of a searchset, which has no
// address. It is always the same, so that the same question has the same answer.
const outcomeURL = "urn:uuid:0f6dbd4e-4a5b-4a0e-9c0b-6d1b8f1c7a52"

// notApplied tells which kinds of parameters were left out and why. It names
// none: a name may hold anything.
func notApplied(ignored []search.Ignored) []byte {
	var issues []fhir.Issue
	for _, i := range ignored {
		issue := fhir.Issue{Severity: "warning", Code: "not-supported",
			Diagnostics: "a search parameter was not applied: " + i.Reason + "; the CapabilityStatement lists those that are supported"}
		if !slices.Contains(issues, issue) {
			issues = append(issues, issue)
		}
	}
	return fhir.OperationOutcome(issues...)
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

package gateway

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/fhir"
)

// everything answers GET Patient/[id]/$everything: all that the session may
// read of the patient, then the directory resources that it refers to
// (RULINGS 27), page by page.
func (g *Gateway) everything(ctx context.Context, c *call) (*answer, error) {
	params, err := fhir.ParseQuery(c.query)
	if err != nil {
		return nil, err
	}
	params, page := takePage(params)
	bound := "/Patient/" + c.id + "/$everything?" + queryOf(params)
	var at cursor
	if page != "" {
		if at, err = c.person.pages.open(page, bound); err != nil {
			return nil, err
		}
	}
	chart, err := g.locate(ctx, c.person, c, "Patient", c.id)
	if err != nil {
		return nil, err
	}
	if _, _, err := chart.find("Patient", c.id); err != nil {
		return nil, err
	}
	found, next, err := g.pageOf(ctx, c.person, chart, params, at)
	if err != nil {
		return nil, err
	}
	if len(found.Ignored) > 0 && c.strict {
		return nil, refusal(http.StatusBadRequest, "not-supported", "only _count and _type are supported here; leave the others out")
	}
	out := fhir.OutBundle{Kind: "searchset", Total: found.Total, Self: c.base + bound}
	if next != nil {
		out.Next = c.base + bound + "&" + paramPage + "=" + c.person.pages.seal(*next, bound)
	}
	out.Self = strings.TrimSuffix(out.Self, "?")
	for _, v := range found.Versions {
		body, err := render(v)
		if err != nil {
			return nil, err
		}
		out.Entries = append(out.Entries, fhir.OutEntry{FullURL: c.base + "/" + v.Type + "/" + v.ID, Resource: body, Search: "match"})
	}
	return &answer{status: http.StatusOK, body: out.Bytes(), warning: chart.warning()}, nil
}

// pageOf is one page: first of the chart, then of the directory.
func (g *Gateway) pageOf(ctx context.Context, p *person, chart *chart, params []fhir.Param, at cursor) (fhir.Found, *cursor, error) {
	q := fhir.Query{Params: params}
	if !at.Directory {
		q.After = at.after()
	}
	found, err := chart.search(q)
	if err != nil {
		return found, nil, err
	}
	kinds, some := param(params, "_type")
	referred, err := g.referred(ctx, p, chart, func(kind string) bool {
		return !some || slices.Contains(strings.Split(kinds, ","), kind)
	})
	if err != nil {
		return found, nil, err
	}
	found.Total += len(referred)
	if !at.Directory {
		if found.Next != nil {
			next := cursorAfter(*found.Next)
			return found, &next, nil
		}
	} else {
		found.Versions = nil
		from, _ := slices.BinarySearchFunc(referred, at, func(v fhir.Version, c cursor) int {
			return strings.Compare(v.Type+"/"+v.ID, c.Type+"/"+c.ID)
		})
		referred = referred[from:]
	}
	room := min(found.Count-len(found.Versions), len(referred))
	found.Versions = append(found.Versions, referred[:room]...)
	if room == len(referred) || found.Count == 0 {
		return found, nil, nil
	}
	first := referred[room]
	return found, &cursor{Directory: true, Type: first.Type, ID: first.ID}, nil
}

// referred are the directory resources that a chart's resources refer to, by
// type and id. A session without a grant to the directory sees none.
func (g *Gateway) referred(ctx context.Context, p *person, chart *chart, wanted func(kind string) bool) ([]fhir.Version, error) {
	refs, err := chart.references()
	if err != nil || len(refs) == 0 || !p.holds(g.org) || chart.patient == (abaton.ActorID{}) {
		return nil, err
	}
	directory, err := g.directory(ctx, p, false)
	if notMine(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []fhir.Version
	for _, ref := range refs {
		if v, _, ok := directory.current(ref.Type, ref.ID); ok && !v.Deleted && wanted(ref.Type) {
			out = append(out, v)
		}
	}
	return out, nil
}

// references are the directory resources that the chart's current resources
// name, sorted by type and id. They are looked for once for each state.
func (c *chart) references() ([]fhir.Ref, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.referred != nil && c.size == c.bytes {
		return c.referred, nil
	}
	seen := make(map[fhir.Ref]bool)
	var after fhir.Cursor
	for more := true; more; {
		found, err := c.index.Search(fhir.Query{Params: []fhir.Param{{Name: "_count", Value: "1000"}}, After: after})
		if err != nil {
			return nil, err
		}
		for _, v := range found.Versions {
			if err := collect(v, seen); err != nil {
				return nil, err
			}
		}
		if more = found.Next != nil; more {
			after = *found.Next
		}
	}
	c.referred, c.size = make([]fhir.Ref, 0, len(seen)), c.bytes
	for ref := range seen {
		c.referred = append(c.referred, ref)
	}
	slices.SortFunc(c.referred, func(a, b fhir.Ref) int { return strings.Compare(a.Type+"/"+a.ID, b.Type+"/"+b.ID) })
	return c.referred, nil
}

// collect notes the directory references of one resource.
func collect(v fhir.Version, seen map[fhir.Ref]bool) error {
	r, err := fhir.ParseResource(v.Body)
	if err != nil {
		return err
	}
	r.Rewrite(func(text string) (string, bool) {
		if ref, ok := fhir.ParseRef(text); ok && ref.ID != "" && ref.Base == "" && fhir.Directory(ref.Type) {
			ref.Version = ""
			seen[ref] = true
		}
		return "", false
	})
	return nil
}

package gateway

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/search"
)

// An everythingQuery is what narrows an $everything.
type everythingQuery struct {
	kinds []string // of _type; nil for all
	since int64    // of _since, microseconds since 1970
	count int
	used  []fhir.Param
	other bool // a parameter that is not known here was sent
}

// An everythingPlace is where the next page begins: at a resource of the
// chart, or of the directory resources behind it.
type everythingPlace struct {
	Query     string `cbor:"1,keyasint"`
	Directory bool   `cbor:"2,keyasint"`
	Updated   int64  `cbor:"3,keyasint"` // microseconds since 1970
	Type      string `cbor:"4,keyasint"`
	ID        string `cbor:"5,keyasint"`
}

// everything answers GET Patient/[id]/$everything: all that the session may
// read of the patient, then the directory resources that it refers to
// (RULINGS 27), page by page. _since, _type and _count narrow it.
func (g *Gateway) everything(ctx context.Context, c *call) (*answer, error) {
	bound := "/Patient/" + c.id + "/$everything"
	at := everythingPlace{Query: c.query}
	if page, ok := strings.CutPrefix(c.query, paramPage+"="); ok {
		if err := c.person.pages.open(page, bound, &at); err != nil {
			return nil, err
		}
	}
	q, err := parseEverything(at.Query)
	if err != nil {
		return nil, err
	}
	if q.other && c.strict {
		return nil, refusal(http.StatusBadRequest, "not-supported", "only _since, _type and _count are supported here; leave the others out")
	}
	chart, err := g.locate(ctx, c.person, c, "Patient", c.id)
	if err != nil {
		return nil, err
	}
	if _, _, err := chart.find("Patient", c.id); err != nil {
		return nil, err
	}
	all, err := g.everythingBeside(ctx, c, chart, q)
	if err != nil {
		return nil, err
	}
	out := fhir.OutBundle{Kind: "searchset", Total: len(all), Self: strings.TrimSuffix(c.base+bound+"?"+queryOf(q.used), "?")}
	from := 0
	if at.Type != "" {
		if from = slices.IndexFunc(all, func(e everythingEntry) bool { return !e.before(&at) }); from < 0 {
			from = len(all)
		}
	}
	to := min(from+q.count, len(all))
	for _, e := range all[from:to] {
		entry, err := c.entry(&e.version, "match", fhir.Subset{})
		if err != nil {
			return nil, err
		}
		out.Entries = append(out.Entries, entry)
	}
	if to < len(all) && q.count > 0 {
		next := all[to].place(at.Query)
		out.Next = c.base + bound + "?" + paramPage + "=" + c.person.pages.seal(next, bound)
	}
	return &answer{status: http.StatusOK, body: out.Bytes(), warning: chart.warning()}, nil
}

func parseEverything(text string) (q *everythingQuery, err error) {
	params, err := fhir.ParseQuery(text)
	if err != nil {
		return nil, err
	}
	q = &everythingQuery{count: fhir.CountDefault}
	for _, p := range params {
		switch p.Name {
		case "_count":
			n, err := strconv.ParseUint(p.Value, 10, 31)
			if err != nil {
				return nil, refusal(http.StatusBadRequest, "value", "_count must be a whole number; correct it")
			}
			q.count = int(min(n, fhir.CountMax))
		case "_type":
			q.kinds = append(q.kinds, strings.Split(p.Value, ",")...)
		case "_since":
			from, ok := search.Instant(p.Value)
			if !ok {
				return nil, refusal(http.StatusBadRequest, "value", "_since must be an instant; correct it")
			}
			q.since = max(q.since, from.UnixMicro())
		default:
			q.other = true
			continue
		}
		q.used = append(q.used, p)
	}
	return q, nil
}

// An everythingEntry is one resource of the answer.
type everythingEntry struct {
	version   fhir.Version
	directory bool
}

func (e *everythingEntry) place(query string) everythingPlace {
	v := &e.version
	return everythingPlace{Query: query, Directory: e.directory, Updated: v.LastUpdated.UnixMicro(), Type: v.Type, ID: v.ID}
}

// before reports whether the entry comes before a place: the chart by
// lastUpdated, type and id, then the directory by type and id.
func (e *everythingEntry) before(at *everythingPlace) bool {
	if e.directory != at.Directory {
		return !e.directory
	}
	v := &e.version
	updated := cmp.Compare(v.LastUpdated.UnixMicro(), at.Updated)
	if e.directory {
		updated = 0
	}
	return cmp.Or(updated, strings.Compare(v.Type, at.Type), strings.Compare(v.ID, at.ID)) < 0
}

// everythingBeside is the whole answer, in order: the chart, and those that
// are of the same person by a link.
func (g *Gateway) everythingBeside(ctx context.Context, c *call, chart *chart, q *everythingQuery) ([]everythingEntry, error) {
	all, err := g.everythingOf(ctx, c.person, chart, q)
	if err != nil {
		return nil, err
	}
	known, err := g.ties(ctx, c.person)
	if err != nil || len(known) == 0 {
		return all, err
	}
	others, err := g.besides(ctx, c, known, c.id)
	if err != nil {
		return nil, err
	}
	for _, other := range others {
		more, err := g.everythingOf(ctx, c.person, other, q)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	for i := range all {
		if all[i].version, err = linked(known, all[i].version); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(all, func(a, b everythingEntry) int {
		at := b.place("")
		if a.before(&at) {
			return -1
		}
		if at = a.place(""); b.before(&at) {
			return 1
		}
		return 0
	})
	return slices.CompactFunc(all, func(a, b everythingEntry) bool { return a.place("") == b.place("") }), nil
}

// everythingOf is one chart of the answer, in order.
func (g *Gateway) everythingOf(ctx context.Context, p *person, c *chart, q *everythingQuery) (all []everythingEntry, err error) {
	wanted := func(v *fhir.Version) bool {
		return (q.kinds == nil || slices.Contains(q.kinds, v.Type)) && v.LastUpdated.UnixMicro() >= q.since
	}
	listed := c.standard
	if p.actor == c.patient { // whose touch names the very lines
		listed = c.listed
	}
	for _, v := range listed() {
		if wanted(&v) {
			all = append(all, everythingEntry{v, false})
		}
	}
	referred, err := g.referred(ctx, p, c)
	for _, v := range referred {
		if wanted(&v) {
			all = append(all, everythingEntry{v, true})
		}
	}
	return all, err
}

// listed are the current resources, by lastUpdated, type and id.
func (c *chart) listed() []fhir.Version {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.Collect(c.index.All())
}

// standard is listed without what is shielded: that is read by its id or found
// by a search, with a fresh touch, and part of no list of everything.
func (c *chart) standard() []fhir.Version {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var out []fhir.Version
	for v := range c.index.All() {
		if !c.apart[v.Type+"/"+v.ID] {
			out = append(out, v)
		}
	}
	return out
}

// referred are the directory resources that a chart's resources refer to, by
// type and id. A session without a grant to the directory sees none.
func (g *Gateway) referred(ctx context.Context, p *person, chart *chart) ([]fhir.Version, error) {
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
		if v, _, ok := directory.current(ref.Type, ref.ID); ok && !v.Deleted {
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
	for v := range c.index.All() {
		if c.apart[v.Type+"/"+v.ID] {
			continue // what it names tells of it
		}
		if err := collect(v, seen); err != nil {
			return nil, err
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

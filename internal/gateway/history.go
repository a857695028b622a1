package gateway

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/internal/smart"
	"github.com/abaton-health/abaton/wire"
)

// mark is where the next page of a history begins: after this version.
type mark struct {
	Type    string `cbor:"1,keyasint"`
	ID      string `cbor:"2,keyasint"`
	Version string `cbor:"3,keyasint"`
}

// sealMark binds a mark to the session and the request it pages through: it
// is opaque, unchangeable and of no use to anybody else.
func (g *Gateway) sealMark(p *person, m mark, bound string) string {
	return login.Encode(g.marks.aead.Seal(nil, nil, wire.Marshal(m), []byte(p.id.String()+bound)))
}

func (g *Gateway) openMark(p *person, text, bound string) (m mark, err error) {
	bad := refusal(http.StatusBadRequest, "value", "this page link is not of this session and request, or the gateway was restarted; start again from the first page")
	sealed, err := login.Decode(text)
	if err != nil {
		return mark{}, bad
	}
	plain, err := g.marks.aead.Open(nil, nil, sealed, []byte(p.id.String()+bound))
	if err != nil || wire.Unmarshal(plain, &m) != nil {
		return mark{}, bad
	}
	return m, nil
}

// past is what a history asks for (FHIR R4, http.html#history).
type past struct {
	since time.Time
	count int
	after *mark
	bound string // path and query without the page
}

func (g *Gateway) pastOf(c *call, path string) (past, error) {
	q := past{count: fhir.CountDefault}
	params, err := fhir.ParseQuery(c.query)
	if err != nil {
		return q, err
	}
	params, page := takePage(params)
	q.bound = path
	if text := queryOf(params); text != "" {
		q.bound += "?" + text
	}
	for _, p := range params {
		switch p.Name {
		case "_count":
			n, err := strconv.ParseUint(p.Value, 10, 31)
			if err != nil {
				return q, refusal(http.StatusBadRequest, "value", "_count must be a whole number; correct it")
			}
			q.count = int(min(n, fhir.CountMax))
		case "_since":
			if q.since, err = time.Parse(time.RFC3339, p.Value); err != nil {
				return q, refusal(http.StatusBadRequest, "value", "_since must be an instant with a time zone, as 2026-01-31T08:00:00Z; correct it")
			}
		default:
			if c.strict {
				return q, refusal(http.StatusBadRequest, "not-supported", "a history takes _since and _count; leave the others out")
			}
		}
	}
	if page == "" {
		return q, nil
	}
	m, err := g.openMark(c.person, page, q.bound)
	q.after = &m
	return q, err
}

// history answers GET [type]/[id]/_history: every version, newest first.
func (g *Gateway) history(ctx context.Context, c *call) (*answer, error) {
	q, err := g.pastOf(c, "/"+c.kind+"/"+c.id+"/_history")
	if err != nil {
		return nil, err
	}
	chart, err := g.locate(ctx, c.person, c, c.kind, c.id)
	if err != nil {
		return nil, err
	}
	versions := chart.history(c.kind, c.id)
	if len(versions) == 0 {
		return nil, absent()
	}
	versions = slices.DeleteFunc(versions, func(v fhir.Version) bool { return v.LastUpdated.Before(q.since) })
	return g.told(c, q, versions, "")
}

// pastOfAll answers GET [type]/_history and GET /_history: over the charts
// that this session has open, or the one that Abaton-Patient names. What was
// not opened is not opened for it, so it tells of nothing else.
func (g *Gateway) pastOfAll(ctx context.Context, c *call) (*answer, error) {
	path := "/_history"
	if c.kind != "" {
		path = "/" + c.kind + path
	}
	q, err := g.pastOf(c, path)
	if err != nil {
		return nil, err
	}
	charts, err := g.openNow(ctx, c)
	if err != nil {
		return nil, err
	}
	var versions []fhir.Version
	warning := ""
	for _, chart := range charts {
		versions = append(versions, chart.timeline(c.kind, q.since)...)
		if text := chart.warning(); text != "" {
			warning = text
		}
	}
	slices.SortStableFunc(versions, func(a, b fhir.Version) int { return b.LastUpdated.Compare(a.LastUpdated) })
	return g.told(c, q, versions, warning)
}

// openNow are the charts of this session, renewed as their lease asks: that of
// Abaton-Patient, else those that are open, the directory among them.
func (g *Gateway) openNow(ctx context.Context, c *call) (charts []*chart, err error) {
	patients := c.person.openCharts()
	if c.patient != (abaton.ActorID{}) {
		patients = []abaton.ActorID{c.patient}
	}
	slices.SortFunc(patients, func(a, b abaton.ActorID) int { return slices.Compare(a[:], b[:]) })
	for _, patient := range patients {
		chart, err := g.chartOf(ctx, c.person, patient, c.purpose, false)
		if notMine(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		charts = append(charts, chart)
	}
	return charts, nil
}

// timeline is what of all versions a session may know of, the newest first. To
// an app an older version of what it sees may be hidden.
func (c *chart) timeline(kind string, since time.Time) []fhir.Version {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.past(kind, since)
}

// past is timeline for callers that hold mu.
func (c *chart) past(kind string, since time.Time) []fhir.Version {
	return slices.DeleteFunc(c.index.Timeline(kind, since), func(v fhir.Version) bool { return !c.shows(smart.Read|smart.Search, v) })
}

// told is one page of a history.
func (g *Gateway) told(c *call, q past, versions []fhir.Version, warning string) (*answer, error) {
	out := fhir.OutBundle{Kind: "history", Total: len(versions), Self: c.base + q.bound}
	if q.after != nil {
		at := slices.IndexFunc(versions, func(v fhir.Version) bool {
			return v.Type == q.after.Type && v.ID == q.after.ID && v.VersionID == q.after.Version
		})
		if at < 0 {
			return nil, refusal(http.StatusBadRequest, "value", "what this page link goes on from is not open any more; start again from the first page")
		}
		versions = versions[at+1:]
	}
	if len(versions) > q.count {
		versions = versions[:q.count]
		if q.count > 0 {
			last := versions[q.count-1]
			joint := "?"
			if strings.Contains(q.bound, "?") {
				joint = "&"
			}
			out.Next = c.base + q.bound + joint + paramPage + "=" + g.sealMark(c.person, mark{last.Type, last.ID, last.VersionID}, q.bound)
		}
	}
	for _, v := range versions {
		entry, err := historyEntry(c.base, v)
		if err != nil {
			return nil, err
		}
		out.Entries = append(out.Entries, entry)
	}
	return &answer{status: http.StatusOK, body: out.Bytes(), warning: warning}, nil
}

// takePage takes the page link out of the parameters.
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

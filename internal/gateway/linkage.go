package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/fhir"
)

// A tie says that two charts are of one person, by FHIR Patient ids. It is a
// Linkage in the organisation's directory, which only Patient/$merge writes and
// Patient/$unmerge ends: no record moves, so nothing has to move back
// (docs/protocol/gateway.md#gateway-merge).
type tie struct {
	linkage    string // id of the Linkage
	from, into string // ids of the Patient that is replaced, and of the one that replaces it
	since      time.Time
}

// ties are the links that hold, as the session's directory has them now. Who
// cannot open the directory sees none, and so does an app: it sees the chart that
// it was let into.
func (g *Gateway) ties(ctx context.Context, p *person) ([]tie, error) {
	if p.limits != nil || !p.holds(g.org) {
		return nil, nil
	}
	directory, err := g.directory(ctx, p, false)
	if notMine(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return directory.ties()
}

// ties reads the Linkages of a directory, once for each state of it.
func (c *chart) ties() ([]tie, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tiedAt == c.bytes+1 {
		return c.tied, nil
	}
	c.tied = nil
	for v := range c.index.All() {
		if v.Type != "Linkage" {
			continue
		}
		t, ok, err := tieOf(v)
		if err != nil {
			return nil, err
		}
		if ok {
			c.tied = append(c.tied, t)
		}
	}
	c.tiedAt = c.bytes + 1
	return c.tied, nil
}

// tieOf is the link that a Linkage says, false for one that is over or about
// other things.
func tieOf(v fhir.Version) (t tie, ok bool, err error) {
	r, err := fhir.ParseResource(v.Body)
	if err != nil {
		return t, false, err
	}
	t = tie{linkage: v.ID, since: v.LastUpdated}
	for item := range r.Get("item").Each() {
		ref, ok := fhir.ParseRef(item.Path("resource", "reference").Text())
		if !ok || ref.Type != "Patient" || ref.ID == "" || ref.Base != "" {
			return t, false, nil
		}
		switch {
		case item.Get("type").Is("source") && t.into == "":
			t.into = ref.ID
		case item.Get("type").Is("alternate") && t.from == "":
			t.from = ref.ID
		default:
			return t, false, nil
		}
	}
	return t, r.Get("active").True() && t.from != "" && t.into != "" && t.from != t.into, nil
}

// linkageText is the Linkage of a link, or of one that is over.
func linkageText(from, into string, active bool) []byte {
	return fmt.Appendf(nil, `{"resourceType":"Linkage","active":%t,"item":[{"type":"source","resource":{"reference":"Patient/%s"}},`+
		`{"type":"alternate","resource":{"reference":"Patient/%s"}}]}`, active, into, from)
}

// oneOf are the ids of all Patients that are the same person as this one, with
// it, itself first.
func oneOf(ties []tie, id string) []string {
	all := []string{id}
	for at := 0; at < len(all); at++ {
		for _, t := range ties {
			for _, next := range [][2]string{{t.from, t.into}, {t.into, t.from}} {
				if next[0] == all[at] && !slices.Contains(all, next[1]) {
					all = append(all, next[1])
				}
			}
		}
	}
	return all
}

// standing is the Patient that stands for this one: itself, or what replaces
// it in the end. No link makes a ring, and none is followed for ever.
func standing(ties []tie, id string) string {
	for range ties {
		at := slices.IndexFunc(ties, func(t tie) bool { return t.from == id })
		if at < 0 {
			break
		}
		id = ties[at].into
	}
	return id
}

// patientLink is an entry of Patient.link as a read shows it.
type patientLink struct {
	Other struct {
		Reference string `json:"reference"`
	} `json:"other"`
	Type string `json:"type"`
}

// linksOf is what Patient.link says of a Patient.
func linksOf(ties []tie, id string) (all []patientLink) {
	for _, t := range ties {
		link := patientLink{Type: "replaces"}
		switch id {
		case t.into:
			link.Other.Reference = "Patient/" + t.from
		case t.from:
			link.Type, link.Other.Reference = "replaced-by", "Patient/"+t.into
		default:
			continue
		}
		if !slices.Contains(all, link) {
			all = append(all, link)
		}
	}
	return all
}

// linked is a version as it is shown: a Patient with its links beside the bytes
// that are stored.
func linked(ties []tie, v fhir.Version) (fhir.Version, error) {
	if v.Type != "Patient" || v.Deleted {
		return v, nil
	}
	links := linksOf(ties, v.ID)
	if len(links) == 0 {
		return v, nil
	}
	r, err := fhir.ParseResource(v.Body)
	if err != nil {
		return v, err
	}
	steps := []any{patchAdd{"add", "/link", links}}
	if r.Get("link").Kind() == fhir.Array {
		steps = nil
		for _, l := range links {
			steps = append(steps, patchAdd{"add", "/link/-", l})
		}
	}
	v.Body, err = patchWith(v.Body, steps)
	return v, err
}

type patchAdd struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

type patchRemove struct {
	Op   string `json:"op"`
	Path string `json:"path"`
}

// patchWith applies steps to a resource's bytes and leaves all others alone.
func patchWith(body []byte, steps []any) ([]byte, error) {
	text, err := json.Marshal(steps)
	if err != nil {
		return nil, err
	}
	p, err := fhir.ParsePatch(text)
	if err != nil {
		return nil, err
	}
	return p.Apply(body)
}

// linkedAll is linked for what a searchset shows; what the charts hold stays as
// it is.
func (g *Gateway) linkedAll(ctx context.Context, p *person, lists ...[]*fhir.Version) error {
	var known []tie
	asked := false
	for _, list := range lists {
		for i, v := range list {
			if v.Type != "Patient" {
				continue
			}
			if !asked {
				var err error
				if known, err = g.ties(ctx, p); err != nil {
					return err
				}
				asked = true
			}
			shown, err := linked(known, *v)
			if err != nil {
				return err
			}
			list[i] = &shown
		}
	}
	return nil
}

// unlinked takes out of a Patient what reads put in, so that a client can write
// back what it read. Other links stay, and are refused further on.
func (g *Gateway) unlinked(ctx context.Context, p *person, r fhir.Resource) (fhir.Resource, error) {
	if r.Type != "Patient" || r.Get("link").Kind() != fhir.Array {
		return r, nil
	}
	known, err := g.ties(ctx, p)
	if err != nil {
		return r, err
	}
	own := linksOf(known, r.ID())
	var steps []any
	at, kept := 0, 0
	for link := range r.Get("link").Each() {
		one := patientLink{Type: link.Get("type").Text()}
		one.Other.Reference = link.Path("other", "reference").Text()
		if slices.Contains(own, one) {
			steps = append(steps, patchRemove{"remove", "/link/" + strconv.Itoa(at)})
		} else {
			kept++
		}
		at++
	}
	if len(steps) == 0 {
		return r, nil
	}
	slices.Reverse(steps) // from the end, so that places before stay where they are
	if kept == 0 {
		steps = []any{patchRemove{"remove", "/link"}}
	}
	text, err := patchWith(r.Raw(), steps)
	if err != nil {
		return r, err
	}
	return fhir.ParseResource(text)
}

// sidewise are the parameters of a search with every patient it names joined by
// the Patients that are the same person: both charts are read side by side.
// Computed types are told of one chart at a time.
func (g *Gateway) sidewise(ctx context.Context, c *call, params []fhir.Param) ([]fhir.Param, error) {
	if c.kind == "Patient" || partlyComputed(c.kind) {
		return params, nil
	}
	var known []tie
	var out []fhir.Param
	for i, p := range params {
		ids, ok := c.named(p)
		if !ok {
			continue
		}
		if out == nil {
			var err error
			if known, err = g.ties(ctx, c.person); err != nil || len(known) == 0 {
				return params, err
			}
			out = slices.Clone(params)
		}
		for _, id := range ids {
			for _, other := range oneOf(known, id)[1:] {
				if !slices.Contains(ids, other) {
					out[i].Value += ",Patient/" + other
				}
			}
		}
	}
	if out == nil {
		return params, nil
	}
	return out, nil
}

// partlyComputed reports whether some resources of a type are made from grants,
// ledgers or signatures.
func partlyComputed(kind string) bool {
	return slices.Contains([]string{"Consent", "AuditEvent", "Provenance", "Subscription"}, kind)
}

// besides are the charts of the Patients that are the same person as this one,
// as far as the session may open them.
func (g *Gateway) besides(ctx context.Context, c *call, known []tie, id string) (charts []*chart, err error) {
	for _, other := range oneOf(known, id)[1:] {
		patient, err := g.patientByID(ctx, c.person, other)
		if err == nil {
			var beside *chart
			if beside, err = g.chartOf(ctx, c.person, patient, c.purpose, false); err == nil {
				charts = append(charts, beside)
			}
		}
		if err != nil && !notMine(err) {
			return nil, err
		}
	}
	return charts, nil
}

// survivor is the one patient of several that stands for all of them, if they
// were merged: messages go to one chart.
func (s *Service) survivor(ctx context.Context, several []abaton.ActorID, idOf func(abaton.ActorID) string) (abaton.ActorID, error) {
	known, err := s.g.ties(ctx, s.p)
	if err != nil {
		return abaton.ActorID{}, err
	}
	var found abaton.ActorID
	stands := ""
	for _, patient := range several {
		id := idOf(patient)
		at := standing(known, id)
		if stands != "" && at != stands {
			return abaton.ActorID{}, ErrSeveral
		}
		if stands = at; at == id {
			found = patient
		}
	}
	if found == (abaton.ActorID{}) { // the one that stands for them has none of the identifiers
		return found, ErrSeveral
	}
	return found, nil
}

// referenceID is the id in a reference to a Patient, "" for anything else.
func referenceID(text string) string {
	if id, ok := strings.CutPrefix(text, "Patient/"); ok && fhir.IsID(id) {
		return id
	}
	return ""
}

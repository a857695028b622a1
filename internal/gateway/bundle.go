package gateway

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/fhir"
)

// bundle answers POST / with a transaction, all of which is written or
// nothing, or a batch, whose entries stand alone.
func (g *Gateway) bundle(ctx context.Context, c *call) (*answer, error) {
	b, err := fhir.ParseBundle(c.body)
	if err != nil {
		return nil, err
	}
	s := g.newScope(c)
	homes, err := s.homes(ctx, b)
	if err != nil {
		return nil, err
	}
	defer g.locks.hold(homes.exclusive(g.org)...)()
	ops, err := s.resolve(ctx, b, homes)
	if err != nil {
		return nil, err
	}
	w := &bundleWork{scope: s, kind: b.Kind, entries: make([]fhir.OutEntry, len(b.Entries)), plans: make([]*plan, len(b.Entries))}
	if err := w.plan(ctx, ops); err != nil {
		return nil, err
	}
	if err := w.commit(ctx); err != nil {
		return nil, err
	}
	for i := range ops {
		if ops[i].Method == http.MethodGet && ops[i].Err == nil {
			w.get(ctx, &ops[i])
		}
	}
	return w.answer()
}

// resolve gives out ids and settles references.
func (s *scope) resolve(ctx context.Context, b *fhir.Bundle, homes *bundleHomes) ([]fhir.Operation, error) {
	return fhir.Resolve(b, func(e *fhir.Entry) (string, error) {
		home := homes.of[e.Index]
		id := s.g.ids.fresh(home)
		if s.c.imports {
			var source []byte
			id, source = s.g.ids.imported(home, e.FullURL, e.Resource.Raw())
			s.sources[e.Resource.Type+"/"+id] = source
		}
		s.within[e.Resource.Type+"/"+id] = home
		return id, nil
	}, func(ref fhir.Ref) (string, error) { return s.findFor(ctx, ref, homes.only) })
}

// bundleWork is a Bundle being carried out.
type bundleWork struct {
	*scope
	kind    string
	entries []fhir.OutEntry
	plans   []*plan // by entry; nil where nothing is written
	pending bool
}

// plan plans every operation. In a transaction the first refusal ends it; in
// a batch it is that entry's answer.
func (w *bundleWork) plan(ctx context.Context, ops []fhir.Operation) error {
	for i := range ops {
		op := &ops[i]
		if op.Method == http.MethodPut && op.Err == nil {
			if tag, ok := tagOf(op.ID); ok {
				if home, ok := w.p.byTag(tag); ok {
					w.within[op.Type+"/"+op.ID] = home
				}
			}
		}
	}
	for i := range ops {
		op := &ops[i]
		if op.Err != nil {
			w.refused(op.Entry, op.Err)
			continue
		}
		if op.Method == http.MethodGet {
			continue
		}
		p, err := w.planOne(ctx, op)
		if err == nil {
			w.plans[op.Entry] = p
			continue
		}
		o := *outcomeOf(err)
		if o.Expression == "" {
			o.Expression = "Bundle.entry[" + strconv.Itoa(op.Entry) + "]"
		}
		if w.kind == "transaction" {
			return &o
		}
		w.refused(op.Entry, &o)
	}
	return nil
}

func (w *bundleWork) planOne(ctx context.Context, op *fhir.Operation) (*plan, error) {
	c := *w.c
	c.ifMatch, c.ifNoneMatch = op.IfMatch, op.IfNoneMatch
	if err := c.person.mayDo(actionOf(op.Method), op.Type); err != nil {
		return nil, err
	}
	s := *w.scope
	s.c = &c
	switch {
	case op.Method == http.MethodDelete && op.ID == "": // a condition that finds nothing
		return &plan{status: http.StatusNoContent}, nil
	case op.Method == http.MethodPatch:
		return s.patch(ctx, op.Type, op.ID, op.Patch)
	case op.Method == http.MethodDelete:
		return s.remove(ctx, op.Type, op.ID)
	case op.Existing:
		return s.found(ctx, op)
	}
	r, err := fhir.ParseResource(op.Bytes)
	if err != nil {
		return nil, err
	}
	if op.Method == http.MethodPut && !op.Created {
		if r, err = named(r, op.ID); err != nil {
			return nil, err
		}
		return s.update(ctx, r, op.ID)
	}
	return s.create(ctx, r, op.ID, s.sources[op.Type+"/"+op.ID])
}

// found is a conditional create that found what is there.
func (s *scope) found(ctx context.Context, op *fhir.Operation) (*plan, error) {
	home, ok := s.within[op.Type+"/"+op.ID]
	if !ok {
		if tag, ours := tagOf(op.ID); ours {
			home, ok = s.p.byTag(tag)
		}
	}
	var at *chart
	var err error
	if ok {
		at, err = s.writable(ctx, home, false)
	} else {
		at, err = s.g.locate(ctx, s.p, s.c, op.Type, op.ID)
	}
	if err != nil {
		return nil, err
	}
	v, _, ok := at.current(op.Type, op.ID)
	if !ok { // written by an earlier entry of this very Bundle
		v = fhir.Version{Type: op.Type, ID: op.ID}
	}
	return &plan{status: http.StatusOK, version: v}, nil
}

func (w *bundleWork) refused(entry int, o *fhir.OutcomeError) {
	w.entries[entry] = fhir.OutEntry{Status: statusText(o.Status), Outcome: o.Outcome()}
}

func statusText(status int) string { return strconv.Itoa(status) + " " + http.StatusText(status) }

// commit writes what was planned: a transaction as one, a batch patient by
// patient, so that one patient's refusal is not another's.
func (w *bundleWork) commit(ctx context.Context) error {
	groups := make(map[abaton.ActorID][]int)
	for i, p := range w.plans {
		if p == nil || len(p.changes) == 0 {
			continue
		}
		home := abaton.ActorID{}
		if w.kind == "batch" {
			home = p.changes[0].home
		}
		groups[home] = append(groups[home], i)
	}
	outcomes := make(map[abaton.ActorID]*groupEnd, len(groups))
	for home := range groups {
		outcomes[home] = new(groupEnd)
	}
	work := new(errgroup.Group)
	work.SetLimit(4)
	for home, entries := range groups {
		work.Go(func() error {
			var changes []*change
			for _, i := range entries {
				changes = append(changes, w.plans[i].changes...)
			}
			end := outcomes[home]
			end.pending, end.err = w.g.commit(ctx, w.p, changes)
			return nil
		})
	}
	if err := work.Wait(); err != nil {
		return err
	}
	for home, entries := range groups {
		if err := w.ended(entries, outcomes[home]); err != nil {
			return err
		}
	}
	return nil
}

// groupEnd is how writing one group ended.
type groupEnd struct {
	pending bool
	err     error
}

func (w *bundleWork) ended(entries []int, end *groupEnd) error {
	w.pending = w.pending || end.pending
	if end.err == nil {
		return nil
	}
	if w.kind == "transaction" {
		return end.err
	}
	for _, i := range entries {
		w.plans[i] = nil
		w.refused(i, outcomeOf(end.err))
	}
	return nil
}

// get carries out a read or search of the Bundle, as its own request would.
func (w *bundleWork) get(ctx context.Context, op *fhir.Operation) {
	path, query, _ := strings.Cut(op.URL, "?")
	way, at, _ := w.g.table.find(http.MethodGet, "/"+path)
	if way == nil || way.policy != bySession || way.starts {
		w.refused(op.Entry, refusal(http.StatusNotFound, "not-supported", "this cannot be read here; use a path of this gateway, relative to its base"))
		return
	}
	c := *w.c
	c.place, c.method, c.query, c.body = at, http.MethodGet, query, nil
	c.ifMatch, c.ifNoneMatch, c.ifNoneExist = "", op.IfNoneMatch, ""
	a, err := w.g.carryOut(ctx, way, &c)
	if err != nil {
		w.refused(op.Entry, outcomeOf(err))
		return
	}
	full := "" // of what is a resource of this base, and no searchset or history
	if at.id != "" && (way.pattern == "/{type}/{id}" || at.version != "") {
		full = w.c.base + "/" + at.kind + "/" + at.id
	}
	w.entries[op.Entry] = fhir.OutEntry{FullURL: full, Resource: a.body, Status: statusText(a.status), ETag: a.etag, Modified: a.modified}
}

// answer writes the response Bundle, in the order of the request.
func (w *bundleWork) answer() (*answer, error) {
	for i, p := range w.plans {
		if p == nil {
			continue
		}
		e, err := w.entry(p)
		if err != nil {
			return nil, err
		}
		w.entries[i] = e
	}
	out := fhir.OutBundle{Kind: w.kind + "-response", Entries: w.entries}
	status := http.StatusOK
	if w.pending {
		status = http.StatusAccepted
	}
	return &answer{status: status, body: out.Bytes()}, nil
}

func (w *bundleWork) entry(p *plan) (e fhir.OutEntry, err error) {
	v := p.version
	e = fhir.OutEntry{Status: statusText(p.status), ETag: fhir.ETag(v.VersionID), Modified: v.LastUpdated,
		Location: v.Type + "/" + v.ID + "/_history/" + v.VersionID}
	switch {
	case v.Type == "":
		e.ETag, e.Location = "", ""
	case v.VersionID == "":
		e.ETag, e.Location = "", v.Type+"/"+v.ID
	}
	if w.pending && len(p.changes) > 0 {
		e.Status = statusText(http.StatusAccepted)
		e.Outcome = fhir.OperationOutcome(fhir.Issue{Severity: "warning", Code: "incomplete", Diagnostics: pendingText})
	}
	if w.c.returns == "OperationOutcome" && len(p.findings) > 0 && e.Outcome == nil {
		e.Outcome = p.done()
	}
	if w.c.returns == "representation" && w.c.preferred && !v.Deleted && v.VersionID != "" {
		e.FullURL = w.c.base + "/" + v.Type + "/" + v.ID
		e.Resource, err = render(v)
	}
	return e, err
}

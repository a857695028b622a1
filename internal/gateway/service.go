package gateway

import (
	"context"
	"net/http"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/seal"
)

// Service is the session of an actor that brings in what other systems send:
// an agent of the organisation. Its device lends it to this gateway exactly as
// a person's does (POST /login/complete); it may do what it was lent and
// nothing else, and it ends like any other.
type Service struct {
	g *Gateway
	p *person
}

// Service is who's newest live session here; abaton.ErrNotFound if there is
// none, and for the zero actor.
func (g *Gateway) Service(who abaton.ActorID) (*Service, error) {
	var newest *person
	if who != (abaton.ActorID{}) {
		now := g.now()
		g.sessions.each(func(p *person) {
			if p.actor == who && now.Before(p.expires) && (newest == nil || p.expires.After(newest.expires)) {
				newest = p
			}
		})
	}
	if newest == nil {
		return nil, abaton.ErrNotFound
	}
	return &Service{g: g, p: newest}, nil
}

// Expires is when the session ends.
func (s *Service) Expires() time.Time { return s.p.expires }

// Name is the FHIR id by which the same source always names the same resource
// of a patient.
func (s *Service) name(patient abaton.ActorID, source string) (id string, mac []byte) {
	return s.g.ids.imported(patient, source, nil)
}

// Known reports whether a resource that a Transact with this fullUrl wrote is
// in the patient's chart, as far as this session reads it.
func (s *Service) Known(ctx context.Context, patient abaton.ActorID, kind, fullURL string) (bool, error) {
	c, err := s.g.chartOf(ctx, s.p, patient, "", false)
	if err != nil {
		return false, err
	}
	id, _ := s.name(patient, fullURL)
	_, _, ok := c.current(kind, id)
	return ok, nil
}

// Transacted is what became of a transaction. Batches is empty when there was
// nothing to write.
type Transacted struct {
	Pending bool // safe in the outbox and not yet at the write quorum
	Batches []abaton.BatchName
}

// Transact writes transaction Bundles of one patient, one after the other in
// effect and all of them or none: POST, and PUT with a condition, which writes
// over what the condition finds, or what an earlier of the Bundles wrote. Ids
// follow fullUrl and condition, so the same Bundle again writes nothing.
// References to Patient?identifier=... are to this patient. Errors are those of
// a request: an *fhir.OutcomeError, an *abaton.RefusedError, or trouble that
// may pass (abaton.ErrUnavailable).
func (s *Service) Transact(ctx context.Context, patient abaton.ActorID, bundles ...[]byte) (*Transacted, error) {
	if !s.g.enter() {
		return nil, abaton.ErrUnavailable
	}
	defer s.g.flight.Done()
	defer s.g.locks.hold(patient)()
	c, err := s.g.chartOf(ctx, s.p, patient, "", false)
	if err != nil {
		return nil, err
	}
	var changes []*change
	planned := make(map[string]fhir.Version)
	for _, body := range bundles {
		b, err := fhir.ParseBundle(body)
		if err != nil {
			return nil, err
		}
		t := &serviceWork{scope: s.g.newScope(&call{person: s.p, patient: patient, imports: true, method: http.MethodPost}),
			s: s, patient: patient, chart: c, planned: planned}
		t.asked[patient], t.asked[s.g.org] = true, true // the chart is of this lease; nobody else writes these ids
		ops, err := fhir.Resolve(b, t.assign, func(ref fhir.Ref) (string, error) { return t.conditional(ctx, ref) })
		if err != nil {
			return nil, err
		}
		own, err := t.plan(ctx, ops)
		if err != nil {
			return nil, err
		}
		changes = append(changes, own...)
	}
	return s.commit(ctx, changes)
}

func (s *Service) commit(ctx context.Context, changes []*change) (*Transacted, error) {
	if len(changes) == 0 {
		return &Transacted{}, nil
	}
	written, pending, err := s.g.put(ctx, s.p, changes)
	if err != nil {
		return nil, err
	}
	out := &Transacted{Pending: pending}
	if written != nil {
		out.Batches = written.Batches
	}
	return out, nil
}

// serviceWork is one Bundle of a service under way.
type serviceWork struct {
	*scope
	s       *Service
	patient abaton.ActorID
	chart   *chart
	planned map[string]fhir.Version // Type/id -> the version that this or an earlier Bundle writes
}

// assign names what an entry creates.
func (t *serviceWork) assign(e *fhir.Entry) (string, error) {
	source := e.FullURL
	if e.Method == http.MethodPut {
		source = e.URL
	}
	if source == "" {
		return "", refusal(http.StatusUnprocessableEntity, "required", "an entry without a fullUrl has no name")
	}
	id, mac := t.s.name(t.patient, source)
	at := e.Resource.Type + "/" + id
	t.sources[at], t.within[at] = mac, t.patient
	return id, nil
}

// conditional is the one resource that a condition finds: the patient, what an
// earlier transaction wrote under this very condition, or what a search finds
// that others wrote.
func (t *serviceWork) conditional(ctx context.Context, ref fhir.Ref) (string, error) {
	if ref.Type == "Patient" {
		return t.s.patientIn(t.chart)
	}
	id, _ := t.s.name(t.patient, ref.Type+"?"+ref.Query)
	_, ok := t.planned[ref.Type+"/"+id]
	if !ok {
		_, _, ok = t.chart.current(ref.Type, id)
	}
	switch {
	case ok:
		t.within[ref.Type+"/"+id] = t.patient
		return id, nil
	case ref.Type == "Observation": // named by an order that only its messages know
		return "", nil
	}
	found, err := t.find(ctx, ref, t.patient)
	if err == nil && found != "" {
		t.within[ref.Type+"/"+found] = t.patient
	}
	return found, err
}

// patientIn is patientID, by the roll where that has it.
func (s *Service) patientIn(c *chart) (string, error) {
	s.p.roll.mu.Lock()
	known := s.p.roll.read[c.patient]
	s.p.roll.mu.Unlock()
	if known != nil && known.id != "" {
		if v, _, ok := c.current("Patient", known.id); ok && !v.Deleted {
			return known.id, nil
		}
	}
	return s.g.patientID(c)
}

// patientID is the FHIR id of a chart's Patient.
func (g *Gateway) patientID(c *chart) (string, error) {
	found := c.now("Patient")
	if len(found) != 1 {
		return "", absent()
	}
	return found[0].ID, nil
}

// plan plans all operations of a Bundle.
func (t *serviceWork) plan(ctx context.Context, ops []fhir.Operation) (changes []*change, err error) {
	for i := range ops {
		p, err := t.planOne(ctx, &ops[i])
		if err != nil {
			return nil, err
		}
		if len(p.changes) > 0 {
			t.planned[p.version.Type+"/"+p.version.ID] = p.version
		}
		changes = append(changes, p.changes...)
	}
	return changes, nil
}

func (t *serviceWork) planOne(ctx context.Context, op *fhir.Operation) (*plan, error) {
	r, err := fhir.ParseResource(op.Bytes)
	if err != nil {
		return nil, err
	}
	switch {
	case op.Method == http.MethodPost && op.IfMatch == "":
		return t.create(ctx, r, op.ID, t.sources[op.Type+"/"+op.ID])
	case op.Method == http.MethodPut && op.Created:
		return t.create(ctx, r, op.ID, t.sources[op.Type+"/"+op.ID])
	case op.Method == http.MethodPut:
		return t.over(ctx, r, op.ID)
	}
	return nil, refusal(http.StatusUnprocessableEntity, "not-supported", "a service posts and puts by condition only")
}

// over plans the next version of what is there. A person, a visit or an
// appointment is updated in the elements that the message has; results and
// documents are replaced, for half an old result is a wrong one.
func (t *serviceWork) over(ctx context.Context, r fhir.Resource, id string) (*plan, error) {
	home, err := t.homeOf(ctx, r, t.patient)
	if err != nil {
		return nil, err
	}
	if home != t.patient {
		return nil, refusal(http.StatusUnprocessableEntity, "business-rule", "the resource is not this patient's")
	}
	heads := t.chart.heads(r.Type, id)
	if v, ok := t.planned[r.Type+"/"+id]; ok {
		heads = []fhir.Version{v}
	}
	if len(heads) == 0 {
		return nil, absent()
	}
	if !heads[0].Deleted {
		base, err := fhir.ParseResource(heads[0].Body)
		if err != nil {
			return nil, err
		}
		text := laidOver(base, r)
		if same, err := fhir.Equal(base.Raw(), text, nil); err != nil || same && len(heads) == 1 {
			return &plan{status: http.StatusOK, version: heads[0]}, err
		}
		if r, err = fhir.ParseResource(text); err != nil {
			return nil, err
		}
	}
	return t.write(ctx, t.chart, r, id, versionIDs(heads), nil, http.StatusOK)
}

func laidOver(base, r fhir.Resource) []byte {
	switch r.Type {
	case "Patient", "Encounter", "Appointment":
		return fhir.Overlay(base, r)
	case "DiagnosticReport":
		return fhir.Replace(base, r, "identifier", "result")
	}
	return fhir.Replace(base, r, "identifier")
}

// Settled tells how batches of an earlier Transact or SetAside stand, of
// whatever session: durable at the write quorum, or refused for good.
func (g *Gateway) Settled(batches ...abaton.BatchName) (durable bool, refused abaton.Reason) {
	return g.writer.Settled(batches...)
}

// Below is how many batches of the outbox are not at the write quorum.
func (g *Gateway) Below() int {
	below, _, _ := g.writer.Backlog()
	return below
}

// Aside is a message for the quarantine: a resource of its own, under a name
// that its content gives.
type Aside struct {
	Key      [32]byte
	Type     string
	Content  []byte // a FHIR resource
	Resolved bool   // it has been filed since: Content is not looked at
}

// SetAside writes into the organisation's quarantine, sealed for whoever holds
// its seed. This session writes there and reads nothing. The same message
// again is the same version.
func (s *Service) SetAside(ctx context.Context, all ...Aside) (*Transacted, error) {
	if !s.g.enter() {
		return nil, abaton.ErrUnavailable
	}
	defer s.g.flight.Done()
	line, ok := s.p.dropLine(s.g.org, login.QuarantineCategory())
	if !ok {
		return nil, refusal(http.StatusForbidden, "forbidden", "this session may not write to the quarantine; give its actor a deposit grant there and sign in again")
	}
	t := client.Transaction{Writes: make([]client.Write, len(all))}
	for i := range all {
		t.Writes[i] = client.Write{Patient: s.g.org, Line: line, Record: s.aside(line, &all[i])}
	}
	written, err := s.g.writer.Put(context.WithoutCancel(ctx), t)
	if written == nil {
		return nil, s.g.notWritten(ctx, err)
	}
	s.g.counters.written(len(all), err != nil)
	return &Transacted{Pending: err != nil, Batches: written.Batches}, nil
}

func (s *Service) aside(line abaton.Line, a *Aside) seal.Record {
	id, source := s.g.ids.imported(s.g.org, "quarantine", a.Key[:])
	first := seal.VersionID(s.g.writerID, id, nil, [16]byte(source))
	e := seal.Envelope{Patient: s.g.org, Line: line, Kind: seal.KindResource, Type: a.Type, ID: id, VersionID: first,
		LastUpdated: uint64(s.g.now().UnixMilli()), Person: s.p.actor, Source: source}
	if a.Resolved {
		e.Deleted, e.Parents = true, []string{first}
		e.VersionID = seal.VersionID(s.g.writerID, id, e.Parents, [16]byte(source))
		return seal.Record{Envelope: e}
	}
	return seal.Record{Envelope: e, Content: a.Content}
}

// dropLine is the line of a category of an actor that the session may write to
// without reading it.
func (p *person) dropLine(of abaton.ActorID, category abaton.Category) (abaton.Line, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if h := p.held[of]; h != nil {
		line, ok := h.drops[category]
		return line, ok
	}
	return abaton.Line{}, false
}

package gateway

import (
	"context"
	"crypto/rand"
	"net/http"
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/view"
	"github.com/abaton-health/abaton/internal/smart"
	"github.com/abaton-health/abaton/seal"
)

// scope is one request that writes: who, what was asked, and what the request
// itself brings, so that entries of a Bundle can refer to each other.
type scope struct {
	g       *Gateway
	p       *person
	c       *call
	within  map[string]abaton.ActorID // Type/id written by this request -> whose it is
	sources map[string][]byte         // Type/id of an import -> its source key
	asked   map[abaton.ActorID]bool   // charts for which this request has asked for news
	least   fhir.Category             // what it writes is at least as sensitive
}

func (g *Gateway) newScope(c *call) *scope {
	return &scope{g: g, p: c.person, c: c, within: make(map[string]abaton.ActorID), asked: make(map[abaton.ActorID]bool),
		sources: make(map[string][]byte)}
}

// change is one record to be written.
type change struct {
	at       int // its place in the transaction
	home     abaton.ActorID
	line     abaton.Line
	envelope seal.Envelope
	content  []byte
	fact     seal.Fact
}

// plan is what one interaction will do and answer. Nothing has been written.
type plan struct {
	status  int
	version fhir.Version // what the answer shows
	changes []*change    // none when there is nothing to write

	findings []fhir.Issue // of validation, for whoever asks for an outcome
}

// create plans a new resource under id, which nothing has yet, or which an
// earlier import of the same source wrote.
func (s *scope) create(ctx context.Context, r fhir.Resource, id string, source []byte) (*plan, error) {
	self := s.c.patient
	if r.Type == "Patient" && self == (abaton.ActorID{}) {
		return nil, refusal(http.StatusUnprocessableEntity, "business-rule", "a new patient needs an actor of its own: make it on a device (abaton import does) and name it in the header Abaton-Patient")
	}
	home, err := s.homeOf(ctx, r, self)
	if err != nil {
		return nil, err
	}
	if tag, ok := tagOf(id); ok && tag != s.g.ids.tag(home) {
		return nil, refusal(http.StatusUnprocessableEntity, "business-rule", "it cannot be told whose the resource is; refer to its patient as Patient/id")
	}
	chart, err := s.fileable(ctx, home)
	if err != nil {
		return nil, err
	}
	if source != nil {
		if v, _, ok := chart.current(r.Type, id); ok {
			return &plan{status: http.StatusOK, version: v}, nil
		}
	}
	if r.Type == "Patient" {
		return s.createPatient(ctx, chart, r, id, source)
	}
	return s.write(ctx, chart, r, id, nil, source, http.StatusCreated)
}

// writable is the chart of whom something is to be written for. Who cannot
// open it cannot write through this session either.
func (s *scope) writable(ctx context.Context, home abaton.ActorID, fresh bool) (*chart, error) {
	chart, err := s.g.chartOf(ctx, s.p, home, s.c.purpose, fresh)
	if notMine(err) && home == s.g.org {
		return nil, refusal(http.StatusForbidden, "forbidden", "this session cannot open the organisation's directory; sign in again with a grant to it")
	}
	if notMine(err) {
		return nil, refusal(http.StatusForbidden, "forbidden", "this session has no access to that patient; ask the patient to give access and sign in again")
	}
	return chart, err
}

// createPatient also puts the id into the directory, where it names the
// patient and nothing finer.
func (s *scope) createPatient(ctx context.Context, chart *chart, r fhir.Resource, id string, source []byte) (*plan, error) {
	if chart.holds("Patient") {
		return nil, refusal(http.StatusConflict, "duplicate", "this actor's chart has its Patient already; update that one")
	}
	p, err := s.write(ctx, chart, r, id, nil, source, http.StatusCreated)
	if err != nil {
		return nil, err
	}
	directory, err := s.writable(ctx, s.g.org, false)
	if err != nil {
		return nil, err
	}
	if known, ok := directory.patientOf(id); ok && known != chart.patient {
		return nil, refusal(http.StatusConflict, "duplicate", "another patient has this id; choose another or let it be assigned")
	} else if ok {
		return p, nil
	}
	line, err := s.g.lineFor(ctx, s.p, s.g.org, fhir.General)
	if err != nil {
		return nil, err
	}
	p.changes = append(p.changes, &change{home: s.g.org, line: line, content: slices.Clone(chart.patient[:]),
		envelope: seal.Envelope{Patient: s.g.org, Line: line, Kind: seal.KindDirectory, Type: "Patient", ID: id,
			LastUpdated: uint64(s.g.now().UnixMilli()), Person: s.p.actor}})
	return p, nil
}

// update plans a new version, or the first one under an id the client chose.
func (s *scope) update(ctx context.Context, r fhir.Resource, id string) (*plan, error) {
	if r.ID() != id {
		return nil, refusal(http.StatusBadRequest, "invalid", "the resource's id is not that of the URL; make them the same")
	}
	if view.Computed(r.Type, id) || live(r.Type, id) {
		return nil, errMirror()
	}
	r, err := s.g.unlinked(ctx, s.p, r)
	if err != nil {
		return nil, err
	}
	home, err := s.homeForUpdate(ctx, r, id)
	if err != nil {
		return nil, err
	}
	chart, err := s.writable(ctx, home, !s.looked(home)) // once for all entries of a Bundle: its homes are locked
	if err != nil {
		return nil, err
	}
	heads := chart.headsFor(smart.Update, r.Type, id)
	if s.p.limits != nil && len(heads) == 0 {
		return nil, absent() // an app may not choose ids: one that is in use where it may not look would tell so
	}
	if err := s.c.matches(heads); err != nil {
		return nil, err
	}
	switch {
	case len(heads) > 0:
		status := http.StatusOK
		if heads[0].Deleted {
			status = http.StatusCreated
		}
		return s.write(ctx, chart, r, id, versionIDs(heads), nil, status)
	case r.Type == "Patient":
		return s.createPatient(ctx, chart, r, id, nil)
	}
	if _, ours := tagOf(id); ours {
		return nil, absent()
	}
	if chart.withheld {
		// An older version may lie in the part that is not open here; a first
		// one beside it could stand in a less strict part.
		return nil, refusal(http.StatusForbidden, "forbidden", "a part of this record needs a fresh passkey touch, and this id may be in use there; let the id be assigned (POST)")
	}
	return s.write(ctx, chart, r, id, nil, nil, http.StatusCreated)
}

// homeForUpdate is whose the resource is, and refuses an update that would
// move it to another patient (RULINGS 11).
func (s *scope) homeForUpdate(ctx context.Context, r fhir.Resource, id string) (abaton.ActorID, error) {
	self := s.c.patient
	if r.Type == "Patient" {
		known, err := s.g.patientByID(ctx, s.p, id)
		if err == nil {
			self = known
		} else if !notMine(err) {
			return self, err
		}
		if self == (abaton.ActorID{}) {
			return self, absent()
		}
	}
	home, err := s.homeOf(ctx, r, self)
	if err != nil {
		return home, err
	}
	moved := refusal(http.StatusUnprocessableEntity, "business-rule", "an update cannot move a resource to another patient; create it there and delete it here")
	if tag, ok := tagOf(id); ok {
		was, known := s.p.byTag(tag)
		if !known {
			return home, absent()
		}
		if was != home {
			return home, moved
		}
		return home, nil
	}
	for _, patient := range s.p.openCharts() {
		if patient == home {
			continue
		}
		other, err := s.g.chartOf(ctx, s.p, patient, s.c.purpose, false)
		if err != nil {
			continue // what cannot be opened now is not this session's to move
		}
		if _, _, ok := other.current(r.Type, id); ok {
			return home, moved
		}
	}
	return home, nil
}

// remove plans a deletion: a version that keeps the text and answers 410.
func (s *scope) remove(ctx context.Context, kind, id string) (*plan, error) {
	found, err := s.g.locate(ctx, s.p, s.c, kind, id)
	if err != nil {
		return nil, err
	}
	if kind == "Linkage" && found.patient == s.g.org {
		return nil, refusal(http.StatusUnprocessableEntity, "business-rule", "a link between Patients is not deleted; end it with Patient/$unmerge, which tells its readers")
	}
	chart, err := s.writable(ctx, found.patient, !s.looked(found.patient))
	if err != nil {
		return nil, err
	}
	heads := chart.headsFor(smart.Delete, kind, id)
	if len(heads) == 0 {
		return nil, absent()
	}
	if err := s.c.matches(heads); err != nil {
		return nil, err
	}
	if len(heads) == 1 && heads[0].Deleted {
		return &plan{status: http.StatusNoContent, version: heads[0]}, nil
	}
	ch, err := s.change(ctx, chart, kind, id, versionIDs(heads), chart.category(kind, id))
	if err != nil {
		return nil, err
	}
	ch.envelope.Deleted, ch.content = true, heads[0].Body
	return ch.plan(http.StatusNoContent), nil
}

// matches holds If-Match and If-None-Match against the versions over which
// nothing was written.
func (c *call) matches(heads []fhir.Version) error {
	exists := len(heads) > 0 && !heads[0].Deleted
	if c.ifNoneMatch == "*" && exists {
		return refusal(http.StatusPreconditionFailed, "conflict", "the resource exists already; read it, then update with If-Match")
	}
	if c.ifMatch == "" {
		return nil
	}
	named, err := etagsOf(c.ifMatch)
	if err != nil {
		return err
	}
	missing := 0
	for _, v := range heads {
		if !slices.Contains(named, v.VersionID) {
			missing++
		}
	}
	switch {
	case len(heads) > 0 && missing == 0 && len(named) == len(heads):
		return nil
	case len(heads) > 1 && missing < len(heads):
		return refusal(http.StatusConflict, "conflict", "two versions stand side by side; read the history, merge them, and name both in If-Match")
	}
	return refusal(http.StatusPreconditionFailed, "conflict", "the version in If-Match is not the current one; read the resource again and apply the change to that")
}

func versionIDs(versions []fhir.Version) (out []string) {
	for i := range versions {
		out = append(out, versions[i].VersionID)
	}
	return out
}

// write plans one version of a resource, under the strictest category it has
// ever had.
func (s *scope) write(ctx context.Context, chart *chart, r fhir.Resource, id string, parents []string, source []byte, status int) (*plan, error) {
	findings, err := s.g.judge(r)
	if err != nil {
		return nil, err
	}
	category := fhir.Stricter(fhir.Stricter(fhir.CategoryOf(r), s.least), chart.category(r.Type, id))
	ch, err := s.change(ctx, chart, r.Type, id, parents, category)
	if err != nil {
		return nil, err
	}
	ch.content, ch.envelope.Source, ch.fact = r.Raw(), source, factOf(r)
	if source != nil { // written twice, after a crash, it is one version and no fork
		ch.envelope.VersionID = seal.VersionID(s.g.writerID, id, parents, [16]byte(source))
	}
	p := ch.plan(status)
	p.findings = findings
	return p, nil
}

func (s *scope) change(ctx context.Context, chart *chart, kind, id string, parents []string, category fhir.Category) (*change, error) {
	if len(parents) > seal.ParentsMax {
		return nil, refusal(http.StatusConflict, "too-costly", "too many versions stand side by side; merge them a few at a time, naming them in If-Match")
	}
	line, err := s.g.lineFor(ctx, s.p, chart.patient, category)
	if err != nil {
		return nil, err
	}
	var nonce [16]byte
	rand.Read(nonce[:])
	s.within[kind+"/"+id] = chart.patient
	return &change{home: chart.patient, line: line, envelope: seal.Envelope{
		Patient: chart.patient, Line: line, Kind: seal.KindResource, Type: kind, ID: id, Parents: parents,
		VersionID:   seal.VersionID(s.g.writerID, id, parents, nonce),
		LastUpdated: uint64(s.g.now().UnixMilli()), Person: s.p.actor,
	}}, nil
}

func (ch *change) plan(status int) *plan {
	return &plan{status: status, version: versionOf(&ch.envelope, "", ch.content), changes: []*change{ch}}
}

// factOf is what the batch's index says of a resource, so that a list need
// not open it.
func factOf(r fhir.Resource) (f seal.Fact) {
	const dateMax, codeMax = 64, 256 // bytes, the form's own limits
	if date := fhir.Date(r); len(date) <= dateMax {
		f.Date = date
	}
	for _, code := range fhir.Codes(r) {
		if text := code.System + "|" + code.Value; len(text) <= codeMax {
			f.Codes = append(f.Codes, text)
		}
	}
	return f
}

package gateway

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/seal"
)

// Headers of native Binaries.
const (
	headerContext  = "X-Security-Context" // R4, Binary: what the content is about
	headerCategory = "Abaton-Category"
)

// binaryRoutes come before those of all types: a Binary is taken and given in
// its own content type, as a stream.
func binaryRoutes() []route {
	r := func(method, pattern string, body bodyKind, handle func(*Gateway, context.Context, *call) (*answer, error)) route {
		return route{method: method, pattern: pattern, policy: bySession, body: body, native: true, handle: handle}
	}
	return []route{
		r(http.MethodPost, "/Binary", streamBody, (*Gateway).createBinary),
		r(http.MethodPost, "/Binary/$upload", streamBody, (*Gateway).beginUpload),
		r(http.MethodHead, "/Binary/$upload/{id}", noBody, (*Gateway).uploadState),
		r(http.MethodPatch, "/Binary/$upload/{id}", streamBody, (*Gateway).goOnUpload),
		r(http.MethodDelete, "/Binary/$upload/{id}", noBody, (*Gateway).dropUpload),
		r(http.MethodHead, "/Binary/{id}", noBody, (*Gateway).readBinary),
		r(http.MethodGet, "/Binary/{id}", noBody, (*Gateway).readBinary),
		r(http.MethodPut, "/Binary/{id}", streamBody, (*Gateway).updateBinary),
		r(http.MethodGet, "/Binary/{id}/_history/{version}", noBody, (*Gateway).vreadBinary),
	}
}

// createBinary answers POST /Binary: a resource as JSON, or its content itself.
func (g *Gateway) createBinary(ctx context.Context, c *call) (*answer, error) {
	if c.native.isJSON() {
		return g.inJSON(ctx, c, (*Gateway).create)
	}
	return g.takeBinary(ctx, c)
}

// updateBinary answers PUT /Binary/[id].
func (g *Gateway) updateBinary(ctx context.Context, c *call) (*answer, error) {
	if c.native.isJSON() {
		return g.inJSON(ctx, c, (*Gateway).update)
	}
	return g.takeBinary(ctx, c)
}

// isJSON reports whether the body is a FHIR resource and no content of its own.
func (n *native) isJSON() bool {
	media, _, _ := mime.ParseMediaType(n.r.Header.Get("Content-Type"))
	return media == "application/fhir+json" || media == "application/json"
}

// inJSON goes on as if the route were that of any other type.
func (g *Gateway) inJSON(ctx context.Context, c *call, handle func(*Gateway, context.Context, *call) (*answer, error)) (*answer, error) {
	c.kind = "Binary"
	if err := c.accept(c.native.r); err != nil {
		return nil, err
	}
	way := &route{body: resourceBody, bodyMax: resourceBodyMax}
	release, err := g.room(ctx, c.native.r, way)
	if err != nil {
		return nil, err
	}
	defer release()
	if c.body, err = readBody(c.native.w, c.native.r, way); err != nil {
		return nil, err
	}
	return handle(g, ctx, c)
}

// arrival is what a client says of content that it sends.
type arrival struct {
	id      string // empty: to be assigned
	content string
	about   string
	least   fhir.Category
	total   int64 // bytes; -1: not said
	line    abaton.Line
	home    abaton.ActorID
}

// binaryOf reads the headers of content that comes.
func (g *Gateway) binaryOf(ctx context.Context, c *call) (*arrival, error) {
	h := c.native.r.Header
	b := &arrival{id: c.id, content: h.Get("Content-Type"), about: h.Get(headerContext), total: c.native.r.ContentLength}
	if b.content == "" {
		b.content = "application/octet-stream"
	}
	switch media, _, _ := mime.ParseMediaType(b.content); {
	case !seal.IsMediaType(b.content), strings.HasPrefix(media, "multipart/"), media == "application/x-www-form-urlencoded",
		media == "application/fhir+xml", h.Get("Content-Encoding") != "":
		return nil, refusal(http.StatusUnsupportedMediaType, "not-supported", "send the content itself, not compressed, with its own Content-Type, or a Binary as application/fhir+json")
	case media == "application/dicom":
		b.least = fhir.Imaging
	}
	if text := h.Get(headerCategory); text != "" {
		category, ok := fhir.ParseCategory(text)
		if !ok {
			return nil, refusal(http.StatusBadRequest, "value", "the header Abaton-Category is none of the categories known here; see docs/protocol/gateway.md")
		}
		b.least = fhir.Stricter(b.least, category)
	}
	if c.ifNoneExist != "" || c.imports {
		return nil, refusal(http.StatusPreconditionFailed, "not-supported", "content of its own type is not created conditionally or imported; use PUT with an id of your own")
	}
	if b.total > g.objectMax {
		return nil, g.objectTooLarge()
	}
	return b, g.belongs(ctx, c, b)
}

func (g *Gateway) objectTooLarge() error {
	return refusal(http.StatusRequestEntityTooLarge, "too-long", "the object is over the limit of this gateway; ask its operator, or split it")
}

// belongs finds whose the content is: it is never the organisation's by
// default.
func (g *Gateway) belongs(ctx context.Context, c *call, b *arrival) error {
	if b.about == "" && c.patient != (abaton.ActorID{}) {
		id, err := g.newScope(c).fhirID(ctx, c.patient)
		if err != nil {
			return err
		}
		b.about = "Patient/" + id
	}
	if ref, ok := fhir.ParseRef(b.about); !ok || ref.ID == "" || ref.Base != "" {
		return refusal(http.StatusUnprocessableEntity, "required", "say whose the content is: X-Security-Context: Patient/id, or Abaton-Patient")
	}
	return nil
}

// fhirID is the id of the Patient in an actor's chart.
func (s *scope) fhirID(ctx context.Context, patient abaton.ActorID) (string, error) {
	chart, err := s.writable(ctx, patient, false)
	if err != nil {
		return "", err
	}
	found := chart.now("Patient")
	if len(found) == 0 {
		return "", refusal(http.StatusUnprocessableEntity, "not-found", "this actor's chart has no Patient yet; create it first")
	}
	return found[0].ID, nil
}

// planBinary plans the version as if it were an ordinary resource without its
// data: whose, where, over which versions. Line and home are noted the first
// time; afterwards they must be the same.
func (g *Gateway) planBinary(ctx context.Context, c *call, b *arrival) (*scope, *plan, func(), error) {
	s := g.newScope(c)
	s.least = b.least
	stub, err := fhir.ParseResource(fhir.BinaryStub(b.id, b.content, b.about))
	if err != nil {
		return nil, nil, nil, err
	}
	if s.least, err = s.leastOf(ctx, b); err != nil {
		return nil, nil, nil, err
	}
	home, err := s.homeForUpdate(ctx, stub, b.id)
	if err != nil {
		return nil, nil, nil, err
	}
	if home == g.org {
		return nil, nil, nil, refusal(http.StatusUnprocessableEntity, "business-rule", "content is kept in a patient's record; refer to the patient in X-Security-Context")
	}
	release := g.locks.hold(home)
	p, err := s.planStub(ctx, c, stub, b.id)
	if err != nil {
		release()
		return nil, nil, nil, err
	}
	line := p.changes[0].line
	if b.home == (abaton.ActorID{}) {
		b.home, b.line = home, line
	}
	if b.home != home || b.line != line {
		release()
		return nil, nil, nil, refusal(http.StatusConflict, "conflict", "while the content came, its place in the record changed; send it again")
	}
	return s, p, release, nil
}

func (s *scope) planStub(ctx context.Context, c *call, stub fhir.Resource, id string) (*plan, error) {
	if c.method == http.MethodPut {
		return s.update(ctx, stub, id)
	}
	return s.create(ctx, stub, id, nil)
}

// leastOf: content about a resource is at least as sensitive as that.
func (s *scope) leastOf(ctx context.Context, b *arrival) (fhir.Category, error) {
	ref, ok := fhir.ParseRef(b.about)
	if !ok || ref.Type == "Patient" {
		return b.least, nil
	}
	chart, err := s.g.locate(ctx, s.p, s.c, ref.Type, ref.ID)
	if err != nil {
		return 0, err
	}
	return fhir.Stricter(b.least, chart.category(ref.Type, ref.ID)), nil
}

// takeBinary takes content in one request.
func (g *Gateway) takeBinary(ctx context.Context, c *call) (*answer, error) {
	b, err := g.admitBinary(ctx, c)
	if err != nil {
		return nil, err
	}
	ctx, _, done, err := g.stream(ctx, c.native)
	if err != nil {
		return nil, err
	}
	defer done()
	u := g.writer.NewUpload(b.home, b.line, "Binary", b.id, c.person.actor, g.objectMax)
	if err := g.writer.PutParts(ctx, u, newIncoming(ctx, c.native), true, func() error { return nil }); err != nil {
		return nil, g.notTaken(ctx, err)
	}
	a, _, err := g.nameBinary(ctx, c, b, u)
	return a, err
}

// admitBinary decides, before a byte is taken, whether it may be written, and
// gives it its id.
func (g *Gateway) admitBinary(ctx context.Context, c *call) (*arrival, error) {
	b, err := g.binaryOf(ctx, c)
	if err != nil {
		return nil, err
	}
	if b.id == "" {
		stub, err := fhir.ParseResource(fhir.BinaryStub("", b.content, b.about))
		if err != nil {
			return nil, err
		}
		home, err := g.newScope(c).homeOf(ctx, stub, c.patient)
		if err != nil {
			return nil, err
		}
		b.id = g.ids.fresh(home)
	}
	_, _, release, err := g.planBinary(ctx, c, b)
	if err != nil {
		return nil, err
	}
	release()
	return b, nil
}

// nameBinary writes the record that names the parts, under the conditions as
// they are now.
func (g *Gateway) nameBinary(ctx context.Context, c *call, b *arrival, u *client.Upload) (*answer, string, error) {
	if u.Bytes == 0 {
		return nil, "", refusal(http.StatusBadRequest, "incomplete", "there is no content; send at least one byte")
	}
	o, err := u.Object(b.content, b.about)
	if err != nil {
		return nil, "", fmt.Errorf("name object: %w", err)
	}
	s, p, release, err := g.planBinary(ctx, c, b)
	if err != nil {
		return nil, "", err
	}
	defer release()
	ch := p.changes[0]
	ch.envelope.Kind, ch.content = seal.KindObject, o.Marshal()
	a, err := s.finish(ctx, p)
	return a, p.version.VersionID, err
}

// notTaken says why content did not come in whole.
func (g *Gateway) notTaken(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, errStalled):
		return refusal(http.StatusRequestTimeout, "timeout", "the content comes too slowly; begin an upload that can be gone on with (POST /Binary/$upload)")
	case errors.Is(err, seal.ErrTooLarge):
		return g.objectTooLarge()
	case errors.Is(err, client.ErrBacklog):
		g.log.WarnContext(ctx, "outbox is full of parts for a keeper that is away")
		return refusal(http.StatusServiceUnavailable, "no-store", "a keeper has been away for long and too much waits for it; large objects are taken again when it is back")
	case errors.Is(err, abaton.ErrPending):
		return refusal(http.StatusServiceUnavailable, "transient", "too few keepers take the content now; go on with the upload in a moment, or send it again")
	case errors.Is(err, context.Canceled), errors.Is(err, errBroken):
		return refusal(http.StatusBadRequest, "incomplete", "the content ended early; send it again, or go on with the upload")
	case errors.Is(err, errUploads):
		g.log.ErrorContext(ctx, "state of an upload not stored", "error", err.Error())
		return refusal(http.StatusServiceUnavailable, "no-store", "this gateway cannot store the state of uploads now; tell the operator to look at its disk")
	}
	return g.notWritten(ctx, err)
}

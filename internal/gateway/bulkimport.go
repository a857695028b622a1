package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/abaton-health/abaton/internal/fhir"
)

// bulkImport is the worker of $import: parts of NDJSON or Bundles, each sent
// by the client, written as any other write. The gateway keeps none of them:
// what was not done when it stopped is sent again, and adds nothing that is
// there (ids follow the source).
type bulkImport struct {
	parts   []*importPart
	pending int // parts being worked on
}

// importPart is one part and how it went.
type importPart struct {
	Name    string `json:"name"`
	State   string `json:"state"`   // working or done
	Written int    `json:"written"` // resources
	There   int    `json:"there"`   // were there already, the same
	Pending int    `json:"pending"` // accepted, not yet durable
	Refused int    `json:"refused"`
}

func (p *importPart) all() int { return p.Written + p.There + p.Pending + p.Refused }

// beginImport answers POST /$import: a job that takes parts.
func (g *Gateway) beginImport(_ context.Context, c *call) (*answer, error) {
	w := &bulkImport{}
	j, err := g.startJob(c.person, c.base+"/$import", w, nil)
	if err != nil {
		return nil, err
	}
	j.end()
	return accepted(c, j), nil
}

// importPart answers PUT /bulk/[id]/[part]: the part is taken and worked on in
// the background; sent again it is worked on again, and adds nothing.
func (g *Gateway) importPart(_ context.Context, c *call) (*answer, error) {
	j, err := g.jobs.find(c.person, c.id)
	if err != nil {
		return nil, err
	}
	w, ok := j.work.(*bulkImport)
	if !ok || c.version == problemsFile {
		return nil, absent()
	}
	entries, err := partEntries(c.body)
	if err != nil {
		return nil, err
	}
	size := int64(len(c.body))
	j.mu.Lock()
	defer j.mu.Unlock()
	if w.pending >= importWaiting || len(w.parts) >= importPartsMax {
		return nil, refusal(http.StatusTooManyRequests, "throttled", "this import has parts enough to work on; wait for them and send this one again")
	}
	if !g.bodies.TryAcquire(size) { // the part stays in memory after this request
		return nil, refusal(http.StatusServiceUnavailable, "throttled", "this gateway works on as many bodies as it has room for; send this part again in a moment")
	}
	part := &importPart{Name: c.version, State: "working"}
	w.parts = append(slices.DeleteFunc(w.parts, func(p *importPart) bool { return p.Name == c.version }), part)
	w.pending++
	j.complete = false
	for _, e := range entries {
		j.of += max(1, e.whole)
	}
	as := *c
	as.body, as.query, as.imports = nil, "", true
	g.workOn(j, func(ctx context.Context, j *job) {
		defer g.bodies.Release(size)
		g.importEntries(ctx, j, w, part, &as, entries)
	})
	return &answer{status: http.StatusAccepted, contentLocation: c.base + "/bulk/" + j.id}, nil
}

// importEntry is one resource to be written.
type importEntry struct {
	where string // line or entry number
	url   string // fullUrl, empty for a line
	body  []byte
	err   error
	whole int // of a transaction or batch, which is carried out as it is: its entries
}

// partEntries takes a part apart: one Bundle, or lines.
func partEntries(body []byte) (out []importEntry, err error) {
	if r, err := fhir.ParseResource(body); err == nil && r.Type == "Bundle" || len(body) > fhir.ResourceBytesMax && firstIsBundle(body) {
		b, err := fhir.ParseBundle(body)
		if err != nil {
			return nil, err
		}
		if b.Kind == "transaction" || b.Kind == "batch" {
			return []importEntry{{where: b.Kind, body: body, whole: len(b.Entries)}}, nil
		}
		for i := range b.Entries {
			if e := &b.Entries[i]; e.Resource.Type != "" {
				out = append(out, importEntry{where: "entry " + strconv.Itoa(i), url: e.FullURL, body: e.Resource.Raw()})
			}
		}
		return out, nil
	}
	for n, line := range fhir.Lines(body) {
		e := importEntry{where: "line " + strconv.Itoa(n), body: line}
		_, e.err = fhir.ParseResource(line)
		if out = append(out, e); len(out) > importEntriesMax {
			return nil, refusal(http.StatusRequestEntityTooLarge, "too-costly", "a part holds too many resources; send it in smaller parts")
		}
	}
	if len(out) == 0 {
		return nil, refusal(http.StatusBadRequest, "required", "the part is empty; send NDJSON, one resource a line, or a Bundle")
	}
	return out, nil
}

// firstIsBundle looks at what a large body says it is.
func firstIsBundle(body []byte) bool {
	head := body[:min(len(body), 1<<12)]
	return bytes.Contains(head, []byte(`"Bundle"`))
}

// importEntries writes a part, importAtOnce resources at a time.
func (g *Gateway) importEntries(ctx context.Context, j *job, w *bulkImport, part *importPart, c *call, entries []importEntry) {
	if len(entries) == 1 && entries[0].whole > 0 {
		g.importWhole(ctx, j, part, c, entries[0])
		entries = nil
	}
	for chunk := range slices.Chunk(entries, importAtOnce) {
		if ctx.Err() != nil || j.person.over(g.now()) {
			break
		}
		g.importChunk(ctx, j, part, c, chunk)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	part.State = "done"
	if w.pending--; w.pending == 0 {
		j.complete = true
	}
}

// importWhole carries out a transaction or a batch.
func (g *Gateway) importWhole(ctx context.Context, j *job, part *importPart, c *call, e importEntry) {
	as := *c
	as.body = e.body
	sent := make([]importEntry, e.whole)
	for i := range sent {
		sent[i] = importEntry{where: "entry " + strconv.Itoa(i), url: "-"}
	}
	a, err := g.bundle(ctx, &as)
	if err != nil {
		j.report(part.Name+" "+e.where, err)
		j.count(part, func(p *importPart) { p.Refused += e.whole })
		return
	}
	j.take(part, sent, a.body)
}

// importChunk writes some resources as a batch: by their own ids where they
// have one, else by ids that follow from what they are.
func (g *Gateway) importChunk(ctx context.Context, j *job, part *importPart, c *call, chunk []importEntry) {
	left := make([]importEntry, 0, len(chunk))
	for _, e := range chunk {
		there, err := g.isThere(ctx, c, e)
		switch {
		case err != nil:
			j.refuse(part, e.where, err)
		case there:
			j.count(part, func(p *importPart) { p.There++ })
		default:
			left = append(left, e)
		}
	}
	if len(left) == 0 {
		return
	}
	as := *c
	as.body = batchOf(left)
	a, err := g.bundle(ctx, &as)
	if err != nil {
		for _, e := range left {
			j.refuse(part, e.where, err)
		}
		return
	}
	j.take(part, left, a.body)
}

// isThere reports whether the very resource is stored under its id already.
func (g *Gateway) isThere(ctx context.Context, c *call, e importEntry) (bool, error) {
	if e.err != nil {
		return false, e.err
	}
	r, err := fhir.ParseResource(e.body)
	if err != nil || r.ID() == "" {
		return false, err
	}
	chart, err := g.locate(ctx, c.person, c, r.Type, r.ID())
	if notMine(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	v, _, ok := chart.current(r.Type, r.ID())
	if !ok || v.Deleted {
		return false, nil
	}
	return fhir.Equal(e.body, v.Body, nil)
}

// batchOf writes a batch Bundle; the resources stand in it byte for byte.
func batchOf(entries []importEntry) []byte {
	out := fhir.OutBundle{Kind: "batch"}
	for _, e := range entries {
		r, _ := fhir.ParseResource(e.body) // was read before
		entry := fhir.OutEntry{FullURL: e.url, Resource: e.body, Method: http.MethodPost, URL: r.Type}
		if id := r.ID(); id != "" {
			entry.Method, entry.URL = http.MethodPut, r.Type+"/"+id
		}
		out.Entries = append(out.Entries, entry)
	}
	return out.Bytes()
}

// take counts what a batch answered.
func (j *job) take(part *importPart, sent []importEntry, body []byte) {
	var got struct {
		Entry []struct {
			Response struct {
				Status  string
				Outcome struct {
					Issue []struct{ Code, Diagnostics string }
				}
			}
		}
	}
	if err := json.Unmarshal(body, &got); err != nil || len(got.Entry) != len(sent) {
		for _, e := range sent {
			j.refuse(part, e.where, errBatch)
		}
		return
	}
	for i, e := range got.Entry {
		status, _ := strconv.Atoi(strings.Fields(e.Response.Status + " 0")[0])
		switch {
		case status == http.StatusAccepted:
			j.count(part, func(p *importPart) { p.Pending++ })
		case status == http.StatusOK && (sent[i].url == "-" || !hasID(sent[i].body)):
			j.count(part, func(p *importPart) { p.There++ })
		case status < 300 && status > 0:
			j.count(part, func(p *importPart) { p.Written++ })
		case len(e.Response.Outcome.Issue) > 0:
			j.refuse(part, sent[i].where, refusal(status, e.Response.Outcome.Issue[0].Code, e.Response.Outcome.Issue[0].Diagnostics))
		default:
			j.refuse(part, sent[i].where, errBatch)
		}
	}
}

func hasID(body []byte) bool {
	r, err := fhir.ParseResource(body)
	return err == nil && r.ID() != ""
}

// errBatch says that a batch was answered in a way this gateway does not know.
var errBatch = refusal(http.StatusInternalServerError, "exception", "it cannot be told whether this was written; send the part again")

func (j *job) count(part *importPart, add func(*importPart)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	before := part.all()
	add(part)
	j.done += part.all() - before
}

func (j *job) refuse(part *importPart, where string, err error) {
	j.report(part.Name+" "+where, err)
	j.count(part, func(p *importPart) { p.Refused++ })
}

func (w *bulkImport) manifest(j *job, base string) any {
	m := j.manifestOf(base)
	parts := make([]importPart, len(w.parts))
	for i, p := range w.parts {
		parts[i] = *p
	}
	m.Extension = map[string]any{"urn:abaton:import-parts": parts}
	return m
}

func (w *bulkImport) file(context.Context, *Gateway, *call, *job) (*answer, error) {
	return nil, absent()
}

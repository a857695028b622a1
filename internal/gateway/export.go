package gateway

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/fhir"
)

// contentNDJSON is one resource a line.
const contentNDJSON = "application/fhir+ndjson"

// export is the worker of Bulk Data $export: which patients, which types, and
// what each file holds.
type export struct {
	patients []abaton.ActorID
	purpose  abaton.Purpose
	kinds    []string  // none: all
	since    time.Time // zero: ever
	parts    []exportPart
}

// exportPart is one file: one type, of exportPatients patients, so that the
// charts it needs are in memory together.
type exportPart struct {
	kind  string
	group int
	count int
}

// beginExport answers GET or POST of /$export, /Patient/$export and
// /Group/[id]/$export.
func (g *Gateway) beginExport(_ context.Context, c *call) (*answer, error) {
	return g.exportOf(c, true, nil)
}

func (g *Gateway) beginPatientExport(_ context.Context, c *call) (*answer, error) {
	return g.exportOf(c, false, nil)
}

// beginGroupExport exports the members of a Group that the session holds.
func (g *Gateway) beginGroupExport(ctx context.Context, c *call) (*answer, error) {
	chart, err := g.locate(ctx, c.person, c, "Group", c.id)
	if err != nil {
		return nil, err
	}
	v, _, err := chart.find("Group", c.id)
	if err != nil {
		return nil, err
	}
	r, err := fhir.ParseResource(v.Body)
	if err != nil {
		return nil, err
	}
	members := []abaton.ActorID{}
	for m := range r.Get("member").Each() {
		ref, ok := fhir.ParseRef(m.Path("entity", "reference").Text())
		if !ok || ref.Type != "Patient" || ref.Base != "" || m.Get("inactive").True() {
			continue
		}
		patient, err := g.patientByID(ctx, c.person, ref.ID)
		if err == nil {
			members = append(members, patient)
		} else if !notMine(err) {
			return nil, err
		}
	}
	return g.exportOf(c, false, members)
}

// exportOf begins an export over what the session holds: all of it, or these
// patients.
func (g *Gateway) exportOf(c *call, directory bool, only []abaton.ActorID) (*answer, error) {
	if !c.async {
		return nil, refusal(http.StatusBadRequest, "required", "an export runs in the background; send Prefer: respond-async")
	}
	params, err := c.operationParams()
	if err != nil {
		return nil, err
	}
	e, err := exportParams(params, c.strict)
	if err != nil {
		return nil, err
	}
	e.purpose = c.purpose
	for _, patient := range c.person.patients() {
		own := patient == g.org
		if own && !directory || only != nil && !slices.Contains(only, patient) || c.patient != (abaton.ActorID{}) && patient != c.patient {
			continue
		}
		e.patients = append(e.patients, patient)
	}
	request := c.base + c.path
	if c.query != "" {
		request += "?" + c.query
	}
	j, err := g.startJob(c.person, request, e, func(ctx context.Context, j *job) { g.prepare(ctx, j, e) })
	if err != nil {
		return nil, err
	}
	return accepted(c, j), nil
}

func exportParams(params []fhir.Param, strict bool) (*export, error) {
	e := &export{}
	for _, p := range params {
		switch p.Name {
		case "_outputFormat":
			if !slices.Contains([]string{contentNDJSON, "application/ndjson", "ndjson"}, strings.ReplaceAll(p.Value, " ", "+")) {
				return nil, refusal(http.StatusBadRequest, "not-supported", "only NDJSON is written; use _outputFormat=application/fhir+ndjson or leave it out")
			}
		case "_since":
			var err error
			if e.since, err = time.Parse(time.RFC3339, strings.Replace(p.Value, " ", "+", 1)); err != nil {
				return nil, refusal(http.StatusBadRequest, "value", "_since must be an instant with a time zone; correct it")
			}
		case "_type":
			for kind := range strings.SplitSeq(p.Value, ",") {
				if !fhir.IsType(kind) {
					return nil, refusal(http.StatusBadRequest, "value", "_type must be types of FHIR R4, with commas; correct it")
				}
				e.kinds = append(e.kinds, kind)
			}
		default:
			if strict {
				return nil, refusal(http.StatusBadRequest, "not-supported", "an export takes _outputFormat, _since and _type here; leave the others out")
			}
		}
	}
	return e, nil
}

// prepare opens each patient's chart once, to know which files there are. A
// patient that cannot be opened is a problem of its own and stops nobody
// else's.
func (g *Gateway) prepare(ctx context.Context, j *job, e *export) {
	for n, patient := range e.patients {
		j.step(n, len(e.patients))
		if ctx.Err() != nil || j.person.over(g.now()) {
			return
		}
		chart, err := g.chartOf(ctx, j.person, patient, e.purpose, false)
		if err == nil {
			err = chart.complete()
		}
		where := "patient " + strconv.Itoa(n+1) + " of this export"
		if err != nil {
			j.report(where, err)
			continue
		}
		if chart.warning() != "" {
			j.report(where, refusal(http.StatusForbidden, "suppressed", withheldWarning))
		}
		counts := make(map[string]int)
		for _, v := range e.chosen(chart) {
			counts[v.Type]++
		}
		j.mu.Lock()
		e.count(n/exportPatients, counts)
		j.mu.Unlock()
	}
	j.step(len(e.patients), len(e.patients))
	j.end()
}

// complete refuses a chart of which a part could not be opened now, so that no
// export leaves it out in silence.
func (c *chart) complete() error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.partial {
		return c.absent()
	}
	return nil
}

func (e *export) count(group int, counts map[string]int) {
	for kind, n := range counts {
		at := slices.IndexFunc(e.parts, func(p exportPart) bool { return p.kind == kind && p.group == group })
		if at < 0 {
			e.parts = append(e.parts, exportPart{kind: kind, group: group})
			at = len(e.parts) - 1
		}
		e.parts[at].count += n
	}
	slices.SortFunc(e.parts, func(a, b exportPart) int {
		if a.group != b.group {
			return a.group - b.group
		}
		return strings.Compare(a.kind, b.kind)
	})
}

// chosen are the current resources of a chart that were asked for. What is
// shielded is never among them, whoever asks.
func (e *export) chosen(c *chart) (out []fhir.Version) {
	for _, v := range c.standard() {
		if (e.since.IsZero() || v.LastUpdated.After(e.since)) && (len(e.kinds) == 0 || slices.Contains(e.kinds, v.Type)) {
			out = append(out, v)
		}
	}
	return out
}

func (e *export) manifest(j *job, base string) any {
	m := j.manifestOf(base)
	for n, p := range e.parts {
		m.Output = append(m.Output, bulkFile{p.kind, base + "/bulk/" + j.id + "/" + partName(n), p.count})
	}
	return m
}

// file streams one file. Every chart in it is asked for again now: within its
// lease from memory, else after three keepers have permitted it anew. One that
// is refused by now is left out, and the answer says so before it begins.
func (e *export) file(ctx context.Context, g *Gateway, c *call, j *job) (*answer, error) {
	part, ok := e.part(j, c.version)
	if !ok {
		return nil, absent()
	}
	var charts []*chart
	warning := ""
	for n, patient := range e.patients {
		if n/exportPatients != part.group {
			continue
		}
		chart, err := g.chartOf(ctx, j.person, patient, e.purpose, false)
		if notMine(err) {
			warning = "a patient of this file may not be read any more and is left out"
			continue
		}
		if err != nil {
			return nil, err
		}
		charts = append(charts, chart)
	}
	write := func(w io.Writer) error { return e.lines(ctx, w, charts, part.kind) }
	return &answer{status: http.StatusOK, content: contentNDJSON, stream: write, warning: warning}, nil
}

func (e *export) part(j *job, name string) (exportPart, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for n, p := range e.parts {
		if partName(n) == name && j.complete {
			return p, true
		}
	}
	return exportPart{}, false
}

// lines writes one resource a line.
func (e *export) lines(ctx context.Context, w io.Writer, charts []*chart, kind string) error {
	out := bufio.NewWriterSize(w, 1<<16)
	var line bytes.Buffer
	for _, c := range charts {
		for _, v := range e.chosen(c) {
			if v.Type != kind {
				continue
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			body, err := render(v)
			if err != nil {
				return err
			}
			line.Reset()
			if err := json.Compact(&line, body); err != nil { // white space alone goes
				return err
			}
			line.WriteByte('\n')
			if _, err := out.Write(line.Bytes()); err != nil {
				return err
			}
		}
	}
	return out.Flush()
}

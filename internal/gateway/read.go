package gateway

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/abaton-health/abaton/internal/fhir"
)

// forkWarning is what a read of a forked resource says (RULINGS 7).
const forkWarning = "two versions of this resource stand side by side; read its history and merge them"

// render is a version as a client sees it: the stored bytes, and nothing but
// id, versionId and lastUpdated set.
func render(v fhir.Version) ([]byte, error) {
	return fhir.Splice(v.Body, v.ID, v.VersionID, v.LastUpdated)
}

func gone() error {
	return refusal(http.StatusGone, "deleted", "the resource was deleted; its history still has the versions before")
}

// read answers GET [type]/[id].
func (g *Gateway) read(ctx context.Context, c *call) (*answer, error) {
	chart, err := g.locate(ctx, c.person, c, c.kind, c.id)
	if err != nil {
		return nil, err
	}
	v, forked, err := chart.find(c.kind, c.id)
	if err != nil {
		return nil, err
	}
	if v.Type == "Patient" {
		known, err := g.ties(ctx, c.person)
		if err != nil {
			return nil, err
		}
		if v, err = linked(known, v); err != nil {
			return nil, err
		}
	}
	a, err := c.show(v)
	if err == nil && forked {
		a.warning = forkWarning
	}
	return a, err
}

// vread answers GET [type]/[id]/_history/[version].
func (g *Gateway) vread(ctx context.Context, c *call) (*answer, error) {
	chart, err := g.locate(ctx, c.person, c, c.kind, c.id)
	if err != nil {
		return nil, err
	}
	v, ok := chart.version(c.kind, c.id, c.version)
	if !ok {
		return nil, absent()
	}
	if v.Deleted {
		return nil, gone()
	}
	return c.show(v)
}

// show is one version as an answer, or 304 if the caller has it.
func (c *call) show(v fhir.Version) (*answer, error) {
	a := &answer{status: http.StatusOK, etag: fhir.ETag(v.VersionID), modified: v.LastUpdated}
	if c.ifNoneMatch != "" {
		have, err := etagsOf(c.ifNoneMatch)
		if err == nil && slices.Contains(have, v.VersionID) {
			a.status = http.StatusNotModified
			return a, nil
		}
	} else if since, err := http.ParseTime(c.ifModifiedSince); err == nil && !v.LastUpdated.Truncate(time.Second).After(since) {
		a.status = http.StatusNotModified
		return a, nil
	}
	body, err := render(v)
	a.body = body
	return a, err
}

func historyEntry(base string, v fhir.Version) (e fhir.OutEntry, err error) {
	e = fhir.OutEntry{FullURL: base + "/" + v.Type + "/" + v.ID, Method: http.MethodPut, URL: v.Type + "/" + v.ID,
		Status: "200 OK", ETag: fhir.ETag(v.VersionID), Modified: v.LastUpdated}
	switch {
	case v.Deleted:
		e.Method, e.Status = http.MethodDelete, "204 No Content"
		return e, nil
	case len(v.Parents) == 0:
		e.Method, e.URL, e.Status = http.MethodPost, v.Type, "201 Created"
	}
	e.Resource, err = render(v)
	return e, err
}

package gateway

import (
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/view"
)

// origin is where a version of a resource comes from: what Provenance shows.
type origin struct {
	record abaton.RecordName
	person abaton.ActorID
	author abaton.ActorID
	writer abaton.KeyID
}

// noteOrigin keeps the origin of an opened record. Callers hold mu.
func (c *chart) noteOrigin(r *client.Record) {
	c.origins[r.Envelope.VersionID] = origin{record: r.Name, person: r.Envelope.Person, author: r.Author, writer: r.Writer}
}

// wrote keeps the origin of what this session wrote itself.
func (c *chart) wrote(changes []*change, written *client.Written, author abaton.ActorID, writer abaton.KeyID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ch := range changes {
		c.origins[ch.envelope.VersionID] = origin{record: written.Names[ch.at], person: ch.envelope.Person, author: author, writer: writer}
	}
}

// provenance is the Provenance of versions, as far as their origin is known.
func (g *Gateway) provenance(c *chart, of []fhir.Version) (out []fhir.Version) {
	tag := g.ids.tag(c.patient)
	c.mu.RLock()
	defer c.mu.RUnlock()
	for i := range of {
		v := &of[i]
		from, ok := c.origins[v.VersionID]
		if !ok {
			continue
		}
		body := view.Provenance(view.Signed{Tag: tag, Type: v.Type, FHIRID: v.ID, VersionID: v.VersionID, Parents: v.Parents, Deleted: v.Deleted,
			Updated: v.LastUpdated, Record: from.record, Person: from.person, Author: from.author, Writer: from.writer})
		out = append(out, fhir.Version{Type: "Provenance", ID: view.ProvenanceID(tag, v.Type, v.ID, v.VersionID),
			VersionID: view.VersionID(body), LastUpdated: v.LastUpdated, Body: body})
	}
	return out
}

// names gives the versioned reference of a record in the chart.
func (c *chart) names() func(abaton.RecordName) string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	known := make(map[abaton.RecordName]string, len(c.origins))
	for _, v := range c.past("", time.Time{}) {
		if from, ok := c.origins[v.VersionID]; ok {
			known[from.record] = v.Type + "/" + v.ID + "/_history/" + v.VersionID
		}
	}
	return func(r abaton.RecordName) string { return known[r] }
}

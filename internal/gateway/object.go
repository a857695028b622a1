package gateway

import (
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/seal"
)

// largeObject is a version of a Binary whose bytes lie in parts. A chart holds
// its record, never its parts: they are opened when they are read.
type largeObject struct {
	envelope seal.Envelope
	content  []byte // of the record: the canonical seal.Object
	manifest *seal.Object
}

// takeObject takes the record of a large object into the chart. Callers hold
// mu.
func (c *chart) takeObject(e *seal.Envelope, rank string, content []byte) (v fhir.Version, ok bool) {
	manifest, err := seal.ParseObject(content)
	if err != nil {
		return v, false // seal.Open lets none through
	}
	body := fhir.BinaryStub(e.ID, manifest.Content, manifest.About)
	c.objects[e.VersionID] = &largeObject{envelope: *e, content: content, manifest: manifest}
	c.remember(e.Line, e.Type, e.ID, len(content)+len(body))
	return versionOf(e, rank, body), true
}

// object is the large object of a version, nil if it is an ordinary resource.
func (c *chart) object(version string) *largeObject {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.objects[version]
}

// askFor is the request that opens records of a line; false if none of the
// chart's does.
func (c *chart) askFor(line abaton.Line) (client.Ask, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, a := range c.asks {
		if slices.Contains(a.Lines, line) {
			return a, true
		}
	}
	return client.Ask{}, false
}

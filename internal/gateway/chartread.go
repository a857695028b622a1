package gateway

import (
	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/smart"
	"net/http"
)

// find is the version to be read, or why there is none.
func (c *chart) find(kind, id string) (v fhir.Version, forked bool, err error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	v, forked, ok := c.all().Current(kind, id)
	if !ok || !c.shows(smart.Read, v) {
		return fhir.Version{}, false, c.absent()
	}
	if v.Deleted {
		return v, false, gone()
	}
	return v, forked, nil
}

// absent is the answer for what is not in the chart. Callers hold mu.
func (c *chart) absent() error {
	if c.partial {
		return refusal(http.StatusServiceUnavailable, "transient", "a part of the record cannot be opened now, for too few keepers answered; try again in a moment")
	}
	return absent()
}

// current is the version to be read, a deletion too.
func (c *chart) current(kind, id string) (v fhir.Version, forked, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	v, forked, ok = c.all().Current(kind, id)
	if !ok || !c.shows(smart.Read|smart.Search, v) {
		return fhir.Version{}, false, false
	}
	return v, forked, true
}

func (c *chart) history(kind, id string) []fhir.Version {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.shown(kind, id)
}

func (c *chart) version(kind, id, version string) (fhir.Version, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, v := range c.shown(kind, id) {
		if v.VersionID == version {
			return v, true
		}
	}
	return fhir.Version{}, false
}

// holds reports whether the chart has a resource of a type.
func (c *chart) holds(kind string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for v := range c.index.All() {
		if v.Type == kind {
			return true
		}
	}
	return false
}

// category is the most sensitive one a resource has been under.
func (c *chart) category(kind, id string) fhir.Category {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.strictest[kind+"/"+id]
}

// patientOf looks a FHIR patient id up in a directory.
func (c *chart) patientOf(id string) (abaton.ActorID, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	patient, ok := c.mapped[id]
	return patient, ok
}

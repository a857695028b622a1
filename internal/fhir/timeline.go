package fhir

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Timeline are all versions since an instant (zero: since ever), deletions
// too, of one type or, with "", of all: the newest first, and of one resource
// a version before those it was written over where the clocks say the same.
func (c *Chart) Timeline(name string, since time.Time) []Version {
	type dated struct {
		Version
		depth int
	}
	var found []dated
	for key, item := range c.items {
		if name != "" && key.name != name {
			continue
		}
		depths := item.depths()
		for _, v := range item.versions {
			if !v.LastUpdated.Before(since) {
				found = append(found, dated{*v, depths[v.VersionID]})
			}
		}
	}
	slices.SortFunc(found, func(a, b dated) int {
		return cmp.Or(b.LastUpdated.Compare(a.LastUpdated), strings.Compare(a.Type, b.Type), strings.Compare(a.ID, b.ID),
			b.depth-a.depth, strings.Compare(a.VersionID, b.VersionID))
	})
	out := make([]Version, len(found))
	for i := range found {
		out[i] = found[i].Version
	}
	return out
}

package validate

import (
	"strings"

	"github.com/abaton-health/abaton/internal/fhir"
)

// of is the root that a contained resource is in, or the home itself.
func (h *home) of() *home {
	for h.inside && h.up != nil {
		h = h.up
	}
	return h
}

// fragment notes a reference to a contained resource, or from one to its root,
// and gives the type of what it refers to.
func (h *home) fragment(id string) (name string, known bool) {
	root := h.of()
	if id == "" {
		h.upward = true
		return "", true
	}
	if root.local == nil {
		root.local, root.linked = map[string]string{}, map[string]bool{}
		for c := range root.root.Value().Get("contained").Each() {
			root.local[c.Get("id").Text()] = c.Get("resourceType").Text()
		}
	}
	root.linked[id] = true
	name, known = root.local[id]
	return name, known
}

// link notes a uri that may be a fragment, as dom-3 counts it.
func (h *home) link(s string) {
	if id, local := strings.CutPrefix(s, "#"); local {
		h.fragment(id)
	}
}

// contained checks dom-3: each contained resource is referred to from the
// resource, or refers to it.
func (w *walk) contained(v fhir.Value, h *home) {
	if h.inside && h.up != nil {
		if h.upward {
			h.of().link("#" + v.Get("id").Text())
		}
		return
	}
	for c := range v.Get("contained").Each() {
		if id := c.Get("id").Text(); id != "" && !h.linked[id] {
			w.fail("invariant", "dom-3", "constraint dom-3: If the resource is contained in another resource, it SHALL be referred to from elsewhere in the resource or SHALL refer to the containing resource")
		}
	}
}

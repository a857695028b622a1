package fhir

// WithoutNarrative is src without the text that software generated from its
// other elements, for use after those were changed by a patch: a narrative
// that no longer says what the elements say is unsafe (FHIR R4,
// http.html#patch). A narrative that says more than the elements (additional)
// cannot be dropped: *OutcomeError of status 422. src must be a resource that
// ParseResource accepts.
func WithoutNarrative(src []byte) ([]byte, error) {
	r, err := ParseResource(src)
	if err != nil {
		return nil, err
	}
	text := r.Get("text")
	switch {
	case text.Kind() == Absent || text.Get("status").Is("empty"):
		return src, nil
	case text.Get("status").Is("generated"), text.Get("status").Is("extensions"):
		return pointer{"text"}.remove(src, r.Value)
	}
	return nil, refuse(statusUnprocessable, "business-rule", r.Type+".text", "the narrative says more than the elements, so a patch of those could make it wrong; patch text too, or send an update (PUT)")
}

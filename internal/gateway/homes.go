package gateway

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/fhir"
)

// bundleHomes says whose each entry is, before ids are given out: an id tells
// its patient.
type bundleHomes struct {
	of    []abaton.ActorID // by entry; zero where it cannot be told
	only  abaton.ActorID   // the one patient of the Bundle, zero if none or several
	names bool             // it puts a patient's own id into the directory
}

// exclusive are the charts in which nobody else may write meanwhile.
func (h *bundleHomes) exclusive(org abaton.ActorID) (patients []abaton.ActorID) {
	if h.names {
		patients = append(patients, org)
	}
	for _, id := range h.of {
		if id != (abaton.ActorID{}) && !slices.Contains(patients, id) {
			patients = append(patients, id)
		}
	}
	return patients
}

// homes looks through the entries: their ids, the patients they name, and the
// entries they refer to.
func (s *scope) homes(ctx context.Context, b *fhir.Bundle) (*bundleHomes, error) {
	h := &bundleHomes{of: make([]abaton.ActorID, len(b.Entries))}
	byURL := make(map[string]int, len(b.Entries))
	links := make([][]int, len(b.Entries))
	for i := range b.Entries {
		if u := b.Entries[i].FullURL; u != "" {
			byURL[u] = i
		}
	}
	for i := range b.Entries {
		e := &b.Entries[i]
		home, err := s.homeByURL(ctx, e)
		if err != nil {
			return nil, err
		}
		h.of[i] = home
		h.names = h.names || e.Resource.Type == "Patient" && e.Method == http.MethodPut
		if e.Resource.Type == "" || e.Method == http.MethodGet || e.Method == http.MethodPatch || home != (abaton.ActorID{}) {
			continue
		}
		if h.of[i], links[i], err = s.homeByRefs(ctx, e, byURL); err != nil {
			return nil, err
		}
	}
	h.settle(s.g.org, b, links)
	return h, nil
}

// homeByURL is whose an entry is by its URL and type alone.
func (s *scope) homeByURL(ctx context.Context, e *fhir.Entry) (abaton.ActorID, error) {
	path, query, _ := strings.Cut(e.URL, "?")
	kind, id, _ := strings.Cut(path, "/")
	if tag, ok := tagOf(id); ok && e.Method != http.MethodGet {
		patient, _ := s.p.byTag(tag)
		return patient, nil
	}
	if e.Method == http.MethodDelete || e.Method == http.MethodPatch {
		return s.homeOfExisting(ctx, kind, id, query)
	}
	if e.Resource.Type != "Patient" || e.Method == http.MethodGet {
		return abaton.ActorID{}, nil
	}
	if kind == "Patient" && fhir.IsID(id) {
		patient, err := s.g.patientByID(ctx, s.p, id)
		if err == nil {
			return patient, nil
		}
		if !notMine(err) {
			return abaton.ActorID{}, err
		}
	}
	if s.c.patient == (abaton.ActorID{}) {
		return abaton.ActorID{}, refusal(http.StatusUnprocessableEntity, "business-rule", "a new patient needs an actor of its own: make it on a device (abaton import does) and name it in the header Abaton-Patient")
	}
	return s.c.patient, nil
}

// homeOfExisting is whose an entry is that names what is there already, so
// that its chart is locked; zero where it is not there or not the caller's.
func (s *scope) homeOfExisting(ctx context.Context, kind, id, query string) (home abaton.ActorID, err error) {
	switch {
	case !fhir.IsType(kind): // the plan refuses it
	case fhir.IsID(id):
		var found *chart
		if found, err = s.g.locate(ctx, s.p, s.c, kind, id); err == nil {
			home = found.patient
		}
	case id == "":
		var params []fhir.Param
		if params, err = fhir.ParseQuery(query); err == nil {
			home, err = s.homeOfQuery(ctx, kind, params, abaton.ActorID{})
		}
	}
	if notMine(err) {
		err = nil
	}
	return home, err
}

// homeByRefs is whose an entry is by the first patient it names; links are
// the entries it refers to.
func (s *scope) homeByRefs(ctx context.Context, e *fhir.Entry, byURL map[string]int) (home abaton.ActorID, links []int, err error) {
	e.Resource.Rewrite(func(text string) (string, bool) {
		if at, ok := byURL[text]; ok {
			if at != e.Index {
				links = append(links, at)
			}
			return "", false
		}
		ref, ok := fhir.ParseRef(text)
		if !ok || ref.Type != "Patient" || ref.ID == "" || home != (abaton.ActorID{}) || err != nil {
			return "", false
		}
		home, err = s.g.patientByID(ctx, s.p, ref.ID)
		if notMine(err) {
			err = nil // the plan refuses it, naming the entry
		}
		return "", false
	})
	return home, links, err
}

// settle gives the entries that name no patient the home of what they refer
// to, and the directory those that refer to nobody.
func (h *bundleHomes) settle(org abaton.ActorID, b *fhir.Bundle, links [][]int) {
	for changed := true; changed; {
		changed = false
		for i, to := range links {
			if h.of[i] != (abaton.ActorID{}) {
				continue
			}
			for _, at := range to {
				if of := h.of[at]; of != (abaton.ActorID{}) && of != org {
					h.of[i], changed = of, true
					break
				}
			}
		}
	}
	for i := range b.Entries {
		if h.of[i] == (abaton.ActorID{}) && b.Entries[i].Resource.Type != "" && b.Entries[i].Method != http.MethodGet &&
			b.Entries[i].Method != http.MethodPatch {
			h.of[i] = org
		}
	}
	for _, of := range h.of {
		if of == (abaton.ActorID{}) || of == org || of == h.only {
			continue
		}
		if h.only != (abaton.ActorID{}) {
			h.only = abaton.ActorID{}
			return
		}
		h.only = of
	}
}

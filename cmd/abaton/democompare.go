package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/people"
)

// brought is one Bundle as the gateway took it in.
type brought struct {
	name    string
	owner   *people.Person // nil for the directory's
	bundle  *fhir.Bundle
	at      []string          // by entry: Type/id
	targets map[string]string // fullUrl -> Type/id
	patient string            // its Patient's id
}

// locate sends every Bundle again, which adds nothing and answers where each
// entry lies.
func (d *demo) locate(ctx context.Context, s *people.Session, sources []source) error {
	for i := range sources {
		b, err := d.bring(ctx, s, &sources[i])
		if err != nil {
			return fmt.Errorf("send %s again: %w", sources[i].name, err)
		}
		if b.owner == nil {
			if err := d.intoDirectory(b); err != nil {
				return err
			}
		}
		d.bundles = append(d.bundles, b)
	}
	return nil
}

func (d *demo) bring(ctx context.Context, s *people.Session, from *source) (*brought, error) {
	text, err := from.read()
	if err != nil {
		return nil, err
	}
	b := &brought{name: from.name, targets: make(map[string]string)}
	if b.bundle, err = fhir.ParseBundle(text); err != nil {
		return nil, err
	}
	if b.owner, err = d.ownerOf(b.bundle); err != nil {
		return nil, err
	}
	r, err := s.Request(ctx, http.MethodPost, "/", bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/fhir+json")
	r.Header.Set("Abaton-Import", "true")
	if b.owner != nil {
		r.Header.Set("Abaton-Patient", b.owner.ID.String())
	}
	answer, err := answered(r)
	if err != nil {
		return nil, err
	}
	return b, b.placed(answer)
}

// placed notes where each entry lies.
func (b *brought) placed(answer []byte) error {
	var out struct {
		Entry []struct {
			Response struct{ Status, Location string }
		}
	}
	if err := json.Unmarshal(answer, &out); err != nil || len(out.Entry) != len(b.bundle.Entries) {
		return fmt.Errorf("%d entries came back, want %d", len(out.Entry), len(b.bundle.Entries))
	}
	for i := range b.bundle.Entries {
		got, parts := out.Entry[i].Response, strings.Split(out.Entry[i].Response.Location, "/")
		if !strings.HasPrefix(got.Status, "20") || len(parts) < 2 || parts[0] != b.bundle.Entries[i].Resource.Type {
			return fmt.Errorf("entry %d has status %s and no place", i, got.Status)
		}
		b.at = append(b.at, parts[0]+"/"+parts[1])
		b.targets[b.bundle.Entries[i].FullURL] = b.at[i]
		if parts[0] == "Patient" {
			b.patient = parts[1]
		}
	}
	return nil
}

// ownerOf is the person made for a Bundle's patient; nil for a directory's.
func (d *demo) ownerOf(b *fhir.Bundle) (*people.Person, error) {
	for i := range b.Entries {
		if b.Entries[i].Resource.Type != "Patient" {
			continue
		}
		all, err := d.n.People().All(0)
		if err != nil {
			return nil, err
		}
		for _, p := range all {
			if p.Source != nil && bytes.Equal(p.Source, sourceOf(b.Entries[i].FullURL)) {
				return p, nil
			}
		}
		return nil, fmt.Errorf("entry %d is a patient whom nobody was made for", i)
	}
	return nil, nil
}

// intoDirectory notes what conditional references must have become.
func (d *demo) intoDirectory(b *brought) (err error) {
	for i := range b.bundle.Entries {
		r := b.bundle.Entries[i].Resource
		for id := range r.Get("identifier").Each() {
			d.identified[r.Type+"?identifier="+id.Get("system").Text()+"|"+id.Get("value").Text()] = b.at[i]
		}
		if d.directory[b.at[i]], err = fhir.RewriteReferences(r.Raw(), d.mapping(b)); err != nil {
			return err
		}
	}
	return nil
}

// mapping is what references of a Bundle must have become.
func (d *demo) mapping(b *brought) func(string) (string, bool) {
	return func(ref string) (string, bool) {
		if to, ok := b.targets[ref]; ok {
			return to, true
		}
		to, ok := d.identified[ref]
		return to, ok
	}
}

// wanted is what a patient's $everything must hold: the Bundle's entries in
// the patient's compartment and the directory resources that they refer to
// (RULINGS 27). may leaves out what a reader may not see; nil sees all.
func (d *demo) wanted(b *brought, may func(at string) bool) (want map[string][]byte, err error) {
	want = make(map[string][]byte)
	staff := make(map[string][]byte) // of directory types
	var refs []string
	for i := range b.bundle.Entries {
		r := b.bundle.Entries[i].Resource
		text, err := fhir.RewriteReferences(r.Raw(), d.mapping(b))
		if err != nil {
			return nil, err
		}
		named := referencesIn(text)
		switch {
		case fhir.Directory(r.Type) && !slices.Contains(named, "Patient/"+b.patient):
			staff[b.at[i]] = text
		case may == nil || may(b.at[i]):
			want[b.at[i]] = text
			refs = append(refs, named...)
		}
	}
	for _, ref := range refs {
		kind, _, _ := strings.Cut(ref, "/")
		if want[ref] != nil || !fhir.Directory(kind) {
			continue
		}
		if want[ref] = staff[ref]; want[ref] == nil {
			want[ref] = d.directory[ref]
		}
		if want[ref] == nil {
			return nil, fmt.Errorf("%s refers to a %s that never came in", b.name, kind)
		}
	}
	return want, nil
}

func referencesIn(text []byte) (all []string) {
	fhir.RewriteReferences(text, func(ref string) (string, bool) { //nolint:errcheck // it was parsed before
		all = append(all, ref)
		return "", false
	})
	return all
}

// compare reads a patient's whole chart through the gateway and holds it
// against what came in: nothing missing, nothing too much, nothing changed
// (invariant 10).
func (d *demo) compare(ctx context.Context, s *people.Session, b *brought, may func(at string) bool) (resources int, err error) {
	want, err := d.wanted(b, may)
	if err != nil {
		return 0, err
	}
	got, err := everything(ctx, s, b.patient)
	if err != nil {
		return 0, err
	}
	missing, changed, extra := 0, 0, 0
	for at, text := range want {
		d.inCharts[at] = true
		if got[at] == nil {
			missing++
		} else if same, err := fhir.Equal(text, got[at], nil); err != nil || !same {
			changed++
		}
	}
	for at := range got {
		if want[at] == nil {
			extra++
		}
	}
	if missing+changed+extra > 0 {
		return len(got), fmt.Errorf("of %d resources %d are missing, %d changed, %d too much", len(want), missing, changed, extra)
	}
	return len(got), nil
}

// compareDirectory reads each resource of the directory that stands in no
// chart.
func (d *demo) compareDirectory(ctx context.Context, s *people.Session) (resources int, err error) {
	for at, text := range d.directory {
		if d.inCharts[at] {
			continue
		}
		r, err := s.Request(ctx, http.MethodGet, "/"+at, nil)
		if err != nil {
			return resources, err
		}
		got, err := answered(r)
		if err != nil {
			return resources, err
		}
		if same, err := fhir.Equal(text, got, nil); err != nil || !same {
			return resources, errors.Join(errors.New("a resource is not what came in"), err)
		}
		resources++
	}
	return resources, nil
}

// everything pages through a patient's chart; Type/id -> resource.
func everything(ctx context.Context, s *people.Session, patient string) (map[string][]byte, error) {
	got := make(map[string][]byte)
	for path := "/Patient/" + patient + "/$everything?_count=500"; path != ""; {
		r, err := s.Request(ctx, http.MethodGet, path, nil)
		if err != nil {
			return nil, err
		}
		text, err := answered(r)
		if err != nil {
			return nil, err
		}
		b, err := fhir.ParseBundle(text)
		if err != nil {
			return nil, err
		}
		for i := range b.Entries {
			r := b.Entries[i].Resource
			at := r.Type + "/" + r.ID()
			if got[at] != nil {
				return nil, fmt.Errorf("a %s came twice", r.Type)
			}
			got[at] = r.Raw()
		}
		path = ""
		for link := range b.Get("link").Each() {
			if link.Get("relation").Is("next") {
				path = strings.TrimPrefix(link.Get("url").Text(), s.URL)
			}
		}
	}
	return got, nil
}

// answered is the body of a good answer; a *people.GatewayError otherwise.
func answered(r *http.Request) ([]byte, error) {
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, fmt.Errorf("ask gateway: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, responseMax))
	if err != nil {
		return nil, fmt.Errorf("ask gateway: %w", err)
	}
	if resp.StatusCode >= 300 {
		return nil, people.Refusal(resp.StatusCode, body)
	}
	return body, nil
}

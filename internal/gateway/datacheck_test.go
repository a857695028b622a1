package gateway

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/session"
)

// dataAtOnce is how many Bundles are under way at the gateway, as in an import.
const dataAtOnce = 4

// wholeData is the folder of a whole data set: under ABATON_FHIR_DATA; ""
// where it is absent.
func wholeData(sub string) string {
	folder := os.Getenv("ABATON_FHIR_DATA")
	if folder == "" {
		return ""
	}
	folder = filepath.Join(folder, sub)
	if _, err := os.Stat(folder); err != nil {
		return ""
	}
	return folder
}

// needData is wholeData for a test that has no smaller set to run on.
func needData(t *testing.T, sub string) string {
	t.Helper()
	if testing.Short() || raceEnabled {
		t.Skip("the whole data sets take a minute; run without -short and without -race")
	}
	folder := wholeData(sub)
	if folder == "" {
		t.Skip("the whole data sets are not here; set ABATON_FHIR_DATA to their folder to run this over all of them")
	}
	return folder
}

// syntheaFolder is the whole set, or the committed sample of it.
func syntheaFolder(t *testing.T) (folder string, whole bool) {
	t.Helper()
	if folder = wholeData("synthea"); folder != "" && !testing.Short() && !raceEnabled {
		return folder, true
	}
	t.Log("on the committed sample; set ABATON_FHIR_DATA to the folder of the data sets, without -race, for all 97 patients")
	return filepath.Join("..", "..", "testdata", "patients"), false
}

// try sends a request and returns the answer: a caller's want for goroutines.
func (c *caller) try(method, path, body string) (status int, location string, answer []byte, err error) {
	r, err := http.NewRequestWithContext(c.w.t.Context(), method, c.w.web.URL+path, strings.NewReader(body))
	if err != nil {
		return 0, "", nil, err
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/fhir+json")
	}
	r.Header.Set("Authorization", "Bearer "+c.access)
	r.Header.Set("Accept", "application/fhir+json") // a Binary comes in its own type otherwise
	for n, v := range c.header {
		r.Header.Set(n, v)
	}
	resp, err := c.w.web.Client().Do(r)
	if err != nil {
		return 0, "", nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header.Get("Location"), answer, err
}

// loaded is one Bundle as the gateway took it in.
type loaded struct {
	name    string
	owner   *device           // nil for the directory's
	at      []string          // by entry: Type/id
	targets map[string]string // fullUrl -> Type/id
	patient string            // its Patient's id
}

// syntheaCheck imports a set and compares what comes back.
type syntheaCheck struct {
	w          *world
	doctor     *device
	lent       []session.Bundle
	folder     fs.FS
	identified map[string]string // Type?identifier=system|value -> Type/id, of the directory Bundles
	directory  map[string][]byte // Type/id -> what came in
	bundles    []*loaded
}

func (s *syntheaCheck) read(name string) (*fhir.Bundle, error) {
	f, err := s.folder.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := gunzipped(f)
	if err != nil {
		return nil, err
	}
	return fhir.ParseBundle(text)
}

// load posts one Bundle and notes which id each entry got.
func (s *syntheaCheck) load(c *caller, l *loaded) (*fhir.Bundle, error) {
	b, err := s.read(l.name)
	if err != nil {
		return nil, err
	}
	if l.owner != nil {
		c = c.with(headerPatient, l.owner.id.String())
	}
	status, _, answer, err := c.try("POST", "/", string(b.Raw()))
	if err != nil || status != http.StatusOK {
		return nil, fmt.Errorf("%s: got %d %s, %v, want 200", l.name, status, clip(answer), err)
	}
	var out response
	if err := json.Unmarshal(answer, &out); err != nil || len(out.Entry) != len(b.Entries) {
		return nil, fmt.Errorf("%s: got %d entries in the response, %v, want %d", l.name, len(out.Entry), err, len(b.Entries))
	}
	l.targets = make(map[string]string, len(b.Entries))
	for i := range b.Entries {
		got := out.Entry[i].Response
		parts := strings.Split(got.Location, "/")
		if !strings.HasPrefix(got.Status, "20") || len(parts) < 2 || parts[0] != b.Entries[i].Resource.Type {
			return nil, fmt.Errorf("%s entry %d: got status %s for a %s, want 201 or 200 and where it lies", l.name, i, got.Status, b.Entries[i].Resource.Type)
		}
		l.at = append(l.at, parts[0]+"/"+parts[1])
		l.targets[b.Entries[i].FullURL] = l.at[i]
		if parts[0] == "Patient" {
			l.patient = parts[1]
		}
	}
	return b, nil
}

// loadDirectory posts a Bundle of organisations or practitioners and notes
// what conditional references to them must become.
func (s *syntheaCheck) loadDirectory(c *caller, name string) (entries int, err error) {
	l := &loaded{name: name}
	b, err := s.load(c, l)
	if err != nil {
		return 0, err
	}
	for i := range b.Entries {
		r := b.Entries[i].Resource
		for id := range r.Get("identifier").Each() {
			s.identified[r.Type+"?identifier="+id.Get("system").Text()+"|"+id.Get("value").Text()] = l.at[i]
		}
		if s.directory[l.at[i]], err = fhir.RewriteReferences(r.Raw(), s.mapping(l)); err != nil {
			return 0, err
		}
	}
	return len(b.Entries), nil
}

// mapping is what references of a Bundle must have become.
func (s *syntheaCheck) mapping(l *loaded) func(string) (string, bool) {
	return func(ref string) (string, bool) {
		if to, ok := l.targets[ref]; ok {
			return to, true
		}
		to, ok := s.identified[ref]
		return to, ok
	}
}

// admit makes an actor for each patient and gives the doctor access.
func (s *syntheaCheck) admit(names []string) {
	for _, name := range names {
		p := s.w.patient()
		s.lent = append(s.lent, s.w.share(p, s.doctor, grant.Read, allCategories()...))
		s.bundles = append(s.bundles, &loaded{name: name, owner: p})
	}
}

// wanted is what $everything must hold: the Bundle's entries in the patient's
// compartment and the directory resources that they refer to (RULINGS 27).
func (s *syntheaCheck) wanted(l *loaded) (want map[string][]byte, err error) {
	b, err := s.read(l.name)
	if err != nil {
		return nil, err
	}
	want = make(map[string][]byte, len(b.Entries))
	own := make(map[string][]byte) // of directory types
	var refs []string
	for i := range b.Entries {
		kind := b.Entries[i].Resource.Type
		text, err := fhir.RewriteReferences(b.Entries[i].Resource.Raw(), s.mapping(l))
		if err != nil {
			return nil, err
		}
		named := namesIn(text)
		if fhir.Directory(kind) && !slices.Contains(named, "Patient/"+l.patient) {
			own[l.at[i]] = text
			continue
		}
		want[l.at[i]] = text
		refs = append(refs, named...)
	}
	for _, ref := range refs {
		if kind, _, _ := strings.Cut(ref, "/"); want[ref] != nil || !fhir.Directory(kind) {
			continue
		}
		text := own[ref]
		if text == nil {
			text = s.directory[ref]
		}
		if text == nil {
			return nil, fmt.Errorf("%s refers to a %s that was never loaded", l.name, ref)
		}
		want[ref] = text
	}
	return want, nil
}

// compare reads a patient's whole chart and holds it against what came in:
// nothing missing, nothing too much, nothing changed (invariant 10).
func (s *syntheaCheck) compare(c *caller, l *loaded) (resources int, took time.Duration, wrong []string, err error) {
	started := time.Now()
	got, err := c.everything(l.patient)
	took = time.Since(started)
	if err != nil {
		return 0, took, nil, fmt.Errorf("%s: %w", l.name, err)
	}
	want, err := s.wanted(l)
	if err != nil {
		return 0, took, nil, err
	}
	for at, text := range want {
		if got[at] == nil {
			wrong = append(wrong, l.name+": "+at+" is missing")
		} else if same, err := fhir.Equal(text, got[at], nil); err != nil || !same {
			wrong = append(wrong, fmt.Sprintf("%s: %s is not what came in (%v)", l.name, at, err))
		}
	}
	for at := range got {
		if want[at] == nil {
			wrong = append(wrong, l.name+": "+at+" is too much")
		}
	}
	return len(got), took, wrong, nil
}

// namesIn are all references of a resource.
func namesIn(text []byte) (all []string) {
	fhir.RewriteReferences(text, func(ref string) (string, bool) {
		all = append(all, ref)
		return "", false
	})
	return all
}

// everything pages through a patient's chart; Type/id -> resource.
func (c *caller) everything(patient string) (map[string][]byte, error) {
	got := map[string][]byte{}
	for path := "/Patient/" + patient + "/$everything?_count=500"; path != ""; {
		status, _, answer, err := c.try("GET", path, "")
		if err != nil || status != http.StatusOK {
			return nil, fmt.Errorf("$everything: got %d %s, %v, want 200", status, clip(answer), err)
		}
		b, err := fhir.ParseBundle(answer)
		if err != nil {
			return nil, err
		}
		for i := range b.Entries {
			r := b.Entries[i].Resource
			at := r.Type + "/" + r.ID()
			if got[at] != nil {
				return nil, fmt.Errorf("$everything: %s comes twice", at)
			}
			if r.Get("meta").Get("versionId").Text() == "" || r.Get("meta").Get("lastUpdated").Text() == "" {
				return nil, fmt.Errorf("$everything: %s has no version", at)
			}
			got[at] = r.Raw()
		}
		path = ""
		for link := range b.Get("link").Each() {
			if link.Get("relation").Is("next") {
				path = strings.TrimPrefix(link.Get("url").Text(), c.w.web.URL)
			}
		}
	}
	return got, nil
}

// TestDataCheckSynthea imports every patient of the set through the gateway
// and reads each back from the keepers, in a session of its own, to be
// compared resource by resource.
func TestDataCheckSynthea(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	folder, whole := syntheaFolder(t)
	names, err := filepath.Glob(filepath.Join(folder, "*.json.gz"))
	if err != nil || len(names) < 3 {
		t.Fatalf("Bundles in the folder: got %d, want some (%v)", len(names), err)
	}
	s := &syntheaCheck{w: newWorld(t), folder: os.DirFS(folder), identified: map[string]string{}, directory: map[string][]byte{}}
	var directory session.Bundle
	s.doctor, directory = s.w.clinician()
	var first, patients []string
	for _, name := range names {
		if name = filepath.Base(name); strings.HasPrefix(name, "0-") {
			first = append(first, name)
		} else {
			patients = append(patients, name)
		}
	}
	s.admit(patients)
	s.lent = append(s.lent, directory)
	c := s.w.signIn(s.doctor, s.lent...).with(headerImport, "true")
	resources := s.importAll(c, first)
	if whole && (len(patients) != 97 || resources != 73_825) {
		t.Errorf("got %d patients and %d resources, want 97 and 73,825", len(patients), resources)
	}
	s.compareAll(s.w.signIn(s.doctor, s.lent...), whole)
	s.usCore(directory, whole)
}

func (s *syntheaCheck) importAll(c *caller, directory []string) int {
	t := s.w.t
	t.Helper()
	var entries atomic.Int64
	started := time.Now()
	for _, name := range directory {
		n, err := s.loadDirectory(c, name)
		if err != nil {
			t.Fatal(err)
		}
		entries.Add(int64(n))
	}
	work := new(errgroup.Group)
	work.SetLimit(dataAtOnce)
	for _, l := range s.bundles {
		work.Go(func() error {
			b, err := s.load(c, l)
			if err == nil {
				entries.Add(int64(len(b.Entries)))
			}
			return err
		})
	}
	if err := work.Wait(); err != nil {
		t.Fatal(err)
	}
	took := time.Since(started)
	t.Logf("imported %d patients, %d resources in %v: %.0f/s", len(s.bundles), entries.Load(), took.Round(time.Millisecond), float64(entries.Load())/took.Seconds())
	return int(entries.Load())
}

func (s *syntheaCheck) compareAll(c *caller, whole bool) {
	t := s.w.t
	t.Helper()
	total, spent := 0, time.Duration(0)
	for _, l := range s.bundles {
		n, took, wrong, err := s.compare(c, l)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range wrong[:min(len(wrong), 10)] {
			t.Error(text)
		}
		total, spent = total+n, spent+took
		for _, p := range s.w.gateway.sessionsNow() { // each chart is read once
			p.drop(l.owner.id)
		}
	}
	t.Logf("read %d resources of %d charts, each chart cold, in %v: %.0f ms for 1,000", total, len(s.bundles), spent.Round(time.Millisecond), spent.Seconds()*1e6/float64(total))
	if !whole && total == 0 {
		t.Error("nothing was compared")
	}
}

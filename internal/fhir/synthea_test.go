package fhir

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// An importer plays what a gateway does with Bundles, with a directory chart.
type importer struct {
	directory Chart
	named     map[string][]string // by type, system and value: ids in the directory
	next      int
	homes     map[Home]int
	reasons   map[string]int
	category  map[Category]int
	types     map[string]map[Category]int
}

func newImporter() *importer {
	return &importer{named: map[string][]string{}, homes: map[Home]int{}, reasons: map[string]int{}, category: map[Category]int{}, types: map[string]map[Category]int{}}
}

func (i *importer) assign(*Entry) (string, error) {
	i.next++
	return fmt.Sprint("r", i.next), nil
}

func (i *importer) conditional(r Ref) (string, error) {
	params, err := ParseQuery(r.Query)
	if err != nil || len(params) != 1 || params[0].Name != "identifier" {
		return "", refuse(412, "not-supported", "", "the set asks by identifier alone")
	}
	system, value, _ := strings.Cut(params[0].Value, "|")
	switch found := i.named[r.Type+" "+system+" "+value]; len(found) {
	case 0:
		return "", nil
	case 1:
		return found[0], nil
	}
	return "", refuse(412, "multiple-matches", "", "several match")
}

// name notes the identifiers of a resource of the directory.
func (i *importer) name(t *testing.T, v Version) {
	t.Helper()
	r, err := ParseResource(v.Body)
	if err != nil {
		t.Fatal(err)
	}
	for identifier := range r.Get("identifier").Each() {
		at := v.Type + " " + identifier.Get("system").Text() + " " + identifier.Get("value").Text()
		if !slices.Contains(i.named[at], v.ID) {
			i.named[at] = append(i.named[at], v.ID)
		}
	}
}

// take imports a Bundle and checks every resource of it on the way.
func (i *importer) take(t *testing.T, name string, b *Bundle) {
	t.Helper()
	operations, err := Resolve(b, i.assign, i.conditional)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if len(operations) != len(b.Entries) {
		t.Fatalf("%s: got %d operations for %d entries", name, len(operations), len(b.Entries))
	}
	targets := map[string]string{}
	for _, o := range operations {
		targets[b.Entries[o.Entry].FullURL] = o.Type + "/" + o.ID
	}
	mapping := func(ref string) (string, bool) {
		if r, ok := ParseRef(ref); ok && r.Query != "" {
			id, err := i.conditional(r)
			return r.Type + "/" + id, err == nil && id != ""
		}
		to, ok := targets[ref]
		return to, ok
	}
	for _, o := range operations {
		if !o.Existing {
			i.check(t, name, &b.Entries[o.Entry], o, mapping)
		}
	}
	i.keep(t, operations)
}

func (i *importer) check(t *testing.T, name string, e *Entry, o Operation, mapping func(string) (string, bool)) {
	t.Helper()
	spliced(t, e.Resource)
	out, err := Splice(o.Bytes, o.ID, "v1", noon())
	if err != nil {
		t.Fatalf("%s entry %d: %v", name, e.Index, err)
	}
	if same, err := Equal(e.Resource.Raw(), out, mapping); err != nil || !same {
		t.Errorf("%s entry %d: got another resource than came in (%v)", name, e.Index, err)
	}
	if unresolved(out) {
		t.Errorf("%s entry %d: a reference was not rewritten", name, e.Index)
	}
	r, err := ParseResource(out)
	if err != nil {
		t.Fatal(err)
	}
	place := PlaceOf(r)
	i.homes[place.Home]++
	if place.Home == HomeNone {
		i.reasons[r.Type+": "+place.Reason]++
	}
	c := CategoryOf(r)
	i.category[c]++
	if i.types[r.Type] == nil {
		i.types[r.Type] = map[Category]int{}
	}
	i.types[r.Type][c]++
}

// unresolved reports whether a reference is still an urn.
func unresolved(src []byte) (found bool) {
	_, err := RewriteReferences(src, func(ref string) (string, bool) {
		found = found || strings.HasPrefix(ref, "urn:uuid:")
		return "", false
	})
	return found || err != nil
}

// keep puts directory resources into the directory chart.
func (i *importer) keep(t *testing.T, operations []Operation) {
	t.Helper()
	var versions []Version
	for _, o := range operations {
		if Directory(o.Type) && !o.Existing {
			versions = append(versions, Version{Type: o.Type, ID: o.ID, VersionID: "v1", LastUpdated: noon(), Body: o.Bytes})
		}
	}
	mustAdd(t, &i.directory, versions...)
	for _, v := range versions {
		i.name(t, v)
	}
}

func (i *importer) log(t *testing.T) {
	t.Helper()
	t.Logf("homes: %d one patient, %d directory, %d follow, %d refused %v", i.homes[HomePatient], i.homes[HomeDirectory], i.homes[HomeFollow], i.homes[HomeNone], i.reasons)
	for _, c := range Categories() {
		var types []string
		for name, counts := range i.types {
			if counts[c] > 0 {
				types = append(types, fmt.Sprintf("%s %d", name, counts[c]))
			}
		}
		slices.Sort(types)
		t.Logf("%-20v %6d  %s", c, i.category[c], strings.Join(types, ", "))
	}
}

// The committed subset through the whole of the package: the directory first,
// then a patient who refers to it by conditional references.
func TestCommittedPatient(t *testing.T) {
	i := newImporter()
	for _, name := range []string{"hospitals.json", "practitioners.json", "patient.json"} {
		text, err := os.ReadFile(filepath.Join("testdata", "synthea", name))
		if err != nil {
			t.Fatal(err)
		}
		i.take(t, name, mustBundle(t, string(text)))
	}
	i.log(t)
	if i.homes[HomePatient] != 66 || i.homes[HomeDirectory] != 7 || i.homes[HomeNone]+i.homes[HomeFollow] != 0 {
		t.Errorf("got %d with the patient, %d in the directory, %v", i.homes[HomePatient], i.homes[HomeDirectory], i.homes)
	}
	before := i.directory.Len()
	text, err := os.ReadFile(filepath.Join("testdata", "synthea", "hospitals.json"))
	if err != nil {
		t.Fatal(err)
	}
	i.take(t, "hospitals.json again", mustBundle(t, string(text)))
	if i.directory.Len() != before {
		t.Errorf("the same with ifNoneExist again: got %d in the directory, want %d", i.directory.Len(), before)
	}
}

func TestCommittedExamples(t *testing.T) {
	for _, name := range committed(t) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		r, err := ParseResource(text)
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(name), err)
			continue
		}
		spliced(t, r)
	}
}

// Every resource of the whole synthea set: read, resolved, spliced, compared,
// placed and classified.
func TestAllSynthea(t *testing.T) {
	if testing.Short() {
		t.Skip("the whole set takes several seconds")
	}
	i := newImporter()
	patients, resources := 0, 0
	eachBundle(t, func(name string, b *Bundle) {
		if !strings.HasPrefix(name, "0-") { // Glob is sorted: 0-hospital, 0-practitioner, 057..., ...
			patients++
		}
		resources += len(b.Entries)
		i.take(t, name, b)
	})
	if !raceEnabled && (patients != 97 || resources != 73825) {
		t.Errorf("got %d patients and %d resources, want 97 and 73,825", patients, resources)
	}
	if i.homes[HomeNone]+i.homes[HomeFollow] != 0 {
		t.Errorf("got %d refused %v", i.homes[HomeNone], i.reasons)
	}
	i.log(t)
}

// Every official example and genomics resource: either a refusal for a listed
// reason or an exact splice; at most one in a hundred examples is refused.
func TestAllExamples(t *testing.T) {
	for _, set := range []struct {
		archive string
		refused int // at most
	}{
		{filepath.Join(dataFolder(t, "examples"), "hl7.fhir.r4.examples-4.0.1.tar.gz"), 52},
		{filepath.Join(dataFolder(t, "genomics"), "genomics-reporting-examples.tar.gz"), 30},
	} {
		total, refused := 0, map[string][]string{}
		i := newImporter()
		eachFile(t, set.archive, func(name string, text []byte) {
			if !strings.HasSuffix(name, ".json") || strings.HasSuffix(name, "package.json") {
				return
			}
			total++
			name = strings.TrimSuffix(filepath.Base(name), ".json")
			r, err := ParseResource(text)
			if err != nil {
				refused[err.Error()] = append(refused[err.Error()], name)
				return
			}
			spliced(t, r)
			place := PlaceOf(r)
			i.homes[place.Home]++
			if place.Home == HomeNone {
				refused[place.Reason] = append(refused[place.Reason], name)
			}
			i.category[CategoryOf(r)]++
		})
		n := 0
		for reason, names := range refused {
			slices.Sort(names)
			t.Logf("refused %d: %s: %s", len(names), reason, strings.Join(names, " "))
			n += len(names)
		}
		i.log(t)
		t.Logf("%s: %d read, %d refused", filepath.Base(set.archive), total, n)
		if n > set.refused {
			t.Errorf("%s: got %d refused, want at most %d", filepath.Base(set.archive), n, set.refused)
		}
	}
}

// The validator's cases hold invalid files on purpose: none may panic.
func TestAllValidatorCases(t *testing.T) {
	total, read := 0, 0
	eachFile(t, filepath.Join(dataFolder(t, "validator"), "fhir-test-cases-validator-json.tar.gz"), func(_ string, text []byte) {
		total++
		r, err := ParseResource(text)
		if err != nil {
			return
		}
		read++
		spliced(t, r)
		PlaceOf(r)
		CategoryOf(r)
		Date(r)
		Codes(r)
		if b, err := ParseBundle(text); err == nil {
			_, _ = Resolve(b, numbered(), nothing) // only that it returns
		}
	})
	t.Logf("%d files, %d read as a resource", total, read)
}

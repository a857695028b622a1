package gateway

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/search/searchtest"
	"github.com/abaton-health/abaton/session"
)

// usCorePatients is how many patients one session of the check holds.
const usCorePatients = 8

// usCoreDraws is how often each search is asked, with other values.
const usCoreDraws = 3

// usCore runs every search that US Core 8.0.0 wants (SHALL and SHOULD, single
// parameters and combinations) through the gateway, with values drawn from
// what was imported, and holds each answer against a second evaluation of the
// same resources as $everything reads them.
func (s *syntheaCheck) usCore(directory session.Bundle, whole bool) {
	t := s.w.t
	t.Helper()
	started := time.Now()
	people := s.bundles[:min(len(s.bundles), usCorePatients)]
	lent := append(slices.Clone(s.lent[:len(people)]), directory)
	c := s.w.signIn(s.doctor, lent...)
	for _, body := range searchtest.Extra("Patient/" + people[0].patient) {
		kind := strings.SplitN(body, `"`, 5)[3]
		c.want(http.StatusCreated, "POST", "/"+kind, body, nil)
	}
	who, _ := c.want(http.StatusCreated, "POST", "/Practitioner", `{"resourceType":"Practitioner","name":[{"family":"Who"}]}`, nil)
	role, body := c.want(http.StatusCreated, "POST", "/PractitionerRole", `{"resourceType":"PractitionerRole","practitioner":{"reference":"Practitioner/`+idOf(who)+`"}}`, nil)
	s.directory["PractitionerRole/"+idOf(role)] = body
	all := s.known(c, people)
	c = s.w.signIn(s.doctor, lent...) // nothing of it open yet
	rng := rand.New(rand.NewPCG(3, 4))
	searches, shall, found := 0, 0, 0
	for _, want := range searchtest.USCore() {
		if want.Expect != "SHALL" && want.Expect != "SHOULD" {
			continue
		}
		asked := 0
		for _, from := range rng.Perm(len(all[want.Type])) {
			conditions, ok := searchtest.Draw(rng, all[want.Type][from], want.Names)
			if !ok {
				continue
			}
			if asked++; asked > usCoreDraws {
				break
			}
			found += c.compareSearch(want.Type, conditions, all[want.Type], asked%2 == 0)
		}
		asked = min(asked, usCoreDraws)
		if asked == 0 && (whole || !slices.Contains(want.Names, "death-date")) { // nobody of the sample died
			t.Errorf("%s?%v (%s): got no value to search by, want one", want.Type, want.Names, want.Expect)
		}
		searches += asked
		if want.Expect == "SHALL" {
			shall += asked
		}
	}
	t.Logf("US Core 8.0.0: %d searches, %d of them mandatory, over %d patients, %d resources found in %v, as the second evaluation has them",
		searches, shall, len(people), found, time.Since(started).Round(time.Millisecond))
}

// known are the resources of some patients, and of the directory, by type.
func (s *syntheaCheck) known(c *caller, people []*loaded) map[string][]*searchtest.Resource {
	t := s.w.t
	t.Helper()
	all := make(map[string][]*searchtest.Resource)
	take := func(at string, body []byte) {
		kind, id, _ := strings.Cut(at, "/")
		r, err := fhir.ParseResource(body)
		if err != nil {
			t.Fatal(err)
		}
		updated, _ := time.Parse(time.RFC3339Nano, r.LastUpdated())
		second, err := searchtest.Read(kind, id, updated, body)
		if err != nil {
			t.Fatal(err)
		}
		all[kind] = append(all[kind], second)
	}
	for _, l := range people {
		got, err := c.everything(l.patient)
		if err != nil {
			t.Fatal(err)
		}
		for at, body := range got {
			if s.directory[at] == nil {
				take(at, body)
			}
		}
	}
	for at, body := range s.directory {
		take(at, body)
	}
	for _, list := range all { // so that one seed asks the same
		slices.SortFunc(list, func(a, b *searchtest.Resource) int { return strings.Compare(a.ID, b.ID) })
	}
	return all
}

// compareSearch asks once, by GET or by POST, and returns how many were found.
func (c *caller) compareSearch(kind string, conditions []searchtest.Condition, all []*searchtest.Resource, post bool) int {
	c.w.t.Helper()
	form, names := url.Values{"_count": {"1000"}}, []string(nil)
	for _, one := range conditions {
		form.Add(one.Name, one.Value)
		names = append(names, one.Name)
	}
	var got []string
	if post {
		_, answer := c.with("Content-Type", "application/x-www-form-urlencoded").want(http.StatusOK, "POST", "/"+kind+"/_search", form.Encode(), nil)
		got = idsIn(c.w.t, answer)
	} else {
		form.Set("_count", "200")
		for _, body := range c.pages("/" + kind + "?" + form.Encode()) {
			r, err := fhir.ParseResource(body)
			if err != nil {
				c.w.t.Fatal(err)
			}
			got = append(got, r.ID())
		}
	}
	var want []string
	for _, r := range all {
		if r.Matches(conditions) {
			want = append(want, r.ID)
		}
	}
	if post && len(want) > 1000 {
		return 0 // one page does not show them all
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		c.w.t.Errorf("%s?%v: got %d resources, want %d", kind, names, len(got), len(want))
	}
	return len(want)
}

// idsIn are the ids of a searchset's matches.
func idsIn(t *testing.T, answer []byte) (ids []string) {
	t.Helper()
	b, err := fhir.ParseBundle(answer)
	if err != nil {
		t.Fatal(err)
	}
	for i := range b.Entries {
		if r := b.Entries[i].Resource; r.Type != "OperationOutcome" {
			ids = append(ids, r.ID())
		}
	}
	return ids
}

// TestInclusions: what a page refers to, and what refers to it, comes with it,
// from the chart and from the directory.
func TestInclusions(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	who, _ := k.c.want(http.StatusCreated, "POST", "/Practitioner", `{"resourceType":"Practitioner","name":[{"family":"Who"}]}`, nil)
	seen, _ := k.c.want(http.StatusCreated, "POST", "/Observation", k.observation(`,"performer":[{"reference":"Practitioner/`+idOf(who)+`"}]`), nil)
	source, _ := k.c.want(http.StatusCreated, "POST", "/Provenance", `{"resourceType":"Provenance","target":[{"reference":"Observation/`+idOf(seen)+
		`"}],"recorded":"2026-01-01T00:00:00Z","agent":[{"who":{"reference":"Practitioner/`+idOf(who)+`"}}]}`, nil)
	for query, want := range map[string][]string{
		"patient=" + k.id: {"match Observation"},
		"patient=" + k.id + "&_include=Observation:performer":                                          {"match Observation", "include Practitioner"},
		"patient=" + k.id + "&_revinclude=Provenance:target":                                           {"match Observation", "include Provenance", "include Provenance"}, // stored, computed
		"_include=Observation:subject&_revinclude=Provenance:target&_include:iterate=Provenance:agent": {"match Observation", "include Patient", "include Practitioner", "include Provenance", "include Provenance"},
		"performer:Practitioner.name=who":                                                              {"match Observation"},
		"performer.name=nobody":                                                                        nil,
		"patient=" + k.id + "&performer.name=who":                                                      {"match Observation"},
		"_has:Provenance:target:agent.name=who":                                                        {"match Observation"},
		"_id=" + idOf(seen) + "&_include=*&_summary=count":                                             nil,
		"patient=" + k.id + "&_include=Observation:performer:PractitionerRole":                         {"match Observation"},
	} {
		var b struct {
			Entry []struct {
				Resource struct{ ResourceType string }
				Search   struct{ Mode string }
			}
		}
		k.c.want(http.StatusOK, "GET", "/Observation?"+query, "", &b)
		var got []string
		for _, e := range b.Entry {
			got = append(got, e.Search.Mode+" "+e.Resource.ResourceType)
		}
		if !slices.Equal(got, want) {
			t.Errorf("Observation?%s: got %v, want %v", query, got, want)
		}
	}
	if idOf(source) == "" {
		t.Error("no Provenance")
	}
}

// TestSubsets: _summary and _elements cut whole members out and say so.
func TestSubsets(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	k := newClinic(t)
	k.c.want(http.StatusCreated, "POST", "/Observation", k.observation(`,"meta":{"tag":[{"code":"x"}]},"note":[{"text":"n"}],"text":{"status":"generated","div":"<div>d</div>"},"code":{"text":"c"}`), nil)
	for query, want := range map[string][]string{
		"_elements=value":       {`"valueQuantity":{"value":1.50}`, `"status":"final"`, `"code"`, "SUBSETTED", `{"code":"x"}`, `-"note"`, `-"subject"`, `-"div"`},
		"_summary=true":         {`"valueQuantity":{"value":1.50}`, `"subject"`, "SUBSETTED", `-"note"`, `-"div"`},
		"_summary=text":         {`"div"`, `"status"`, "SUBSETTED", `-"note"`, `-"subject"`, `-"valueQuantity"`},
		"_summary=data":         {`"note"`, `"subject"`, "SUBSETTED", `-"div"`},
		"_summary=false":        {`"note"`, `"div"`, "-SUBSETTED"},
		"_summary=count":        {`"total":1`, `-"entry"`},
		"_total=none":           {`"note"`, `-"total"`},
		"_elements=note,status": {`"note"`, "SUBSETTED", `-"valueQuantity"`},
	} {
		_, got := k.c.want(http.StatusOK, "GET", "/Observation?patient="+k.id+"&"+query, "", nil)
		for _, w := range want {
			text, absent := strings.CutPrefix(w, "-")
			if strings.Contains(string(got), text) == absent {
				t.Errorf("%s: got %s there %v", query, text, absent)
			}
		}
		if _, err := fhir.Parse(got); err != nil {
			t.Errorf("%s: %v", query, fmt.Errorf("answer: %w", err))
		}
	}
}

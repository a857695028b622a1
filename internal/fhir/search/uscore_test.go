package search

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/search/searchtest"
)

// TestUSCoreIsSupported: every parameter and inclusion that US Core 8.0.0
// lists is there, with the type it says, and has a rule of its own in the
// second evaluation.
func TestUSCoreIsSupported(t *testing.T) {
	for _, want := range searchtest.USCore() {
		switch want.Expect {
		case "_include":
			source, rest, _ := strings.Cut(want.Names[0], ":")
			name, _, _ := strings.Cut(rest, ":")
			if !slices.Contains(Includes(want.Type), source+":"+name) {
				t.Errorf("%s: _include=%s is not supported", want.Type, want.Names[0])
			}
			continue
		case "_revinclude":
			if !slices.Contains(Reverses(want.Type), want.Names[0]) {
				t.Errorf("%s: _revinclude=%s is not supported", want.Type, want.Names[0])
			}
			continue
		}
		for i, name := range want.Names {
			if !slices.Contains(Parameters(want.Type), fhir.Parameter{Name: name, Type: want.Kinds[i]}) {
				t.Errorf("%s.%s of type %s is not supported", want.Type, name, want.Kinds[i])
			}
			if !searchtest.Known(want.Type, name) {
				t.Errorf("%s.%s has no rule in the second evaluation", want.Type, name)
			}
		}
	}
}

// TestUSCoreListIsThePackages holds the committed list against the package.
func TestUSCoreListIsThePackages(t *testing.T) {
	f, err := os.Open(filepath.Join("..", "..", "..", "..", "shared", "data", "definitions", "us-core-8.0.0.tgz"))
	if err != nil {
		t.Skip("the US Core package is not here")
	}
	defer f.Close()
	type expectation []struct {
		URL, ValueCode, ValueString string
		Extension                   []struct{ URL, ValueString string }
	}
	var statement struct {
		Rest []struct {
			Resource []struct {
				Type                            string
				Extension                       expectation
				SearchParam                     []struct{ Name, Type string }
				SearchInclude, SearchRevInclude []string
			}
		}
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for archive := tar.NewReader(z); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			t.Fatal("the package holds no server statement")
		}
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(h.Name) == "CapabilityStatement-us-core-server.json" {
			if err := json.NewDecoder(archive).Decode(&statement); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	got := make(map[string]bool)
	for _, w := range searchtest.USCore() {
		got[w.Type+" "+strings.Join(w.Names, ",")] = true
	}
	n := 0
	want := func(kind, names string) {
		n++
		if !got[kind+" "+names] {
			t.Errorf("the list lacks %s %s", kind, names)
		}
	}
	for _, r := range statement.Rest[0].Resource {
		for _, p := range r.SearchParam {
			want(r.Type, p.Name)
		}
		for _, e := range r.Extension {
			var names []string
			for _, inner := range e.Extension {
				if inner.URL == "required" {
					names = append(names, inner.ValueString)
				}
			}
			if len(names) > 0 {
				want(r.Type, strings.Join(names, ","))
			}
		}
		for _, i := range append(r.SearchInclude, r.SearchRevInclude...) {
			want(r.Type, i)
		}
	}
	if n != len(searchtest.USCore()) {
		t.Errorf("list: got %d lines, want %d", len(searchtest.USCore()), n)
	}
}

// TestAgainstSecondEvaluation runs random conditions over every chart and
// holds each answer against one made by other means.
func TestAgainstSecondEvaluation(t *testing.T) {
	space, charts := ward(t, 10)
	var set []*Index
	byType := make(map[string][]*searchtest.Resource)
	for _, versions := range charts {
		s := newShelf(space)
		if err := s.chart.Add(versions...); err != nil {
			t.Fatal(err)
		}
		set = append(set, s.index)
		for _, v := range versions {
			r, err := searchtest.Read(v.Type, v.ID, v.LastUpdated, v.Body)
			if err != nil {
				t.Fatal(err)
			}
			byType[v.Type] = append(byType[v.Type], r)
		}
	}
	extra := newShelf(space)
	for i, body := range searchtest.Extra("Patient/extra") {
		r, err := fhir.ParseResource([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		id := fmt.Sprint("x", i)
		second, err := searchtest.Read(r.Type, id, at(i), []byte(body))
		if err == nil {
			err = extra.chart.Add(fhir.Version{Type: r.Type, ID: id, VersionID: "v", LastUpdated: at(i), Body: []byte(body)})
		}
		if err != nil {
			t.Fatal(err)
		}
		byType[r.Type] = append(byType[r.Type], second)
	}
	set = append(set, extra.index)
	rng := rand.New(rand.NewPCG(1, 2))
	asked, found, turns := 0, 0, 10
	if testing.Short() {
		turns = 4
	}
	for _, want := range searchtest.USCore() {
		if len(byType[want.Type]) == 0 || want.Kinds == nil {
			continue
		}
		for range turns {
			all := byType[want.Type]
			conditions, ok := searchtest.Draw(rng, all[rng.IntN(len(all))], want.Names)
			if !ok {
				continue
			}
			n := compareAnswers(t, set, want.Type, conditions, all)
			asked, found = asked+1, found+n
		}
	}
	t.Logf("%d searches, %d resources found, all as the second evaluation has them", asked, found)
	if asked < 300 || found < asked {
		t.Errorf("got %d searches with %d found, want enough to tell", asked, found)
	}
}

// paramNames are what a failure may tell of a query.
func paramNames(params []fhir.Param) (out []string) {
	for _, p := range params {
		out = append(out, p.Name)
	}
	return out
}

func compareAnswers(t *testing.T, set []*Index, kind string, conditions []searchtest.Condition, all []*searchtest.Resource) int {
	t.Helper()
	var params []fhir.Param
	for _, c := range conditions {
		params = append(params, fhir.Param{Name: c.Name, Value: c.Value})
	}
	q, err := Parse(kind, params, Options{Now: at(0)})
	if err != nil || len(q.Ignored) > 0 {
		t.Fatalf("%s?%v: %v, ignored %v", kind, paramNames(params), err, q)
	}
	q.Count = len(all) + 1
	page, err := q.Run(nil, set...)
	if err != nil {
		t.Fatal(err)
	}
	got := names(page.Versions)
	var want []string
	for _, r := range all {
		if r.Matches(conditions) {
			want = append(want, r.ID)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s?%v: got %d, want %d", kind, paramNames(params), len(got), len(want))
	}
	return len(want)
}

package main

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/abaton-health/abaton/internal/dice"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/testdata/patients"
)

// chart is a Bundle to be sent, and the id its Patient got on each side.
type chart struct {
	text         []byte
	count        int // resources
	at           int // the entry of the Patient, below zero without one
	months       []string
	ours, theirs string
}

// readBundles reads the Bundles of some patients and of the directory.
func readBundles(dir string, most int) (charts, directory []*chart, err error) {
	files := fs.FS(patients.Files)
	if dir != "" {
		files = os.DirFS(dir)
	}
	names, err := fs.Glob(files, "*.json.gz")
	if err != nil || len(names) == 0 {
		return nil, nil, errors.Join(err, errors.New("read Bundles: the folder holds no *.json.gz"))
	}
	slices.Sort(names)
	for _, name := range names {
		shared := strings.HasPrefix(name, "0-")
		if !shared && len(charts) == most {
			continue
		}
		c, err := readBundle(files, name)
		if err != nil {
			return nil, nil, fmt.Errorf("read Bundle: %w", err)
		}
		if shared {
			directory = append(directory, c)
		} else {
			charts = append(charts, c)
		}
	}
	return charts, directory, nil
}

func readBundle(files fs.FS, name string) (*chart, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	c := &chart{at: -1}
	if c.text, err = io.ReadAll(z); err != nil {
		return nil, err
	}
	b, err := fhir.ParseBundle(c.text)
	if err != nil {
		return nil, err
	}
	c.count = len(b.Entries)
	for i, e := range b.Entries {
		switch e.Resource.Type {
		case "Patient":
			c.at = i
		case "Observation":
			if day := e.Resource.Get("effectiveDateTime").Text(); len(day) >= len("2006-01") {
				c.months = append(c.months, day[:len("2006-01")])
			}
		}
	}
	return c, nil
}

// side is one of the two that are asked.
type side struct {
	base, access string
}

func (s *side) do(ctx context.Context, method, path string, body []byte, more http.Header) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, s.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/fhir+json")
	for name, values := range more {
		r.Header[name] = values
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/fhir+json")
		r.Header.Set("Prefer", "return=minimal")
	}
	if s.access != "" {
		r.Header.Set("Authorization", "Bearer "+s.access)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s at %s: status %d", method, s.base, resp.StatusCode)
	}
	return answer, nil
}

// send sends a transaction and gives the id of its Patient.
func (s *side) send(ctx context.Context, c *chart, more http.Header, took *time.Duration) (string, error) {
	start := time.Now()
	answer, err := s.do(ctx, http.MethodPost, "/", c.text, more)
	if err != nil {
		return "", fmt.Errorf("import: %w", err)
	}
	*took += time.Since(start)
	if c.at < 0 {
		return "", nil
	}
	var b struct {
		Entry []struct{ Response struct{ Location string } }
	}
	if err := json.Unmarshal(answer, &b); err != nil || len(b.Entry) <= c.at {
		return "", errors.New("import: the answer is not a Bundle with an entry for each that was sent")
	}
	_, id, ok := strings.Cut(b.Entry[c.at].Response.Location, "Patient/")
	if id, _, _ = strings.Cut(id, "/"); !ok || id == "" {
		return "", errors.New("import: the answer does not say where the Patient is")
	}
	return id, nil
}

// question is a path in which PATIENT and MONTH stand for one of many.
type question struct{ name, path string }

func questions() []question {
	return []question{
		{"read the Patient", "/Patient/PATIENT"},
		{"laboratory results of a patient", "/Observation?patient=PATIENT&category=laboratory&_count=50"},
		{"two codes of a patient", "/Observation?patient=PATIENT&code=http://loinc.org%7C4548-4,http://loinc.org%7C8302-2&_count=50"},
		{"vital signs of a patient since a date", "/Observation?patient=PATIENT&category=vital-signs&date=ge2015-01-01&_count=50"},
		{"laboratory results with their encounters", "/Observation?patient=PATIENT&category=laboratory&_include=Observation:encounter&_count=50"},
		{"a month over all patients", "/Observation?date=MONTH&_count=50"},
	}
}

// asks is what came of one question.
type asks struct {
	ours, theirs      []time.Duration
	alike             int
	matches, theyFind int
}

// askBoth asks everything once, cold, then in a random order.
func askBoth(ctx context.Context, a, p *side, charts []*chart, o *options) ([]compared, error) {
	order := dice.New(o.seed)
	var months []string
	for _, c := range charts {
		months = append(months, c.months...)
	}
	if len(months) == 0 {
		return nil, errors.New("ask: the data has no Observation with a date")
	}
	first, later := &asks{}, make([]asks, len(questions()))
	for i, c := range charts { // laboratory results first: here Abaton opens the chart
		if err := first.ask(ctx, a, p, questions()[1].path, c, "", i%2 == 0); err != nil {
			return nil, err
		}
	}
	for range o.rounds {
		for _, i := range order.Order(len(charts)) {
			for _, q := range order.Order(len(later)) {
				month := dice.Pick(order, months)
				if err := later[q].ask(ctx, a, p, questions()[q].path, charts[i], month, order.Below(2) == 0); err != nil {
					return nil, err
				}
			}
		}
	}
	out := []compared{first.row("laboratory results, first look at a patient")}
	for q := range later {
		out = append(out, later[q].row(questions()[q].name))
	}
	return out, nil
}

// ask asks both the same.
func (d *asks) ask(ctx context.Context, a, p *side, path string, c *chart, month string, oursFirst bool) error {
	var ours, theirs int
	one := func(s *side, id string, took *[]time.Duration, found *int) error {
		start := time.Now()
		answer, err := s.do(ctx, http.MethodGet, strings.NewReplacer("PATIENT", id, "MONTH", month).Replace(path), nil, nil)
		if err != nil {
			return fmt.Errorf("ask: %w", err)
		}
		*took = append(*took, time.Since(start))
		*found, err = matchesIn(answer)
		return err
	}
	both := []func() error{
		func() error { return one(a, c.ours, &d.ours, &ours) },
		func() error { return one(p, c.theirs, &d.theirs, &theirs) },
	}
	if !oursFirst {
		slices.Reverse(both)
	}
	for _, next := range both {
		if err := next(); err != nil {
			return err
		}
	}
	d.matches, d.theyFind = d.matches+ours, d.theyFind+theirs
	if ours == theirs {
		d.alike++
	}
	return nil
}

// matchesIn counts the matches of a searchset; anything else is one.
func matchesIn(answer []byte) (n int, err error) {
	var b struct {
		ResourceType string
		Entry        []struct {
			Search struct{ Mode string }
		}
	}
	if err := json.Unmarshal(answer, &b); err != nil {
		return 0, errors.New("ask: the answer is not JSON")
	}
	if b.ResourceType != "Bundle" {
		return 1, nil
	}
	for _, e := range b.Entry {
		if e.Search.Mode == "match" || e.Search.Mode == "" {
			n++
		}
	}
	return n, nil
}

func (d *asks) row(name string) compared {
	r := compared{Name: name, Asked: len(d.ours), Alike: d.alike, Matches: d.matches, PeerFound: d.theyFind,
		Abaton50: percentile(d.ours, 0.5), Abaton95: percentile(d.ours, 0.95), Peer50: percentile(d.theirs, 0.5), Peer95: percentile(d.theirs, 0.95)}
	r.Ratio = r.Abaton50 / r.Peer50
	return r
}

// percentile is in milliseconds; it sorts what it is given.
func percentile(all []time.Duration, p float64) float64 {
	slices.SortFunc(all, cmp.Compare[time.Duration])
	return float64(all[int(p*float64(len(all)-1))].Microseconds()) / 1000
}

package search

import (
	"runtime"
	"testing"

	"github.com/abaton-health/abaton/internal/fhir"
)

// BenchmarkIndex indexes parsed resources: the index alone.
func BenchmarkIndex(b *testing.B) {
	space, charts := ward(b, 20)
	var versions []fhir.Version
	var parsed []fhir.Resource
	for _, chart := range charts[1:] {
		for _, v := range chart {
			r, err := fhir.ParseResource(v.Body)
			if err != nil {
				b.Fatal(err)
			}
			versions, parsed = append(versions, v), append(parsed, r)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		x := space.NewIndex()
		for i := range versions {
			x.Put(&versions[i], parsed[i])
		}
	}
	b.ReportMetric(float64(len(versions))*float64(b.N)/b.Elapsed().Seconds(), "resources/s")
}

// BenchmarkParseAndIndex is what opening a chart costs once it is decrypted.
func BenchmarkParseAndIndex(b *testing.B) {
	space, charts := ward(b, 20)
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n = 0
		for _, chart := range charts[1:] {
			x := space.NewIndex()
			for i := range chart {
				r, err := fhir.ParseResource(chart[i].Body)
				if err != nil {
					b.Fatal(err)
				}
				x.Put(&chart[i], r)
				n++
			}
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "resources/s")
}

// BenchmarkMemory reports what an opened patient takes: body, versions and
// index, by the heap and by the index's own account.
func BenchmarkMemory(b *testing.B) {
	space, charts := ward(b, 0)
	bodies, resources, own := 0, 0, 0
	var before, after runtime.MemStats
	var shelves []*shelf
	for b.Loop() {
		bodies, resources, own, shelves = 0, 0, 0, nil
		runtime.GC()
		runtime.ReadMemStats(&before)
		for _, chart := range charts[1:] {
			s := newShelf(space)
			if err := s.chart.Add(chart...); err != nil {
				b.Fatal(err)
			}
			for i := range chart {
				bodies += len(chart[i].Body)
			}
			resources += len(chart)
			own += s.index.Bytes()
			shelves = append(shelves, s)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
	}
	people := float64(len(shelves))
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/people, "chart-bytes/patient")
	b.ReportMetric(float64(own)/people, "index-bytes/patient")
	b.ReportMetric(float64(bodies)/people, "body-bytes/patient")
	b.ReportMetric(float64(resources)/people, "resources/patient")
	runtime.KeepAlive(shelves)
}

// BenchmarkSearch answers typical queries over 100 opened patients; where
// fewer are at hand they are indexed several times.
func BenchmarkSearch(b *testing.B) {
	const opened = 100
	space, charts := ward(b, opened)
	var set []*Index
	for i := 0; len(set) <= opened; i++ {
		s := newShelf(space)
		at := i
		if at > 0 {
			at = 1 + (i-1)%(len(charts)-1)
		}
		if err := s.chart.Add(charts[at]...); err != nil {
			b.Fatal(err)
		}
		set = append(set, s.index)
	}
	patient := ""
	for _, v := range charts[1] {
		if v.Type == "Patient" {
			patient = v.ID
		}
	}
	for _, c := range []struct{ name, kind, query string }{
		{"PatientCategory", "Observation", "patient=" + patient + "&category=laboratory"},
		{"PatientCodeDate", "Observation", "patient=" + patient + "&code=http://loinc.org|4548-4&date=ge2015"},
		{"PanelDate", "Observation", "date=ge2019-01-01&date=lt2019-02-01"},
		{"PanelCode", "Observation", "code=http://loinc.org|4548-4"},
		{"Name", "Patient", "name=smi"},
		{"Birthdate", "Patient", "birthdate=lt1960&gender=female"},
		{"Chain", "Observation", "subject:Patient.birthdate=lt1950&code=http://loinc.org|4548-4"},
		{"Has", "Patient", "_has:Condition:patient:code=http://snomed.info/sct|44054006"},
		{"Include", "MedicationRequest", "patient=" + patient + "&_include=MedicationRequest:requester&_revinclude=Provenance:target"},
		{"SortDate", "Observation", "code=http://loinc.org|4548-4&_sort=-date&_count=20"},
		{"Value", "Observation", "code-value-quantity=http://loinc.org|4548-4$gt6"},
		{"AllObservations", "Observation", "_count=100"},
	} {
		b.Run(c.name, func(b *testing.B) {
			q := parsed(b, c.kind, c.query)
			total := 0
			for b.Loop() {
				page, err := q.Run(nil, set...)
				if err != nil {
					b.Fatal(err)
				}
				total = page.Total
			}
			b.ReportMetric(float64(total), "found")
		})
	}
}

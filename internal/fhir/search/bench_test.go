package search

import (
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/abaton-health/abaton/internal/fhir"
)

// BenchmarkIndex is what opening a chart costs once it is decrypted: parsing
// alone, and parsing and indexing, in CPU time of the whole process.
func BenchmarkIndex(b *testing.B) {
	space, charts := ward(b, 20)
	for _, c := range []struct {
		name  string
		index bool
	}{{"parse", false}, {"whole", true}} {
		b.Run(c.name, func(b *testing.B) {
			n, before := 0, cpuTime(b)
			b.ReportAllocs()
			for b.Loop() {
				for _, chart := range charts[1:] {
					x := space.NewIndex()
					for i := range chart {
						r, err := fhir.ParseResource(chart[i].Body)
						if err != nil {
							b.Fatal(err)
						}
						if n++; c.index {
							x.Put(&chart[i], r)
						}
					}
				}
			}
			b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(n)/1000, "cpu-µs/resource")
		})
	}
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
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

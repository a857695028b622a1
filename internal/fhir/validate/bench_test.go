package validate

import (
	"path/filepath"
	"testing"

	"github.com/abaton-health/abaton/internal/fhir"
)

// BenchmarkCheck validates the resources of one Synthea patient.
func BenchmarkCheck(b *testing.B) {
	names, err := filepath.Glob(filepath.Join(dataFolder(b, "synthea"), "057aa36e*.json.gz"))
	if err != nil || len(names) != 1 {
		b.Fatal("the patient is not in the synthea folder")
	}
	bundle, err := fhir.ParseBundle(gunzip(b, names[0]))
	if err != nil {
		b.Fatal(err)
	}
	v, err := New(Config{})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for _, e := range bundle.Entries {
			v.Check(e.Resource.Value)
		}
	}
	b.ReportMetric(float64(len(bundle.Entries)*b.N)/b.Elapsed().Seconds(), "resources/s")
}

package validate

import (
	"compress/gzip"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/abaton-health/abaton/internal/fhir"
)

// census counts what was found, by check and place.
type census struct {
	resources, refused int
	bytes              int
	by                 map[string]int
	unchecked          map[string]int
	sample             map[string]string
}

func (c *census) take(name string, r *Report) {
	c.resources++
	if c.by == nil {
		c.by, c.unchecked, c.sample = map[string]int{}, map[string]int{}, map[string]string{}
	}
	if r.Errors() > 0 {
		c.refused++
	}
	for _, i := range r.Issues {
		if i.Severity <= Fatal {
			key := i.Message + " " + plainPlace(i.Expression) + ": " + i.Text
			c.by[key]++
			c.sample[key] = name
		}
	}
	for _, what := range r.Unchecked {
		c.unchecked[what]++
	}
}

func plainPlace(s string) string {
	var b strings.Builder
	skip := false
	for _, r := range s {
		switch {
		case r == '[':
			skip = true
		case r == ']':
			skip = false
		case !skip:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func (c *census) log(t *testing.T) {
	t.Helper()
	keys := make([]string, 0, len(c.by))
	for k := range c.by {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int { return c.by[b] - c.by[a] })
	for i, k := range keys {
		if i < 60 {
			t.Logf("%6d %s (%s)", c.by[k], k, c.sample[k])
		}
	}
	t.Logf("%d resources, %d with errors", c.resources, c.refused)
}

// cpu is the processor time this process has used.
func cpu(t testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestAllSynthea: no resource of the whole set is refused.
func TestAllSynthea(t *testing.T) {
	if testing.Short() {
		t.Skip("the whole set takes a minute")
	}
	names, err := filepath.Glob(filepath.Join(dataFolder(t, "synthea"), "*.json.gz"))
	if err != nil || len(names) == 0 {
		t.Fatal("no Bundles in the synthea folder")
	}
	v, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	var c census
	var spent time.Duration
	for i, name := range names {
		if raceEnabled && i%16 != 0 {
			continue // the race detector makes the whole set a matter of minutes
		}
		b, err := fhir.ParseBundle(gunzip(t, name))
		if err != nil {
			t.Fatal(err)
		}
		start := cpu(t)
		for _, e := range b.Entries {
			r := v.Check(e.Resource.Value)
			c.bytes += len(e.Resource.Raw())
			c.take(filepath.Base(name), &r)
		}
		spent += cpu(t) - start
	}
	c.log(t)
	t.Logf("%.0f resources and %.1f MB a CPU second, without parsing", float64(c.resources)/spent.Seconds(), float64(c.bytes)/1e6/spent.Seconds())
	if c.refused > 0 {
		t.Errorf("resources refused: got %d, want 0", c.refused)
	}
}

func gunzip(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestSamples: the patients that come with the repository are valid, and so
// are most of HL7's examples beside package fhir.
func TestSamples(t *testing.T) {
	names, err := filepath.Glob(filepath.Join("..", "..", "..", "testdata", "patients", "*.json.gz"))
	if err != nil || len(names) == 0 {
		t.Fatal("no sample patients")
	}
	v, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	var c census
	for i, name := range names {
		if raceEnabled && i > 2 {
			continue
		}
		b, err := fhir.ParseBundle(gunzip(t, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range b.Entries {
			r := v.Check(e.Resource.Value)
			c.take(filepath.Base(name), &r)
		}
	}
	if names, err = filepath.Glob(filepath.Join("..", "testdata", "hl7", "*.json")); err != nil || len(names) == 0 {
		t.Fatal("no examples")
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		r := v.Validate(text)
		c.take(filepath.Base(name), &r)
	}
	c.log(t)
	if c.refused > 0 || c.resources < 500 {
		t.Errorf("resources refused: got %d of %d, want none of at least 500", c.refused, c.resources)
	}
}

// TestAllExamples reports on the examples that HL7 publishes and on those of
// US Core and of genomics reporting. The R4 ones were published with faults;
// what is found in them is listed, and bounded.
func TestAllExamples(t *testing.T) {
	if raceEnabled || testing.Short() {
		t.Skip("ten thousand resources, one reader, nothing to race")
	}
	v, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range []struct {
		folder, file, under string
		most                int
	}{
		{"examples", "hl7.fhir.r4.examples-4.0.1.tar.gz", "", 130},
		{"definitions", "us-core-8.0.0.tgz", "package/example/", 0},
		{"definitions", "us-core-6.1.0.tgz", "package/example/", 2},
		{"genomics", "genomics-reporting-examples.tar.gz", "", 1},
		{"definitions", "hl7.fhir.r4.core-4.0.1.tar.gz", "", 60},
	} {
		t.Run(set.file, func(t *testing.T) {
			var c census
			start := cpu(t)
			eachFile(t, filepath.Join(dataFolder(t, set.folder), set.file), func(name string, text []byte) {
				if path.Ext(name) != ".json" || !strings.HasPrefix(name, set.under) || strings.HasPrefix(path.Base(name), ".") || path.Base(name) == "package.json" || path.Base(name) == "ig-r4.json" {
					return
				}
				r := v.Validate(text)
				c.take(path.Base(name), &r)
			})
			c.log(t)
			t.Logf("%.1f s of CPU", (cpu(t) - start).Seconds())
			if c.refused > set.most {
				t.Errorf("resources refused: got %d, want at most %d", c.refused, set.most)
			}
		})
	}
}

// TestWholeBundle: the budget of one body holds the largest Bundle of the set
// with room.
func TestWholeBundle(t *testing.T) {
	if raceEnabled || testing.Short() {
		t.Skip("takes seconds")
	}
	names, err := filepath.Glob(filepath.Join(dataFolder(t, "synthea"), "*.json.gz"))
	if err != nil || len(names) == 0 {
		t.Fatal("no Bundles in the synthea folder")
	}
	var largest []byte
	for _, name := range names {
		if text := gunzip(t, name); len(text) > len(largest) {
			largest = text
		}
	}
	v, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := fhir.Parse(largest)
	if err != nil {
		t.Fatal(err)
	}
	start := cpu(t)
	w := &walk{v: v, unchecked: map[string]bool{}, steps: stepsMax}
	w.resource(d.Root(), nil)
	t.Logf("%.1f MB: %d of %d steps left, %d issues, %.1f s", float64(len(largest))/1e6, w.steps, stepsMax, len(w.issues), (cpu(t) - start).Seconds())
	if w.steps < stepsMax/2 {
		t.Errorf("steps left: got %d, want more than half of %d", w.steps, stepsMax)
	}
	for _, i := range w.issues {
		if i.Severity <= Fatal {
			t.Errorf("%s at %s", i.Message, i.Expression)
			break
		}
	}
}

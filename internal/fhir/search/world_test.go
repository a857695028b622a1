package search

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton/internal/fhir"
)

// at is a minute of the tests' day.
func at(minute int) time.Time { return time.Date(2026, 11, 21, 10, minute, 0, 0, time.UTC) }

// shelf is a chart and its index.
type shelf struct {
	chart fhir.Chart
	index *Index
}

func newShelf(space *Space) *shelf {
	s := &shelf{index: space.NewIndex()}
	s.chart.Indexer = s.index
	return s
}

// put adds resources Type/id in turn, a minute apart.
func (s *shelf) put(t testing.TB, bodies ...string) *shelf {
	t.Helper()
	for _, body := range bodies {
		r, err := fhir.ParseResource([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		v := fhir.Version{Type: r.Type, ID: r.ID(), VersionID: fmt.Sprint("v", s.chart.Len()), LastUpdated: at(s.chart.Len() + 1), Body: []byte(body)}
		if err := s.chart.Add(v); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// parsed is the query of a URL's query.
func parsed(t testing.TB, kind, query string) *Query {
	t.Helper()
	params, err := fhir.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	q, err := Parse(kind, params, Options{Now: at(59), Base: "https://here/fhir"})
	if err != nil {
		t.Fatalf("%s?%s: %v", kind, query, err)
	}
	return q
}

// ids runs a query over sets and returns the ids that match, then, behind a
// bar, those included.
func idsOf(t testing.TB, kind, query string, set ...*Index) []string {
	t.Helper()
	q := parsed(t, kind, query)
	if len(q.Ignored) > 0 {
		t.Fatalf("%s?%s: ignored %v", kind, query, q.Ignored)
	}
	page, err := q.Run(nil, set...)
	if err != nil {
		t.Fatalf("%s?%s: %v", kind, query, err)
	}
	out := names(page.Versions)
	if len(page.Included) > 0 {
		out = append(append(out, "|"), names(page.Included)...)
	}
	return out
}

func names(versions []*fhir.Version) (out []string) {
	for _, v := range versions {
		out = append(out, v.ID)
	}
	return out
}

// cases runs queries that want ids, in order.
func cases(t *testing.T, kind string, set []*Index, list [][2]string) {
	t.Helper()
	for _, c := range list {
		if got := strings.Join(idsOf(t, kind, c[0], set...), " "); got != c[1] {
			t.Errorf("%s?%s: got [%s], want [%s]", kind, c[0], got, c[1])
		}
	}
}

// syntheaFiles are the whole set, or the committed sample of it.
func syntheaFiles(t testing.TB) []string {
	t.Helper()
	folder := os.Getenv("ABATON_FHIR_DATA")
	names, err := filepath.Glob(filepath.Join(folder, "synthea", "*.json.gz"))
	if folder != "" && err == nil && len(names) > 0 && !testing.Short() && !raceEnabled {
		return names
	}
	names, err = filepath.Glob(filepath.Join("..", "..", "..", "testdata", "patients", "*.json.gz"))
	if err != nil || len(names) == 0 {
		t.Fatal("the sample patients are not there")
	}
	return names
}

// bundleOf reads a Bundle and settles its references, as an import does.
func bundleOf(t testing.TB, file string, known map[string]string) (versions []fhir.Version) {
	t.Helper()
	f, err := os.Open(file)
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
	b, err := fhir.ParseBundle(text)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimSuffix(filepath.Base(file), ".json.gz")[:8]
	ops, err := fhir.Resolve(b, func(e *fhir.Entry) (string, error) {
		id := fmt.Sprintf("%s-%d", name, e.Index)
		for identifier := range e.Resource.Get("identifier").Each() {
			known[e.Resource.Type+"?identifier="+identifier.Get("system").Text()+"|"+identifier.Get("value").Text()] = id
		}
		return id, nil
	}, func(r fhir.Ref) (string, error) { return known[r.String()], nil })
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range ops {
		if o.Bytes != nil {
			versions = append(versions, fhir.Version{Type: o.Type, ID: o.ID, VersionID: "v", Body: o.Bytes,
				LastUpdated: at(0).Add(time.Duration(i) * time.Second)})
		}
	}
	return versions
}

// ward is a set of charts with the directory first.
func ward(t testing.TB, max int) (space *Space, charts [][]fhir.Version) {
	t.Helper()
	files := syntheaFiles(t)
	slices.Sort(files) // the directories' names begin with 0-
	known := make(map[string]string)
	var directory []fhir.Version
	for _, f := range files {
		versions := bundleOf(t, f, known)
		if strings.HasPrefix(filepath.Base(f), "0-") {
			directory = append(directory, versions...)
			continue
		}
		if charts = append(charts, versions); len(charts) == max {
			break
		}
	}
	return NewSpace(), append([][]fhir.Version{directory}, charts...)
}

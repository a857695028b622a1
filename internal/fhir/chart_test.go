package fhir

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func at(minute int) time.Time { return time.Date(2026, 11, 21, 10, minute, 0, 0, time.UTC) }

func version(name, id, versionID string, minute int, body string, parents ...string) Version {
	return Version{Type: name, ID: id, VersionID: versionID, LastUpdated: at(minute), Parents: parents, Rank: versionID, Body: []byte(body)}
}

func mustAdd(t testing.TB, c *Chart, versions ...Version) {
	t.Helper()
	if err := c.Add(versions...); err != nil {
		t.Fatal(err)
	}
}

func versionIDs(versions []Version) (ids []string) {
	for _, v := range versions {
		ids = append(ids, v.VersionID)
	}
	return ids
}

func TestChartVersions(t *testing.T) {
	const body = `{"resourceType":"Basic"}`
	var c Chart
	if _, _, ok := c.Current("Basic", "1"); ok || c.History("Basic", "1") != nil || c.Heads("Basic", "1") != nil {
		t.Error("an empty chart must hold nothing")
	}
	mustAdd(t, &c,
		version("Basic", "1", "v3", 1, body, "v2"), // its clock is behind
		version("Basic", "1", "v1", 2, body),
		version("Basic", "1", "v2", 3, body, "v1"),
		version("Basic", "1", "v2", 9, body, "v1")) // again
	if v, forked, ok := c.Current("Basic", "1"); !ok || forked || v.VersionID != "v3" {
		t.Errorf("current: got %s, forked %v", v.VersionID, forked)
	}
	if got, want := versionIDs(c.History("Basic", "1")), []string{"v3", "v2", "v1"}; !slices.Equal(got, want) {
		t.Errorf("history: got %v, want %v", got, want)
	}
	if v, ok := c.Version("Basic", "1", "v2"); !ok || !v.LastUpdated.Equal(at(3)) {
		t.Errorf("version: got %v %v, want the first of that name", v.LastUpdated, ok)
	}
	if _, ok := c.Version("Basic", "1", "v9"); ok {
		t.Error("an unknown version: got one")
	}
}

func TestChartForkAndDeletion(t *testing.T) {
	const body = `{"resourceType":"Basic"}`
	var c Chart
	mustAdd(t, &c, version("Basic", "1", "a", 1, body), version("Basic", "1", "c", 2, body, "a"), version("Basic", "1", "b", 3, body, "a"))
	if v, forked, _ := c.Current("Basic", "1"); !forked || v.VersionID != "b" {
		t.Errorf("fork: got %s, forked %v, want b, the smallest rank", v.VersionID, forked)
	}
	if got, want := versionIDs(c.Heads("Basic", "1")), []string{"b", "c"}; !slices.Equal(got, want) {
		t.Errorf("heads: got %v, want %v", got, want)
	}
	gone := version("Basic", "1", "d", 4, "", "b", "c")
	gone.Deleted = true
	mustAdd(t, &c, gone)
	if v, forked, ok := c.Current("Basic", "1"); !ok || forked || !v.Deleted || c.Len() != 0 {
		t.Errorf("deleted: got %+v, forked %v, %d in the chart", v, forked, c.Len())
	}
	mustAdd(t, &c, version("Basic", "1", "e", 5, body, "d"))
	if v, _, _ := c.Current("Basic", "1"); v.VersionID != "e" || c.Len() != 1 {
		t.Errorf("brought back: got %s", v.VersionID)
	}
	cycle := Chart{}
	mustAdd(t, &cycle, version("Basic", "1", "x", 1, body, "y"), version("Basic", "1", "y", 1, body, "x"))
	if _, forked, ok := cycle.Current("Basic", "1"); !ok || !forked || len(cycle.History("Basic", "1")) != 2 {
		t.Error("a cycle of parents must answer as a fork")
	}
}

func TestChartRefusesAllOrNothing(t *testing.T) {
	good := version("Basic", "1", "a", 1, `{"resourceType":"Basic"}`)
	for name, bad := range map[string]Version{
		"another type": version("Basic", "2", "a", 1, `{"resourceType":"Group"}`),
		"no json":      version("Basic", "2", "a", 1, `{`),
		"no body":      version("Basic", "2", "a", 1, ``),
		"no type":      version("", "2", "a", 1, `{"resourceType":"Basic"}`),
		"no version":   version("Basic", "2", "", 1, `{"resourceType":"Basic"}`),
		"bad id":       version("Basic", "_", "a", 1, `{"resourceType":"Basic"}`),
	} {
		var c Chart
		if err := c.Add(good, bad); err == nil || c.Len() != 0 {
			t.Errorf("%s: got %v and %d resources, want a refusal and none", name, err, c.Len())
		}
	}
}

func TestParseQuery(t *testing.T) {
	got, err := ParseQuery("a=1&b%3Ac=x%7Cy+z&&d&a=")
	if want := []Param{{"a", "1"}, {"b:c", "x|y z"}, {"d", ""}, {"a", ""}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q %v, want %q", got, err, want)
	}
	for _, q := range []string{"a=%", "a=%1", "a=%zz", "=1", "a=%+1", strings.Repeat("a", QueryBytesMax+1), strings.Repeat("a&", QueryParametersMax+1)} {
		if _, err := ParseQuery(q); err == nil {
			t.Errorf("ParseQuery(%.20q): got no error", q)
		}
	}
}

func TestDateAndCodes(t *testing.T) {
	for src, want := range map[string]string{
		`{"resourceType":"Observation","effectiveDateTime":"2020","issued":"2021"}`:     "2020",
		`{"resourceType":"Observation","effectivePeriod":{"start":"2019-01"}}`:          "2019-01",
		`{"resourceType":"Condition","onsetDateTime":"2018","recordedDate":"2019"}`:     "2018",
		`{"resourceType":"Condition","recordedDate":"2019"}`:                            "2019",
		`{"resourceType":"Encounter","period":{"start":"2017-01-01T00:00:00Z"}}`:        "2017-01-01T00:00:00Z",
		`{"resourceType":"MedicationRequest","authoredOn":"2016"}`:                      "2016",
		`{"resourceType":"Claim","billablePeriod":{"start":"2015"},"created":"2016"}`:   "2015",
		`{"resourceType":"Provenance","recorded":"2014"}`:                               "2014",
		`{"resourceType":"Patient","birthDate":"1970"}`:                                 "",
		`{"resourceType":"Immunization","occurrenceDateTime":"2013","recorded":"2014"}`: "2013",
		`{"resourceType":"ImagingStudy","started":"2012"}`:                              "2012",
		`{"resourceType":"Specimen","collection":{"collectedDateTime":"2011"}}`:         "2011",
		`{"resourceType":"FamilyMemberHistory","date":7}`:                               "",
	} {
		if got := Date(mustResource(t, src)); got != want {
			t.Errorf("Date(%s): got %q, want %q", src, got, want)
		}
	}
	r := mustResource(t, `{"resourceType":"Observation","category":[{"coding":[{"system":"c","code":"lab"}]}],"code":{"coding":[{"system":"a","code":"1"},{"code":"2"},{"system":"x"}]}}`)
	if got, want := Codes(r), []Code{{"a", "1"}, {"", "2"}, {"c", "lab"}}; !slices.Equal(got, want) {
		t.Errorf("Codes: got %v, want %v", got, want)
	}
	enc := mustResource(t, `{"resourceType":"Encounter","class":{"system":"s","code":"AMB"},"type":[{"coding":[{"code":"1"},{"code":"2"},{"code":"3"},{"code":"4"}]}]}`)
	if got := Codes(enc); len(got) != 4 {
		t.Errorf("Codes: got %d, want at most 4", len(got))
	}
}

func BenchmarkChart(b *testing.B) {
	src, err := os.ReadFile("testdata/synthea/patient.json")
	if err != nil {
		b.Fatal(err)
	}
	bundle := mustBundle(b, string(src))
	var versions []Version
	for i, e := range bundle.Entries {
		versions = append(versions, version(e.Resource.Type, fmt.Sprint(i), "v", i, string(e.Resource.Raw())))
	}
	b.ReportAllocs()
	for b.Loop() {
		var c Chart
		if err := c.Add(versions...); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(versions))*float64(b.N)/b.Elapsed().Seconds(), "resources/s")
}

// TestArrangedAsIfAtOnce: versions that come in parts, in any order, updates
// and deletions among them, stand as if all had come at once.
func TestArrangedAsIfAtOnce(t *testing.T) {
	base := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var all []Version
	for n := range 120 {
		id := fmt.Sprint("r", n%40)
		all = append(all, Version{Type: "Basic", ID: id, VersionID: fmt.Sprint("v", n), LastUpdated: base.Add(time.Duration(n*7919%97) * time.Minute),
			Deleted: n%11 == 0, Body: fmt.Appendf(nil, `{"resourceType":"Basic","id":%q,"code":{"text":"x"}}`, id)})
		if n >= 40 {
			all[n].Parents = []string{fmt.Sprint("v", n-40)}
		}
	}
	order := func(c *Chart) (out []string) {
		for _, item := range c.sorted {
			out = append(out, item.version().ID+" "+item.version().VersionID)
		}
		return out
	}
	var once Chart
	if err := once.Add(all...); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{1, 3, 17} {
		var parts Chart
		for part := range slices.Chunk(all, size) {
			if err := parts.Add(part...); err != nil {
				t.Fatal(err)
			}
		}
		if got, want := order(&parts), order(&once); !slices.Equal(got, want) || len(got) == 0 || len(got) == 40 {
			t.Errorf("in parts of %d: got %v, want %v", size, got, want)
		}
	}
	if !slices.IsSortedFunc(once.sorted, inOrder) {
		t.Error("the chart is out of order")
	}
}

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

func ids(versions []Version) (ids []string) {
	for _, v := range versions {
		ids = append(ids, v.Type+"/"+v.ID)
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

// small is a chart of three Observations, a Patient and a deleted one.
func small(t testing.TB) *Chart {
	var c Chart
	obs := func(id string, minute int, patient, identifier string) Version {
		return version("Observation", id, "v", minute, `{"resourceType":"Observation","identifier":[`+identifier+`],"subject":{"reference":"`+patient+`"},"performer":[{"reference":"Patient/9"}]}`)
	}
	gone := version("Observation", "gone", "v", 0, "")
	gone.Deleted = true
	mustAdd(t, &c,
		obs("b", 2, "Patient/1", `{"system":"http://s","value":"x|1"}`),
		obs("a", 2, "Patient/1/_history/3", `{"value":"x,2"}`),
		obs("c", 1, "Patient/2", `{"system":"http://s","value":"3"},{"system":"http://t","value":"4"}`),
		version("Patient", "1", "v", 3, `{"resourceType":"Patient"}`), gone)
	return &c
}

func TestSearch(t *testing.T) {
	c := small(t)
	for _, s := range []struct {
		name, query string
		want        []string
	}{
		{"all", "", []string{"c", "a", "b"}},
		{"id", "_id=a", []string{"a"}},
		{"ids", "_id=a,c,nobody", []string{"c", "a"}},
		{"ids and", "_id=a,c&_id=c", []string{"c"}},
		{"deleted", "_id=gone", nil},
		{"patient", "patient=1", []string{"a", "b"}},
		{"patient by type", "patient=Patient/1,Patient/2", []string{"c", "a", "b"}},
		{"patient with modifier", "patient%3APatient=2", []string{"c"}},
		{"patient elsewhere", "patient=http://h/Patient/1", nil},
		{"patient as performer only", "patient=9", nil},
		{"patient nonsense", "patient=%20", nil},
		{"identifier", "identifier=3", []string{"c"}},
		{"identifier with system", "identifier=http://t|4", []string{"c"}},
		{"identifier of another system", "identifier=http://s|4", nil},
		{"identifier without system", `identifier=|x\,2`, []string{"a"}},
		{"identifier without system that has one", "identifier=|3", nil},
		{"any of a system", "identifier=http://s|", []string{"c", "b"}},
		{"escaped bar", `identifier=http://s|x\|1`, []string{"b"}},
		{"empty identifier", "identifier=", nil},
		{"bar alone", "identifier=|", nil},
		{"or", `identifier=http://t|4,http://s|x\|1`, []string{"c", "b"}},
		{"updated day", "_lastUpdated=2026-11-21", []string{"c", "a", "b"}},
		{"updated minute", "_lastUpdated=2026-11-21T10:02Z", []string{"a", "b"}},
		{"updated with zone", "_lastUpdated=2026-11-21T11:01:00%2B01:00", []string{"c"}},
		{"updated with bare plus", "_lastUpdated=2026-11-21T11:01:00+01:00", []string{"c"}},
		{"gt", "_lastUpdated=gt2026-11-21T10:01:00Z", []string{"a", "b"}},
		{"ge", "_lastUpdated=ge2026-11-21T10:01:00.000Z", []string{"c", "a", "b"}},
		{"lt", "_lastUpdated=lt2026-11-21T10:02:00Z", []string{"c"}},
		{"le", "_lastUpdated=le2026-11-21T10:02Z", []string{"c", "a", "b"}},
		{"le year before", "_lastUpdated=le2025", nil},
		{"ne", "_lastUpdated=ne2026-11-21T10:02Z", []string{"c"}},
		{"sa and eb", "_lastUpdated=sa2025&_lastUpdated=eb2027-01", []string{"c", "a", "b"}},
		{"count", "_count=2", []string{"c", "a"}},
		{"count none", "_count=0", nil},
		{"type", "_type=Patient", nil},
	} {
		params, err := ParseQuery(s.query)
		if err != nil {
			t.Fatal(err)
		}
		found, err := c.Search(Query{Type: "Observation", Params: params})
		var got []string
		for _, v := range found.Versions {
			got = append(got, v.ID)
		}
		if err != nil || !slices.Equal(got, s.want) || len(found.Ignored) > 0 {
			t.Errorf("%s: got %v, ignored %v, %v, want %v", s.name, got, found.Ignored, err, s.want)
		}
	}
}

func TestSearchUnknownAndBad(t *testing.T) {
	c := small(t)
	found, err := c.Search(Query{Type: "Patient", Params: []Param{{"patient", "1"}, {"name", "x"}, {"_id:not", "1"}, {"_sort", "a"}, {"_id", "1"}}})
	if want := []string{"patient", "name", "_id:not", "_sort"}; err != nil || !slices.Equal(found.Ignored, want) || len(found.Used) != 1 || found.Total != 1 {
		t.Errorf("unknown parameters: got ignored %v, used %v, %d, %v", found.Ignored, found.Used, found.Total, err)
	}
	for _, p := range []Param{{"_count", "-1"}, {"_count", "x"}, {"_lastUpdated", "today"}, {"_lastUpdated", ""}, {"_lastUpdated", "ap2026"}, {"_lastUpdated", "2026-13"}, {"_lastUpdated", "gt"}} {
		if _, err := c.Search(Query{Params: []Param{p}}); err == nil || AsOutcome(err).Status != 400 {
			t.Errorf("%v: got %v, want 400", p, err)
		}
	}
	if found, err := c.Search(Query{Params: []Param{{"_count", "99999"}}}); err != nil || found.Count != CountMax {
		t.Errorf("_count above the limit: got %d %v, want %d", found.Count, err, CountMax)
	}
}

func TestSearchPages(t *testing.T) {
	var c Chart
	var versions []Version
	for i := range 25 {
		versions = append(versions, version("Basic", fmt.Sprintf("%02d", i), "v", i/10, `{"resourceType":"Basic"}`))
	}
	slices.Reverse(versions)
	mustAdd(t, &c, versions...)
	var got []string
	q := Query{Params: []Param{{"_count", "10"}}}
	for pages := 1; ; pages++ {
		found, err := c.Search(q)
		if err != nil || found.Total != 25+min(pages-1, 1) {
			t.Fatalf("page %d: got total %d, %v", pages, found.Total, err)
		}
		got = append(got, ids(found.Versions)...)
		if pages == 1 { // one that comes in behind the cursor is not shown, and disturbs nothing
			mustAdd(t, &c, version("Basic", "new", "v", -1, `{"resourceType":"Basic"}`))
		}
		if found.Next == nil {
			break
		}
		q.After = *found.Next
	}
	if len(got) != 25 || !slices.IsSorted(got) {
		t.Errorf("got %d resources, want each of the 25 once: %v", len(got), got)
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

func FuzzSearch(f *testing.F) {
	c := small(f)
	for _, q := range []string{"_id=a,b&_lastUpdated=ge2026", `identifier=a\|b|c\,d`, "patient=Patient/1&_count=1", "_lastUpdated=2026-11-21T10:02:00.1234567890123Z"} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, query string) {
		params, err := ParseQuery(query)
		if err != nil {
			return
		}
		found, err := c.Search(Query{Type: "Observation", Params: params})
		if err != nil {
			return
		}
		if len(found.Used)+len(found.Ignored) != len(params) || len(found.Versions) > found.Total || found.Total > 3 {
			t.Fatalf("got %d used, %d ignored of %d; %d of %d found", len(found.Used), len(found.Ignored), len(params), len(found.Versions), found.Total)
		}
	})
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

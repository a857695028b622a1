package search

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/abaton-health/abaton/internal/fhir"
)

// observations are six of two patients.
func observations(t testing.TB, space *Space) *Index {
	return newShelf(space).put(t,
		`{"resourceType":"Patient","id":"p1","name":[{"family":"Müller-Łuczak","given":["José","Anna Maria"]}],"gender":"female","birthDate":"1950-03-02","active":true,"managingOrganization":{"reference":"Organization/o1"},"address":[{"city":"Zürich","line":["Straße 1"]}],"telecom":[{"system":"email","value":"A@x"},{"system":"phone","value":"5"}],"deceasedDateTime":"2020-01-02"}`,
		`{"resourceType":"Patient","id":"p2","name":[{"family":"Smith","given":["Al"]}],"gender":"male","birthDate":"1980-07","identifier":[{"system":"urn:m","value":"Ab","type":{"coding":[{"system":"urn:t","code":"MR"}],"text":"Medical record"}}]}`,
		`{"resourceType":"Observation","id":"a","status":"final","subject":{"reference":"Patient/p1"},"code":{"coding":[{"system":"http://loinc.org","code":"A1","display":"Glucose in blood"}]},"effectiveDateTime":"2020-05-01","valueQuantity":{"value":5.40,"unit":"mmol per l","system":"http://unitsofmeasure.org","code":"mmol/L"},"performer":[{"reference":"Practitioner/d1"}]}`,
		`{"resourceType":"Observation","id":"b","status":"amended","subject":{"reference":"Patient/p2"},"code":{"coding":[{"code":"a1"},{"system":"http://x","code":"B"}],"text":"Sugar"},"effectiveDateTime":"2020-05-02T10:00:00+02:00","valueQuantity":{"value":5.45,"system":"http://unitsofmeasure.org","code":"mmol/L"},"meta":{"tag":[{"system":"urn:tag","code":"x"}],"profile":["http://h/StructureDefinition/p|1"],"source":"urn:s"}}`,
		`{"resourceType":"Observation","id":"c","status":"final","subject":{"reference":"Patient/p2/_history/4"},"code":{"text":"nothing coded"},"effectivePeriod":{"start":"2020-04","end":"2020-06"},"component":[{"code":{"coding":[{"system":"s","code":"sys"}]},"valueQuantity":{"value":120}},{"code":{"coding":[{"system":"s","code":"dia"}]},"valueQuantity":{"value":80}}]}`,
		`{"resourceType":"Observation","id":"d","status":"final","subject":{"reference":"http://other/fhir/Patient/p1"},"code":{"coding":[{"system":"s","code":"sys"}]},"effectivePeriod":{"start":"2021"},"valueString":"Left  ARM","focus":[{"identifier":{"system":"urn:f","value":"9"}}],"hasMember":[{"reference":"Observation/a"}]}`,
		`{"resourceType":"Observation","id":"e","status":"final","code":{"coding":[{"system":"http://loinc.org"}]},"subject":{"reference":"Group/p1"},"valueQuantity":{"value":100,"unit":"cm"}}`,
	).index
}

func TestCodes(t *testing.T) {
	x := observations(t, NewSpace())
	cases(t, "Observation", []*Index{x}, [][2]string{
		{"", "a b c d e"},
		{"code=A1", "a b"},
		{"code=a1", "a b"}, // when in doubt, upper and lower case are one
		{"code=http://loinc.org|a1", "a"},
		{"code=HTTP://loinc.org|a1", ""},
		{"code=|A1", "b"},
		{"code=http://loinc.org|", "a e"},
		{"code=|", ""},
		{"code=A1,B", "a b"},
		{"code=A1&code=B", "b"},
		{"code:not=A1", "c d e"},
		{"code:not=A1,sys", "c e"},
		{"code:missing=true", ""},
		{"value-quantity:missing=true", "c d"},
		{"value-quantity:missing=false", "a b e"},
		{"code:text=glu", "a"},
		{"code:text=sugar", "b"},
		{"code:text=blood", ""},
		{"combo-code=dia", "c"},
		{"status=http://hl7.org/fhir/observation-status|final", "a c d e"},
		{"_tag=urn:tag|x", "b"},
		{"_tag=urn:other|x", ""},
		{"_id=a,c,nobody", "a c"},
		{"_id=a&_id=b", ""},
		{"_id:not=a", "b c d e"},
		{"_lastUpdated=gt2026-11-21T10:05", "d e"},
		{"_lastUpdated:missing=false&_id=a", "a"},
	})
	cases(t, "Patient", []*Index{x}, [][2]string{
		{"identifier=urn:m|Ab", "p2"},
		{"identifier=urn:m|ab", ""}, // an identifier is told by its exact text
		{"identifier=Ab", "p2"},
		{"identifier:of-type=urn:t|MR|Ab", "p2"},
		{"identifier:of-type=urn:t|SS|Ab", ""},
		{"identifier:text=medical", "p2"},
		{"gender=female", "p1"},
		{"active=true", "p1"},
		{"active:missing=true", "p2"},
		{"deceased=true", "p1"},
		{"deceased=false", "p2"},
		{"email=a@x", "p1"},
		{"email=5", ""},
		{"telecom=5", "p1"},
	})
}

func TestTexts(t *testing.T) {
	x := observations(t, NewSpace())
	cases(t, "Patient", []*Index{x}, [][2]string{
		{"name=mull", "p1"},
		{"name=MÜLLER", "p1"},
		{"family=muller-luczak", "p1"},
		{"name:exact=Müller-Łuczak", "p1"},
		{"name:exact=Muller-Luczak", ""},
		{"name=luczak", ""},
		{"name:contains=luczak", "p1"},
		{"given=anna%20%20maria", "p1"},
		{"given=maria", ""},
		{"address-city=zur", "p1"},
		{"address=strasse", "p1"},
		{"name=jose,smith", "p1 p2"},
		{"phonetic=smi", "p2"},
	})
	cases(t, "Observation", []*Index{x}, [][2]string{
		{"value-string=left%20arm", "d"},
		{"_profile=http://h/StructureDefinition/p", "b"},
		{"_profile=http://h/StructureDefinition/p|1", "b"},
		{"_profile=http://h/StructureDefinition/p|2", ""},
		{"_profile:below=http://h/StructureDefinition", "b"},
		{"_profile:below=http://h/Struct", ""},
		{"_source=urn:s", "b"},
		{"_source=URN:s", ""},
	})
}

func TestDates(t *testing.T) {
	x := observations(t, NewSpace())
	cases(t, "Observation", []*Index{x}, [][2]string{
		{"date=2020-05", "a b"},
		{"date=2020-05-02", "b"},
		{"date=2020-05-02T08:00:00Z", "b"},
		{"date=2020-05-02T08:00:01Z", ""},
		{"date=2020", "a b c"},
		{"date=ne2020-05", "c d"},
		{"date=gt2020-05-01", "b c d"},
		{"date=ge2020-05-01", "a b c d"},
		{"date=lt2020-05-01", "c"},
		{"date=le2020-05-01", "a c"},
		{"date=sa2020-05-01", "b d"},
		{"date=eb2020-05-02", "a"},
		{"date=ap2020-05-01", "a b c"}, // a tenth of six and a half years
		{"date=ap2020-06-01", "a b c d"},
		{"date=ge2020-05-01&date=lt2020-05-02", "a c"},
		{"date=gt2100", "d"},
		{"date:missing=true", "e"},
		{"value-date:missing=true", "a b c d e"},
	})
	cases(t, "Patient", []*Index{x}, [][2]string{
		{"birthdate=1980", "p2"},
		{"birthdate=1980-07-01", ""},
		{"birthdate=ge1980-07-01", "p2"},
		{"death-date=2020-01-02", "p1"},
	})
}

func TestNumbers(t *testing.T) {
	x := observations(t, NewSpace())
	cases(t, "Observation", []*Index{x}, [][2]string{
		{"value-quantity=5.4", "a"},
		{"value-quantity=5.40", "a"},
		{"value-quantity=5.5", "b"},
		{"value-quantity=5", "a b"},
		{"value-quantity=5.45", "b"},
		{"value-quantity=1e2", "e"},
		{"value-quantity=1.00e2", "e"},
		{"value-quantity=ne5.4", "b e"},
		{"value-quantity=gt5.4", "b e"},
		{"value-quantity=ge5.4", "a b e"},
		{"value-quantity=lt5.45", "a"},
		{"value-quantity=le5.45", "a b"},
		{"value-quantity=ap95", "e"},
		{"value-quantity=5.4|http://unitsofmeasure.org|mmol/L", "a"},
		{"value-quantity=5.4|http://unitsofmeasure.org|mmol/l", ""},
		{"value-quantity=5.4||mmol per l", "a"},
		{"value-quantity=5.4||mmol/L", "a"},
		{"value-quantity=100||cm", "e"},
		{"value-quantity=5.4|urn:none|mmol/L", ""},
		{"component-value-quantity=gt100", "c"},
	})
	places := newShelf(NewSpace()).put(t,
		`{"resourceType":"Location","id":"l1","position":{"latitude":47.37,"longitude":8.54}}`,
		`{"resourceType":"Location","id":"l2","position":{"latitude":46.95,"longitude":7.44}}`,
		`{"resourceType":"Location","id":"l3"}`).index
	cases(t, "Location", []*Index{places}, [][2]string{
		{"near=47.38|8.53", "l1"}, {"near=47.38|8.53|100|km", "l1 l2"}, {"near=47.38|8.53|100|m", ""}, {"near=47.38|8.53|70|[mi_us]", "l1 l2"},
	})
}

func TestReferences(t *testing.T) {
	space := NewSpace()
	x := observations(t, space)
	directory := newShelf(space).put(t,
		`{"resourceType":"Organization","id":"o1","name":"North Clinic"}`,
		`{"resourceType":"Practitioner","id":"d1","name":[{"family":"Who"}]}`).index
	both := []*Index{x, directory}
	cases(t, "Observation", both, [][2]string{
		{"patient=p1", "a"},
		{"patient=Patient/p1", "a"},
		{"patient=p2", "b c"},
		{"patient=https://here/fhir/Patient/p2", "b c"},
		{"patient=http://other/fhir/Patient/p1", "d"},
		{"patient=https://elsewhere/fhir/Patient/p2", ""},
		{"subject=p1", "a e"},
		{"subject:Patient=p1", "a"},
		{"subject:Group=p1", "e"},
		{"patient:missing=true", "e"},
		{"subject=Patient/p1,Patient/p2", "a b c"},
		{"focus:identifier=urn:f|9", "d"},
		{"focus:identifier=urn:g|9", ""},
		{"patient.gender=male", "b c"},
		{"subject:Patient.birthdate=lt1960", "a"},
		{"patient.organization.name=north", "a"},
		{"subject.gender=female", "a"},
		{"performer:Practitioner.name=who", "a"},
		{"has-member.code=A1", "d"},
		{"_has:Observation:has-member:code=sys", "a"},
		{"_has:Observation:has-member:_id=d&patient=p1", "a"},
	})
	cases(t, "Patient", both, [][2]string{
		{"_has:Observation:patient:code=A1", "p1 p2"},
		{"_has:Observation:patient:date=2020-05-01", "p1"},
		{"_has:Observation:patient:performer.name=who", "p1"},
		{"_has:Observation:patient:_has:Observation:has-member:code=sys", "p1"},
		{"organization=o1&_include=Patient:organization", "p1 | o1"},
		{"_id=p1&_revinclude=Observation:patient", "p1 | a"},
		{"_id=p1&_revinclude=Observation:subject&_include:iterate=Observation:performer", "p1 | a d1"},
		{"_id=p1&_revinclude=Observation:patient&_revinclude:iterate=Observation:has-member", "p1 | a d"},
		{"_id=p1&_revinclude=Observation:has-member", "p1"},
		{"_id=p1&_include=*", "p1 | o1"},
		{"_id=p1&_include=Patient:organization:Organization", "p1 | o1"},
		{"_id=p1&_include=Patient:organization:Practitioner", "p1"},
	})
	// Without the directory in the set nothing leads there.
	cases(t, "Patient", []*Index{x}, [][2]string{
		{"_id=p1&_include=*", "p1"}, {"organization.name=north", ""}, {"organization=o1", "p1"},
	})
}

func TestComposites(t *testing.T) {
	x := observations(t, NewSpace())
	cases(t, "Observation", []*Index{x}, [][2]string{
		{"component-code-value-quantity=s|sys$gt100", "c"},
		{"component-code-value-quantity=s|dia$gt100", ""}, // in one and the same component
		{"component-code-value-quantity=s|dia$gt100,s|dia$80", "c"},
		{"code-value-quantity=http://loinc.org|A1$5.4", "a"},
		{"combo-code-value-quantity=A1$gt5.41,sys$120", "b c"},
		{"code-value-string=s|sys$left", "d"},
	})
	sequences := newShelf(NewSpace()).put(t,
		`{"resourceType":"MolecularSequence","id":"m","referenceSeq":{"chromosome":{"coding":[{"code":"1"}]}},"variant":[{"start":5,"end":9},{"start":20,"end":30}]}`).index
	cases(t, "MolecularSequence", []*Index{sequences}, [][2]string{
		{"chromosome-variant-coordinate=1$lt6$gt8", "m"}, {"chromosome-variant-coordinate=1$lt6$gt10", ""}, {"chromosome-variant-coordinate=2$lt6$gt8", ""},
	})
}

func TestSort(t *testing.T) {
	x := observations(t, NewSpace())
	cases(t, "Observation", []*Index{x}, [][2]string{
		{"_sort=date", "c a b d e"},
		{"_sort=-date", "d c b a e"},
		{"_sort=status,-_lastUpdated", "b e d c a"},
		{"_sort=value-quantity", "a b e c d"},
		{"_sort=-value-quantity,_id", "e b a c d"},
		{"_sort=-_id", "e d c b a"},
		{"_sort=patient", "a b c d e"},
		{"_sort=code,date", "a b d c e"},
	})
	cases(t, "Patient", []*Index{x}, [][2]string{{"_sort=family", "p1 p2"}, {"_sort=-given", "p1 p2"}, {"_sort=-birthdate", "p2 p1"}})
}

// TestPages walks through answers page by page, in every order, over two
// indexes: each resource once, in the order of the whole.
func TestPages(t *testing.T) {
	space := NewSpace()
	one, two := newShelf(space), newShelf(space)
	for i := range 60 {
		s := one
		if i%3 == 0 {
			s = two
		}
		date := ""
		if i%5 != 0 {
			date = fmt.Sprintf(`,"effectiveDateTime":"20%02d"`, i%7+10)
		}
		s.put(t, fmt.Sprintf(`{"resourceType":"Observation","id":"o%02d"%s,"status":"s%d"}`, i, date, i%4))
	}
	for _, order := range []string{"", "&_sort=date", "&_sort=-date", "&_sort=status,-date", "&_sort=-_id", "&_sort=_lastUpdated"} {
		whole := idsOf(t, "Observation", "_count=1000"+order, one.index, two.index)
		q := parsed(t, "Observation", "_count=7"+order)
		var got []string
		var after *Cursor
		for range 100 {
			page, err := q.Run(after, one.index, two.index)
			if err != nil || page.Total != 60 {
				t.Fatalf("%s: got total %d, %v, want 60", order, page.Total, err)
			}
			got = append(got, names(page.Versions)...)
			if after = page.Next; after == nil {
				break
			}
		}
		if !slices.Equal(got, whole) || len(whole) != 60 {
			t.Errorf("%s: got %v, want %v", order, got, whole)
		}
	}
}

// TestChangesOfAChart: what was updated or deleted is found as it is now.
func TestChangesOfAChart(t *testing.T) {
	s := newShelf(NewSpace())
	s.put(t, `{"resourceType":"Basic","id":"1","code":{"coding":[{"code":"x"}]}}`)
	change := func(version string, deleted bool, body string, parents ...string) {
		t.Helper()
		if err := s.chart.Add(fhir.Version{Type: "Basic", ID: "1", VersionID: version, Parents: parents, Deleted: deleted, LastUpdated: at(9), Body: []byte(body)}); err != nil {
			t.Fatal(err)
		}
	}
	change("v9", false, `{"resourceType":"Basic","id":"1","code":{"coding":[{"code":"y"}]}}`, "v0")
	cases(t, "Basic", []*Index{s.index}, [][2]string{{"code=x", ""}, {"code=y", "1"}, {"code:not=y", ""}})
	change("va", true, "", "v9")
	cases(t, "Basic", []*Index{s.index}, [][2]string{{"code=y", ""}, {"", ""}, {"_id=1", ""}, {"code:missing=true", ""}})
	change("vb", false, `{"resourceType":"Basic","id":"1"}`, "va")
	cases(t, "Basic", []*Index{s.index}, [][2]string{{"code:missing=true", "1"}, {"_id=1", "1"}})
	if s.index.Len() != 1 || s.index.Bytes() == 0 {
		t.Errorf("index: got %d resources in %d bytes, want one", s.index.Len(), s.index.Bytes())
	}
}

func TestIgnoredAndRefused(t *testing.T) {
	for _, query := range []string{"colour=red", "code=", "_text=x", "patient.colour=x", "code.x=1", "_sort=colour", "_include=Observation:colour",
		"_has:Observation:code:status=x", "_list=1"} {
		q := parsed(t, "Observation", query+"&status=final&_format=json")
		if len(q.Ignored) != 1 || q.Ignored[0].Reason == "" || strings.Contains(q.Ignored[0].Reason, "red") || len(q.Used) != 1 {
			t.Errorf("%s: got ignored %v, used %v, want it named with a reason", query, q.Ignored, q.Used)
		}
	}
	for _, query := range []string{"date=today", "date=gt", "date=2020-13", "date=2020-02-30", "date=2020-01-01T25:00", "date=xx2020", "value-quantity=ten", "value-quantity=1|2",
		"value-quantity=1e999", "code:below=x", "code:colour=x", "status:exact=x", "date:exact=2020", "patient:Organization=1", "patient:nobody=1",
		"code:missing=perhaps", "_count=-1", "_count=x", "_summary=all", "_total=some", "_elements=", "_include=Observation", "_include:far=Observation:subject",
		"_include=Nothing:x", "_has:Nothing:x:y=1", "_has:Observation:x=1", "code-value-quantity=1", "identifier:of-type=a|b", "focus.name=x",
		"_summary=true&_elements=id", "component-code-value-quantity:missing=true", "_sort=date,status,code,patient,category",
		"part-of.part-of.part-of.part-of.part-of.status=x", "subject.subject.x"} {
		params, err := fhir.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		q, err := Parse("Observation", params, Options{Now: at(0)})
		if err == nil && len(q.Ignored) == 0 {
			t.Errorf("%s: got no error, want it refused", query)
		}
		if err != nil && fhir.AsOutcome(err).Status != 400 {
			t.Errorf("%s: got %v, want 400", query, err)
		}
	}
	if _, err := Parse("Nothing", nil, Options{}); err == nil {
		t.Error("no type: got no error")
	}
}

// TestAllows: what is not allowed is not there for conditions, chains,
// inclusions, counts and order.
func TestAllows(t *testing.T) {
	x := observations(t, NewSpace())
	params, err := fhir.ParseQuery("_has:Observation:patient:status=final&_revinclude=Observation:patient")
	if err != nil {
		t.Fatal(err)
	}
	q, err := Parse("Patient", params, Options{Allows: func(v *fhir.Version) bool { return v.ID != "a" && v.ID != "b" }})
	if err != nil {
		t.Fatal(err)
	}
	page, err := q.Run(nil, x)
	if err != nil || page.Total != 1 || !slices.Equal(names(page.Versions), []string{"p2"}) || !slices.Equal(names(page.Included), []string{"c"}) {
		t.Errorf("got %v with %v of %d, %v, want p2 with c", names(page.Versions), names(page.Included), page.Total, err)
	}
}

// TestEveryProgramIsReached compares the walk that fills columns with the slow
// way that reads one path: over every resource of the set, each column has an
// entry for a row just where the path finds an element.
func TestEveryProgramIsReached(t *testing.T) {
	space, charts := ward(t, 6)
	for _, versions := range charts {
		x := space.NewIndex()
		for i := range versions {
			r, err := fhir.ParseResource(versions[i].Body)
			if err != nil {
				t.Fatal(err)
			}
			x.Put(&versions[i], r)
			table := x.tables[r.Type]
			row := uint32(len(table.rows) - 1)
			for n, b := range table.program.columns {
				there := false
				for v := range b.values(r.Value) {
					there = there || v.Kind() != fhir.Null
				}
				marked := newBits(len(table.rows))
				if c := table.columns[n]; c != nil {
					presentTest{}.mark(x, c, &branch{kind: b.kind}, marked)
				}
				if there != marked.has(row) {
					t.Fatalf("%s column %d (%s): got an entry %v, want %v", r.Type, n, b.element, marked.has(row), there)
				}
			}
		}
	}
}

func FuzzQuery(f *testing.F) {
	space := NewSpace()
	x := observations(f, space)
	for _, q := range []string{"code=a|b\\,c&_sort=-date", "_has:Observation:patient:code=x", "subject:Patient.name=x&_include=*", "date=ap2020-05-01T10:00:00.123456789+01:00",
		"value-quantity=le1.5e-3|s|c", "code-value-quantity=a$1", "_elements=id&_count=1", "near=1|2|3|km", "name:contains=ß"} {
		f.Add("Observation", q)
		f.Add("Patient", q)
	}
	f.Fuzz(func(t *testing.T, kind, query string) {
		params, err := fhir.ParseQuery(query)
		if err != nil {
			return
		}
		q, err := Parse(kind, params, Options{Now: at(0)})
		if err != nil {
			if fhir.AsOutcome(err).Status != 400 {
				t.Fatalf("got %v, want 400", err)
			}
			return
		}
		page, err := q.Run(nil, x)
		if err != nil {
			if fhir.AsOutcome(err).Status != 400 {
				t.Fatalf("got %v, want 400", err)
			}
			return
		}
		if page.Total > 7 || len(page.Versions) > page.Total {
			t.Fatalf("got %d of %d, want at most what is there", len(page.Versions), page.Total)
		}
		if page.Next != nil {
			if _, err := q.Run(page.Next, x); err != nil {
				t.Fatalf("next page: %v", err)
			}
		}
	})
}

// FuzzResource: whatever a resource holds, indexing it and searching it by
// every parameter is safe.
func FuzzResource(f *testing.F) {
	for _, body := range []string{
		`{"resourceType":"Observation","id":"a","subject":{"reference":"#x"},"contained":[{"resourceType":"Patient","id":"x"}],"valueQuantity":{"value":1e400},"effectiveTiming":{"event":["2020",null]}}`,
		`{"resourceType":"Patient","name":[null,{"given":[null,"x"]}],"birthDate":3,"telecom":{"system":"email"}}`,
		`{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Composition","id":"c"}}]}`,
	} {
		f.Add([]byte(body))
	}
	space := NewSpace()
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := fhir.ParseResource(body)
		if err != nil {
			return
		}
		x := space.NewIndex()
		x.Put(&fhir.Version{Type: r.Type, ID: "1", Body: body}, r)
		if page, err := parsed(t, r.Type, "_id=1").Run(nil, x); err != nil || page.Total != 1 {
			t.Fatalf("by id: got %v, want it found", err)
		}
		for name, p := range programs()[r.Type].parameters {
			if p.kind == kindComposite {
				continue
			}
			there, err1 := parsed(t, r.Type, name+":missing=false").Run(nil, x)
			missing, err2 := parsed(t, r.Type, name+":missing=true").Run(nil, x)
			if err1 != nil || err2 != nil || there.Total+missing.Total != 1 {
				t.Fatalf("%s: got there %v and missing %v, want one of them", name, err1, err2)
			}
			if p.kind != kindPosition {
				if _, err := parsed(t, r.Type, "_sort="+name).Run(nil, x); err != nil {
					t.Fatalf("sort by %s: %v", name, err)
				}
			}
		}
	})
}

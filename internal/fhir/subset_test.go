package fhir

import (
	"strings"
	"testing"
)

func TestSubset(t *testing.T) {
	const src = `{ "resourceType":"Patient", "id":"1","meta":{"versionId":"v"},"text":{"status":"generated"},"contained":[{"resourceType":"Basic"}],
 "active":true,"_active":{"id":"a"},"deceasedDateTime":"2020","contact":[{"gender":"male"}],"maritalStatus":{"text":"m"},"link":[{"other":{"reference":"Patient/2"},"type":"seealso","x":1.0}],"x-own":1.50}`
	for _, c := range []struct {
		name       string
		subset     Subset
		want, lack string // members, apart by blanks
	}{
		{"all", Subset{}, "contained contact x-own", "SUBSETTED"},
		{"summary", Subset{Summary: "true"}, `"active":true "deceasedDateTime" "seealso" "versionId":"v" SUBSETTED`, "contained contact x-own maritalStatus x\":1 generated"},
		{"text", Subset{Summary: "text"}, `generated "id":"1" "versionId":"v" SUBSETTED "active"`, "contact maritalStatus"},
		{"data", Subset{Summary: "data"}, `contained contact maritalStatus "x-own":1.50 SUBSETTED`, "generated"},
		{"elements", Subset{Elements: []string{"deceased", "maritalStatus"}}, `deceasedDateTime maritalStatus SUBSETTED resourceType "id":"1" "active":true`, "contact generated contained"},
		{"element with its extension", Subset{Elements: []string{"active"}}, `"active":true "_active":{"id":"a"}`, "maritalStatus"},
	} {
		got, err := c.subset.Cut([]byte(src))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if _, err := ParseResource(got); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		for _, w := range strings.Fields(c.want) {
			if !strings.Contains(string(got), w) {
				t.Errorf("%s: got %s, want %s in it", c.name, got, w)
			}
		}
		for _, w := range strings.Fields(c.lack) {
			if strings.Contains(string(got), w) {
				t.Errorf("%s: got %s, want no %s in it", c.name, got, w)
			}
		}
	}
	for src, want := range map[string]string{
		`{"resourceType":"Basic"}`: `{"resourceType":"Basic","meta":{"tag":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}]}}`,
		`{"resourceType":"Basic","meta":{"tag":[{"code":"x"}],"source":"s"},"code":1}`: `{"resourceType":"Basic","meta":{"tag":[{"code":"x"},{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}],"source":"s"},"code":1}`,
		`{"resourceType":"Basic","meta":{"tag":[]}}`:                                   `{"resourceType":"Basic","meta":{"tag":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}]}}`,
	} {
		if got, err := (Subset{Elements: []string{"id"}}).Cut([]byte(src)); err != nil || string(got) != want {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
}

// FuzzSubset: what is cut is a resource of the same type and id, no longer
// than the source and the tag, and can be cut again.
func FuzzSubset(f *testing.F) {
	f.Add([]byte(`{"resourceType":"Observation","id":"1","meta":{},"component":[{"code":{},"x":[]}],"status":"final"}`), "true", "value")
	f.Add([]byte(`{"resourceType":"Patient","\u006deta":{"tag":null},"link":[[{}]]}`), "data", "")
	f.Fuzz(func(t *testing.T, src []byte, summary, element string) {
		s := Subset{Summary: summary}
		if summary != "true" && summary != "text" && summary != "data" {
			s = Subset{Elements: []string{element}}
		}
		before, err := ParseResource(src)
		if err != nil {
			return
		}
		got, err := s.Cut(src)
		if err != nil {
			t.Fatal(err)
		}
		after, err := ParseResource(got)
		if err != nil || after.Type != before.Type || after.ID() != before.ID() {
			t.Fatalf("cut: %v, want the same type and id", err)
		}
		if _, err := s.Cut(got); err != nil {
			t.Fatalf("cut again: %v", err)
		}
	})
}

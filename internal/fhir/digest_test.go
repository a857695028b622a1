package fhir

import (
	"slices"
	"testing"
)

func TestPrint(t *testing.T) {
	print := func(text string) Print {
		t.Helper()
		r, err := ParseResource([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		p, err := PrintOf(r)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	const base = `{"resourceType":"Observation","id":"a","status":"final","valueQuantity":{"value":1.50},"subject":{"reference":"urn:uuid:1"}}`
	first := print(base)
	if !slices.Equal(first.Refs, []string{"urn:uuid:1"}) || first.Type != "Observation" || first.ID != "a" {
		t.Errorf("print: got %+v", first)
	}
	for name, same := range map[string]string{
		"members in another order": `{"status":"final","subject":{"reference":"Patient/x"},"resourceType":"Observation","valueQuantity":{"value":1.50}}`,
		"meta of a gateway":        `{"resourceType":"Observation","meta":{"versionId":"1","lastUpdated":"2020-01-01T00:00:00Z"},"status":"final","valueQuantity":{"value":1.50},"subject":{"reference":"Patient/x"}}`,
		"escapes":                  `{"resourceType":"Observation","st\u0061tus":"fin\u0061l","valueQuantity":{"value":1.50},"subject":{"reference":"x"}}`,
	} {
		if got := print(same); got.Hash != first.Hash {
			t.Errorf("%s: got another hash", name)
		}
	}
	for name, other := range map[string]string{
		"another literal":  `{"resourceType":"Observation","status":"final","valueQuantity":{"value":1.5},"subject":{"reference":"x"}}`,
		"another value":    `{"resourceType":"Observation","status":"finul","valueQuantity":{"value":1.50},"subject":{"reference":"x"}}`,
		"one member more":  `{"resourceType":"Observation","status":"final","x":1,"valueQuantity":{"value":1.50},"subject":{"reference":"x"}}`,
		"meta of a client": `{"resourceType":"Observation","meta":{"tag":[{"code":"a"}]},"status":"final","valueQuantity":{"value":1.50},"subject":{"reference":"x"}}`,
		"no reference":     `{"resourceType":"Observation","status":"final","valueQuantity":{"value":1.50},"subject":{"display":"x"}}`,
		"text for number":  `{"resourceType":"Observation","status":"final","valueQuantity":{"value":"1.50"},"subject":{"reference":"x"}}`,
	} {
		if got := print(other); got.Hash == first.Hash {
			t.Errorf("%s: got the same hash", name)
		}
	}
}

// FuzzPrint: what Equal takes for alike has one print, and what has one print
// is alike where neither refers to anything.
func FuzzPrint(f *testing.F) {
	f.Add([]byte(`{"resourceType":"Basic","a":[1,{"b":"c"}]}`), []byte(`{"a":[1,{"b":"c"}],"id":"x","resourceType":"Basic"}`))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		x, err1 := ParseResource(a)
		y, err2 := ParseResource(b)
		if err1 != nil || err2 != nil {
			return
		}
		p, err1 := PrintOf(x)
		q, err2 := PrintOf(y)
		alike, err := Equal(a, b, nil)
		if err != nil || err1 != nil || err2 != nil {
			return
		}
		if alike && p.Hash != q.Hash {
			t.Errorf("alike, and of two prints")
		}
		if !alike && p.Hash == q.Hash && slices.Equal(p.Refs, q.Refs) {
			t.Errorf("of one print, and not alike")
		}
	})
}

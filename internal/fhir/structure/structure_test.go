package structure

import (
	"bytes"
	"testing"
)

func TestTypes(t *testing.T) {
	s := R4()
	p := s.Type("Patient")
	if p == nil || p.Kind != Resource || !p.Is("DomainResource") || p.Is("Observation") {
		t.Fatal("Patient: got no resource type derived from DomainResource")
	}
	m, ok := p.Member("deceasedBoolean")
	if !ok || m.Element.Name != "deceased" || !m.Element.Choice || m.Type.Name != "boolean" {
		t.Errorf("deceasedBoolean: got %v, want the choice deceased as boolean", ok)
	}
	for _, name := range []string{"deceased", "deceasedString", "Name", "nothing"} {
		if _, ok := p.Member(name); ok {
			t.Errorf("member %q: got one, want none", name)
		}
	}
	if contact := s.Type("Patient.contact"); contact == nil || !contact.Is("BackboneElement") || contact.Element("gender").Binding.Strength != "required" {
		t.Error("Patient.contact: got no type with a required binding of gender")
	}
	if item := s.Type("Questionnaire.item"); item.Element("item").Types[0] != item {
		t.Error("Questionnaire.item.item: the content reference does not lead to Questionnaire.item")
	}
	if e := s.Type("Bundle.entry").Element("resource"); !e.IsResource() {
		t.Error("Bundle.entry.resource: got no resource")
	}
	if e := p.Element("identifier"); e.Max != Unbounded || e.Min != 0 {
		t.Errorf("Patient.identifier: got %d..%d, want 0..*", e.Min, e.Max)
	}
	if !s.Type("code").Is("string") || !s.Type("Age").Is("Quantity") {
		t.Error("code is no string, or Age no Quantity")
	}
}

func TestCodes(t *testing.T) {
	s := R4()
	const gender = "http://hl7.org/fhir/ValueSet/administrative-gender"
	for _, c := range []struct {
		set, system, code string
		want              Known
	}{
		{gender, "", "female", Valid},
		{gender, "http://hl7.org/fhir/administrative-gender", "female", Valid},
		{gender, "http://example.org", "female", Invalid},
		{gender, "", "f", Invalid},
		{"http://hl7.org/fhir/ValueSet/ucum-units", "http://unitsofmeasure.org", "mg", Unknown},
		{"http://example.org/vs", "", "x", Unknown},
	} {
		if got := s.InValueSet(c.set, c.system, c.code); got != c.want {
			t.Errorf("InValueSet(%s, %s, %s): got %d, want %d", c.set, c.system, c.code, got, c.want)
		}
	}
	if got := s.InSystem("http://snomed.info/sct", "1"); got != Unknown {
		t.Errorf("a code of SNOMED CT: got %d, want unknown", got)
	}
}

// TestBroken: what does not fit together is no Set.
func TestBroken(t *testing.T) {
	for name, tables := range map[string]Tables{
		"base":    {Types: []TypeRow{{Name: "A", Base: "B"}}},
		"element": {Types: []TypeRow{{Name: "A", Elements: []ElementRow{{Name: "x", Types: []string{"B"}}}}}},
		"profile": {Profiles: []ProfileRow{{URL: "u", Type: "B"}}},
	} {
		if _, err := tables.Build(); err == nil {
			t.Errorf("%s: got a set, want an error", name)
		}
	}
	if _, err := Unpack([]byte("no gzip")); err == nil {
		t.Error("unpack: got tables, want an error")
	}
	if bytes.Equal(embedded, nil) {
		t.Error("nothing is embedded")
	}
}

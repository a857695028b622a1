package fhir

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func mustResource(t testing.TB, src string) Resource {
	t.Helper()
	r, err := ParseResource([]byte(src))
	if err != nil {
		t.Fatalf("%v in a test's own resource", err)
	}
	return r
}

func TestPlaceOf(t *testing.T) {
	one := []Ref{{Type: "Patient", ID: "1"}}
	for _, c := range []struct {
		name, src string
		home      Home
		patients  []Ref
	}{
		{"subject", `{"resourceType":"Observation","subject":{"reference":"Patient/1"}}`, HomePatient, one},
		{"version cut off", `{"resourceType":"Observation","subject":{"reference":"Patient/1/_history/3"},"performer":[{"reference":"Patient/1"}]}`, HomePatient, one},
		{"nested path", `{"resourceType":"Appointment","participant":[{"actor":{"reference":"Location/9"}},{"actor":{"reference":"Patient/1"}}]}`, HomePatient, one},
		{"performer alone", `{"resourceType":"Observation","performer":[{"reference":"Patient/1"}]}`, HomePatient, one},
		{"two", `{"resourceType":"Observation","subject":{"reference":"Patient/1"},"performer":[{"reference":"Patient/2"}]}`, HomeNone, []Ref{{Type: "Patient", ID: "2"}, {Type: "Patient", ID: "1"}}},
		{"two by base", `{"resourceType":"Observation","subject":{"reference":"Patient/1"},"performer":[{"reference":"http://h/Patient/1"}]}`, HomeNone, []Ref{{Base: "http://h", Type: "Patient", ID: "1"}, {Type: "Patient", ID: "1"}}},
		{"group of two", `{"resourceType":"Group","member":[{"entity":{"reference":"Patient/1"}},{"entity":{"reference":"Patient/2"}}]}`, HomeNone, []Ref{{Type: "Patient", ID: "1"}, {Type: "Patient", ID: "2"}}},
		{"group of none", `{"resourceType":"Group"}`, HomeDirectory, nil},
		{"conditional", `{"resourceType":"Observation","subject":{"reference":"Patient?identifier=a|b"}}`, HomePatient, []Ref{{Type: "Patient", Query: "identifier=a|b"}}},
		{"urn", `{"resourceType":"Observation","subject":{"reference":"urn:uuid:1"}}`, HomeNone, nil},
		{"urn beside a patient", `{"resourceType":"Observation","subject":{"reference":"Patient/1"},"performer":[{"reference":"urn:uuid:1"}]}`, HomeNone, one},
		{"contained", `{"resourceType":"Observation","contained":[{"resourceType":"Patient","id":"p"}],"subject":{"reference":"#p"}}`, HomeNone, nil},
		{"contained performer", `{"resourceType":"Observation","contained":[{"resourceType":"Practitioner","id":"p"}],"subject":{"reference":"Patient/1"},"performer":[{"reference":"#p"}]}`, HomePatient, one},
		{"by identifier", `{"resourceType":"Observation","subject":{"identifier":{"value":"7"}}}`, HomeNone, nil},
		{"by display", `{"resourceType":"Observation","subject":{"display":"who"}}`, HomeNone, nil},
		{"performer by display", `{"resourceType":"Observation","subject":{"reference":"Patient/1"},"performer":[{"display":"who"}]}`, HomePatient, one},
		{"device as subject", `{"resourceType":"Observation","subject":{"reference":"Device/1"}}`, HomeDirectory, nil},
		{"no subject", `{"resourceType":"Observation"}`, HomeDirectory, nil},
		{"group as subject", `{"resourceType":"Observation","subject":{"reference":"Group/1"}}`, HomeFollow, nil},
		{"provenance of a record", `{"resourceType":"Provenance","target":[{"reference":"Observation/1"}]}`, HomeFollow, nil},
		{"provenance of a patient", `{"resourceType":"Provenance","target":[{"reference":"Observation/1"},{"reference":"Patient/1"}]}`, HomePatient, one},
		{"patient", `{"resourceType":"Patient","id":"1"}`, HomePatient, one},
		{"patient linked", `{"resourceType":"Patient","id":"1","link":[{"other":{"reference":"Patient/2"}}]}`, HomeNone, []Ref{{Type: "Patient", ID: "1"}, {Type: "Patient", ID: "2"}}},
		{"device of a patient", `{"resourceType":"Device","patient":{"reference":"Patient/1"}}`, HomePatient, one},
		{"device of nobody", `{"resourceType":"Device"}`, HomeDirectory, nil},
		{"task", `{"resourceType":"Task","for":{"reference":"Patient/1"}}`, HomePatient, one},
		{"practitioner", `{"resourceType":"Practitioner","id":"1"}`, HomeDirectory, nil},
		{"medication", `{"resourceType":"Medication","manufacturer":{"reference":"Organization/1"}}`, HomeDirectory, nil},
		{"focus only", `{"resourceType":"Observation","subject":{"reference":"Device/1"},"focus":[{"reference":"Patient/1"}]}`, HomePatient, one},
		{"bundle holding a patient", `{"resourceType":"Bundle","type":"document","entry":[{"resource":{"resourceType":"Patient"}}]}`, HomeNone, nil},
		{"logical patient elsewhere", `{"resourceType":"Task","for":{"type":"Patient","identifier":{"value":"1"}}}`, HomeNone, nil},
	} {
		p := PlaceOf(mustResource(t, c.src))
		if p.Home != c.home || !slices.Equal(p.Patients, c.patients) {
			t.Errorf("%s: got home %d, patients %v, want %d, %v", c.name, p.Home, p.Patients, c.home, c.patients)
		}
		if (p.Reason != "") != (p.Home == HomeNone) || (len(p.Follow) > 0) != (p.Home == HomeFollow) {
			t.Errorf("%s: got reason %q, follow %v with home %d", c.name, p.Reason, p.Follow, p.Home)
		}
	}
	if p := PlaceOf(mustResource(t, `{"resourceType":"Patient"}`)); !p.Self || p.Home != HomePatient {
		t.Errorf("a new Patient: got %+v, want Self", p)
	}
}

func TestPlaceOfManyReferences(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"resourceType":"Provenance","target":[{"reference":"Observation/0"}`)
	for i := range 1000 {
		fmt.Fprintf(&b, `,{"reference":"Observation/%d"}`, i+1)
	}
	if p := PlaceOf(mustResource(t, b.String()+`]}`)); p.Home != HomeNone || p.Reason == "" || p.Follow != nil {
		t.Errorf("1,001 records: got home %d, %d to follow", p.Home, len(p.Follow))
	}
	if p := PlaceOf(mustResource(t, b.String()+`,{"reference":"Patient/1"}]}`)); p.Home != HomePatient {
		t.Errorf("1,001 records and their patient: got home %d", p.Home)
	}
	many := strings.ReplaceAll(b.String(), "Observation", "Patient")
	if p := PlaceOf(mustResource(t, many+`]}`)); p.Home != HomeNone || len(p.Patients) != patientsMax {
		t.Errorf("1,001 patients: got home %d, %d listed", p.Home, len(p.Patients))
	}
}

// What grows faster than its input would make these take minutes.
func TestHostileShapesAreLinear(t *testing.T) {
	const n = 200_000
	list := func(item string) string { return "[" + item + strings.Repeat(","+item, n) + "]" }
	var names, contained strings.Builder
	for i := range n {
		fmt.Fprintf(&names, `,"n%d":0`, i)
		fmt.Fprintf(&contained, `,{"resourceType":"Basic","id":"%d"}`, i)
	}
	for _, src := range []string{
		`{"resourceType":"CarePlan","instantiatesUri":` + list(`"urn:uuid:1"`) + `}`,
		`{"resourceType":"Basic","text":{"div":"` + strings.Repeat(`<a href='urn:uuid:1'>`, n) + `"}}`,
		`{"resourceType":"Basic"` + names.String() + `}`,
		`{"resourceType":"Observation","contained":[0` + contained.String() + `],"performer":` + list(`{"reference":"#x"}`) + `}`,
	} {
		r := mustResource(t, src)
		spliced(t, r)
		PlaceOf(r)
		CategoryOf(r)
		r.Rewrite(func(string) (string, bool) { return "Patient/1", true })
	}
}

func TestDirectory(t *testing.T) {
	for _, name := range []string{"Practitioner", "PractitionerRole", "Organization", "Location", "HealthcareService", "Medication", "Endpoint", "Device", "ValueSet", "Questionnaire"} {
		if !Directory(name) {
			t.Errorf("Directory(%s): got false", name)
		}
	}
	for _, name := range []string{"Patient", "Observation", "Condition", "Claim", "Provenance", "Group", "", "Nonsense"} {
		if Directory(name) {
			t.Errorf("Directory(%s): got true", name)
		}
	}
}

// Two rows of the table, read by hand from the official pages.
func TestCompartmentTable(t *testing.T) {
	if got, want := compartmentPaths("Observation"), []string{"performer", "subject"}; !slices.Equal(got, want) {
		t.Errorf("Observation: got %v, want %v", got, want)
	}
	if got, want := compartmentPaths("RequestGroup"), []string{"action.participant", "subject"}; !slices.Equal(got, want) {
		t.Errorf("RequestGroup: got %v, want %v", got, want)
	}
	if !IsType("Observation") || IsType("Resource") || IsType("") {
		t.Error("IsType: got a wrong answer")
	}
}

func FuzzPlaceOf(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, src []byte) {
		r, err := ParseResource(src)
		if err != nil {
			return
		}
		p := PlaceOf(r)
		if p.Home == HomePatient && len(p.Patients) != 1 || p.Home == HomeDirectory && len(p.Patients) != 0 {
			t.Fatalf("got home %d with %d patients", p.Home, len(p.Patients))
		}
		if CategoryOf(r) < General {
			t.Fatal("got no category")
		}
		Date(r)
		Codes(r)
	})
}

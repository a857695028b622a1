package fhir

import "testing"

func TestCategoryOf(t *testing.T) {
	obs := func(system, code string) string {
		return `{"resourceType":"Observation","code":{"coding":[{"system":"` + system + `","code":"` + code + `"}]}}`
	}
	label := func(code string) string {
		return `{"resourceType":"Observation","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"` + code + `"}]}}`
	}
	for _, c := range []struct {
		name, src string
		want      Category
	}{
		{"nothing", `{"resourceType":"Observation"}`, General},
		{"label PSY", label("PSY"), Psychiatric},
		{"label PSYTHPN", label("PSYTHPN"), PsychotherapyNotes},
		{"label GDIS", label("GDIS"), Genetic},
		{"label SEX", label("SEX"), Reproductive},
		{"label ETH", label("ETH"), Addiction},
		{"label SUD", label("SUD"), Addiction},
		{"label OPIOIDUD", label("OPIOIDUD"), Addiction},
		{"label HIV", label("HIV"), HIVSTI},
		{"label STD", label("STD"), HIVSTI},
		{"label SDV", label("SDV"), Safeguarding},
		{"label of no topic", label("EMPL"), General},
		{"very restricted", `{"resourceType":"Basic","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"V"}]}}`, Safeguarding},
		{"ActCode that is no label", `{"resourceType":"Encounter","class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"PSY"}}`, General},
		{"label under another system", `{"resourceType":"Observation","meta":{"security":[{"system":"http://example.org","code":"PSY"}]}}`, General},
		{"label of a contained resource", `{"resourceType":"Basic","contained":[{"resourceType":"Basic","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"HIV"}]}}]}`, HIVSTI},
		{"PHQ-9", obs("http://loinc.org", "44249-1"), Psychiatric},
		{"GAD-7", obs("http://loinc.org", "70274-6"), Psychiatric},
		{"AUDIT-C", obs("http://loinc.org", "75626-2"), Addiction},
		{"HARK", obs("http://loinc.org", "76499-3"), Safeguarding},
		{"major depression", obs("http://snomed.info/sct", "370143000"), Psychiatric},
		{"chlamydia test", obs("http://snomed.info/sct", "310861008"), HIVSTI},
		{"pregnancy", obs("http://snomed.info/sct", "72892002"), Reproductive},
		{"ICD-10 with dot", obs("http://hl7.org/fhir/sid/icd-10-cm", "F32.1"), Psychiatric},
		{"ICD-10 in lower case", obs("http://hl7.org/fhir/sid/icd-10", "f10.2"), Addiction},
		{"ICD-10 strictest of two rows", obs("http://hl7.org/fhir/sid/icd-10-cm", "O98.711"), HIVSTI},
		{"nicotine", obs("http://hl7.org/fhir/sid/icd-10-cm", "F17.210"), General},
		{"ATC", obs("http://www.whocc.no/atc", "N06AB04"), Psychiatric},
		{"code of another system", obs("http://example.org", "44249-1"), General},
		{"gene", obs("http://www.genenames.org", "HGNC:2621"), Genetic},
		{"genomics profile", `{"resourceType":"Observation","meta":{"profile":["http://hl7.org/fhir/uv/genomics-reporting/StructureDefinition/variant"]}}`, Genetic},
		{"sequence", `{"resourceType":"MolecularSequence"}`, Genetic},
		{"imaging", `{"resourceType":"ImagingStudy"}`, Imaging},
		{"imaging of a fetus", `{"resourceType":"ImagingStudy","reasonCode":[{"coding":[{"system":"http://snomed.info/sct","code":"72892002"}]}]}`, Reproductive},
		{"deep inside a claim", `{"resourceType":"Claim","item":[{"productOrService":{"coding":[{"system":"http://snomed.info/sct","code":"7200002"}]}}]}`, Addiction},
		{"questionnaire", `{"resourceType":"QuestionnaireResponse","questionnaire":"http://example.org/Questionnaire/phq-9|1.0"}`, Psychiatric},
		{"questionnaire of another word", `{"resourceType":"QuestionnaireResponse","questionnaire":"http://audit.example.org/Questionnaire/acetaminophen"}`, General},
		{"strictest of several", `{"resourceType":"Observation","component":[{"code":{"coding":[{"system":"http://loinc.org","code":"55277-8"}]}},{"code":{"coding":[{"system":"http://loinc.org","code":"44249-1"}]}}]}`, HIVSTI},
	} {
		if got := CategoryOf(mustResource(t, c.src)); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	if got := CategoryOf(Resource{}); got != 0 {
		t.Errorf("no resource: got %v, want none", got)
	}
}

func TestCategoryNamesAndIDs(t *testing.T) {
	want := []string{"emergency", "general", "imaging", "reproductive", "genetic", "psychiatric", "addiction", "hiv-sti", "safeguarding", "psychotherapy-notes"}
	seen := map[[16]byte]bool{{}: true}
	for i, c := range Categories() {
		if c.String() != want[i] {
			t.Errorf("name: got %q, want %q", c, want[i])
		}
		if got, ok := ParseCategory(c.String()); !ok || got != c {
			t.Errorf("ParseCategory(%q): got %v", c, got)
		}
		if got, ok := CategoryByID(c.ID()); !ok || got != c {
			t.Errorf("CategoryByID(%x): got %v", c.ID(), got)
		}
		if seen[c.ID()] {
			t.Errorf("%v: its id is taken", c)
		}
		seen[c.ID()] = true
	}
	if got, want := Genetic.ID(), [16]byte([]byte("genetic\x00\x00\x00\x00\x00\x00\x00\x00\x00")); got != want {
		t.Errorf("ID: got %x, want %x", got, want)
	}
	var none Category
	if none.String() != "none" || none.ID() != [16]byte{} {
		t.Error("the zero Category must be none")
	}
	if _, ok := CategoryByID([16]byte{}); ok {
		t.Error("the zero id must be no category")
	}
	if _, ok := ParseCategory("none"); ok {
		t.Error("none must be no category")
	}
}

func TestStricterNeverDowngrades(t *testing.T) {
	for _, a := range Categories() {
		for _, b := range Categories() {
			got := Stricter(a, b)
			if got != Stricter(b, a) || Stricter(got, a) != got || Stricter(got, b) != got || got != a && got != b {
				t.Errorf("Stricter(%v, %v): got %v", a, b, got)
			}
		}
		if Stricter(a, General) == Emergency {
			t.Errorf("Stricter(%v, general): got emergency", a)
		}
	}
	if got := Stricter(Psychiatric, General); got != Psychiatric {
		t.Errorf("an update without the label: got %v, want psychiatric", got)
	}
}

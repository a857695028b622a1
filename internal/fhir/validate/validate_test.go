package validate

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// faults is a resource for each check, and the checks that it must fail and no
// other. A planted word stands wherever a client's text can.
var faults = []struct {
	body   string
	strict bool
	want   []string // message@expression
}{
	{`[1]`, false, []string{"resource-object@"}},
	{`{"resourceType":"planted"}`, false, []string{"resource-type@"}},
	{`{"resourceType":"DomainResource"}`, false, []string{"resource-type@"}},
	{`{"resourceType":`, false, []string{"json@"}},
	{`{"resourceType":"Patient","planted":1}`, false, []string{"unknown-member@Patient"}},
	{`{"resourceType":"Patient","_name":[{"id":"a"}]}`, false, []string{"unknown-member@Patient"}},
	{`{"resourceType":"Patient","deceasedBoolean":false,"deceasedDateTime":"2020"}`, false, []string{"choice@Patient"}},
	{`{"resourceType":"Patient","name":{"family":"planted"}}`, false, []string{"array@Patient.name"}},
	{`{"resourceType":"Patient","active":[true]}`, false, []string{"array@Patient.active"}},
	{`{"resourceType":"Patient","name":[]}`, false, []string{"empty-array@Patient.name"}},
	{`{"resourceType":"Patient","name":[{}]}`, false, []string{"ele-1@Patient.name[0]"}},
	{`{"resourceType":"Patient","name":["planted"]}`, false, []string{"object@Patient.name[0]"}},
	{`{"resourceType":"Patient","name":[{"given":["a",null]}]}`, false, []string{"null@Patient.name[0].given[1]"}},
	{`{"resourceType":"Patient","_birthDate":"planted"}`, false, []string{"object@Patient.birthDate"}},
	{`{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>","_div":{"extension":[{"url":"http://example.org/x","valueCode":"a"}]}}}`, false, []string{"max@Patient.text.div.extension"}},
	{`{"resourceType":"Observation","status":"final"}`, false, []string{"min@Observation"}},
	{`{"resourceType":"Patient","active":"planted"}`, false, []string{"json-kind@Patient.active"}},
	{`{"resourceType":"Patient","birthDate":"planted"}`, false, []string{"date-format@Patient.birthDate"}},
	{`{"resourceType":"Patient","birthDate":"2021-02-29"}`, false, []string{"date-format@Patient.birthDate"}},
	{`{"resourceType":"Patient","deceasedDateTime":"2021-02-28T10:00:00"}`, false, []string{"dateTime-zone@Patient.deceasedDateTime"}},
	{`{"resourceType":"Patient","deceasedDateTime":"2021-02-28T10:00Z"}`, false, []string{"dateTime-format@Patient.deceasedDateTime"}},
	{`{"resourceType":"Patient","meta":{"lastUpdated":"2021-02-28"}}`, false, []string{"instant-format@Patient.meta.lastUpdated"}},
	{`{"resourceType":"Patient","id":"planted_id"}`, false, []string{"id-format@Patient.id"}},
	{`{"resourceType":"Patient","multipleBirthInteger":1.5}`, false, []string{"number@Patient.multipleBirthInteger"}},
	{`{"resourceType":"Patient","multipleBirthInteger":2147483648}`, false, []string{"number@Patient.multipleBirthInteger"}},
	{`{"resourceType":"Patient","telecom":[{"rank":0}]}`, false, []string{"number@Patient.telecom[0].rank"}},
	{`{"resourceType":"Patient","name":[{"family":""}]}`, false, []string{"empty-string@Patient.name[0].family"}},
	{`{"resourceType":"Patient","name":[{"family":" "},{"family":"a\u0001"}]}`, false, nil},
	{`{"resourceType":"Patient","managingOrganization":{"reference":"Organization?identifier=planted"}}`, false, nil},
	{`{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","managingOrganization":{"reference":"Organization?identifier=planted"}}}]}`, false, []string{"reference-conditional@Bundle.entry[0].resource.managingOrganization.reference"}},
	{`{"resourceType":"Patient","name":[{"family":"<b>planted"}]}`, true, []string{"html-in-string@Patient.name[0].family"}},
	{`{"resourceType":"Patient","identifier":[{"system":"http://a b","value":"1"}]}`, false, []string{"uri-blank@Patient.identifier[0].system", "identifier-system@Patient.identifier[0].system"}},
	{`{"resourceType":"Patient","identifier":[{"system":"urn:oid:planted","value":"1"}]}`, false, []string{"oid-format@Patient.identifier[0].system"}},
	{`{"resourceType":"Patient","identifier":[{"system":"urn:uuid:PLANTED","value":"1"}]}`, false, []string{"uuid-format@Patient.identifier[0].system"}},
	{`{"resourceType":"Patient","identifier":[{"system":"planted","value":"1"}]}`, false, []string{"identifier-system@Patient.identifier[0].system"}},
	{`{"resourceType":"Patient","identifier":[{"system":"http://example.org/planted","value":"1"}]}`, true, []string{"example-url@Patient.identifier[0].system"}},
	{`{"resourceType":"Patient","photo":[{"contentType":"image/png","data":"planted!"}]}`, false, []string{"base64Binary-format@Patient.photo[0].data"}},
	{`{"resourceType":"Patient","photo":[{"contentType":"image/png","data":"AAAA","size":4}]}`, false, []string{"attachment-size@Patient.photo[0]"}},
	{`{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><planted/></div>"}}`, false, []string{"xhtml@Patient.text.div"}},
	{`{"resourceType":"Patient","gender":"planted"}`, false, []string{"binding@Patient.gender"}},
	{`{"resourceType":"Patient","_gender":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}]}}`, false, []string{"binding-no-code@Patient.gender"}},
	{`{"resourceType":"AllergyIntolerance","patient":{"display":"x"},"clinicalStatus":{"text":"planted"}}`, false, []string{"binding-no-code@AllergyIntolerance.clinicalStatus"}},
	{`{"resourceType":"AllergyIntolerance","patient":{"display":"x"},"clinicalStatus":{"coding":[{"system":"http://planted.org","code":"planted"}]}}`, false, []string{"binding@AllergyIntolerance.clinicalStatus"}},
	{`{"resourceType":"Basic","code":{"coding":[{"system":"http://hl7.org/fhir/resource-types","code":"planted"}]}}`, false, []string{"code-unknown@Basic.code.coding[0].code"}},
	{`{"resourceType":"Basic","code":{"coding":[{"system":"planted","code":"a"}]}}`, false, []string{"coding-system@Basic.code.coding[0].system"}},
	{`{"resourceType":"Basic","code":{"coding":[{"system":"http://hl7.org/fhir/ValueSet/measure-type","code":"a"}]}}`, false, []string{"coding-value-set@Basic.code.coding[0].system"}},
	{`{"resourceType":"Patient","managingOrganization":{"reference":"planted"}}`, false, []string{"reference-form@Patient.managingOrganization.reference"}},
	{`{"resourceType":"Patient","managingOrganization":{"reference":"Patient/planted"}}`, false, []string{"reference-target@Patient.managingOrganization"}},
	{`{"resourceType":"Patient","managingOrganization":{"reference":"Organization/1","type":"Patient"}}`, false, []string{"reference-type@Patient.managingOrganization"}},
	{`{"resourceType":"Patient","managingOrganization":{"reference":"#planted"}}`, false, []string{"ref-1@Patient.managingOrganization"}},
	{`{"resourceType":"Patient","contained":[{"resourceType":"Organization","name":"x"}]}`, false, []string{"contained-id@Patient.contained[0]"}},
	{`{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"planted","name":"x"}]}`, false, []string{"dom-3@Patient"}},
	{`{"resourceType":"Patient","contained":[{"resourceType":"Provenance","id":"a","target":[{"reference":"#"}],"recorded":"2020-01-01T00:00:00Z","agent":[{"who":{"display":"x"}}]}]}`, false, nil},
	{`{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"a","name":"x","meta":{"versionId":"1"}}],"managingOrganization":{"reference":"#a"}}`, false, []string{"dom-4@Patient"}},
	{`{"resourceType":"Patient","contact":[{"gender":"male"}]}`, false, []string{"pat-1@Patient.contact[0]"}},
	{`{"resourceType":"Patient","extension":[{"url":"http://example.org/planted"}]}`, false, []string{"ext-1@Patient.extension[0]"}},
	{`{"resourceType":"Patient","extension":[{"url":"http://planted.org/planted","valueCode":"a"}]}`, true, []string{"extension-unknown@Patient.extension[0]"}},
	{`{"resourceType":"Patient","extension":[{"url":"planted","valueCode":"a"}]}`, false, []string{"extension-url@Patient.extension[0].url"}},
	{`{"resourceType":"Patient","extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthPlace|4.0.1","valueCode":"a"}]}`, false, []string{"extension-version@Patient.extension[0].url"}},
	{`{"resourceType":"Patient","extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthPlace","valueCode":"planted"}]}`, false, []string{"extension-type@Patient.extension[0]"}},
	{`{"resourceType":"Patient","modifierExtension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthPlace","valueAddress":{"city":"planted"}}]}`, false, []string{"extension-modifier@Patient.modifierExtension[0]"}},
	{`{"resourceType":"Patient","name":[{"family":"x","extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthPlace","valueAddress":{"city":"planted"}}]}]}`, true, []string{"extension-context@Patient.name[0].extension[0]"}},
	{`{"resourceType":"Patient","meta":{"profile":["planted"]}}`, false, []string{"canonical-absolute@Patient.meta.profile[0]"}},
	{`{"resourceType":"Patient","meta":{"profile":["#planted"]}}`, false, []string{"canonical-contained@Patient.meta.profile[0]"}},
	{`{"resourceType":"ValueSet","status":"draft","url":"planted"}`, false, []string{"canonical-absolute@ValueSet.url"}},
	{`{"resourceType":"CodeSystem","status":"draft","content":"complete","count":3,"concept":[{"code":"a","concept":[{"code":"b"}]}]}`, false, []string{"concept-count@CodeSystem.count"}},
	{`{"resourceType":"CodeSystem","status":"draft","content":"complete","supplements":"http://example.org/x"}`, false, []string{"supplement-content@CodeSystem.content"}},
	{`{"resourceType":"CodeSystem","status":"draft","content":"complete","property":[{"code":"p","uri":"http://hl7.org/fhir/concept-properties#status","type":"integer"},{"code":"p","type":"code"}],"concept":[{"code":"a","property":[{"code":"p","valueBoolean":true}]}]}`, false,
		[]string{"property-type@CodeSystem.property[0]", "property-twice@CodeSystem.property[1]", "property-value@CodeSystem.concept[0].property[0]"}},
	{`{"resourceType":"ValueSet","status":"draft","compose":{"include":[{"system":"planted"},{"system":"http://hl7.org/fhir/ValueSet/measure-type"},{"system":"http://example.org/x","filter":[{"property":"notSelectable","op":"=","value":"planted"}]}]}}`, false,
		[]string{"include-system@ValueSet.compose.include[0]", "include-value-set@ValueSet.compose.include[1]", "filter-value@ValueSet.compose.include[2].filter[0]"}},
	{`{"resourceType":"SearchParameter","url":"http://example.org/x","name":"X","status":"draft","description":"x","code":"x","base":["Patient"],"type":"composite","expression":"Patient.name","derivedFrom":"http://hl7.org/fhir/SearchParameter/Organization-name"}`, false,
		[]string{"composite@SearchParameter", "derived-type@SearchParameter", "derived-base@SearchParameter"}},
	{`{"resourceType":"StructureDefinition","url":"http://example.org/x","name":"X","status":"draft","kind":"resource","abstract":false,"type":"Patient","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient","derivation":"constraint","differential":{"element":[{"id":"Patient","path":"Patient"},{"id":"Patient.planted","path":"Patient.planted"}]}}`, false,
		[]string{"element-path@StructureDefinition.differential.element[1]"}},
	{`{"resourceType":"CapabilityStatement","status":"draft","kind":"requirements","date":"2020","fhirVersion":"4.0.1","format":["json"],"description":"x","rest":[{"mode":"server","resource":[{"type":"Patient","searchParam":[{"name":"planted","type":"date","definition":"http://hl7.org/fhir/SearchParameter/Patient-identifier"}]}]}]}`, false, []string{"search-parameter-type@CapabilityStatement.rest[0].resource[0].searchParam[0]"}},
	{`{"resourceType":"PlanDefinition","status":"draft","action":[{"condition":[{"kind":"start","expression":{"language":"text/fhirpath","expression":"planted +"}}]}]}`, false, []string{"fhirpath@PlanDefinition.action[0].condition[0].expression.expression"}},
	{`{"resourceType":"Bundle","type":"document","link":[{"relation":"first","url":"http://x"},{"relation":"self","url":"http://x"},{"relation":"self","url":"http://x"}]}`, false,
		[]string{"link-kind@Bundle.link[0]", "link-twice@Bundle.link[2]", "bdl-9@Bundle", "bdl-10@Bundle"}},
	{`{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"planted","resource":{"resourceType":"Basic","code":{"text":"x"}}},{"fullUrl":"http://x/Patient/1","resource":{"resourceType":"Basic","id":"2","code":{"text":"x"}}},{"fullUrl":"http://x/Patient/1"}]}`, false,
		[]string{"full-url-absolute@Bundle.entry[0]", "full-url-id@Bundle.entry[1]", "full-url-twice@Bundle.entry[2]", "bdl-5@Bundle.entry[2]", "bdl-7@Bundle"}},
	{`{"resourceType":"Bundle","type":"searchset","link":[{"relation":"self","url":"http://x/Patient?planted"}],"entry":[{"search":{"mode":"outcome"},"resource":{"resourceType":"Patient"}},{"search":{"mode":"match"},"resource":{"resourceType":"Basic","code":{"text":"x"}}}]}`, false,
		[]string{"search-outcome@Bundle.entry[0].resource", "search-id@Bundle.entry[1].resource", "search-type@Bundle.entry[1].resource"}},
	{`{"resourceType":"Bundle","type":"message","entry":[{"resource":{"resourceType":"MessageHeader","eventUri":"http://x","source":{"endpoint":"http://x"},"focus":[{"reference":"Patient/planted"}]}}]}`, false,
		[]string{"full-url@Bundle.entry[0]", "closure@Bundle.entry[0].resource.focus[0]"}},
	{`{"resourceType":"Bundle","type":"message","entry":[{"fullUrl":"http://x/MessageHeader/1","resource":{"resourceType":"MessageHeader","eventUri":"http://x","source":{"endpoint":"http://x"},"focus":[{"reference":"Patient/p"},{"reference":"Patient/q"}]}},{"fullUrl":"http://x/Patient/p","resource":{"resourceType":"Patient","meta":{"versionId":"1"}}},{"fullUrl":"http://x/Patient/p","resource":{"resourceType":"Patient","meta":{"versionId":"2"}}}]}`, false,
		[]string{"closure-several@Bundle.entry[0].resource.focus[0]", "closure@Bundle.entry[0].resource.focus[1]"}},
	{`{"resourceType":"Patient","meta":{"profile":["http://hl7.org/fhir/StructureDefinition/bp"]}}`, false, []string{"profile-type@Patient"}},
	{bp(`"valueString":"planted"`), false, []string{"profile-choice@Observation.component[0].valueString", "profile-value@Observation.component[1].valueQuantity.code"}},
	{strings.Replace(bp(`"valueQuantity":{"value":1,"unit":"x","system":"http://unitsofmeasure.org","code":"mm[Hg]"}`), `"effectiveDateTime":"2020-02-03",`, "", 1), false,
		[]string{"profile-min@Observation", "profile-value@Observation.component[1].valueQuantity.code"}},
}

// bp is a blood pressure whose systolic component holds value, and whose
// diastolic one has a wrong unit.
func bp(value string) string {
	return `{"resourceType":"Observation","status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs"}]}],"subject":{"display":"x"},"effectiveDateTime":"2020-02-03","code":{"coding":[{"system":"http://loinc.org","code":"85354-9"}]},"component":[` +
		`{"code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},` + value + `},` +
		`{"code":{"coding":[{"system":"http://loinc.org","code":"8462-4"}]},"valueQuantity":{"value":1,"unit":"x","system":"http://unitsofmeasure.org","code":"planted"}}]}`
}

func TestFaults(t *testing.T) {
	lenient, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	strict, err := New(Config{KnownExtensions: true, NoHTML: true, NoExamples: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		v := lenient
		if f.strict {
			v = strict
		}
		r := v.Validate([]byte(f.body))
		var got []string
		for _, i := range r.Issues {
			if i.Severity <= Fatal {
				got = append(got, i.Message+"@"+i.Expression)
			}
			if all := i.Text + i.Message + i.Expression + i.Code; strings.Contains(strings.ToLower(all), "planted") {
				t.Errorf("an issue quotes the resource: %s at %s", i.Message, i.Expression)
			}
		}
		if strings.Contains(strings.Join(r.Unchecked, " "), "planted") {
			t.Error("what was not checked quotes the resource")
		}
		slices.Sort(got)
		got = slices.Compact(got)
		want := slices.Sorted(slices.Values(f.want))
		if !slices.Equal(got, want) {
			t.Errorf("%.120s:\n got %v\nwant %v", f.body, got, want)
		}
	}
}

// TestEveryCheckHasAFault: no check stands in the code without a resource
// above that fails it.
func TestEveryCheckHasAFault(t *testing.T) {
	covered := map[string]bool{"max": true}
	for _, f := range faults {
		for _, w := range f.want {
			message, _, _ := strings.Cut(w, "@")
			covered[message] = true
		}
	}
	elsewhere := []string{"profile-max", "profile-closed", "string-length"} // TestProfiles, TestLimits
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		text, err := os.ReadFile(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?:fail|report)\([^()]*?"[a-z-]+", "([a-zA-Z0-9-]+)", |failAt\([^()]*?"[a-z-]+", "[a-z-]+", "([a-zA-Z0-9-]+)", `).FindAllStringSubmatch(string(text), -1) {
			n++
			if name := m[1] + m[2]; !covered[name] && !slices.Contains(elsewhere, name) {
				t.Errorf("%s: no resource of the tests fails %q", e.Name(), name)
			}
		}
	}
	if n < 60 {
		t.Errorf("checks found in the code: got %d, want at least 60", n)
	}
}

func TestProfiles(t *testing.T) {
	v, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	good := strings.Replace(bp(`"valueQuantity":{"value":1,"unit":"x","system":"http://unitsofmeasure.org","code":"mm[Hg]"}`), "planted", "mm[Hg]", 1)
	if r := v.Validate([]byte(good)); r.Errors() > 0 {
		t.Errorf("a blood pressure: got %v", r.Issues)
	}
	one := strings.Replace(good, `,{"code":{"coding":[{"system":"http://loinc.org","code":"8462-4"}]}`, `,{"code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]}`, 1)
	r := v.Validate([]byte(one))
	var got []string
	for _, i := range r.Issues {
		got = append(got, i.Message)
	}
	if !slices.Contains(got, "profile-max") || !slices.Contains(got, "profile-min") {
		t.Errorf("two systolic components: got %v, want profile-max and profile-min", got)
	}
	claim := func(profile string) (errors, warnings int) {
		r := v.Validate([]byte(`{"resourceType":"Patient","meta":{"profile":["` + profile + `"]}}`))
		for _, i := range r.Issues {
			if i.Message == "profile-min" && i.Severity == Error {
				errors++
			} else if i.Message == "profile-min" {
				warnings++
			}
		}
		return errors, warnings
	}
	const core = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"
	if errors, _ := claim(core + "|8.0.0"); errors == 0 {
		t.Error("a claim with its release: got no error, want some")
	}
	if errors, warnings := claim(core); errors > 0 || warnings == 0 {
		t.Errorf("a claim without a release: got %d errors, %d warnings, want warnings alone", errors, warnings)
	}
}

// TestLimits: reports stay small, work stays bounded.
func TestLimits(t *testing.T) {
	v, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	many := `{"resourceType":"Patient","name":[` + strings.Repeat("1,", 5000) + `1]}`
	if r := v.Validate([]byte(many)); len(r.Issues) != IssuesMax || !r.Cut {
		t.Errorf("issues: got %d, cut %v, want %d and a cut", len(r.Issues), r.Cut, IssuesMax)
	}
	behind := `{"resourceType":"Bundle","type":"collection","entry":[` + strings.Repeat(`{"resource":{"resourceType":"Basic","code":{"text":"x"}}},`, 300) + `{"resource":{"resourceType":"Basic"}}]}` // 300 warnings before
	if r := v.Validate([]byte(behind)); r.Errors() != 1 || r.Issues[0].Message != "min" || len(r.Issues) != IssuesMax || !r.Cut {
		t.Errorf("an error behind many warnings: got %d errors among %d issues, want it first", r.Errors(), len(r.Issues))
	}
	long := `{"resourceType":"Patient","name":[{"family":"` + strings.Repeat("a", stringBytesMax+1) + `"}]}`
	if r := v.Validate([]byte(long)); r.Errors() != 1 || r.Issues[0].Message != "string-length" {
		t.Errorf("a string that is too long: got %v, want string-length", len(r.Issues))
	}
	var b bytes.Buffer // every reference looks through all contained resources
	b.WriteString(`{"resourceType":"List","status":"current","mode":"working","contained":[`)
	for i := range 3000 {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`{"resourceType":"Basic","id":"c` + itoa(i) + `","code":{"text":"x"}}`)
	}
	b.WriteString(`],"entry":[`)
	for i := range 3000 {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`{"item":{"reference":"#c` + itoa(i) + `"}}`)
	}
	b.WriteString(`]}`)
	r := v.Validate(b.Bytes())
	if r.Errors() > 0 {
		t.Errorf("many contained resources: got %d errors, want none", r.Errors())
	}
}

func TestWarnings(t *testing.T) {
	v, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	r := v.Validate([]byte(`{"resourceType":"Patient","name":[{"family":" "},{"family":"a\u0001"}]}`))
	for _, want := range []string{"string-blank@Patient.name[0].family", "string-control@Patient.name[1].family", "dom-6@Patient"} {
		if !slices.ContainsFunc(r.Issues, func(i Issue) bool { return i.Severity == Warning && i.Message+"@"+i.Expression == want }) {
			t.Errorf("warnings: got %v, want %s", r.Issues, want)
		}
	}
}

func TestUnchecked(t *testing.T) {
	v, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	r := v.Validate([]byte(`{"resourceType":"Condition","meta":{"profile":["http://example.org/p"]},"extension":[{"url":"http://example.org/e","valueCode":"a"}],"subject":{"reference":"Patient/1"},"code":{"coding":[{"system":"http://snomed.info/sct","code":"1"}]}}`))
	for _, want := range []string{"codes of http://snomed.info/sct", "profiles that are not part of the definitions", "extensions that are not part of the definitions", "what references mean outside of the body"} {
		if !slices.Contains(r.Unchecked, want) {
			t.Errorf("unchecked: got %v, want %q in it", r.Unchecked, want)
		}
	}
}

func TestNarrative(t *testing.T) {
	const open, end = `<div xmlns="http://www.w3.org/1999/xhtml">`, `</div>`
	for s, want := range map[string]string{
		open + `<p>a &lt; b&nbsp;&#169;</p><img src="x"/>` + end: "",
		open + `<img src="x" alt="y"/>` + end:                    "",
		open + ` ` + end:                                         emptyDiv,
		`<div>x</div>`:                                           notDiv,
		`<p xmlns="http://www.w3.org/1999/xhtml">x</p>`:          notDiv,
		open + `x` + end + open + `x` + end:                      notDiv,
		open + `<script>x</script>` + end:                        badElement,
		open + `<p onclick="x">x</p>` + end:                      badAttribute,
		open + `<a href="javascript:x">x</a>` + end:              badAttribute,
		open + `&reg;` + end:                                     badEntity,
		open + `<p>x</b>` + end:                                  notXML,
		open + `<p>x` + end:                                      notDiv,
		open + `<?x y?>x` + end:                                  badInstruct,
		`<!DOCTYPE x>` + open + `x` + end:                        badInstruct,
		`x` + open + `x` + end:                                   notDiv,
		strings.Repeat(open, htmlDepthMax+1):                     notXML,
	} {
		if got := narrative(s); got != want {
			t.Errorf("%.80s: got %q, want %q", s, got, want)
		}
	}
}

// FuzzValidate: any body gives a report of bounded size that quotes nothing
// but names of the definitions.
func FuzzValidate(f *testing.F) {
	for _, fault := range faults {
		f.Add([]byte(fault.body))
	}
	v, err := New(Config{KnownExtensions: true, NoHTML: true, NoExamples: true})
	if err != nil {
		f.Fatal(err)
	}
	place := regexp.MustCompile(`^([A-Za-z0-9]+(\[\d+\])?(\.|$))*$`)
	f.Fuzz(func(t *testing.T, body []byte) {
		r := v.Validate(body)
		if len(r.Issues) > IssuesMax {
			t.Fatalf("issues: got %d, want at most %d", len(r.Issues), IssuesMax)
		}
		for _, i := range r.Issues {
			if !place.MatchString(i.Expression) {
				t.Fatal("a place is not made of names and indexes")
			}
		}
	})
}

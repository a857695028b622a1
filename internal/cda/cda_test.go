package cda

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/abaton-health/abaton/internal/fhir"
)

const sample = `<?xml version="1.0" encoding="UTF-8"?>
<?xml-stylesheet type="text/xsl" href="CDA.xsl"?>
<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:sdtc="urn:hl7-org:sdtc">
 <id root="2.16.840.1.1" extension="D1"/>
 <code code="34133-9" codeSystem="2.16.840.1.113883.6.1" displayName="Summarization of Episode Note"/>
 <title>Summary of
   care</title>
 <effectiveTime value="20260101120000+0100"/>
 <confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25"/>
 <recordTarget><patientRole><id root="2.16.840.1.2" extension="m1"/><id root="2.16.840.1.3"/>
  <patient><name><given>Jane</given><family>Doe</family></name><birthTime value="19800102"/></patient></patientRole></recordTarget>
 <author><assignedAuthor><assignedPerson><name><given>Ann</given> <family>Smith</family></name></assignedPerson></assignedAuthor></author>
 <custodian><assignedCustodian><representedCustodianOrganization><name>Good Hospital</name></representedCustodianOrganization></assignedCustodian></custodian>
 <component><structuredBody><component><section><title>Not the title</title><entry><observation><code code="X" codeSystem="2.16.840.1.113883.6.1"/></observation></entry></section></component></structuredBody></component>
</ClinicalDocument>`

func TestParse(t *testing.T) {
	d, err := Parse([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string][2]string{
		"id": {d.ID.System + "|" + d.ID.Value, "urn:oid:2.16.840.1.1|D1"}, "code": {d.Code.System + "|" + d.Code.Value, "http://loinc.org|34133-9"},
		"title": {d.Title, "Summary of care"}, "date": {d.Date, "2026-01-01T12:00:00+01:00"}, "born": {d.BirthDate, "1980-01-02"},
		"author": {d.Author, "Ann Smith"}, "custodian": {d.Custodian, "Good Hospital"}, "confidentiality": {d.Confidential, "N"},
		"patient": {d.Patients[0].System + "|" + d.Patients[0].Value, "urn:oid:2.16.840.1.2|m1"}, "second number": {d.Patients[1].Value, "urn:oid:2.16.840.1.3"},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: got %q, want %q", what, c[0], c[1])
		}
	}
	if got := d.Category(); got != fhir.General {
		t.Errorf("category: got %v, want general", got)
	}
}

// TestCodesAnywhereCount: one code deep in the body decides for the whole.
func TestCodesAnywhereCount(t *testing.T) {
	text := strings.Replace(sample, `<code code="X" codeSystem="2.16.840.1.113883.6.1"/>`, `<value code="B20" codeSystem="2.16.840.1.113883.6.90"/>`, 1)
	d, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Category(); got != fhir.HIVSTI {
		t.Fatalf("category: got %v, want %v", got, fhir.HIVSTI)
	}
	b, err := fhir.ParseBundle(Wrap("p", ContentType, []byte(text), d))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range b.Entries {
		if got := fhir.CategoryOf(e.Resource); got != fhir.HIVSTI {
			t.Errorf("%s: got %v, want %v", e.Resource.Type, got, fhir.HIVSTI)
		}
	}
}

func TestWrap(t *testing.T) {
	d, err := Parse([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	one := Wrap("p", ContentType, []byte(sample), d)
	b, err := fhir.ParseBundle(one)
	if err != nil || len(b.Entries) != 2 {
		t.Fatalf("got %v", err)
	}
	if got, _ := base64.StdEncoding.DecodeString(b.Entries[0].Resource.Get("data").Text()); string(got) != sample {
		t.Error("the document is not as it was")
	}
	if string(Wrap("p", ContentType, []byte(sample), d)) != string(one) || string(Wrap("q", ContentType, []byte(sample), d)) == string(one) {
		t.Error("the same document of the same patient is not the same Bundle, or another patient's is")
	}
	if _, err := fhir.ParseBundle(Wrap("p", "application/pdf", []byte("%PDF-"), nil)); err != nil {
		t.Errorf("a PDF: %v", err)
	}
}

func TestParseRefuses(t *testing.T) {
	deep := strings.Repeat("<a>", depthMax) + strings.Repeat("</a>", depthMax)
	for name, text := range map[string]string{
		"nothing": "", "text": "hello", "another root": `<html xmlns="urn:hl7-org:v3"/>`, "another namespace": `<ClinicalDocument xmlns="urn:x"/>`,
		"no namespace": `<ClinicalDocument/>`, "cut short": sample[:len(sample)-20], "two roots": sample + `<ClinicalDocument xmlns="urn:hl7-org:v3"/>`,
		"no patient":             `<ClinicalDocument xmlns="urn:hl7-org:v3"/>`,
		"two patients":           strings.Replace(sample, "<author>", "<recordTarget/><author>", 1),
		"an entity of its own":   `<!DOCTYPE x [<!ENTITY a "aaaa">]>` + strings.TrimPrefix(sample, `<?xml version="1.0" encoding="UTF-8"?>`),
		"an entity":              strings.Replace(sample, "Summary of", "&secret;", 1),
		"a file":                 `<!DOCTYPE x SYSTEM "file:///etc/passwd">` + sample,
		"another character set":  strings.Replace(sample, "UTF-8", "ISO-8859-1", 1),
		"bytes that are not":     strings.Replace(sample, "Jane", "J\xe9", 1),
		"too deep":               strings.Replace(sample, "<author>", deep+"<author>", 1),
		"too many":               strings.Replace(sample, "<author>", strings.Repeat("<a/>", elementsMax)+"<author>", 1),
		"too long":               sample + strings.Repeat(" ", DocumentBytesMax),
		"tags that do not match": strings.Replace(sample, "</author>", "</custodian>", 1),
	} {
		if _, err := Parse([]byte(text)); !errors.Is(err, ErrDocument) {
			t.Errorf("%s: got %v, want it refused", name, err)
		} else if strings.Contains(err.Error(), "Jane") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error quotes the document", name)
		}
	}
}

// FuzzParse: nothing panics; what is taken wraps into a Bundle that parses,
// with the document whole.
func FuzzParse(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte(`<ClinicalDocument xmlns="urn:hl7-org:v3"><recordTarget/><title>&#0;&lt;</title></ClinicalDocument>`))
	f.Add([]byte(`<c:ClinicalDocument xmlns:c="urn:hl7-org:v3"><c:recordTarget/></c:ClinicalDocument>`))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := Parse(text)
		if err != nil {
			if !errors.Is(err, ErrDocument) {
				t.Errorf("got %v", err)
			}
			return
		}
		b, err := fhir.ParseBundle(Wrap("p", ContentType, text, d))
		if err != nil {
			t.Fatalf("the Bundle: %v", err)
		}
		if got, _ := base64.StdEncoding.DecodeString(b.Entries[0].Resource.Get("data").Text()); string(got) != string(text) {
			t.Error("the document is not as it was")
		}
	})
}

package hl7

import (
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton/internal/fhir"
)

func head(kind string) string { return strings.Replace(msh, "ORU^R01^ORU_R01", kind, 1) }

const (
	pid = `PID|1||m1^^^HOSP&http://hospital.example&URI^MR~999^^^^SS||Doe^Jane^Q^Jr^Ms^^L~Roe^Jane^^^^^M||19800102|F|||1 Main St^Apt 2^Town^ST^12345^NLD^H^^County||^PRN^CP^^31^6^5550100~^NET^Internet^jane@example.org|^WPN^PH^^^^5550199|en|M||||||||N|||||20260101|Y`
	pv1 = `PV1|1|I|W1^R2^B3^Hosp|||W0^R1^B1|1234^Smith^John^^^Dr^^^HOSP||||||||||||V99^^^HOSP&http://hospital.example&URI|||||||||||||||||01||||||||202601010900|202601021000`
)

// samples are messages of every kind that is mapped, for the fuzzers too.
func samples() [][]byte {
	return [][]byte{
		lines(head("ADT^A01"), pid, pv1), lines(head("ADT^A03"), pid, pv1), lines(head("ADT^A08"), pid, pv1, "NK1|1|Doe^John|SPO^Spouse^HL70063|2 Side St^^Town|^PRN^PH^^^^1"),
		lines(head("ADT^A31"), pid), lines(head("ADT^A40"), pid, "MRG|x"),
		lines(msh, pid, "ORC|RE|P1|F1||||||||||||||||||||||||||PSY", `OBR|1|P1^PL|F1^LAB^2.16.840^ISO|24323-8^CMP^LN|||202601011100|202601011105||||||||||||||202601011130+0100||LAB|F`, "NTE|1||of the order",
			`OBX|1|NM|2345-7^Glucose^LN||+05.40|mmol/L^^UCUM|3.9-5.8|H|||F|||20260101`, `NTE|1||a \T\ b`, `OBX|2|SN|X1^Local^L||>^100||<5|HH~zz|||P`,
			`OBX|3|CWE|7917-8^HIV 1 Ab^LN||260385009^Negative^SCT^N^neg^L|||N|||C`, `OBX|4|ED|PDF^Doc^L||^AP^PDF^Base64^aGVsbG8=||||||F`, `OBX|5|NM|1^x||n/a|||||F`,
			`OBX|6|TX|2^y||one~two`, `OBX|7|CE|3^z||a^A~b^B`, `OBX|8|SN|4^r||^1^:^128`, `OBX|9|SN|5^r||^1^-^2|mg^mg^UCUM`, `OBX|10|DT|6||20260101`, `OBX|11|TM|7||1230`),
		lines(head("MDM^T02"), pid, pv1, `TXA|1|DS^Discharge^L|TX|202601010900||202601011000|||1234^Smith^John|5^Signer||D1^DOCS|D0^DOCS||||AU|V`, "OBX|1|TX|x||line one", "OBX|2|TX|x||line two",
			`OBX|3|ED|PDF||^AP^PDF^Base64^aGVsbG8=`),
		lines(head("SIU^S12"), pid, `SCH|P1|A1^SCHED|||||CHECKUP^Checkup^HL70276|ROUTINE^Routine^HL70276|30|min|^^^202601051000^`, "RGS|1", "AIS|1||CARD^Cardiology^L", "AIP|1||1234^Smith^John", "AIL|1||OUT^1"),
		lines(head("SIU^S15"), pid, `SCH|P1|A1^SCHED`),
	}
}

// mapped is a message's Bundle, by type.
func mapped(t *testing.T, segments ...string) (*Mapped, map[string][]fhir.Entry) {
	t.Helper()
	m, err := Parse(lines(segments...))
	if err != nil {
		t.Fatal(err)
	}
	out, err := Map(m, Options{Zone: time.FixedZone("", 7200), Systems: map[string]string{"LOC": "http://local.example"}, Received: at})
	if err != nil {
		t.Fatal(err)
	}
	b, err := fhir.ParseBundle(out.Bundle)
	if err != nil {
		t.Fatal(err)
	}
	by := make(map[string][]fhir.Entry)
	for _, e := range b.Entries {
		by[e.Resource.Type] = append(by[e.Resource.Type], e)
	}
	return out, by
}

// original is the message that a Bundle's Provenance holds.
func original(t *testing.T, b *fhir.Bundle) []byte {
	t.Helper()
	for _, e := range b.Entries {
		for c := range e.Resource.Get("contained").Each() {
			for part := range c.Get("content").Each() {
				raw, err := base64.StdEncoding.DecodeString(part.Path("attachment", "data").Text())
				if err != nil {
					t.Fatal(err)
				}
				return raw
			}
		}
	}
	t.Fatal("no Provenance holds the message")
	return nil
}

// text is the value at a path of names and numbers, as JSON.
func text(v fhir.Value, path string) string {
	for name := range strings.SplitSeq(path, ".") {
		n, err := strconv.Atoi(name)
		if err != nil {
			v = v.Get(name)
			continue
		}
		all := slices.Collect(v.Children())
		if n >= len(all) {
			return ""
		}
		v = all[n]
	}
	return string(v.Raw())
}

func wants(t *testing.T, r fhir.Resource, want map[string]string) {
	t.Helper()
	for path, value := range want {
		if got := text(r.Value, path); got != value {
			t.Errorf("%s.%s: got %s, want %s", r.Type, path, got, value)
		}
	}
}

func TestMapPatient(t *testing.T) {
	out, by := mapped(t, head("ADT^A08"), pid, pv1, "NK1|1|Doe^John|SPO^Spouse^HL70063|2 Side St^^Town|^PRN^PH^^^^1", "NK1|2||FTH")
	wants(t, by["Patient"][0].Resource, map[string]string{
		"identifier.0.system": `"http://hospital.example"`, "identifier.0.value": `"m1"`, "identifier.0.type.coding.0.code": `"MR"`,
		"identifier.1.system": "", "identifier.1.value": `"999"`,
		"name.0.use": `"official"`, "name.0.family": `"Doe"`, "name.0.given.1": `"Q"`, "name.0.suffix.0": `"Jr"`, "name.0.prefix.0": `"Ms"`, "name.1.use": `"maiden"`,
		"telecom.0.value": `"+31 6 5550100"`, "telecom.0.use": `"mobile"`, "telecom.1.system": `"email"`, "telecom.1.value": `"jane@example.org"`, "telecom.2.use": `"work"`,
		"gender": `"female"`, "birthDate": `"1980-01-02"`, "deceasedDateTime": `"2026-01-01"`, "deceasedBoolean": "",
		"address.0.use": `"home"`, "address.0.line.1": `"Apt 2"`, "address.0.district": `"County"`, "address.0.country": `"NLD"`,
		"maritalStatus.coding.0.code": `"M"`, "communication.0.language.coding.0.code": `"en"`,
		"contact.0.name.family": `"Doe"`, "contact.0.relationship.0.coding.0.code": `"SPO"`, "contact.1": "",
	})
	if by["Patient"][0].URL != "Patient?identifier=http%3A%2F%2Fhospital.example%7Cm1" || !out.Corrects || out.BirthDate != "1980-01-02" {
		t.Errorf("got %s, corrects %v, born %s", by["Patient"][0].URL, out.Corrects, out.BirthDate)
	}
	if want := []fhir.Code{{System: "http://hospital.example", Value: "m1"}}; !slices.Equal(out.Patients, want) {
		t.Errorf("identifiers: got %d, want only that with an authority", len(out.Patients))
	}
}

func TestMapVisit(t *testing.T) {
	for event, status := range map[string]string{"A01": "in-progress", "A02": "in-progress", "A03": "finished", "A04": "in-progress", "A08": "finished", "A11": "cancelled", "A05": "planned", "A13": "in-progress"} {
		out, by := mapped(t, head("ADT^"+event), pid, pv1, "PV2|||R1^Reason^L")
		wants(t, by["Encounter"][0].Resource, map[string]string{
			"status": strconv.Quote(status), "class.code": `"IMP"`, "identifier.0.value": `"V99"`, "identifier.0.system": `"http://hospital.example"`,
			"participant.0.individual.display": `"Dr John Smith"`, "participant.0.individual.type": `"Practitioner"`, "participant.0.type.0.coding.0.code": `"ATND"`,
			"period.start": `"2026-01-01T09:00:00+02:00"`, "location.0.location.display": `"Hosp W1 R2 B3"`, "reasonCode.0.coding.0.display": `"Reason"`,
			"subject.reference": `"Patient?identifier=http%3A%2F%2Fhospital.example%7Cm1"`, "hospitalization.dischargeDisposition.coding.0.code": `"01"`,
		})
		if moved := text(by["Encounter"][0].Resource.Value, "location.1.location.display"); (moved != "") != (event == "A02") {
			t.Errorf("%s: where from: got %s", event, moved)
		}
		if (len(by["Patient"]) > 0) != (event == "A08") || out.Corrects != (event == "A08") {
			t.Errorf("%s: %d Patients, want one with A08 alone", event, len(by["Patient"]))
		}
	}
	if _, by := mapped(t, head("ADT^A31"), pid, pv1); len(by["Encounter"]) != 0 || len(by["Patient"]) != 1 {
		t.Error("A31 is about the person alone")
	}
}

func TestMapResults(t *testing.T) {
	message := strings.Split(string(samples()[5]), "\r")
	out, by := mapped(t, message...)
	report := by["DiagnosticReport"][0]
	wants(t, report.Resource, map[string]string{
		"identifier.0.system": `"urn:oid:2.16.840"`, "identifier.0.value": `"F1"`, "status": `"final"`, "code.coding.0.system": `"http://loinc.org"`,
		"effectivePeriod.end": `"2026-01-01T11:05:00+02:00"`, "issued": `"2026-01-01T11:30:00+01:00"`, "conclusion": `"of the order"`,
		"presentedForm.0.contentType": `"application/pdf"`, "presentedForm.0.data": `"aGVsbG8="`, "basedOn.0.identifier.value": `"P1"`, "result.9.reference": strconv.Quote(by["Observation"][9].FullURL),
		"category.0.coding.0.code": `"LAB"`,
	})
	if got := len(by["Observation"]); got != 10 {
		t.Fatalf("observations: got %d, want 10", got)
	}
	for i, want := range []map[string]string{
		{"valueQuantity.value": "5.40", "valueQuantity.code": `"mmol/L"`, "valueQuantity.system": `"http://unitsofmeasure.org"`, "interpretation.0.coding.0.code": `"H"`, "status": `"final"`,
			"referenceRange.0.low.value": "3.9", "referenceRange.0.high.value": "5.8", "note.0.text": `"a & b"`, "effectiveDateTime": `"2026-01-01"`, "category.0.coding.0.code": `"laboratory"`},
		{"valueQuantity.comparator": `">"`, "valueQuantity.value": "100", "code.coding.0.system": `"urn:x-hl7v2:LAB:HOSP:codes:L"`, "interpretation.1.coding.0.code": `"zz"`, "status": `"preliminary"`, "referenceRange.0.high.value": "5"},
		{"valueCodeableConcept.coding.0.code": `"260385009"`, "valueCodeableConcept.coding.1.display": `"neg"`, "status": `"corrected"`},
		{"valueString": `"n/a"`, "valueQuantity": ""}, // a number that is none stays as text
		{"valueString": `"one\ntwo"`, "status": `"unknown"`},
		{"valueCodeableConcept.coding.0.code": `"a"`, "component.0.valueCodeableConcept.coding.0.code": `"b"`},
		{"valueRatio.numerator.value": "1", "valueRatio.denominator.value": "128"},
		{"valueRange.low.value": "1", "valueRange.high.unit": `"mg"`},
		{"valueDateTime": `"2026-01-01"`},
		{"valueTime": `"12:30:00"`},
	} {
		wants(t, by["Observation"][i].Resource, want)
	}
	if out.Corrects {
		t.Error("results correct no person")
	}
}

// TestWholeMessageIsHeldAsCloselyAsItsClosestPart: report and Provenance, which
// hold or name all of it, take the strictest part's category; a result about
// something else keeps its own.
func TestWholeMessageIsHeldAsCloselyAsItsClosestPart(t *testing.T) {
	_, by := mapped(t, msh, pid, "OBR|1|P1|F1|24323-8^CMP^LN", "OBX|1|NM|2345-7^Glucose^LN||5", "OBX|2|CWE|7917-8^HIV 1 Ab^LN||x^y^SCT")
	for kind, want := range map[string]fhir.Category{"DiagnosticReport": fhir.HIVSTI, "Provenance": fhir.HIVSTI} {
		if got := fhir.CategoryOf(by[kind][0].Resource); got != want {
			t.Errorf("%s: got %v, want %v", kind, got, want)
		}
	}
	for i, want := range []fhir.Category{fhir.General, fhir.HIVSTI} {
		if got := fhir.CategoryOf(by["Observation"][i].Resource); got != want {
			t.Errorf("observation %d: got %v, want %v", i, got, want)
		}
	}
}

// TestSenderSaysHowClosely: ORC-28 and TXA-18 label everything.
func TestSenderSaysHowClosely(t *testing.T) {
	_, by := mapped(t, msh, pid, "ORC|RE"+strings.Repeat("|", 27)+"PSY", "OBR|1|P1|F1|24323-8^CMP^LN", "OBX|1|NM|2345-7^Glucose^LN||5")
	_, letter := mapped(t, strings.Split(string(samples()[6]), "\r")...)
	for kind, c := range map[string]struct {
		r    fhir.Resource
		want fhir.Category
	}{
		"Observation": {by["Observation"][0].Resource, fhir.Psychiatric}, "report": {by["DiagnosticReport"][0].Resource, fhir.Psychiatric},
		"Provenance": {by["Provenance"][0].Resource, fhir.Psychiatric}, "letter": {letter["DocumentReference"][0].Resource, fhir.Safeguarding},
		"its Provenance": {letter["Provenance"][0].Resource, fhir.Safeguarding},
	} {
		if got := fhir.CategoryOf(c.r); got != c.want {
			t.Errorf("%s: got %v, want %v", kind, got, c.want)
		}
	}
}

func TestMapDocument(t *testing.T) {
	_, by := mapped(t, strings.Split(string(samples()[6]), "\r")...)
	d := by["DocumentReference"][0]
	wants(t, d.Resource, map[string]string{
		"masterIdentifier.value": `"D1"`, "status": `"current"`, "docStatus": `"final"`, "author.0.display": `"John Smith"`, "authenticator.display": `"Signer"`,
		"date": `"2026-01-01T10:00:00+02:00"`, "content.0.attachment.contentType": `"text/plain; charset=utf-8"`, "content.1.attachment.contentType": `"application/pdf"`,
		"content.0.attachment.data":            strconv.Quote(base64.StdEncoding.EncodeToString([]byte("line one\nline two"))),
		"context.encounter.0.identifier.value": `"V99"`, "type.coding.0.code": `"DS"`,
	})
	if _, by := mapped(t, head("MDM^T11"), pid, "TXA|1|DS||||||||||D1^DOCS"); text(by["DocumentReference"][0].Resource.Value, "status") != `"entered-in-error"` {
		t.Error("T11 does not take the document back")
	}
}

func TestMapAppointment(t *testing.T) {
	_, by := mapped(t, strings.Split(string(samples()[7]), "\r")...)
	wants(t, by["Appointment"][0].Resource, map[string]string{
		"status": `"booked"`, "start": `"2026-01-05T10:00:00+02:00"`, "end": `"2026-01-05T10:30:00+02:00"`, "minutesDuration": "30", "identifier.0.value": `"A1"`,
		"participant.0.actor.reference": `"Patient?identifier=http%3A%2F%2Fhospital.example%7Cm1"`, "participant.1.actor.display": `"John Smith"`, "participant.2.actor.type": `"Location"`,
		"serviceType.0.coding.0.code": `"CARD"`,
	})
	for event, status := range map[string]string{"S15": "cancelled", "S13": "booked", "S26": "noshow", "S17": "entered-in-error"} {
		_, by := mapped(t, head("SIU^"+event), pid, `SCH|P1|A1^SCHED|||||||||^^^202601051000^202601051030`)
		wants(t, by["Appointment"][0].Resource, map[string]string{"status": strconv.Quote(status)})
	}
}

func TestMapProvenance(t *testing.T) {
	out, by := mapped(t, head("ADT^A01"), pid, pv1)
	p := by["Provenance"][0]
	wants(t, p.Resource, map[string]string{
		"target.0.reference": strconv.Quote(by["Encounter"][0].FullURL), "recorded": `"2026-01-01T12:00:00+01:00"`, "agent.0.who.display": `"LAB"`,
		"entity.0.what.reference": `"#original"`, "contained.0.masterIdentifier.value": `"M1"`, "activity.coding.0.code": `"A01"`,
	})
	if out.Source != p.FullURL || out.Key != KeyOf(lines(head("ADT^A01"), pid, pv1)) {
		t.Error("Source or Key is not that of the Provenance and the message")
	}
	_, by = mapped(t, strings.Replace(head("ADT^A01"), "20260101120000+0100", "", 1), pid, pv1)
	if got := text(by["Provenance"][0].Resource.Value, "recorded"); got != `"2026-01-01T11:00:00Z"` {
		t.Errorf("without MSH-7: got %s, want when it was received", got)
	}
}

// TestMapRefuses: each reason, and no message is mapped half.
func TestMapRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		segments []string
		reason   Reason
	}{
		"a merge":                {[]string{head("ADT^A40"), pid}, ReasonMerge},
		"another type":           {[]string{head("DFT^P03"), pid}, ReasonUnsupported},
		"another event":          {[]string{head("ADT^A60"), pid}, ReasonUnsupported},
		"no type":                {[]string{head(""), pid}, ReasonUnsupported},
		"no control id":          {[]string{strings.Replace(msh, "|M1|", "||", 1), pid}, ReasonIncomplete},
		"training":               {[]string{strings.Replace(msh, "|P|", "|T|", 1), pid}, ReasonTest},
		"no PID":                 {[]string{msh, "OBR|1"}, ReasonIncomplete},
		"two PIDs":               {[]string{msh, pid, "OBR|1", pid}, ReasonUnsupported},
		"no authority":           {[]string{msh, "PID|1||m1^^^^MR", "OBR|1"}, ReasonPatient},
		"an unknown authority":   {[]string{msh, "PID|1||m1^^^ELSE^MR", "OBR|1"}, ReasonPatient},
		"no orders":              {[]string{msh, pid}, ReasonIncomplete},
		"no visit number":        {[]string{head("ADT^A01"), pid, "PV1|1|I"}, ReasonIncomplete},
		"no document number":     {[]string{head("MDM^T02"), pid, "TXA|1"}, ReasonIncomplete},
		"no appointment number":  {[]string{head("SIU^S12"), pid, "SCH"}, ReasonIncomplete},
		"no time of appointment": {[]string{head("SIU^S12"), pid, "SCH|P1|A1"}, ReasonIncomplete},
		"too many results":       {[]string{msh, pid, "OBR|1|P1|F1" + strings.Repeat("\rOBX|1|ST|c||x", ResourcesMax)}, ReasonTooLarge},
	} {
		m, err := Parse(lines(c.segments...))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_, err = Map(m, Options{})
		if r, ok := errors.AsType[*Refusal](err); !ok || r.Reason != c.reason {
			t.Errorf("%s: got %v, want %s", name, err, c.reason)
		}
	}
}

// TestLocalAuthority: the settings name the system of a namespace.
func TestLocalAuthority(t *testing.T) {
	out, _ := mapped(t, msh, "PID|1||m1^^^LOC^MR", "OBR|1|P1|F1|c^n^L")
	if want := (fhir.Code{System: "http://local.example", Value: "m1"}); out.Patients[0] != want {
		t.Errorf("got another system, want that of the settings")
	}
}

// TestResultsOfOneOrderHaveNamesOfTheirOwn: two results with the same code.
func TestResultsOfOneOrderHaveNamesOfTheirOwn(t *testing.T) {
	_, by := mapped(t, msh, pid, "OBR|1|P1|F1|c^n^LN", "OBX|1|NM|1^a^LN||1", "OBX|2|NM|1^a^LN||2", "OBX|3|NM|1^a^LN|2|3")
	seen := make(map[string]bool)
	for _, e := range by["Observation"] {
		if seen[e.URL] || !strings.HasPrefix(e.URL, "Observation?identifier=") {
			t.Errorf("%s names two results, or none", e.URL)
		}
		seen[e.URL] = true
	}
}

func TestErrorsHoldNothingOfTheMessage(t *testing.T) {
	for _, segments := range [][]string{{msh, "PID|1||Secretperson"}, {head("ADT^A01"), pid, "PV1|1|Secretperson"}, {msh, "Secretperson"}, {"MSH|Secretperson"}} {
		m, err := Parse(lines(segments...))
		if err == nil {
			_, err = Map(m, Options{})
		}
		if err == nil || strings.Contains(err.Error(), "Secretperson") {
			t.Errorf("got %v, want an error without what stands there", err)
		}
	}
}

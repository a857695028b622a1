package fhir_test

import (
	"testing"

	"github.com/abaton-health/abaton/internal/fhir"
)

func TestInEmergency(t *testing.T) {
	for _, c := range []struct {
		name, body  string
		copied, now bool
	}{
		{"active allergy", `{"resourceType":"AllergyIntolerance","clinicalStatus":{"coding":[{"code":"active"}]}}`, true, true},
		{"resolved allergy", `{"resourceType":"AllergyIntolerance","clinicalStatus":{"coding":[{"code":"resolved"}]}}`, true, false},
		{"allergy of unknown status", `{"resourceType":"AllergyIntolerance"}`, true, true},
		{"refuted allergy", `{"resourceType":"AllergyIntolerance","verificationStatus":{"coding":[{"code":"refuted"}]}}`, true, false},
		{"active problem", `{"resourceType":"Condition","clinicalStatus":{"coding":[{"code":"active"}]}}`, true, true},
		{"problem of the past", `{"resourceType":"Condition","clinicalStatus":{"coding":[{"code":"inactive"}]}}`, true, false},
		{"medicine taken now", `{"resourceType":"MedicationRequest","status":"active"}`, true, true},
		{"medicine stopped", `{"resourceType":"MedicationRequest","status":"stopped"}`, true, false},
		{"implant", `{"resourceType":"Device","status":"active"}`, true, true},
		{"implant taken out", `{"resourceType":"DeviceUseStatement","status":"completed"}`, true, false},
		{"contact", `{"resourceType":"RelatedPerson","active":true}`, true, true},
		{"contact of the past", `{"resourceType":"RelatedPerson","active":false}`, true, false},
		{"patient", `{"resourceType":"Patient"}`, true, true},
		{"wishes", `{"resourceType":"Consent","status":"active","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"adr"}]}}`, true, true},
		{"do not resuscitate", `{"resourceType":"Consent","status":"active","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentcategorycodes","code":"dnr"}]}]}`, true, true},
		{"wishes taken back", `{"resourceType":"Consent","status":"inactive","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"adr"}]}}`, true, false},
		{"another consent", `{"resourceType":"Consent","status":"active","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"research"}]}}`, false, false},
		{"blood group", `{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"882-1"}]}}`, true, true},
		{"blood group not final", `{"resourceType":"Observation","status":"preliminary","code":{"coding":[{"system":"http://loinc.org","code":"882-1"}]}}`, true, false},
		{"another result", `{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"718-7"}]}}`, false, false},
		{"a visit", `{"resourceType":"Encounter","status":"finished"}`, false, false},
		{"a problem kept apart", `{"resourceType":"Condition","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"PSY"}]},"clinicalStatus":{"coding":[{"code":"active"}]}}`, false, false},
	} {
		r, err := fhir.ParseResource([]byte(c.body))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got := fhir.EmergencyCopy(r); got != c.copied {
			t.Errorf("%s: copied: got %v, want %v", c.name, got, c.copied)
		}
		if got := fhir.InEmergency(r); got != c.now {
			t.Errorf("%s: in the set: got %v, want %v", c.name, got, c.now)
		}
	}
	if !fhir.EmergencyKind("Condition") || fhir.EmergencyKind("Encounter") {
		t.Error("kinds: got others than those of the table")
	}
}

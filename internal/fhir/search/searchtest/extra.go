package searchtest

import "strings"

// Extra are resources of the types that US Core searches and Synthea has
// none or little of, for one patient: small, with values to search by.
func Extra(patient string) (bodies []string) {
	for _, body := range []string{
		`{"resourceType":"Goal","lifecycleStatus":"active","description":{"coding":[{"system":"http://snomed.info/sct","code":"281004"}],"text":"rest"},"subject":{"reference":"@"},"target":[{"dueDate":"2026-05-04"}]}`,
		`{"resourceType":"Goal","lifecycleStatus":"completed","description":{"text":"walk"},"subject":{"reference":"@"},"target":[{"dueDate":"2025-01"}]}`,
		`{"resourceType":"Coverage","status":"active","beneficiary":{"reference":"@"},"payor":[{"display":"x"}]}`,
		`{"resourceType":"MedicationDispense","status":"completed","subject":{"reference":"@"},"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"FF"}]},"medicationCodeableConcept":{"text":"m"}}`,
		`{"resourceType":"MedicationDispense","status":"in-progress","subject":{"reference":"@"},"medicationCodeableConcept":{"text":"m"}}`,
		`{"resourceType":"QuestionnaireResponse","status":"completed","questionnaire":"http://h/Questionnaire/phq|2","subject":{"reference":"@"},"authored":"2026-02-03T10:00:00+01:00"}`,
		`{"resourceType":"QuestionnaireResponse","status":"in-progress","questionnaire":"http://h/Questionnaire/other","subject":{"reference":"@"},"authored":"2025-12-31"}`,
		`{"resourceType":"RelatedPerson","patient":{"reference":"@"},"name":[{"family":"Kin","given":["Ann"]}]}`,
		`{"resourceType":"RelatedPerson","patient":{"reference":"@"},"name":[{"text":"Bo Kinsman"}]}`,
		`{"resourceType":"ServiceRequest","status":"active","intent":"order","category":[{"coding":[{"system":"http://snomed.info/sct","code":"108252007"}]}],"code":{"coding":[{"system":"http://loinc.org","code":"24323-8"}]},"subject":{"reference":"@"},"authoredOn":"2026-03-04T05:06:07Z"}`,
		`{"resourceType":"ServiceRequest","status":"completed","intent":"order","code":{"coding":[{"system":"http://loinc.org","code":"24356-8"}]},"subject":{"reference":"@"},"authoredOn":"2024-03-04"}`,
		`{"resourceType":"Specimen","subject":{"reference":"@"},"type":{"text":"blood"}}`,
		`{"resourceType":"Device","status":"active","type":{"coding":[{"system":"http://snomed.info/sct","code":"72506001"}]},"patient":{"reference":"@"}}`,
		`{"resourceType":"AllergyIntolerance","clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical","code":"active"}]},"patient":{"reference":"@"}}`,
		`{"resourceType":"Condition","extension":[{"url":"http://hl7.org/fhir/StructureDefinition/condition-assertedDate","valueDateTime":"2026-01-02"}],"clinicalStatus":{"coding":[{"code":"active"}]},"category":[{"coding":[{"code":"problem-list-item"}]}],"recordedDate":"2026-01-05","onsetPeriod":{"start":"2025-12"},"abatementDateTime":"2026-02","subject":{"reference":"@"}}`,
		`{"resourceType":"Encounter","status":"finished","class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"IMP"},"identifier":[{"system":"urn:visit","value":"v-7"}],"type":[{"coding":[{"code":"chk"}]}],"subject":{"reference":"@"},"period":{"start":"2026-01-01"},"hospitalization":{"dischargeDisposition":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/discharge-disposition","code":"home"}]}}}`,
	} {
		bodies = append(bodies, strings.ReplaceAll(body, "@", patient))
	}
	return bodies
}

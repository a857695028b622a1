package searchtest

import "sync"

// rules are written from the element definitions of R4 and US Core, one for
// each parameter that US Core 8.0.0 lists.
var rules = sync.OnceValue(func() map[string]rule {
	all := map[string]rule{
		"AllergyIntolerance.clinical-status": {"clinicalStatus", concept},
		"AllergyIntolerance.patient":         {"patient", patient},

		"CareTeam.role":                       {"participant.role", concept},
		"CarePlan.date":                       {"period", moment},
		"CarePlan.category":                   {"category", concept},
		"Condition.abatement-date":            {"abatementDateTime abatementPeriod", moment},
		"Condition.asserted-date":             {"extension", asserted},
		"Condition.clinical-status":           {"clinicalStatus", concept},
		"Condition.encounter":                 {"encounter", reference},
		"Condition.onset-date":                {"onsetDateTime onsetPeriod", moment},
		"Condition.recorded-date":             {"recordedDate", moment},
		"Coverage.patient":                    {"beneficiary", patient},
		"Device.patient":                      {"patient", patient},
		"DiagnosticReport.date":               {"effectiveDateTime effectivePeriod", moment},
		"DocumentReference.date":              {"date", moment},
		"DocumentReference.period":            {"context.period", moment},
		"Encounter.class":                     {"class", coding},
		"Encounter.date":                      {"period", moment},
		"Encounter.discharge-disposition":     {"hospitalization.dischargeDisposition", concept},
		"Encounter.identifier":                {"identifier", identifier},
		"Encounter.location":                  {"location.location", reference},
		"Goal.description":                    {"description", concept},
		"Goal.lifecycle-status":               {"lifecycleStatus", code},
		"Goal.target-date":                    {"target.dueDate", moment},
		"Immunization.date":                   {"occurrenceDateTime", moment},
		"Immunization.patient":                {"patient", patient},
		"Location.address":                    {"address", addressParts},
		"Location.address-city":               {"address.city", starts},
		"Location.address-postalcode":         {"address.postalCode", starts},
		"Location.address-state":              {"address.state", starts},
		"Location.name":                       {"name alias", starts},
		"MedicationDispense.type":             {"type", concept},
		"MedicationRequest.authoredon":        {"authoredOn", moment},
		"MedicationRequest.encounter":         {"encounter", reference},
		"MedicationRequest.intent":            {"intent", code},
		"Observation.date":                    {"effectiveDateTime effectivePeriod effectiveInstant", moment},
		"Organization.address":                {"address", addressParts},
		"Organization.name":                   {"name alias", starts},
		"Patient.birthdate":                   {"birthDate", moment},
		"Patient.death-date":                  {"deceasedDateTime", moment},
		"Patient.family":                      {"name.family", starts},
		"Patient.given":                       {"name.given", starts},
		"Patient.identifier":                  {"identifier", identifier},
		"Patient.name":                        {"name", nameParts},
		"Practitioner.identifier":             {"identifier", identifier},
		"Practitioner.name":                   {"name", nameParts},
		"PractitionerRole.practitioner":       {"practitioner", reference},
		"PractitionerRole.specialty":          {"specialty", concept},
		"Procedure.date":                      {"performedDateTime performedPeriod", moment},
		"QuestionnaireResponse.authored":      {"authored", moment},
		"QuestionnaireResponse.patient":       {"subject", patient},
		"QuestionnaireResponse.questionnaire": {"questionnaire", canonical},
		"RelatedPerson.name":                  {"name", nameParts},
		"RelatedPerson.patient":               {"patient", patient},
		"ServiceRequest.authored":             {"authoredOn", moment},
		"Specimen.patient":                    {"subject", patient},
	}
	for _, name := range []string{"CarePlan", "CareTeam", "Condition", "DiagnosticReport", "DocumentReference", "Encounter", "Goal",
		"MedicationDispense", "MedicationRequest", "Observation", "Procedure", "ServiceRequest"} {
		all[name+".patient"] = rule{"subject", patient}
	}
	for _, name := range []string{"CarePlan", "CareTeam", "Device", "DiagnosticReport", "DocumentReference", "Encounter", "Immunization",
		"MedicationDispense", "MedicationRequest", "Observation", "Procedure", "QuestionnaireResponse", "ServiceRequest"} {
		all[name+".status"] = rule{"status", code}
	}
	for _, name := range []string{"Condition", "DiagnosticReport", "DocumentReference", "Observation", "ServiceRequest"} {
		all[name+".category"] = rule{"category", concept}
	}
	for _, name := range []string{"Condition", "DiagnosticReport", "Observation", "Procedure", "ServiceRequest"} {
		all[name+".code"] = rule{"code", concept}
	}
	for _, name := range []string{"Device", "DocumentReference", "Encounter"} {
		all[name+".type"] = rule{"type", concept}
	}
	return all
})

// asserted is the extension US Core searches by asserted-date.
func asserted(v any, value string) bool {
	at := text(v, "valueDateTime")
	return text(v, "url") == "http://hl7.org/fhir/StructureDefinition/condition-assertedDate" && at != "" && moment(at, value)
}

// Known reports whether there is a rule for a parameter of a type.
func Known(kind, name string) bool {
	_, ok := rules()[kind+"."+name]
	return ok || name == "_id" || name == "_lastUpdated"
}

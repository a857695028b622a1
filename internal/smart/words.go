package smart

import (
	"slices"
	"strings"
)

// Words says in plain language what scopes let an app do, a line each. It is
// for people to decide by: nothing of what an app may do is left out.
func (s Scopes) Words() (lines []string) {
	add := func(line string) {
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	for _, c := range s.Clinical {
		add(c.words())
	}
	if s.Has(LaunchPatient) {
		add("know which record you choose")
	}
	if s.Has(OpenID) || s.Has(FHIRWho) {
		add("recognise you when you come back, and know which person in the record you are")
	}
	if s.Renews() {
		add("stay connected until this access ends, without asking you again")
	}
	return lines
}

func (c Scope) words() string {
	var does []string
	for _, d := range []struct {
		action Action
		word   string
	}{{Read | Search, "see"}, {Create, "add"}, {Update, "change"}, {Delete, "delete"}} {
		if c.Actions&d.action != 0 {
			does = append(does, d.word)
		}
	}
	line := join(does) + " " + wordOf(c.Type)
	for _, p := range c.Params {
		line += ", only those whose " + p.Name + " is " + short(p.Value)
	}
	switch c.Level {
	case PersonLevel:
		line += ", of every patient you may see"
	case SystemLevel:
		line += ", of every patient who allowed it"
	}
	return line
}

// short leaves the address of a code system out: people know codes, if
// anything.
func short(value string) string {
	var codes []string
	for one := range strings.SplitSeq(value, ",") {
		if _, code, ok := strings.Cut(one, "|"); ok && code != "" {
			one = code
		}
		codes = append(codes, one)
	}
	return strings.Join(codes, " or ")
}

func join(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// wordOf is a resource type as people say it; a type without a word of its own
// keeps its name.
func wordOf(kind string) string {
	switch kind {
	case Any:
		return "everything in the parts of the record you choose"
	case "AllergyIntolerance":
		return "allergies"
	case "Appointment":
		return "appointments"
	case "CarePlan", "CareTeam", "Goal":
		return "care plans, teams and goals (" + kind + ")"
	case "Condition":
		return "diagnoses and problems"
	case "Coverage", "Claim", "ExplanationOfBenefit":
		return "insurance and bills (" + kind + ")"
	case "Device", "DeviceRequest", "DeviceUseStatement":
		return "devices and implants (" + kind + ")"
	case "DiagnosticReport":
		return "reports of tests and scans"
	case "DocumentReference", "Binary":
		return "letters and documents (" + kind + ")"
	case "Encounter":
		return "visits and stays"
	case "FamilyMemberHistory":
		return "illnesses in the family"
	case "ImagingStudy", "Media":
		return "pictures and scans (" + kind + ")"
	case "Immunization":
		return "vaccinations"
	case "Medication", "MedicationRequest", "MedicationStatement", "MedicationDispense", "MedicationAdministration":
		return "medicines (" + kind + ")"
	case "Observation":
		return "measurements and test results"
	case "Patient":
		return "name, birth date, address and contacts"
	case "Practitioner", "PractitionerRole", "Organization", "Location":
		return "names and addresses of people and places of care (" + kind + ")"
	case "Procedure":
		return "operations and treatments"
	case "QuestionnaireResponse":
		return "answers to questionnaires"
	}
	return "records of the kind " + kind
}

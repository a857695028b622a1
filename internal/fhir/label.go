package fhir

// SensitivitySystem is the code system of LabelFor's codes.
const SensitivitySystem = "http://terminology.hl7.org/CodeSystem/v3-ActCode"

// LabelFor is the code of v3 ActCode by which CategoryOf puts a resource under
// a category; "" for those that no label calls for (general, imaging,
// emergency). A resource that holds others' content takes their label.
func LabelFor(c Category) string {
	switch c {
	case Reproductive:
		return "SEX"
	case Genetic:
		return "GDIS"
	case Psychiatric:
		return "PSY"
	case Addiction:
		return "ETH"
	case HIVSTI:
		return "HIV"
	case Safeguarding:
		return "TBOO"
	case PsychotherapyNotes:
		return "PSYTHPN"
	}
	return ""
}

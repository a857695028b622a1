package hl7

import "strings"

// Each table is one concept map of "Version 2 to FHIR"
// (http://hl7.org/fhir/uv/v2mappings), as a function from the code to the
// other code, "" where the map has no row. Codes without a row stay with their
// own system.

// gender is table 0001 as AdministrativeGender (table-hl70001-to-administrative-gender).
func gender(code string) string {
	switch code {
	case "F":
		return "female"
	case "M":
		return "male"
	case "O", "A", "N":
		return "other"
	case "U":
		return "unknown"
	}
	return ""
}

// maritalStatus is table 0002 in v3-MaritalStatus (table-hl70002-to-v3-marital-status).
func maritalStatus(code string) string {
	switch code {
	case "D", "M", "S", "W", "I", "P":
		return code
	case "A", "E": // separated, legally separated
		return "L"
	case "C": // common law
		return "C"
	case "T", "G": // unreported, living together
		return "T"
	}
	return ""
}

// encounterClass is table 0004 in v3-ActCode (table-hl70004-to-v3-act-code).
func encounterClass(code string) string {
	switch code {
	case "I":
		return "IMP"
	case "E":
		return "EMER"
	case "O", "R", "C", "U", "N", "B", "":
		return "AMB"
	case "P":
		return "PRENC"
	}
	return ""
}

// nameUse is table 0200 (table-hl70200-to-name-use).
func nameUse(code string) string {
	switch code {
	case "L", "":
		return "official"
	case "D":
		return "usual"
	case "M":
		return "maiden"
	case "N":
		return "nickname"
	case "S":
		return "anonymous"
	case "T", "TEMP":
		return "temp"
	case "BAD", "NOUSE":
		return "old"
	}
	return ""
}

// addressUse is table 0190 (table-hl70190-to-address-use).
func addressUse(code string) string {
	switch code {
	case "H", "P":
		return "home"
	case "B", "O":
		return "work"
	case "C":
		return "temp"
	case "BA":
		return "old"
	case "BI":
		return "billing"
	}
	return ""
}

// telecomSystem is table 0202 (table-hl70202-to-contact-point-system).
func telecomSystem(equipment, use string) string {
	switch equipment {
	case "FX":
		return "fax"
	case "BP":
		return "pager"
	case "Internet", "X.400":
		return "email"
	case "PH", "CP", "SAT", "":
		if use == "NET" {
			return "email"
		}
		return "phone"
	}
	return "other"
}

// telecomUse is table 0201 (table-hl70201-to-contact-point-use).
func telecomUse(use, equipment string) string {
	switch {
	case equipment == "CP" || use == "PRS":
		return "mobile"
	case use == "PRN" || use == "ORN" || use == "VHN":
		return "home"
	case use == "WPN":
		return "work"
	}
	return ""
}

// reportStatus is table 0123 (table-hl70123-queries-to-diagnostic-report-status).
func reportStatus(code string) string {
	switch code {
	case "O", "I", "S":
		return "registered"
	case "A", "R":
		return "partial"
	case "P":
		return "preliminary"
	case "C", "M":
		return "corrected"
	case "F":
		return "final"
	case "X":
		return "cancelled"
	}
	return "unknown"
}

// observationStatus is table 0085 (table-hl70085-to-observation-status). Codes
// that the map leaves open say that there is no verified result yet, or that
// one was not asked for.
func observationStatus(code string) string {
	switch code {
	case "A", "B":
		return "amended"
	case "C":
		return "corrected"
	case "D", "W":
		return "entered-in-error"
	case "F", "U":
		return "final"
	case "I", "O":
		return "registered"
	case "P", "R", "S":
		return "preliminary"
	case "X", "N":
		return "cancelled"
	}
	return "unknown"
}

// interpretation reports whether a code of table 0078 is the same code of
// v3-ObservationInterpretation (table-hl70078-to-v3-observation-interpretation).
func interpretation(code string) bool {
	switch code {
	case "L", "H", "LL", "HH", "N", "A", "AA", "<", ">", "U", "D", "B", "W", "S", "R", "I", "POS", "NEG", "IND", "DET", "ND",
		"HM", "LU", "HU", "CAR", "NR", "RR", "WR", "IE", "NS", "SDD", "SYN-R", "SYN-S", "NCL", "AC", "TOX", "QCF", "E":
		return true
	}
	return false
}

// documentStatus is table 0271 as CompositionStatus (TXA-17;
// table-hl70271-to-composition-status).
func documentStatus(code string) string {
	switch code {
	case "DI", "DO", "IP", "IN", "PA":
		return "preliminary"
	case "AU", "LA":
		return "final"
	}
	return ""
}

// appointmentStatus is table 0278 (SCH-25), for where the trigger leaves it
// open.
func appointmentStatus(code string) string {
	switch strings.ToUpper(code) {
	case "BOOKED", "OVERBOOK", "STARTED":
		return "booked"
	case "COMPLETE":
		return "fulfilled"
	case "CANCELLED", "DC", "DELETED", "DISCONTINUED":
		return "cancelled"
	case "NOSHOW":
		return "noshow"
	case "PENDING":
		return "pending"
	case "WAITLIST":
		return "waitlist"
	}
	return ""
}

// codeSystem is the URI of a coding system of table 0396
// (table-hl70396-to-uri); "" where there is none.
func codeSystem(name string) string {
	switch strings.ToUpper(name) {
	case "LN", "LOINC":
		return "http://loinc.org"
	case "SCT", "SCT2", "SNM3", "SNOMED-CT":
		return "http://snomed.info/sct"
	case "UCUM":
		return "http://unitsofmeasure.org"
	case "I10", "ICD10":
		return "http://hl7.org/fhir/sid/icd-10"
	case "I10C", "ICD10CM", "ICD-10-CM":
		return "http://hl7.org/fhir/sid/icd-10-cm"
	case "I9C", "I9CDX":
		return "http://hl7.org/fhir/sid/icd-9-cm"
	case "RXNORM":
		return "http://www.nlm.nih.gov/research/umls/rxnorm"
	case "NDC":
		return "http://hl7.org/fhir/sid/ndc"
	case "CVX":
		return "http://hl7.org/fhir/sid/cvx"
	case "C4", "CPTM", "CPT":
		return "http://www.ama-assn.org/go/cpt"
	case "ATC", "WC":
		return "http://www.whocc.no/atc"
	}
	if digits, ok := strings.CutPrefix(strings.ToUpper(name), "HL7"); ok && len(digits) == 4 && isDigits(digits) {
		return "http://terminology.hl7.org/CodeSystem/v2-" + digits
	}
	return ""
}

// Systems of codes that mappings use themselves.
const (
	systemGender        = "http://terminology.hl7.org/CodeSystem/v2-0001"
	systemMarital       = "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus"
	systemActCode       = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
	systemConfidential  = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
	systemInterpret     = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
	systemCategory      = "http://terminology.hl7.org/CodeSystem/observation-category"
	systemIdentifier    = "http://terminology.hl7.org/CodeSystem/v2-0203"
	systemSection       = "http://terminology.hl7.org/CodeSystem/v2-0074"
	systemEvent         = "http://terminology.hl7.org/CodeSystem/v2-0003"
	systemDocument      = "http://terminology.hl7.org/CodeSystem/v2-0270"
	systemDischarge     = "http://terminology.hl7.org/CodeSystem/v2-0112"
	systemService       = "http://terminology.hl7.org/CodeSystem/v2-0069"
	systemParticipation = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
	systemProvenance    = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
	systemUnits         = "http://unitsofmeasure.org"
	systemLanguage      = "urn:ietf:bcp:47"
)

// sensitivity is a confidentiality code of a sender (table 0177, table 0272)
// as a security label: what it speaks of, or how closely it is to be held.
func sensitivity(code string) (system, label string) {
	switch strings.ToUpper(code) {
	case "HIV", "AID":
		return systemActCode, "HIV"
	case "PSY":
		return systemActCode, "PSY"
	case "ETH":
		return systemActCode, "ETH"
	case "V":
		return systemConfidential, "V"
	case "R":
		return systemConfidential, "R"
	}
	return "", ""
}

package fhir

import "slices"

// What an emergency needs, as data: the types of which the emergency set is
// kept a copy, by what such a resource must say besides, and when it counts.
// Changes go here and nowhere else.
var emergencyRules = []emergencyRule{
	{kind: "AllergyIntolerance", status: []string{"clinicalStatus", "active"}, not: wrong},
	{kind: "Condition", status: []string{"clinicalStatus", "active", "recurrence", "relapse"}, not: wrong},
	{kind: "Consent", about: []codedAs{
		{"scope", "http://terminology.hl7.org/CodeSystem/consentscope", "adr"},
		{"category", "http://terminology.hl7.org/CodeSystem/consentcategorycodes", "acd"},
		{"category", "http://terminology.hl7.org/CodeSystem/consentcategorycodes", "dnr"},
		{"category", "http://terminology.hl7.org/CodeSystem/consentcategorycodes", "polst"},
	}, status: []string{"status", "active"}},
	{kind: "Device", status: []string{"status", "active"}},
	{kind: "DeviceUseStatement", status: []string{"status", "active", "intended"}},
	{kind: "MedicationRequest", status: []string{"status", "active", "on-hold"}},
	{kind: "MedicationStatement", status: []string{"status", "active", "intended", "on-hold"}},
	{kind: "Observation", about: []codedAs{
		{"code", "http://loinc.org", "882-1"},   // ABO and Rh group
		{"code", "http://loinc.org", "883-9"},   // ABO group
		{"code", "http://loinc.org", "10331-7"}, // Rh
	}, status: []string{"status", "final", "amended", "corrected"}},
	{kind: "Patient"},
	{kind: "RelatedPerson"},
}

// wrong are the verification statuses that say a fact is none.
var wrong = []string{"refuted", "entered-in-error"}

type emergencyRule struct {
	kind   string
	about  []codedAs // any one of them; none: every resource of the type
	status []string  // an element, and the codes with which it counts; absent counts too
	not    []string  // verificationStatus with which it never counts
}

type codedAs struct{ element, system, code string }

// EmergencyKind reports whether a deletion of such a resource is copied to the
// emergency set: its body is gone, its type is all there is.
func EmergencyKind(kind string) bool { return ruleOf(kind) != nil }

// EmergencyCopy reports whether every version of the resource is copied to the
// emergency set: whether it counts can change, and a set must say so too. Only
// what is of category General is: what a patient keeps apart stays apart.
func EmergencyCopy(r Resource) bool {
	rule := ruleOf(r.Type)
	return rule != nil && CategoryOf(r) == General &&
		(len(rule.about) == 0 || slices.ContainsFunc(rule.about, func(c codedAs) bool { return c.in(r) }))
}

// InEmergency reports whether the resource, as it stands, belongs on the screen
// of an emergency: an allergy that is active, a medicine that is taken now.
func InEmergency(r Resource) bool {
	if !EmergencyCopy(r) {
		return false
	}
	rule := ruleOf(r.Type)
	if code := coded(r.Get("verificationStatus")); slices.Contains(rule.not, code) {
		return false
	}
	if len(rule.status) == 0 {
		return string(r.Get("active").Raw()) != "false"
	}
	code := coded(r.Get(rule.status[0]))
	return code == "" || slices.Contains(rule.status[1:], code)
}

func ruleOf(kind string) *emergencyRule {
	for i := range emergencyRules {
		if emergencyRules[i].kind == kind {
			return &emergencyRules[i]
		}
	}
	return nil
}

// coded is a code, or the code of the first coding of a CodeableConcept.
func coded(v Value) string {
	if v.Kind() != Object {
		return v.Text()
	}
	for c := range v.Get("coding").Each() {
		return c.Get("code").Text()
	}
	return ""
}

// in reports whether the element, one or a list, has the coding.
func (c codedAs) in(r Resource) bool {
	element := r.Get(c.element)
	has := func(concept Value) bool {
		for coding := range concept.Get("coding").Each() {
			if coding.Get("system").Text() == c.system && coding.Get("code").Text() == c.code {
				return true
			}
		}
		return false
	}
	if element.Kind() != Array {
		return has(element)
	}
	for concept := range element.Each() {
		if has(concept) {
			return true
		}
	}
	return false
}

package main

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/people"
)

// emergencyScreen is what a clinician sees, and emergency open --json.
type emergencyScreen struct {
	V         int             `json:"v"`
	Patient   string          `json:"patient"`
	Opening   string          `json:"opening"`
	Escrow    string          `json:"escrow"`
	Until     int64           `json:"until"` // unix seconds
	Confirmed bool            `json:"confirmed"`
	Seconds   string          `json:"seconds"` // from the touch to this screen
	Missing   int             `json:"missing"` // records that could not be opened now
	Caveat    string          `json:"caveat,omitempty"`
	Person    string          `json:"person,omitempty"`
	Parts     []emergencyPart `json:"parts"`
}

// emergencyPart is one heading and what is under it.
type emergencyPart struct {
	Name  string   `json:"name"`
	Items []string `json:"items"`
}

// emergencyParts are the headings in the order in which they are read.
var emergencyParts = []struct {
	name  string
	kinds []string
}{
	{"Allergies", []string{"AllergyIntolerance"}},
	{"Medicines", []string{"MedicationRequest", "MedicationStatement"}},
	{"Problems", []string{"Condition"}},
	{"Implants and devices", []string{"Device", "DeviceUseStatement"}},
	{"Blood group", []string{"Observation"}},
	{"Contacts", []string{"Patient", "RelatedPerson"}},
	{"Wishes", []string{"Consent"}},
}

func newEmergencyScreen(got *people.Unconscious, handle string, wide bool) (*emergencyScreen, error) {
	s := &emergencyScreen{V: 1, Patient: handle, Opening: hex.EncodeToString(got.Request[:]), Escrow: got.Escrow.String(),
		Until: got.Until.Unix(), Missing: len(got.Chart.Missing), Caveat: got.Chart.Caveat}
	r := newOwnRecord()
	if err := r.fill(got.Chart.Records, nil); err != nil {
		return nil, err
	}
	var further map[string]int
	s.Person, s.Parts, further = inEmergency(r)
	if wide {
		rest := emergencyPart{Name: "Further records", Items: []string{}}
		for kind, count := range further {
			rest.Items = append(rest.Items, fmt.Sprintf("%s: %d", kind, count))
		}
		slices.Sort(rest.Items)
		s.Parts = append(s.Parts, rest)
	}
	return s, nil
}

// inEmergency is who somebody is, what stands under each heading, and how many
// resources of each type belong under none.
func inEmergency(r *ownRecord) (person string, parts []emergencyPart, further map[string]int) {
	items := make(map[string][]string)
	further = make(map[string]int)
	for _, v := range r.current() {
		one, err := fhir.ParseResource(v.Body)
		switch {
		case err != nil:
		case !fhir.InEmergency(one):
			further[one.Type]++
		case one.Type == "Patient":
			person = personLine(one)
			items[one.Type] = append(items[one.Type], contacts(one)...)
		default:
			items[one.Type] = append(items[one.Type], emergencyLine(one))
		}
	}
	for _, p := range emergencyParts {
		part := emergencyPart{Name: p.name, Items: []string{}}
		for _, kind := range p.kinds {
			part.Items = append(part.Items, items[kind]...)
		}
		slices.Sort(part.Items)
		part.Items = slices.Compact(part.Items)
		parts = append(parts, part)
	}
	return person, parts, further
}

// showEmergency prints the screen. A heading with nothing under it says so:
// nothing known is not the same as nothing there.
func (e *env) showEmergency(s *emergencyScreen, opener string) {
	e.print("%s\n", s.Person)
	e.printParts(s.Parts)
	if s.Caveat != "" {
		e.say("%s", s.Caveat)
	}
	if s.Missing > 0 {
		e.say("%d records could not be opened now; open again.", s.Missing)
	}
	e.say("Opened in %s s, until %s. The patient, the helpers and the security office see it.", s.Seconds, time.Unix(s.Until, 0).Format(time.TimeOnly))
	if !s.Confirmed {
		e.say("Another clinician confirms it within 24 hours: abaton emergency confirm %s --as WHO --opener %s", short(s.Opening), opener)
	}
}

func (e *env) printParts(parts []emergencyPart) {
	for _, p := range parts {
		e.print("\n%s\n", p.Name)
		if len(p.Items) == 0 {
			e.print("  none known\n")
		}
		for _, item := range p.Items {
			e.print("  %s\n", item)
		}
	}
}

// conceptText is what people call a concept.
func conceptText(v fhir.Value) string {
	if text := v.Get("text").Text(); text != "" {
		return text
	}
	for c := range v.Get("coding").Each() {
		if display := c.Get("display").Text(); display != "" {
			return display
		}
		return c.Get("code").Text()
	}
	return ""
}

// emergencyLine is a resource in one line.
func emergencyLine(r fhir.Resource) string {
	switch r.Type {
	case "AllergyIntolerance":
		return joined(conceptText(r.Get("code")), r.Get("criticality").Text(), reactions(r))
	case "MedicationRequest", "MedicationStatement":
		return joined(either(conceptText(r.Get("medicationCodeableConcept")), r.Get("medicationReference").Get("display").Text()), dose(r))
	case "Device":
		return joined(conceptText(r.Get("type")))
	case "DeviceUseStatement":
		return joined(r.Get("device").Get("display").Text(), conceptText(r.Get("bodySite")))
	case "Observation":
		return joined(conceptText(r.Get("valueCodeableConcept")))
	case "RelatedPerson":
		return joined(humanName(r.Get("name")), first(r.Get("relationship"), conceptText), first(r.Get("telecom"), valueText))
	case "Consent":
		return joined(first(r.Get("category"), conceptText), r.Get("dateTime").Text())
	}
	return joined(conceptText(r.Get("code")), r.Get("onsetDateTime").Text())
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// joined are the parts that say something; a resource that says nothing that
// this screen knows is still there.
func joined(parts ...string) string {
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	if len(parts) == 0 {
		return "recorded, without words"
	}
	return strings.Join(parts, ", ")
}

func first(list fhir.Value, text func(fhir.Value) string) string {
	for one := range list.Each() {
		return text(one)
	}
	return ""
}

func valueText(v fhir.Value) string { return v.Get("value").Text() }

func reactions(r fhir.Resource) string {
	var all []string
	for one := range r.Get("reaction").Each() {
		for m := range one.Get("manifestation").Each() {
			all = append(all, conceptText(m))
		}
	}
	return strings.Join(all, " and ")
}

func dose(r fhir.Resource) string {
	if text := first(r.Get("dosageInstruction"), func(v fhir.Value) string { return v.Get("text").Text() }); text != "" {
		return text
	}
	return first(r.Get("dosage"), func(v fhir.Value) string { return v.Get("text").Text() })
}

func humanName(list fhir.Value) string {
	return first(list, func(n fhir.Value) string {
		if text := n.Get("text").Text(); text != "" {
			return text
		}
		var parts []string
		for g := range n.Get("given").Each() {
			parts = append(parts, g.Text())
		}
		return strings.Join(append(parts, n.Get("family").Text()), " ")
	})
}

func personLine(r fhir.Resource) string {
	return fmt.Sprintf("%s, %s, born %s", humanName(r.Get("name")), r.Get("gender").Text(), r.Get("birthDate").Text())
}

// contacts are whom to call: the patient's own contacts.
func contacts(r fhir.Resource) (all []string) {
	for c := range r.Get("contact").Each() {
		name := c.Get("name")
		text := name.Get("text").Text()
		if text == "" {
			text = strings.TrimSpace(first(name.Get("given"), fhir.Value.Text) + " " + name.Get("family").Text())
		}
		all = append(all, joined(text, first(c.Get("relationship"), conceptText), first(c.Get("telecom"), valueText)))
	}
	return all
}

package fhir

import (
	"slices"
	"strings"
)

// A Home says where a resource belongs. The zero Home is none: refuse it.
type Home uint8

const (
	HomeNone      Home = iota // refuse; Place.Reason says why
	HomePatient               // one patient's chart: Place.Patients[0]
	HomeDirectory             // the organisation's directory
	HomeFollow                // wherever what it refers to lies: Place.Follow
)

// A Place is where a resource belongs and why.
type Place struct {
	Home     Home
	Patients []Ref  // distinct, versions cut off, by element path; at most eight
	Self     bool   // the resource is a Patient: its own id is the chart's
	Follow   []Ref  // of HomeFollow: its chart is that of all of these
	Reason   string // of HomeNone: fixed text for the client
}

// Directory reports whether resources of a type belong to no patient's
// compartment by the official definition: Practitioner, Organization,
// Location, Medication, ValueSet and so on. PlaceOf has the last word: a
// Device that names a patient lies with that patient.
func Directory(name string) bool { return IsType(name) && compartmentPaths(name) == nil }

// Patients are the distinct patients in whose compartments the resource lies:
// every reference to a Patient at the element paths of the official
// CompartmentDefinition or, for a type outside of it, anywhere. A Patient
// lies in its own, which is Patient/id by the id in its text, and in that of
// each patient it links to. References that cannot be told without a Bundle
// (urn:uuid) are left out; PlaceOf refuses on them. Conditional references
// (Patient?identifier=...) are answered as they stand.
func Patients(r Resource) []Ref { return PlaceOf(r).Patients }

// PlaceOf decides where a resource belongs, after a transaction's references
// have been rewritten:
//
//   - two patients or more: none (RULINGS 11);
//   - one: that patient's chart;
//   - none by the definition, but a Patient elsewhere in it: that patient's,
//     if one alone, for facts about a person never go to the directory;
//   - a patient named without a reference, contained or by an urn: none;
//   - no patient, but references into charts (Provenance of an Observation):
//     follow them; the caller looks where they lie and refuses if it cannot;
//   - nothing of these: the directory.
func PlaceOf(r Resource) Place {
	p := placer{resource: r}
	if r.Type == "Patient" {
		p.place.Self = true
		p.add(Ref{Type: "Patient", ID: r.ID()})
	}
	subject := patientPaths(r.Type)
	for _, path := range compartmentPaths(r.Type) {
		p.walk(r.Value, path, slices.Contains(subject, path))
	}
	if len(p.place.Patients) == 0 && !p.unclear {
		p.everywhere(r)
	}
	return p.decide()
}

// The reasons of HomeNone.
const (
	reasonMany    = "the resource refers to too many records and to no patient; refer to the patient too"
	reasonTwo     = "the resource refers to more than one patient; split it, one resource for each"
	reasonUnclear = "the resource names a patient that cannot be told; refer to it as Patient/id"
)

type placer struct {
	resource  Resource
	contained map[string]string // id -> type, made when first asked
	place     Place
	unclear   bool // an urn that no Bundle has resolved: it may be anyone
	vague     bool // a patient named by identifier or text, or contained
}

func (p *placer) add(r Ref) {
	if r = r.unversioned(); len(p.place.Patients) < patientsMax && !slices.Contains(p.place.Patients, r) {
		p.place.Patients = append(p.place.Patients, r)
	}
}

// walk follows a dotted path of elements to its References; subject tells
// whether the path is one that says whose the resource is.
func (p *placer) walk(v Value, path string, subject bool) {
	name, rest, more := strings.Cut(path, ".")
	for v := range v.Get(name).Each() {
		if more {
			p.walk(v, rest, subject)
		} else {
			p.compartment(v, subject)
		}
	}
}

// compartment judges one Reference at a path of the definition.
func (p *placer) compartment(reference Value, subject bool) {
	r, ok := refOf(reference)
	switch {
	case !ok && reference.Get("type").Is("Patient"):
		p.vague = true
	case !ok: // by identifier or display alone, at a place where a patient belongs
		p.vague = p.vague || subject && reference.Get("type").Kind() == Absent && reference.Get("reference").Kind() == Absent
	case r.Type == "Patient":
		p.add(r)
	case r.URN != "":
		p.unclear = true
	case r.Type == "":
		p.vague = p.vague || p.containedType(r.Fragment) == "Patient"
	}
}

// containedType is the type of a contained resource.
func (p *placer) containedType(id string) string {
	if p.contained == nil {
		p.contained = map[string]string{}
		for c := range p.resource.Get("contained").Each() {
			p.contained[c.Get("id").Text()] = c.Get("resourceType").Text()
		}
	}
	return p.contained[id]
}

// everywhere looks at every Reference of a resource that its compartment
// paths have not placed.
func (p *placer) everywhere(r Resource) {
	for at := r.at; at < r.cell().next; at++ {
		v := Value{r.doc, at}
		if v.Kind() != Object {
			continue
		}
		if at != r.at && v.Get("resourceType").Is("Patient") {
			p.vague = true // a person's own facts, under no chart
		}
		ref, ok := refOf(v)
		switch {
		case !ok:
			p.vague = p.vague || v.Get("type").Is("Patient") && v.Get("identifier").Kind() == Object
		case ref.Type == "Patient":
			p.add(ref)
		case ref.URN != "":
			p.unclear = true
		case ref.Type != "" && !Directory(ref.Type) && len(p.place.Follow) <= followMax && !slices.Contains(p.place.Follow, ref.unversioned()):
			p.place.Follow = append(p.place.Follow, ref.unversioned())
		}
	}
}

func (p *placer) decide() Place {
	switch {
	case len(p.place.Patients) > 1:
		p.place.Reason = reasonTwo
	case p.unclear || p.vague && len(p.place.Patients) == 0:
		p.place.Reason = reasonUnclear
	case len(p.place.Patients) == 1:
		p.place.Home = HomePatient
	case len(p.place.Follow) > followMax:
		p.place.Reason = reasonMany
	case len(p.place.Follow) > 0:
		p.place.Home = HomeFollow
	default:
		p.place.Home = HomeDirectory
	}
	if p.place.Home != HomeFollow {
		p.place.Follow = nil
	}
	return p.place
}

// OfPatient reports whether resources of a type can be searched by the
// parameter patient: a Device is in no compartment, and yet may be one
// patient's.
func OfPatient(name string) bool { return patientPaths(name) != nil }

// Package view writes what Abaton knows as FHIR R4 resources that nobody
// stored: a grant as a Consent, a disclosure as an AuditEvent, a writer's
// signature as a Provenance. It also reads a Consent that asks for access.
//
//	body := view.Consent(view.Given{ID: id, Grant: g, Patient: "Patient/1", Now: now, ...})
//	body := view.AuditEvent(view.Disclosed{Line: &line, Patient: "Patient/1", ...})
//	body := view.Provenance(view.Signed{Target: "Observation/1/_history/2", ...})
//	request, err := view.RequestOf(resource)
//
// The mapping is docs/CONSENT.md. What is written shows only what its caller
// passes in; the package decides nothing about who may see it. A Consent is a
// picture of a grant, never the grant: changing one changes nothing.
package view

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"strings"

	"github.com/abaton-health/abaton"
)

// Systems of Abaton's own names. They are URNs: nothing is to be fetched.
const (
	SystemActor     = "urn:abaton:actor"      // act1..., an actor's key log
	SystemGrant     = "urn:abaton:grant"      // gra1...
	SystemBatch     = "urn:abaton:batch"      // bat1..., what was sealed together
	SystemRecord    = "urn:abaton:record"     // bat1....j, one record
	SystemKey       = "urn:abaton:key"        // key1..., a writer's key
	SystemSession   = "urn:abaton:session"    // ses1...
	SystemKeeperSet = "urn:abaton:keeper-set" // act1... of the keeper set
	SystemCategory  = "urn:abaton:category"   // a part of the record: general, psychiatric, ...
	SystemOperation = "urn:abaton:ledger-op"  // what a ledger entry records: release, list, ...
	QuotaExtension  = "urn:abaton:quota"      // records a grant may open
	ReasonExtension = "urn:abaton:reason"     // why access is asked for, in own words
	OnwardExtension = "urn:abaton:onward"     // act1... of where a grant may be handed on
	SystemRequest   = "urn:abaton:request"    // hash of a signed request, in hexadecimal: the same in every ledger
	SystemRole      = "urn:abaton:role"       // physician, nurse, ...
	SystemPolicy    = "urn:abaton:policy"     // act1...:version, an organisation's policy
)

// Prefixes of ids that are computed. No other id may begin so.
const (
	PrefixConsent    = "gra1" // the grant's own name
	PrefixAuditEvent = "dis1"
	PrefixProvenance = "sig1"
)

// Computed reports whether an id of a type is one that only this package
// gives, so that nothing may be stored under it.
func Computed(kind, id string) bool {
	switch kind {
	case "Consent":
		return strings.HasPrefix(id, PrefixConsent)
	case "AuditEvent":
		return strings.HasPrefix(id, PrefixAuditEvent)
	case "Provenance":
		return strings.HasPrefix(id, PrefixProvenance)
	}
	return false
}

// Systems of HL7 and others.
const (
	systemScope       = "http://terminology.hl7.org/CodeSystem/consentscope"
	systemAction      = "http://terminology.hl7.org/CodeSystem/consentaction"
	systemActCode     = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
	systemReason      = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
	systemPart        = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
	systemActivity    = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
	systemEvent       = "http://terminology.hl7.org/CodeSystem/audit-event-type"
	systemInteraction = "http://hl7.org/fhir/restful-interaction"
	systemEntityType  = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
	systemRole        = "http://terminology.hl7.org/CodeSystem/object-role"
	systemSource      = "http://terminology.hl7.org/CodeSystem/security-source-type"
	systemProvenance  = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
	systemSignature   = "urn:iso-astm:E1762-95:2013"
	systemDICOM       = "http://dicom.nema.org/resources/ontology/DCM"
	systemRoleClass   = "http://terminology.hl7.org/CodeSystem/v3-RoleClass"
	systemSecurity    = "http://terminology.hl7.org/CodeSystem/extra-security-role-type"
	systemTypes       = "http://hl7.org/fhir/resource-types"
	systemBALPEntity  = balp + "CodeSystem/BasicAuditEntityType"
	systemBALPAuthZ   = balp + "CodeSystem/AuthZsubType"
	extensionAbsent   = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
)

type coding struct {
	System  string `json:"system,omitempty"`
	Code    string `json:"code,omitempty"`
	Display string `json:"display,omitempty"`
}

type concept struct {
	Coding []coding `json:"coding,omitempty"`
	Text   string   `json:"text,omitempty"`
}

type identifier struct {
	System string `json:"system,omitempty"`
	Value  string `json:"value,omitempty"`
}

type reference struct {
	Reference  string      `json:"reference,omitempty"`
	Type       string      `json:"type,omitempty"`
	Identifier *identifier `json:"identifier,omitempty"`
	Display    string      `json:"display,omitempty"`
}

type period struct {
	Start string `json:"start,omitempty"`
	End   string `json:"end,omitempty"`
}

func conceptOf(system, code string) concept {
	return concept{Coding: []coding{{System: system, Code: code}}}
}

// actorRef names an actor; its FHIR resource, if there is one, is another
// system's matter.
func actorRef(id abaton.ActorID, kind string) *reference {
	return &reference{Type: kind, Identifier: &identifier{SystemActor, id.String()}}
}

// patientRef is the patient by FHIR id where that is known, else by name.
func patientRef(ref string, id abaton.ActorID) *reference {
	if ref != "" {
		return &reference{Reference: ref}
	}
	return actorRef(id, "Patient")
}

var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// idBodyChars is how much of a hash stands in a computed id: 130 bits.
const idBodyChars = 26

// idOf is a computed id: the prefix, the patient's tag and a hash of what it
// is of.
func idOf(prefix, tag string, parts ...[]byte) string {
	h := sha256.New()
	for _, p := range parts {
		sum := sha256.Sum256(p)
		h.Write(sum[:])
	}
	return prefix + tag + "-" + idEncoding.EncodeToString(h.Sum(nil))[:idBodyChars]
}

// TagOf is the patient's tag in a computed id of AuditEvent or Provenance;
// false for any other id.
func TagOf(id string) (tag string, ok bool) {
	rest, audit := strings.CutPrefix(id, PrefixAuditEvent)
	if !audit {
		if rest, ok = strings.CutPrefix(id, PrefixProvenance); !ok {
			return "", false
		}
	}
	tag, body, ok := strings.Cut(rest, "-")
	return tag, ok && len(body) == idBodyChars
}

// VersionID is the version of a computed resource: a hash of its text.
func VersionID(body []byte) string {
	sum := sha256.Sum256(body)
	return idEncoding.EncodeToString(sum[:])[:idBodyChars]
}

// text is a resource's JSON. Its parts are strings and numbers, so it cannot
// fail.
func text(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("view: a resource of strings and numbers did not encode: " + err.Error())
	}
	return b
}

// Package hl7 reads HL7 version 2 messages as hospitals send them (ER7 over
// MLLP), maps them to FHIR R4 transactions, and writes acknowledgements.
//
//	frames := hl7.NewFrames(conn)
//	raw, err := frames.Next()
//	m, err := hl7.Parse(raw)                    // a *Refusal says why not
//	t, err := hl7.Map(m, hl7.Options{...})      // a transaction Bundle
//	err = hl7.WriteFrame(conn, hl7.Acknowledge(m.Header(), hl7.Answer{Code: "AA"}, now))
//
// The package is pure: bytes in, bytes out; no clock, no network, no disk.
// Mapping follows HL7's own "Version 2 to FHIR" maps
// (http://hl7.org/fhir/uv/v2mappings) where they speak, in tables that can be
// read and changed row by row (tables.go). What no row maps is not lost: the
// whole message travels along inside the transaction's Provenance.
//
// What it does not protect: it does not know who the patient is, whether codes
// are real, or what free text tells of. A local code of a sensitive test that
// stands in no code system is not seen to be sensitive. Values of this package
// hold patient facts in the clear; errors never do.
package hl7

// Reason says why a message is not mapped. It is one of a fixed set of words
// and holds nothing of the message.
type Reason string

// The reasons (docs/protocol/intake.md#intake-reasons).
const (
	ReasonSyntax      Reason = "syntax"           // no ER7 message
	ReasonTooLarge    Reason = "too-large"        // over a limit of this package
	ReasonCharset     Reason = "charset"          // a character set that is not read here, or bytes outside of it
	ReasonUnsupported Reason = "unsupported"      // a message type or event that is not mapped
	ReasonMerge       Reason = "merge"            // A40 and its kin: two records would become one (RULINGS 11)
	ReasonIncomplete  Reason = "incomplete"       // what the mapping cannot do without is missing
	ReasonTest        Reason = "not-production"   // MSH-11 says training or debugging
	ReasonPatient     Reason = "unknown-patient"  // no patient known here has one of its identifiers
	ReasonAmbiguous   Reason = "ambiguous"        // its identifiers name several patients
	ReasonMismatch    Reason = "patient-mismatch" // the patient found was born on another day
	ReasonRefused     Reason = "refused"          // the gateway would not take what it was mapped to
	ReasonForbidden   Reason = "no-deposit"       // the part of the record takes no deposits from here
)

// Reasons are all of them.
func Reasons() []Reason {
	return []Reason{ReasonSyntax, ReasonTooLarge, ReasonCharset, ReasonUnsupported, ReasonMerge, ReasonIncomplete, ReasonTest,
		ReasonPatient, ReasonAmbiguous, ReasonMismatch, ReasonRefused, ReasonForbidden}
}

// A Refusal says why a message is not read or mapped. Place is a position such
// as "PID-3" or "segment 12"; neither part holds what stands there.
type Refusal struct {
	Reason Reason
	Place  string
}

func (r *Refusal) Error() string {
	if r.Place == "" {
		return "hl7: " + string(r.Reason)
	}
	return "hl7: " + string(r.Reason) + " at " + r.Place
}

func refuse(reason Reason, place string) *Refusal { return &Refusal{Reason: reason, Place: place} }

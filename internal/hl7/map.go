package hl7

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"

	"github.com/abaton-health/abaton/internal/fhir"
)

// Options say what a message leaves open.
type Options struct {
	// Zone is the sender's, for timestamps that name none; nil is UTC.
	Zone *time.Location
	// Systems gives the FHIR identifier system of an assigning authority's
	// namespace id; that of "" is for identifiers without one.
	Systems map[string]string
	// Received is when the message came, for one that does not say when it
	// was made.
	Received time.Time
}

// Mapped is what a message becomes. It names resources by the message's own
// bytes, so that the same message always becomes the same transaction.
type Mapped struct {
	Key       [32]byte    // SHA-256 of the message: its name
	Patients  []fhir.Code // PID-3 with a known authority; any of them names the patient
	BirthDate string      // PID-7 as a FHIR date
	Corrects  bool        // the message says what is true of the person now, the birth date too
	Source    string      // fullUrl of the Provenance with the message itself
	Resources int         // entries of the Bundle
	Bundle    []byte      // the transaction
}

// Map maps a message (docs/protocol/intake.md#intake-mapping). Errors are
// *Refusal.
func Map(m *Message, o Options) (*Mapped, error) {
	x := &mapping{m: m, o: o, h: m.Header(), key: sha256.Sum256(m.raw)}
	if err := x.check(); err != nil {
		return nil, err
	}
	if err := x.route(); err != nil {
		return nil, err
	}
	if len(x.entries)+1 > ResourcesMax {
		return nil, refuse(ReasonTooLarge, "")
	}
	return x.finish()
}

// mapping is one message under way.
type mapping struct {
	m       *Message
	o       Options
	h       Header
	key     [32]byte
	entries []entry
	patient object // reference to the patient
	known   []fhir.Code
	birth   string
	labels  list // what the sender says of confidentiality
}

// entry is one entry of the transaction.
type entry struct {
	url   string // fullUrl
	kind  string
	query string // "" creates; else writes over what it finds
	body  object
	whole bool // it speaks of the whole message and is held as closely as the closest part
}

// check refuses what no mapping can be right about.
func (x *mapping) check() error {
	msh := x.m.First("MSH")
	if x.h.Control == "" {
		return refuse(ReasonIncomplete, "MSH-10")
	}
	if p := msh.Field(11).Part(1).Text(); p != "" && p != "P" {
		return refuse(ReasonTest, "MSH-11")
	}
	return nil
}

// route finds the mapping of a message's type and event.
func (x *mapping) route() error {
	switch x.h.Type {
	case "ADT":
		return x.admission()
	case "ORU":
		if x.h.Event == "R01" || x.h.Event == "R40" || x.h.Event == "W01" {
			return x.results()
		}
	case "MDM":
		return x.document()
	case "SIU":
		return x.scheduling()
	}
	return refuse(ReasonUnsupported, "MSH-9")
}

// subject reads PID: whom the message is about.
func (x *mapping) subject() error {
	pid := x.m.First("PID")
	if !pid.Is() {
		return refuse(ReasonIncomplete, "PID")
	}
	for _, s := range x.m.segments {
		if s.Name == "PID" && &s.fields[0] != &pid.fields[0] {
			return refuse(ReasonUnsupported, "PID") // a second patient: whose is what?
		}
	}
	for _, f := range pid.Field(3).Each() {
		if code, _ := x.identifierOf(f); code.Value != "" && code.System != "" {
			x.known = append(x.known, code)
		}
	}
	if len(x.known) == 0 {
		return refuse(ReasonPatient, "PID-3")
	}
	x.birth = date(pid.Field(7).Text())
	x.patient = object{{"reference", "Patient?" + query(x.known[0])}}
	return nil
}

// url is the fullUrl of entry n: a UUID made of the message's name (RFC 9562,
// section 5.8).
func (x *mapping) url(n int) string {
	sum := sha256.Sum256(binary.BigEndian.AppendUint32(x.key[:], uint32(n)))
	b := sum[:16]
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80
	h := hex.EncodeToString(b)
	return "urn:uuid:" + h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// add puts a resource into the transaction and gives its fullUrl. With a query
// it writes over what that finds.
func (x *mapping) add(kind, query string, whole bool, body object) string {
	e := entry{url: x.url(len(x.entries)), kind: kind, query: query, whole: whole, body: body}
	x.entries = append(x.entries, e)
	return e.url
}

// finish adds the Provenance, labels what has to be held closely, and writes
// the entries.
func (x *mapping) finish() (*Mapped, error) {
	strictest := fhir.General
	for i := range x.entries {
		r, err := fhir.ParseResource(x.entries[i].render(nil))
		if err != nil {
			return nil, refuse(ReasonRefused, "")
		}
		strictest = fhir.Stricter(strictest, fhir.CategoryOf(r))
	}
	source := x.provenance()
	out := &Mapped{Key: x.key, Patients: x.known, BirthDate: x.birth, Corrects: x.corrects(), Source: source, Resources: len(x.entries)}
	out.Bundle = []byte(`{"resourceType":"Bundle","type":"transaction","entry":[`)
	for i := range x.entries {
		e := &x.entries[i]
		if i > 0 {
			out.Bundle = append(out.Bundle, ',')
		}
		labels := x.labels
		if e.whole {
			labels = append(labels[:len(labels):len(labels)], label(strictest)...)
		}
		out.Bundle = e.append(out.Bundle, labels)
	}
	out.Bundle = append(out.Bundle, "]}"...)
	return out, nil
}

// label is the security label by which a resource is sealed under a category,
// none for those that have no code.
func label(c fhir.Category) list {
	if code := fhir.LabelFor(c); code != "" {
		return list{object{{"system", fhir.SensitivitySystem}, {"code", code}}}
	}
	return nil
}

// render is the resource with its labels.
func (e *entry) render(labels list) []byte {
	all := object{{"resourceType", e.kind}}
	if len(labels) > 0 {
		all.put("meta", object{{"security", labels}})
	}
	return append(all, e.body...).bytes()
}

// append writes the Bundle entry.
func (e *entry) append(to []byte, labels list) []byte {
	method, url := "POST", e.kind
	if e.query != "" {
		method, url = "PUT", e.kind+"?"+e.query
	}
	to = append(to, `{"fullUrl":`...)
	to = append(appendText(to, e.url), `,"resource":`...)
	to = append(to, e.render(labels)...)
	to = append(appendText(append(to, `,"request":{"method":`...), method), `,"url":`...)
	return append(appendText(to, url), "}}"...)
}

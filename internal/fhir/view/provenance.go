package view

import (
	"time"

	"github.com/abaton-health/abaton"
)

// Signed is one version of a resource and who signed it.
type Signed struct {
	Tag       string // the patient's tag in ids
	Type      string // of the resource
	FHIRID    string
	VersionID string
	Parents   []string // versions it was written over
	Deleted   bool
	Updated   time.Time
	Record    abaton.RecordName
	Person    abaton.ActorID // who acted; zero if nobody did
	Author    abaton.ActorID // the organisation or device whose signature is inside the seal
	Writer    abaton.KeyID   // whose signature names the batch
}

// provenance is R4 Provenance (hl7.org/fhir/R4/provenance.html).
type provenance struct {
	ResourceType string      `json:"resourceType"`
	ID           string      `json:"id"`
	Target       []reference `json:"target"`
	Recorded     string      `json:"recorded"`
	Activity     concept     `json:"activity"`
	Agent        []partaker  `json:"agent"`
	Entity       []entity    `json:"entity,omitempty"`
	Signature    []signature `json:"signature"`
}

type partaker struct {
	Type       concept    `json:"type"`
	Who        *reference `json:"who"`
	OnBehalfOf *reference `json:"onBehalfOf,omitempty"`
}

type entity struct {
	Role string     `json:"role"`
	What *reference `json:"what"`
}

type signature struct {
	Type []coding   `json:"type"`
	When string     `json:"when"`
	Who  *reference `json:"who"`
}

// ProvenanceID is the id under which the signature of a version is shown.
func ProvenanceID(tag, kind, id, versionID string) string {
	return idOf(PrefixProvenance, tag, []byte(kind), []byte(id), []byte(versionID))
}

// Provenance is the origin of one version: the person who acted, the author
// whose signature is inside the seal, and the writer's key. The signatures
// themselves lie with the record at the keepers, named by entity: whoever may
// open the record checks them there.
func Provenance(s Signed) []byte {
	at := s.Updated.UTC().Format(instantForm)
	organisation := actorRef(s.Author, "Organization")
	p := provenance{
		ResourceType: "Provenance", ID: ProvenanceID(s.Tag, s.Type, s.FHIRID, s.VersionID), Recorded: at,
		Target:    []reference{{Reference: versioned(s.Type, s.FHIRID, s.VersionID)}},
		Activity:  conceptOf(systemActivity, s.operation()),
		Agent:     []partaker{{Type: conceptOf(systemProvenance, "author"), Who: organisation}},
		Signature: []signature{{Type: []coding{{System: systemSignature, Code: "1.2.840.10065.1.12.1.1"}}, When: at, Who: organisation}},
	}
	if s.Person != (abaton.ActorID{}) && s.Person != s.Author {
		p.Agent[0] = partaker{Type: conceptOf(systemProvenance, "author"), Who: actorRef(s.Person, "Practitioner"), OnBehalfOf: organisation}
	}
	p.Agent = append(p.Agent, partaker{Type: conceptOf(systemProvenance, "assembler"),
		Who: &reference{Type: "Device", Identifier: &identifier{SystemKey, s.Writer.String()}}, OnBehalfOf: organisation})
	p.Entity = []entity{{"source", &reference{Identifier: &identifier{SystemRecord, s.Record.String()}}}}
	for _, parent := range s.Parents {
		p.Entity = append(p.Entity, entity{"revision", &reference{Reference: versioned(s.Type, s.FHIRID, parent)}})
	}
	return text(p)
}

// instantForm is an instant with milliseconds, as meta.lastUpdated has.
const instantForm = "2006-01-02T15:04:05.000Z07:00"

func (s *Signed) operation() string {
	switch {
	case s.Deleted:
		return "DELETE"
	case len(s.Parents) > 0:
		return "UPDATE"
	}
	return "CREATE"
}

func versioned(kind, id, versionID string) string { return kind + "/" + id + "/_history/" + versionID }

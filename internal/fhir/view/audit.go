package view

import (
	"encoding/base64"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/ledger"
)

// Disclosed is one line of a patient's history to be shown. What the viewer
// does not know stays an opaque name: nothing here is looked up.
type Disclosed struct {
	Line      *ledger.Line
	Tag       string // the patient's tag in ids
	Patient   string // Patient/id, empty if not known
	ID        abaton.ActorID
	KeeperSet abaton.ActorID
	Own       bool // the patient asked
	// Name is the versioned reference of a record, where the viewer has it
	// open; empty, or nil, leaves its opaque name.
	Name func(abaton.RecordName) string
	// Kind is the FHIR type of who asked; empty, or nil, is a Practitioner.
	Kind func(abaton.ActorID) string
	// Called is a person's name where the viewer may say it; empty, or nil,
	// leaves the pseudonym.
	Called func(abaton.ActorID) string
	// Part is which part of the record a batch is of, where the viewer knows.
	Part func(abaton.BatchName) (fhir.Category, bool)
}

// auditEvent is R4 AuditEvent in the profiles of IHE Basic Audit Log Patterns
// (profiles.ihe.net/ITI/BALP); docs/DISCLOSURES.md has the fields.
type auditEvent struct {
	ResourceType   string        `json:"resourceType"`
	ID             string        `json:"id"`
	Meta           *meta         `json:"meta,omitempty"`
	Type           coding        `json:"type"`
	Subtype        []coding      `json:"subtype"`
	Action         string        `json:"action"`
	Period         *period       `json:"period,omitempty"`
	Recorded       string        `json:"recorded"`
	Outcome        string        `json:"outcome"`
	OutcomeDesc    string        `json:"outcomeDesc,omitempty"`
	PurposeOfEvent []concept     `json:"purposeOfEvent,omitempty"`
	Agent          []agent       `json:"agent"`
	Source         source        `json:"source"`
	Entity         []auditEntity `json:"entity,omitempty"`
}

type meta struct {
	Profile []string `json:"profile"`
}

type source struct {
	Site     string     `json:"site,omitempty"`
	Observer *reference `json:"observer"`
	Type     []coding   `json:"type,omitempty"`
}

type auditEntity struct {
	What          *reference `json:"what,omitempty"`
	Type          coding     `json:"type"`
	Role          *coding    `json:"role,omitempty"`
	SecurityLabel []coding   `json:"securityLabel,omitempty"`
	Description   string     `json:"description,omitempty"`
	Query         string     `json:"query,omitempty"` // base64
	Detail        []detail   `json:"detail,omitempty"`
}

type detail struct {
	Type  string `json:"type"`
	Value string `json:"valueString"`
}

// entitiesMax bounds the records that one event names; beyond it batches are
// named, of which there are at most abaton.RequestRowsMax.
const entitiesMax = 256

// AuditEventID is the id under which a disclosure is shown. It holds all that
// a ledger says of it, for ledgers that dispute tell several.
func AuditEventID(tag string, l *ledger.Line) string {
	parts := [][]byte{l.Request[:], {byte(l.Op)}, l.Actor[:], l.Organisation[:], l.Device[:], []byte(l.Role), l.Behalf[:], l.Session[:], l.Grant[:], []byte(l.Purpose)}
	if !l.Onward.IsZero() {
		parts = append(parts, l.Onward.From[:], l.Onward.ID[:])
	}
	return idOf(PrefixAuditEvent, tag, parts...)
}

// AuditEvent is one disclosure, permitted or refused.
func AuditEvent(d Disclosed) []byte {
	l, p := d.Line, patternOf(d.Line)
	e := auditEvent{
		ResourceType: "AuditEvent", ID: AuditEventID(d.Tag, l), Recorded: seconds(l.First), Type: p.kind, Action: p.action,
		Source: source{Site: keepersText(l.Keepers), Observer: d.keepers(), Type: []coding{{System: systemSource, Code: "4"}}},
	}
	if p.profile != "" {
		e.Meta = &meta{Profile: []string{balp + "StructureDefinition/" + p.profile}}
	}
	if p.subtype != (coding{}) {
		e.Subtype = append(e.Subtype, p.subtype)
	}
	if !p.authorizes { // where the profile allows no other subtype, the outcome says what was asked
		e.Subtype = append(e.Subtype, coding{System: SystemOperation, Code: l.Op.String()})
	}
	if end := max(l.Last, l.Renewed); end > l.First {
		e.Period = &period{seconds(l.First), seconds(end)}
	}
	if e.Outcome, e.OutcomeDesc = outcome(l); p.authorizes {
		e.OutcomeDesc = strings.TrimSuffix(l.Op.String()+"; "+e.OutcomeDesc, "; ")
	}
	e.Agent = d.agents(p)
	if l.Purpose != "" {
		e.PurposeOfEvent = append(e.PurposeOfEvent, conceptOf(systemReason, string(l.Purpose)))
	}
	if l.Op == ledger.OpEmergency { // the glass was broken
		e.PurposeOfEvent = append(e.PurposeOfEvent, conceptOf(systemReason, "BTG"))
	}
	e.Entity = d.entities(p)
	return text(e)
}

// outcome is success, a minor failure where a part was refused, and a serious
// one where all was; and in words how much, and why not.
func outcome(l *ledger.Line) (code, said string) {
	released, refused := 0, 0
	for _, r := range l.Rows {
		released += bits.OnesCount64(r.Released)
		refused += bits.OnesCount64(r.Refused &^ r.Released)
	}
	var parts []string
	if len(l.Rows) > 0 {
		parts = append(parts, fmt.Sprintf("%d records released, %d refused", released, refused))
	}
	for _, r := range l.Reasons() {
		parts = append(parts, "refused: "+string(r))
	}
	if l.Renewals > 0 {
		parts = append(parts, fmt.Sprintf("renewed %d times", l.Renewals))
	}
	if l.Disputed {
		parts = append(parts, "ledgers disagree about this request")
	}
	switch answered(l) {
	case ledger.Permitted:
		code = "0"
	case ledger.Partly:
		code = "4"
	default:
		code = "8"
	}
	return code, strings.Join(parts, "; ")
}

// answered is how a line ended: as the rows say, which also tell of what
// several keepers released together, else as the ledgers do. A line of which
// neither speaks is what this viewer opened itself.
func answered(l *ledger.Line) ledger.Outcome {
	var released, refused bool
	for _, r := range l.Rows {
		released = released || r.Released != 0
		refused = refused || r.Refused&^r.Released != 0
	}
	switch o := l.Outcome(); {
	case released && refused:
		return ledger.Partly
	case released:
		return ledger.Permitted
	case refused:
		return ledger.Refused
	case o != 0:
		return o
	}
	return ledger.Permitted
}

// entities are the patient, the request, and what was touched or asked.
func (d *Disclosed) entities(p pattern) []auditEntity {
	l := d.Line
	patient := d.person()
	out := []auditEntity{{What: patient, Type: coding{System: systemEntityType, Code: "1"}, Role: &coding{System: systemRole, Code: "1"}}}
	if p.authorizes {
		consent := &reference{Type: "Consent", Identifier: &identifier{SystemGrant, l.Grant.String()}}
		return append(out, auditEntity{What: consent, Type: coding{System: systemTypes, Code: "Consent"}})
	}
	request := &reference{Identifier: &identifier{SystemRequest, fmt.Sprintf("%x", l.Request)}}
	out = append(out, auditEntity{What: request, Type: coding{System: systemBALPEntity, Code: "XrequestId"}})
	records := d.records()
	if p.asks {
		query := auditEntity{Type: coding{System: systemEntityType, Code: "2"}, Role: &coding{System: systemRole, Code: "24"},
			Description: question(l), Query: base64.StdEncoding.EncodeToString([]byte(question(l)))}
		return append(append(out, query), records...)
	}
	if len(records) == 1 { // what was read is the one thing that the profiles ask for
		records[0].Type = coding{System: systemEntityType, Code: "2"}
		return append(out, records...)
	}
	if len(records) > 0 {
		out = append(out, auditEntity{What: request, Type: coding{System: systemEntityType, Code: "2"}, Role: &coding{System: systemRole, Code: "4"},
			SecurityLabel: labels(d.parts()), Description: fmt.Sprintf("the %d things below", len(records))})
	}
	return append(out, records...)
}

// question is what a list or search asked, as far as keepers hear of it: the
// operation and the lines. What a search looks for never leaves the reader.
func question(l *ledger.Line) string {
	s := l.Op.String()
	for i, line := range l.Lines {
		sep := "&"
		if i == 0 {
			sep = "?"
		}
		s += sep + "line=" + line.String()
	}
	return s
}

// records are what was touched: by reference where the viewer has it open,
// else by batch.
func (d *Disclosed) records() (out []auditEntity) {
	object := auditEntity{Role: &coding{System: systemRole, Code: "4"}}
	for _, r := range d.Line.Rows {
		one := object
		if c, ok := d.part(r.Batch); ok {
			one.SecurityLabel = labels([]fhir.Category{c})
		}
		rest := r.Released | r.Refused
		for j := range abaton.BatchRecordsMax {
			if d.Name == nil || r.Released>>j&1 == 0 || len(out) >= entitiesMax {
				continue
			}
			if ref := d.Name(abaton.RecordName{Batch: r.Batch, Index: uint16(j)}); ref != "" {
				kind, _, _ := strings.Cut(ref, "/")
				one.What, one.Type = &reference{Reference: ref}, coding{System: systemTypes, Code: kind}
				out, rest = append(out, one), rest&^(1<<j)
			}
		}
		if rest == 0 {
			continue
		}
		one.What, one.Type = &reference{Identifier: &identifier{SystemBatch, r.Batch.String()}}, coding{System: systemTypes, Code: "Bundle"}
		for _, part := range []detail{{"released", indexes(r.Released & rest)}, {"refused", indexes(r.Refused &^ r.Released & rest)}} {
			if part.Value != "" {
				one.Detail = append(one.Detail, part)
			}
		}
		out = append(out, one)
	}
	return out
}

func (d *Disclosed) part(b abaton.BatchName) (fhir.Category, bool) {
	if d.Part == nil {
		return 0, false
	}
	return d.Part(b)
}

// parts are the parts of the record that a line touched, as far as known.
func (d *Disclosed) parts() (out []fhir.Category) {
	for _, r := range d.Line.Rows {
		if c, ok := d.part(r.Batch); ok {
			out = append(out, c)
		}
	}
	return out
}

// indexes are the places of the bits that are set.
func indexes(bitmap uint64) string {
	var list []string
	for j := range abaton.BatchRecordsMax {
		if bitmap>>j&1 == 1 {
			list = append(list, strconv.Itoa(j))
		}
	}
	return strings.Join(list, ",")
}

func keepersText(keepers []abaton.KeeperIndex) string {
	if len(keepers) == 0 { // what this gateway itself opened
		return ""
	}
	list := make([]string, len(keepers))
	for i, x := range keepers {
		list[i] = strconv.Itoa(int(x))
	}
	return "ledgers of keepers " + strings.Join(list, ", ")
}

// When is the time of a disclosure.
func When(l *ledger.Line) time.Time { return time.Unix(l.First, 0).UTC() }

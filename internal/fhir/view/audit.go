package view

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/ledger"
)

// Disclosed is one line of a patient's history to be shown.
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
}

// auditEvent is R4 AuditEvent in the shape of IHE Basic Audit Log Patterns
// (profiles.ihe.net/ITI/BALP): agents with their roles, the patient and what
// was read as entities, purposeOfUse on the requestor.
type auditEvent struct {
	ResourceType   string        `json:"resourceType"`
	ID             string        `json:"id"`
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

type agent struct {
	Type         concept    `json:"type"`
	Who          *reference `json:"who"`
	Requestor    bool       `json:"requestor"`
	Policy       []string   `json:"policy,omitempty"`
	PurposeOfUse []concept  `json:"purposeOfUse,omitempty"`
}

type source struct {
	Site     string     `json:"site,omitempty"`
	Observer *reference `json:"observer"`
	Type     []coding   `json:"type,omitempty"`
}

type auditEntity struct {
	What   *reference `json:"what"`
	Type   coding     `json:"type"`
	Role   coding     `json:"role"`
	Detail []detail   `json:"detail,omitempty"`
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
	l := d.Line
	e := auditEvent{
		ResourceType: "AuditEvent", ID: AuditEventID(d.Tag, l), Recorded: seconds(l.First),
		Type: coding{System: systemEvent, Code: "rest"},
		Source: source{Site: keepersText(l.Keepers), Observer: &reference{Identifier: &identifier{SystemKeeperSet, d.KeeperSet.String()}},
			Type: []coding{{System: systemSource, Code: "4"}}},
	}
	e.Action, e.Subtype = interaction(l.Op)
	if end := max(l.Last, l.Renewed); end > l.First {
		e.Period = &period{seconds(l.First), seconds(end)}
	}
	e.Outcome, e.OutcomeDesc = outcome(l)
	e.Agent = agents(&d)
	if l.Purpose != "" {
		e.PurposeOfEvent = []concept{conceptOf(systemReason, string(l.Purpose))}
	}
	e.Entity = append([]auditEntity{{What: patientRef(d.Patient, d.ID), Type: coding{System: systemEntityType, Code: "1"}, Role: coding{System: systemRole, Code: "1"}}},
		d.records()...)
	return text(e)
}

// interaction maps what a ledger entry records to FHIR's interaction and
// action; the ledger's own word stands beside.
func interaction(op ledger.Op) (action string, subtype []coding) {
	code := ""
	switch op {
	case ledger.OpRelease, ledger.OpPermit, ledger.OpExport, ledger.OpRelock, ledger.OpRepair:
		action, code = "R", "read"
	case ledger.OpList, ledger.OpIndex:
		action, code = "E", "search"
	case ledger.OpHistory:
		action, code = "E", "history-instance"
	case ledger.OpDeposit:
		action, code = "C", "create"
	case ledger.OpErase:
		action, code = "D", "delete"
	default:
		action = "E"
	}
	if code != "" {
		subtype = append(subtype, coding{System: systemInteraction, Code: code})
	}
	return action, append(subtype, coding{System: SystemOperation, Code: op.String()})
}

// outcome is success, a minor failure where a part was refused, and a serious
// one where all was.
func outcome(l *ledger.Line) (code, said string) {
	released, refused := 0, 0
	for _, r := range l.Rows {
		released += bits.OnesCount64(r.Released)
		refused += bits.OnesCount64(r.Refused &^ r.Released)
	}
	switch {
	case refused == 0:
		code = "0"
	case released > 0:
		code = "4"
	default:
		code = "8"
	}
	if len(l.Rows) > 0 {
		said = fmt.Sprintf("%d records released, %d refused", released, refused)
	}
	if l.Renewals > 0 {
		said = strings.TrimPrefix(fmt.Sprintf("%s, renewed %d times", said, l.Renewals), ", ")
	}
	if l.Disputed {
		said = strings.TrimPrefix(said+"; ledgers disagree about this request", "; ")
	}
	return code, said
}

// agents are who asked, for whom, and the session it was asked from.
func agents(d *Disclosed) (out []agent) {
	l := d.Line
	who, kind := agent{Type: conceptOf(systemPart, "IRCP"), Requestor: true}, "Practitioner"
	if who.Who = actorRef(l.Actor, kind); d.Own {
		who.Who = patientRef(d.Patient, d.ID)
	}
	if l.Purpose != "" {
		who.PurposeOfUse = []concept{conceptOf(systemReason, string(l.Purpose))}
	}
	if l.Grant != (abaton.GrantID{}) {
		who.Policy = []string{SystemGrant + ":" + l.Grant.String()}
	}
	out = append(out, who)
	if l.Session != (abaton.SessionID{}) {
		out = append(out, agent{Type: conceptOf(systemDICOM, "110152"), Who: &reference{Identifier: &identifier{SystemSession, l.Session.String()}}})
	}
	if l.Organisation != (abaton.ActorID{}) {
		out = append(out, agent{Type: conceptOf(systemPart, "CST"), Who: actorRef(l.Organisation, "Organization")})
	}
	if l.Device != (abaton.ActorID{}) {
		out = append(out, agent{Type: conceptOf(systemPart, "DEV"), Who: actorRef(l.Device, "Device")})
	}
	if l.Behalf != (abaton.ActorID{}) { // in whose place
		out = append(out, agent{Type: conceptOf(systemPart, "RESP"), Who: actorRef(l.Behalf, "Practitioner")})
	}
	if !l.Onward.IsZero() { // who handed the grant on
		out = append(out, agent{Type: conceptOf(systemPart, "REFB"), Who: actorRef(l.Onward.From, "Practitioner"),
			Policy: []string{SystemGrant + ":" + l.Onward.ID.String()}})
	}
	return out
}

// records are what was touched: by reference where the viewer has it open,
// else by batch.
func (d *Disclosed) records() (out []auditEntity) {
	object := auditEntity{Type: coding{System: systemEntityType, Code: "2"}, Role: coding{System: systemRole, Code: "4"}}
	for _, r := range d.Line.Rows {
		rest := r.Released | r.Refused
		for j := range abaton.BatchRecordsMax {
			if d.Name == nil || r.Released>>j&1 == 0 || len(out) >= entitiesMax {
				continue
			}
			if ref := d.Name(abaton.RecordName{Batch: r.Batch, Index: uint16(j)}); ref != "" {
				one := object
				one.What = &reference{Reference: ref}
				out, rest = append(out, one), rest&^(1<<j)
			}
		}
		if rest == 0 {
			continue
		}
		batch := object
		batch.What = &reference{Identifier: &identifier{SystemBatch, r.Batch.String()}}
		for _, part := range []detail{{"released", indexes(r.Released & rest)}, {"refused", indexes(r.Refused &^ r.Released & rest)}} {
			if part.Value != "" {
				batch.Detail = append(batch.Detail, part)
			}
		}
		out = append(out, batch)
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

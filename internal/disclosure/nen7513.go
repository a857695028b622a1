package disclosure

import (
	"strconv"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/ledger"
)

// The names are those of NEN 7513:2018, chapter 7, in the form that DICOM PS3.15
// A.5 gave them and Logius' extension of Logboek Dataverwerkingen writes in JSON.
// The norm prescribes content and cardinality, no format.

type nenLog struct {
	Norm     string     `json:"norm"`
	Patient  string     `json:"clientID"`
	Complete string     `json:"volledigheid"`
	Answered int        `json:"aantalGrootboeken"`
	Gaps     []nenGap   `json:"hiaten,omitempty"`
	Events   []nenEvent `json:"gebeurtenissen"`
}

type nenGap struct {
	Keepers []int  `json:"bewaarders"`
	From    string `json:"van"`
	To      string `json:"tot,omitempty"`
	What    string `json:"omschrijving"`
}

type nenEvent struct {
	EventID               nenCode     `json:"eventID"`                 // 7.2.1
	EventActionCode       string      `json:"eventActionCode"`         // 7.2.2
	EventDateTime         string      `json:"eventDateTime"`           // 7.2.3, UTC
	EventTypeCode         *nenCode    `json:"eventTypeCode,omitempty"` // 7.2.4: an emergency
	EventOutcomeIndicator int         `json:"eventOutcomeIndicator"`   // 7.2.5: 0, 4, 8
	OutcomeDescription    []string    `json:"eventOutcomeDescription,omitempty"`
	Controles             string      `json:"controles,omitempty"` // 7.2.6
	Readers               []nenReader `json:"users"`               // 7.3
	Participants          []nenObject `json:"participants"`        // 7.4
	Source                nenSource   `json:"auditSource"`         // 7.5
	AutorisatieProtocol   string      `json:"autorisatieProtocol"`
	Behandelrelatie       string      `json:"behandelrelatieProtocol"`
	Toestemming           string      `json:"toestemmingsProfiel"`
}

type nenCode struct {
	Code           string `json:"code"`
	CodeSystem     string `json:"codeSystem,omitempty"` // OID
	CodeSystemName string `json:"codeSystemName"`
	DisplayName    string `json:"displayName,omitempty"`
}

type nenReader struct {
	ID            string    `json:"userID"`                    // 7.3.1
	AlternateID   string    `json:"alternateUserID,omitempty"` // 7.3.2: the session
	Name          string    `json:"userName,omitempty"`        // 7.3.3
	RoleIDCode    nenCode   `json:"roleIDCode"`                // 7.3.4
	IsRequestor   bool      `json:"userIsRequestor"`           // 7.3.5
	Responsible   string    `json:"verantwoordelijkeID,omitempty"`
	ResponsibleOf string    `json:"verantwoordelijkeNaam,omitempty"`
	PurposeOfUse  []nenCode `json:"purposeOfUse,omitempty"`
	PointType     string    `json:"networkAccessPointTypeCode,omitempty"` // 7.3.9: 1, a machine by its name
	PointID       string    `json:"networkAccessPointID,omitempty"`       // 7.3.10
}

type nenObject struct {
	IDTypeCode          string   `json:"participantObjectIDTypeCode"`             // 7.4.1
	TypeCode            string   `json:"participantObjectTypeCode"`               // 7.4.2: 1 person, 2 system object
	TypeCodeRole        string   `json:"participantObjectTypeCodeRole,omitempty"` // 7.4.10: 1 patient, 4 resource, 24 query
	ID                  string   `json:"participantObjectID"`                     // 7.4.3
	Name                string   `json:"participantObjectName,omitempty"`         // 7.4.4
	Detail              []string `json:"participantObjectDetail,omitempty"`       // 7.4.5
	PermissionPolicySet string   `json:"participantObjectPermissionPolicySet,omitempty"`
	Sensitivity         []string `json:"participantObjectSensitivity,omitempty"` // 7.4.9
	LifeCycle           string   `json:"participantObjectDataLifeCycle,omitempty"`
	Query               string   `json:"participantObjectQuery,omitempty"` // 7.4.12
}

type nenSource struct {
	SiteID   string `json:"auditEnterpriseSiteID,omitempty"`
	SourceID string `json:"auditSourceID"`
	TypeCode string `json:"auditSourceTypeCode"`
}

// NEN7513 is the history as NEN 7513:2018 names things, oldest first. What the
// norm demands and no keeper holds is in docs/DISCLOSURES.md.
func NEN7513(v View) []byte {
	h := v.History
	out := nenLog{Norm: "NEN 7513:2018", Patient: v.Patient.String(), Complete: h.String(), Answered: h.Answered, Events: []nenEvent{}}
	for _, g := range h.Gaps {
		one := nenGap{Keepers: numbers(g.Keepers), From: instant(g.From), What: g.String()}
		if g.To != 0 {
			one.To = instant(g.To)
		}
		out.Gaps = append(out.Gaps, one)
	}
	lines := v.Places()
	for i := range h.Lines {
		out.Events = append(out.Events, v.nenEvent(&h.Lines[i], lines))
	}
	return text(out)
}

func (v *View) nenEvent(l *ledger.Line, lines map[abaton.BatchName]abaton.Line) nenEvent {
	e := nenEvent{
		EventID:         nenCode{Code: l.Op.String(), CodeSystemName: "urn:abaton:ledger-op"},
		EventActionCode: action(l.Op), EventDateTime: instant(l.First), Controles: controles(l),
		Participants:    v.nenObjects(l, lines),
		Source:          nenSource{SourceID: v.KeeperSet.String(), TypeCode: "4"},
		Behandelrelatie: "geen protocol", // no keeper opens a record because somebody treats somebody
		Toestemming:     "geen", AutorisatieProtocol: "urn:abaton:policy:shipped",
	}
	switch answered(l) {
	case ledger.Permitted:
		e.EventOutcomeIndicator = 0
	case ledger.Partly:
		e.EventOutcomeIndicator = 4
	default:
		e.EventOutcomeIndicator = 8
	}
	for _, r := range l.Reasons() {
		e.OutcomeDescription = append(e.OutcomeDescription, string(r))
	}
	if l.Op == ledger.OpEmergency || l.Purpose == abaton.Emergency {
		e.EventTypeCode = &nenCode{Code: "110127", CodeSystem: "1.2.840.10008.2.16.4", CodeSystemName: "DCM", DisplayName: "Emergency Override Started"}
	}
	e.Readers = v.nenReaders(l)
	if l.Organisation != (abaton.ActorID{}) {
		e.Source.SiteID = l.Organisation.String()
	}
	if p := l.Policy(); p != 0 {
		e.AutorisatieProtocol = "urn:abaton:policy:" + l.Organisation.String() + ":" + strconv.FormatUint(p, 10)
	}
	if l.Grant != (abaton.GrantID{}) {
		e.Toestemming = "urn:abaton:grant:" + l.Grant.String()
	}
	return e
}

// controles are the four checks of 7.2.6, each T or F: authorisation, treatment
// relation, the client's consent, the emergency button. The second is F always:
// at a keeper access follows from a grant, and a relation opens nothing. Where
// nothing was judged there are none.
func controles(l *ledger.Line) string {
	if !l.Op.Opens() && l.Op != ledger.OpList && l.Op != ledger.OpHistory {
		return ""
	}
	mark := func(ok bool) string {
		if ok {
			return "T"
		}
		return "F"
	}
	permitted := answered(l) == ledger.Permitted || answered(l) == ledger.Partly
	own := l.Organisation == (abaton.ActorID{})
	urgent := l.Op == ledger.OpEmergency || l.Purpose == abaton.Emergency
	return mark(permitted) + mark(false) + mark(permitted && (own || l.Grant != (abaton.GrantID{}))) + mark(urgent && permitted)
}

// nenReaders are who asked, with who is responsible, and a program's or a
// stand-in's principal beside: at least one, and one requestor.
func (v *View) nenReaders(l *ledger.Line) []nenReader {
	role := nenCode{Code: l.Role, CodeSystemName: "urn:abaton:role"}
	switch {
	case l.Role != "":
	case l.Actor == v.Patient:
		role = nenCode{Code: "01", CodeSystemName: "ISO 21298", DisplayName: "Subject of care"}
	default: // the norm's own word where nothing is agreed
		role.Code = "rol onbekend"
	}
	who := nenReader{ID: l.Actor.String(), Name: v.party(l.Actor).Name, RoleIDCode: role, IsRequestor: true}
	if l.Session != (abaton.SessionID{}) {
		who.AlternateID = l.Session.String()
	}
	if l.Purpose != "" {
		who.PurposeOfUse = []nenCode{{Code: string(l.Purpose), CodeSystem: "2.16.840.1.113883.5.8", CodeSystemName: "ActReason"}}
	}
	if l.Device != (abaton.ActorID{}) {
		who.PointType, who.PointID = "1", l.Device.String()
	}
	responsible := l.Actor
	if l.Behalf != (abaton.ActorID{}) {
		responsible = l.Behalf
	}
	who.Responsible, who.ResponsibleOf = responsible.String(), v.party(responsible).Name
	if l.Organisation != (abaton.ActorID{}) { // as userid@organisation
		who.Responsible += "@" + l.Organisation.String()
	}
	out := []nenReader{who}
	if l.Behalf != (abaton.ActorID{}) {
		out = append(out, nenReader{ID: l.Behalf.String(), Name: v.party(l.Behalf).Name, RoleIDCode: nenCode{Code: "rol onbekend", CodeSystemName: role.CodeSystemName}})
	}
	return out
}

// nenObjects are the patient, and what was touched or asked.
func (v *View) nenObjects(l *ledger.Line, lines map[abaton.BatchName]abaton.Line) []nenObject {
	out := []nenObject{{IDTypeCode: "urn:abaton:actor", TypeCode: "1", TypeCodeRole: "1", ID: v.Patient.String(), Name: v.party(v.Patient).Name}}
	permission := ""
	if l.Grant != (abaton.GrantID{}) {
		permission = "urn:abaton:grant:" + l.Grant.String()
	}
	if len(l.Rows) == 0 && l.Op != ledger.OpEvent {
		return append(out, nenObject{IDTypeCode: "urn:abaton:request", TypeCode: "2", TypeCodeRole: "24", ID: requestName(l), Query: l.Op.String(),
			PermissionPolicySet: permission, Sensitivity: v.PartsOf(l, lines)})
	}
	for _, r := range l.Rows {
		one := nenObject{IDTypeCode: "urn:abaton:batch", TypeCode: "2", TypeCodeRole: "4", ID: r.Batch.String(), LifeCycle: lifeCycle(l.Op), PermissionPolicySet: permission}
		if line, ok := lines[r.Batch]; ok && v.Part != nil {
			if part := v.Part(line); part != "" {
				one.Sensitivity = []string{part}
			}
		}
		for _, d := range []struct {
			word string
			bits uint64
		}{{"released", r.Released}, {"confirmed", r.Confirmed}, {"refused", r.Refused &^ r.Released}} {
			if d.bits != 0 {
				one.Detail = append(one.Detail, d.word+" "+strconv.FormatUint(d.bits, 2))
			}
		}
		out = append(out, one)
	}
	return out
}

// action is C, R, U, D or E (7.2.2).
func action(op ledger.Op) string {
	switch op {
	case ledger.OpRelease, ledger.OpPermit, ledger.OpExport, ledger.OpRelock, ledger.OpRepair:
		return "R"
	case ledger.OpDeposit:
		return "C"
	case ledger.OpErase:
		return "D"
	}
	return "E"
}

// lifeCycle is DICOM's code for what happened to the object: 1 origination, 6
// access, 14 logical deletion... of which these apply.
func lifeCycle(op ledger.Op) string {
	switch op {
	case ledger.OpDeposit:
		return "1"
	case ledger.OpErase:
		return "15" // permanent erasure
	case ledger.OpExport:
		return "10"
	case ledger.OpRelease, ledger.OpPermit, ledger.OpIndex, ledger.OpRelock, ledger.OpRepair:
		return "6"
	}
	return ""
}

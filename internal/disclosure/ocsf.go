package disclosure

import (
	"strconv"
	"strings"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/ocsf"
	"github.com/abaton-health/abaton/ledger"
)

// OCSF has no class for a disclosure. API Activity (6003) fits best: it has the
// operation's own name, the resources it touched, and the decision with its
// policy. Datastore Activity (6005) has verbs for reading and listing, but demands
// a database or table and has no place for which records. Detection Finding
// (2004) is for alerts, and this is none.
const (
	ocsfCategory = 6
	ocsfClass    = 6003
)

type ocsfEvent struct {
	CategoryUID  int            `json:"category_uid"`
	ClassUID     int            `json:"class_uid"`
	ClassName    string         `json:"class_name"`
	ActivityID   int            `json:"activity_id"`
	ActivityName string         `json:"activity_name"`
	TypeUID      int64          `json:"type_uid"`
	SeverityID   int            `json:"severity_id"`
	Time         int64          `json:"time"` // milliseconds
	StartTime    int64          `json:"start_time,omitempty"`
	EndTime      int64          `json:"end_time,omitempty"`
	Count        int            `json:"count,omitempty"`
	StatusID     int            `json:"status_id"`
	Status       string         `json:"status"`
	StatusCode   string         `json:"status_code,omitempty"`
	StatusDetail string         `json:"status_detail,omitempty"`
	Actor        ocsfActor      `json:"actor"`
	API          ocsfAPI        `json:"api"`
	Source       ocsfEndpoint   `json:"src_endpoint"`
	Destination  ocsfEndpoint   `json:"dst_endpoint"`
	Resources    []ocsfResource `json:"resources"`
	Metadata     ocsf.Metadata  `json:"metadata"`
	Unmapped     ocsfUnmapped   `json:"unmapped"`
}

type ocsfActor struct {
	Reader         ocsf.Party          `json:"user"`
	Session        *ocsf.Entity        `json:"session,omitempty"`
	Authorizations []ocsfAuthorization `json:"authorizations,omitempty"`
}

type ocsfAuthorization struct {
	Decision string      `json:"decision"`
	Policy   *ocsfPolicy `json:"policy,omitempty"`
}

type ocsfPolicy struct {
	UID     string `json:"uid"`
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

type ocsfAPI struct {
	Operation string      `json:"operation"`
	Request   ocsf.Entity `json:"request"`
	Service   ocsfService `json:"service"`
}

type ocsfService struct {
	Name string `json:"name"`
	UID  string `json:"uid"`
}

type ocsfEndpoint struct {
	UID     string `json:"uid,omitempty"`
	SvcName string `json:"svc_name,omitempty"`
}

type ocsfResource struct {
	UID    string   `json:"uid"`
	Type   string   `json:"type"`
	Labels []string `json:"labels,omitempty"`
}

// ocsfUnmapped is what the schema has no attribute for.
type ocsfUnmapped struct {
	Purpose  abaton.Purpose `json:"purpose_of_use,omitempty"`
	Behalf   string         `json:"on_behalf_of,omitempty"`
	Through  string         `json:"handed_on_by,omitempty"`
	Urgent   bool           `json:"emergency,omitempty"`
	Keepers  []int          `json:"keepers"`
	Disputed bool           `json:"disputed,omitempty"`
	Watch    *ocsfWatch     `json:"watch,omitempty"`
}

type ocsfWatch struct {
	Level   uint8  `json:"level"`
	Rules   uint32 `json:"rules"` // bit i is rule Di
	Version uint32 `json:"version"`
}

// OCSF is the history as events of class API Activity, one JSON object a line,
// for systems that watch. It has no name of anybody, whatever View knows, and
// of the patient only the pseudonym.
func OCSF(v View) []byte {
	var out []byte
	lines := v.Places()
	for i := range v.History.Lines {
		out = append(out, text(v.ocsf(&v.History.Lines[i], lines))...)
	}
	return out
}

func (v *View) ocsf(l *ledger.Line, lines map[abaton.BatchName]abaton.Line) ocsfEvent {
	activity, name := ocsfActivity(l.Op)
	e := ocsfEvent{
		CategoryUID: ocsfCategory, ClassUID: ocsfClass, ClassName: "API Activity", ActivityID: activity, ActivityName: name, TypeUID: ocsfClass*100 + int64(activity),
		SeverityID: 1, Time: 1000 * l.First, Actor: v.ocsfActor(l), Resources: v.ocsfResources(l, lines),
		API:         ocsfAPI{Operation: l.Op.String(), Request: ocsf.Entity{UID: requestName(l)}, Service: ocsfService{"abaton keepers", v.KeeperSet.String()}},
		Source:      ocsfEndpoint{UID: sourceOf(l)},
		Destination: ocsfEndpoint{UID: v.KeeperSet.String(), SvcName: "abaton keepers"},
		Metadata:    ocsf.MetadataOf("abaton ledgers", requestName(l)+"-"+l.Op.String()),
		Unmapped: ocsfUnmapped{Purpose: l.Purpose, Keepers: numbers(l.Keepers), Disputed: l.Disputed,
			Urgent: l.Op == ledger.OpEmergency || l.Purpose == abaton.Emergency},
	}
	if l.Organisation != (abaton.ActorID{}) {
		e.Metadata.Tenant = l.Organisation.String()
	}
	if l.Renewals > 0 { // renewals stand in the opening's line
		e.Count, e.StartTime, e.EndTime = 1+l.Renewals, 1000*l.First, 1000*max(l.Last, l.Renewed)
	}
	switch answered(l) {
	case ledger.Permitted:
		e.StatusID, e.Status = 1, "Success"
	case ledger.Partly:
		e.StatusID, e.Status = 99, "Partial"
	default:
		e.StatusID, e.Status = 2, "Failure"
	}
	var why []string
	for _, r := range l.Reasons() {
		why = append(why, string(r))
	}
	if len(why) > 0 {
		e.StatusCode = why[0]
		e.StatusDetail = "refused: " + strings.Join(why, ", ")
	}
	if l.Behalf != (abaton.ActorID{}) {
		e.Unmapped.Behalf = l.Behalf.String()
	}
	if !l.Onward.IsZero() {
		e.Unmapped.Through = l.Onward.From.String()
	}
	if w := l.Watch(); !w.IsZero() {
		e.Unmapped.Watch = &ocsfWatch{w.Level, w.Fired, w.Rules}
	}
	return e
}

// sourceOf is the computer it was asked from; else the session, else the key
// that signed.
func sourceOf(l *ledger.Line) string {
	switch {
	case l.Device != (abaton.ActorID{}):
		return l.Device.String()
	case l.Session != (abaton.SessionID{}):
		return l.Session.String()
	}
	return l.Actor.String()
}

func (v *View) ocsfActor(l *ledger.Line) ocsfActor {
	a := ocsfActor{Reader: ocsf.Party{UID: l.Actor.String()}}
	switch v.party(l.Actor).Kind {
	case Person, Patient:
		a.Reader.TypeID = 1
	case Program, Organisation:
		a.Reader.TypeID = 4
	}
	if l.Role != "" {
		a.Reader.Groups = []ocsf.Group{{Name: l.Role}}
	}
	if l.Organisation != (abaton.ActorID{}) {
		a.Reader.Org = &ocsf.Entity{UID: l.Organisation.String()}
	}
	if l.Session != (abaton.SessionID{}) {
		a.Session = &ocsf.Entity{UID: l.Session.String()}
	}
	decision := "allowed"
	if answered(l) == ledger.Refused {
		decision = "denied"
	}
	if l.Grant != (abaton.GrantID{}) {
		a.Authorizations = append(a.Authorizations, ocsfAuthorization{decision, &ocsfPolicy{UID: l.Grant.String(), Name: "grant of the patient"}})
	}
	if p := l.Policy(); p != 0 {
		a.Authorizations = append(a.Authorizations, ocsfAuthorization{decision,
			&ocsfPolicy{UID: l.Organisation.String(), Name: "policy of the organisation", Version: strconv.FormatUint(p, 10)}})
	}
	return a
}

// ocsfResources are the patient, and each batch with the part of the record it
// is of.
func (v *View) ocsfResources(l *ledger.Line, lines map[abaton.BatchName]abaton.Line) []ocsfResource {
	out := []ocsfResource{{UID: v.Patient.String(), Type: "patient"}}
	for _, r := range l.Rows {
		one := ocsfResource{UID: r.Batch.String(), Type: "batch"}
		if line, ok := lines[r.Batch]; ok && v.Part != nil {
			if part := v.Part(line); part != "" {
				one.Labels = []string{part}
			}
		}
		out = append(out, one)
	}
	return out
}

func ocsfActivity(op ledger.Op) (id int, name string) {
	switch action(op) {
	case "C":
		return 1, "Create"
	case "R":
		return 2, "Read"
	case "D":
		return 4, "Delete"
	}
	if op == ledger.OpList || op == ledger.OpIndex || op == ledger.OpHistory {
		return 2, "Read"
	}
	return 99, op.String()
}

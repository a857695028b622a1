package alert

import (
	"bytes"
	"encoding/json"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/internal/detect"
	"github.com/abaton-health/abaton/internal/ocsf"
)

// Class Detection Finding of OCSF (schema.ocsf.io/1.8.0/classes/detection_finding).
const (
	findingCategory = 2
	findingClass    = 2004
)

type event struct {
	CategoryUID  int           `json:"category_uid"`
	ClassUID     int           `json:"class_uid"`
	ClassName    string        `json:"class_name"`
	ActivityID   int           `json:"activity_id"`
	ActivityName string        `json:"activity_name"`
	TypeUID      int           `json:"type_uid"`
	SeverityID   int           `json:"severity_id"`
	Severity     string        `json:"severity"`
	StatusID     int           `json:"status_id"` // 1 new, 2 in progress, 4 resolved, 99 other
	Status       string        `json:"status"`
	StatusDetail string        `json:"status_detail,omitempty"`
	IsAlert      bool          `json:"is_alert"`
	Time         int64         `json:"time"` // milliseconds
	StartTime    int64         `json:"start_time,omitempty"`
	EndTime      int64         `json:"end_time,omitempty"`
	Message      string        `json:"message"`
	Finding      finding       `json:"finding_info"`
	Evidences    []evidence    `json:"evidences,omitempty"`
	Resources    []resource    `json:"resources,omitempty"`
	Metadata     ocsf.Metadata `json:"metadata"`
	Unmapped     unmapped      `json:"unmapped"`
}

type finding struct {
	UID       string     `json:"uid"` // the case
	Title     string     `json:"title"`
	Types     []string   `json:"types"`
	FirstSeen int64      `json:"first_seen_time,omitempty"`
	LastSeen  int64      `json:"last_seen_time"`
	Related   []analytic `json:"related_analytics,omitempty"`
	Source    string     `json:"src_url,omitempty"`
}

type analytic struct {
	UID    string `json:"uid"`
	Name   string `json:"name"`
	TypeID int    `json:"type_id"` // 1 rule
}

// evidence names who is held; the schema has one artifact an entry.
type evidence struct {
	Actor  *party  `json:"actor,omitempty"`
	Device *device `json:"device,omitempty"`
}

type party struct {
	Party   *ocsf.Party  `json:"user,omitempty"`
	Session *ocsf.Entity `json:"session,omitempty"`
}

type device struct {
	UID    string `json:"uid"`
	TypeID int    `json:"type_id"` // 0 unknown
}

type resource struct {
	UID  string `json:"uid"`
	Type string `json:"type"`
}

// unmapped is what the schema has no attribute for.
type unmapped struct {
	What     string               `json:"what"`
	Test     bool                 `json:"test,omitempty"`
	Level    string               `json:"level,omitempty"`
	Keepers  []doing              `json:"keepers,omitempty"`
	By       []abaton.KeeperIndex `json:"by,omitempty"`
	Verdicts []string             `json:"verdicts,omitempty"`
	Reason   abaton.Reason        `json:"reason,omitempty"`
	Count    uint64               `json:"count,omitempty"`
	Target   string               `json:"target,omitempty"`
	Ended    string               `json:"ended,omitempty"`
	Open     int                  `json:"open"`
}

type doing struct {
	Keeper abaton.KeeperIndex `json:"keeper"`
	Level  string             `json:"level"`
	Since  int64              `json:"since"` // unix seconds
	Until  int64              `json:"until"`
	Proof  bool               `json:"proof,omitempty"`
}

// OCSF is the alert as an event of class Detection Finding: one JSON object. Link
// is where people look, empty for nowhere. It panics for an alert that is not
// Valid.
func (a *Alert) OCSF(organisation abaton.ActorID, link string) []byte {
	e := a.event()
	e.Metadata.Tenant, e.Finding.Source = organisation.String(), link
	if a.What == Held {
		e.Evidences = []evidence{a.evidence(organisation)}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		panic("alert: an event has no JSON: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func (a *Alert) event() event {
	if !a.Valid() {
		panic("alert: nothing is said")
	}
	activity, name := a.activity()
	status, word := a.status()
	e := event{
		CategoryUID: findingCategory, ClassUID: findingClass, ClassName: "Detection Finding", ActivityID: activity, ActivityName: name,
		TypeUID: findingClass*100 + activity, SeverityID: a.Severity(), Severity: severityWord(a.Severity()), StatusID: status, Status: word,
		StatusDetail: a.Ended, IsAlert: a.Act != Tell, Time: 1000 * a.Time, StartTime: 1000 * a.Since, EndTime: 1000 * a.Until, Message: a.Title(),
		Finding:  finding{UID: a.Case, Title: a.Title(), Types: []string{a.What.String()}, FirstSeen: 1000 * a.Since, LastSeen: 1000 * a.Time},
		Metadata: ocsf.MetadataOf("abaton watch", a.ID),
		Unmapped: unmapped{What: a.What.String(), Test: a.What == Trial, By: a.By, Verdicts: a.Verdicts, Reason: a.Reason, Count: a.Count,
			Target: a.Target, Ended: a.Ended, Open: a.Open},
	}
	if a.Level != 0 {
		e.Unmapped.Level = a.Level.String()
	}
	for _, k := range a.Keepers {
		e.Unmapped.Keepers = append(e.Unmapped.Keepers, doing{k.Keeper, k.Level.String(), k.Since, k.Until, k.Proof})
	}
	for r := range detect.Rule(32) {
		if a.Rules.Has(r) {
			e.Finding.Related = append(e.Finding.Related, analytic{r.String(), ruleName(r), 1})
		}
	}
	if a.Keeper != 0 {
		e.Resources = []resource{{keeperName(a.Keeper), "keeper"}}
	}
	return e
}

func (a *Alert) activity() (id int, name string) {
	switch a.Act {
	case Create:
		return 1, "Create"
	case Update:
		return 2, "Update"
	case Close:
		return 3, "Close"
	}
	return 99, a.What.String()
}

func (a *Alert) status() (id int, word string) {
	switch a.Act {
	case Create:
		return 1, "New"
	case Update:
		return 2, "In Progress"
	case Close:
		return 4, "Resolved"
	}
	return 99, a.What.String()
}

func (a *Alert) evidence(organisation abaton.ActorID) evidence {
	switch a.Kind {
	case contain.KindSession:
		return evidence{Actor: &party{Session: &ocsf.Entity{UID: a.Subject}}}
	case contain.KindDevice:
		return evidence{Device: &device{UID: a.Subject}}
	case contain.KindPerson:
		return evidence{Actor: &party{Party: &ocsf.Party{UID: a.Subject, Org: &ocsf.Entity{UID: organisation.String()}}}}
	}
	return evidence{Actor: &party{Party: &ocsf.Party{UID: a.Subject}}}
}

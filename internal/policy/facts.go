package policy

import (
	"math"
	"slices"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"

	"github.com/abaton-health/abaton"
)

// Kind is what asks. The zero Kind is nothing.
type Kind string

// The kinds of version 1: the entity types of the schema.
const (
	Person       Kind = "Person"
	Agent        Kind = "Agent"
	Device       Kind = "Device"
	Organisation Kind = "Organisation"
)

// Mode is what a request wants to do. The zero Mode is nothing.
type Mode string

// The modes of version 1: the actions of the schema.
const (
	Release Mode = "release"
	Permit  Mode = "permit"
	List    Mode = "list"
	Index   Mode = "index"
	Parts   Mode = "parts"
	Unseal  Mode = "unseal"
)

// Limits of facts.
const (
	// RolesMax is how many roles one may have.
	RolesMax = 32
	// CoursesMax is how many trainings one may have.
	CoursesMax = 64
	// WordBytesMax is the longest role, course or name of an organisation.
	WordBytesMax = 96
	// secondsMax bounds times and spans, so that no sum of them overflows.
	secondsMax = 1 << 40
)

// Facts are what one keeper knows of one request: no patient, no category. The
// zero Facts refuse.
type Facts struct {
	Kind         Kind             `json:"kind"`
	Organisation string           `json:"organisation,omitempty"` // the sponsor's name
	Roles        []string         `json:"roles,omitempty"`
	Training     map[string]int64 `json:"training,omitempty"` // course, and until when in unix seconds
	Mode         Mode             `json:"mode"`
	Purpose      abaton.Purpose   `json:"purpose"`
	Level        int64            `json:"level"` // the highest of the lines asked for, 1 to 3
	OnCall       bool             `json:"on_call,omitempty"`
	Now          int64            `json:"now"` // unix seconds, the keeper's clock
	PatientsHour int64            `json:"patients_hour"`
	PatientsDay  int64            `json:"patients_day"`
	Grant        *GrantFacts      `json:"grant,omitempty"`   // nil without one
	Device       *DeviceFacts     `json:"device,omitempty"`  // nil when none is named
	StepUp       *int64           `json:"step_up,omitempty"` // seconds since; nil without
}

// GrantFacts are what a policy may know of the grant. Times are unix seconds.
type GrantFacts struct {
	NotBefore int64 `json:"not_before"`
	Expires   int64 `json:"expires"`
	Delegated bool  `json:"delegated,omitempty"` // handed on by a grantee
}

// DeviceFacts are what the keepers know of the device asked from.
type DeviceFacts struct {
	Enrolled bool  `json:"enrolled"`
	Level    int64 `json:"level"`   // 1 known, 2 managed, 3 attested; 0 none of them
	Posture  int64 `json:"posture"` // until when its posture statement holds, in unix seconds
}

// emergency: the purpose says so, and nothing else.
func (f *Facts) emergency() bool { return f.Purpose == abaton.Emergency }

// Valid reports whether a keeper can have stated these facts.
func (f *Facts) Valid() bool {
	return f.Kind.valid() && f.Mode.valid() && f.Purpose.Valid() &&
		f.Level >= 1 && f.Level <= 3 && bounded(f.Now) && f.Now >= 0 &&
		counted(f.PatientsHour) && counted(f.PatientsDay) && f.PatientsDay >= f.PatientsHour &&
		len(f.Organisation) <= WordBytesMax && f.rolesValid() && f.trainingValid() &&
		(f.Grant == nil || bounded(f.Grant.NotBefore) && bounded(f.Grant.Expires)) &&
		(f.Device == nil || bounded(f.Device.Posture) && f.Device.Level >= 0 && f.Device.Level <= 3) &&
		(f.StepUp == nil || bounded(*f.StepUp))
}

func bounded(v int64) bool { return v >= -secondsMax && v <= secondsMax }
func counted(v int64) bool { return v >= 0 && v <= math.MaxInt32 }

func (k Kind) valid() bool {
	switch k {
	case Person, Agent, Device, Organisation:
		return true
	}
	return false
}

func (m Mode) valid() bool {
	switch m {
	case Release, Permit, List, Index, Parts, Unseal:
		return true
	}
	return false
}

func (f *Facts) rolesValid() bool {
	return len(f.Roles) <= RolesMax && !slices.ContainsFunc(f.Roles, func(r string) bool { return len(r) > WordBytesMax })
}

func (f *Facts) trainingValid() bool {
	for course, until := range f.Training {
		if len(course) > WordBytesMax || !bounded(until) {
			return false
		}
	}
	return len(f.Training) <= CoursesMax
}

// asks and asked are the names of the two entities. Rules cannot name them.
const (
	asks  = "asks"
	asked = "asked"
)

// entities are the two that a request has (types.EntityGetter).
type entities struct{ who, what types.Entity }

// Get finds one of them.
func (e *entities) Get(uid types.EntityUID) (types.Entity, bool) {
	switch uid {
	case e.who.UID:
		return e.who, true
	case e.what.UID:
		return e.what, true
	}
	return types.Entity{}, false
}

// cedar is the request in Cedar's words.
func (f *Facts) cedar(c clock) (*entities, cedar.Request) {
	roles := make([]types.Value, len(f.Roles))
	for i, r := range f.Roles {
		roles[i] = types.String(r)
	}
	e := &entities{
		who: types.Entity{
			UID: types.NewEntityUID(types.EntityType(f.Kind), asks),
			Attributes: types.NewRecord(types.RecordMap{
				"organisation": types.String(f.Organisation),
				"roles":        types.NewSet(roles...),
			}),
		},
		what: types.Entity{
			UID:        types.NewEntityUID("Record", asked),
			Attributes: types.NewRecord(types.RecordMap{"level": types.Long(f.Level)}),
		},
	}
	if len(f.Training) > 0 {
		tags := make(types.RecordMap, len(f.Training))
		for course, until := range f.Training {
			tags[types.String(course)] = types.Long(until)
		}
		e.who.Tags = types.NewRecord(tags)
	}
	return e, cedar.Request{
		Principal: e.who.UID, Action: types.NewEntityUID("Action", types.String(f.Mode)), Resource: e.what.UID,
		Context: f.context(c),
	}
}

func (f *Facts) context(c clock) types.Record {
	minute, weekday := c.local(f.Now)
	m := types.RecordMap{
		"purpose":      types.String(f.Purpose),
		"emergency":    types.Boolean(f.emergency()),
		"onCall":       types.Boolean(f.OnCall),
		"now":          types.Long(f.Now),
		"minute":       types.Long(minute),
		"weekday":      types.Long(weekday),
		"patientsHour": types.Long(f.PatientsHour),
		"patientsDay":  types.Long(f.PatientsDay),
	}
	if g := f.Grant; g != nil {
		m["grant"] = types.NewRecord(types.RecordMap{
			"life": types.Long(g.Expires - g.NotBefore), "age": types.Long(f.Now - g.NotBefore),
			"left": types.Long(g.Expires - f.Now), "delegated": types.Boolean(g.Delegated),
		})
	}
	if d := f.Device; d != nil {
		m["device"] = types.NewRecord(types.RecordMap{
			"enrolled": types.Boolean(d.Enrolled), "level": types.Long(d.Level), "posture": types.Long(d.Posture - f.Now),
		})
	}
	if f.StepUp != nil {
		m["stepUp"] = types.Long(*f.StepUp)
	}
	return types.NewRecord(m)
}

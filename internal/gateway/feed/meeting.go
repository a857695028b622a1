package feed

import (
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/relation"
)

// Meeting is what one resource says of who has a reason to open its patient's
// record, or of who is on duty, with no other fact of it.
type Meeting struct {
	Kind  relation.Kind
	With  []Party // who takes part, as the resource names them; at most partiesMax
	Start int64   // unix seconds; 0: not said
	End   int64   // unix seconds; 0: not said
	Open  bool    // goes on until it is said to have ended
	Off   bool    // it does not take place
}

// Party is somebody, or some place or team, as a resource refers to them.
type Party struct {
	Type string    // FHIR type; empty where only Code is known
	ID   string    // of a literal reference on this server; else empty
	Code fhir.Code // of a logical reference; zero where there is none
}

// partiesMax bounds the parties of one meeting; more are no meeting.
const partiesMax = 64

// referralCode is SNOMED CT's "patient referral".
const referralCode = "3457005"

// Types lists the resource types that Read reads.
func Types() []string {
	return []string{"Appointment", "CareTeam", "Encounter", "EpisodeOfCare", "Schedule", "ServiceRequest"}
}

// Read reads a resource; false where it says nothing of the kind.
func Read(r fhir.Resource) (m Meeting, ok bool) {
	switch r.Type {
	case "Appointment":
		ok = m.appointment(r)
	case "Encounter":
		ok = m.encounter(r)
	case "ServiceRequest":
		ok = m.request(r)
	case "EpisodeOfCare":
		ok = m.episode(r)
	case "CareTeam":
		ok = m.team(r)
	case "Schedule":
		ok = m.roster(r)
	}
	if len(m.With) > partiesMax {
		m.With = m.With[:partiesMax]
	}
	return m, ok
}

func (m *Meeting) appointment(r fhir.Resource) bool {
	m.Kind = relation.Appointment
	m.Start, m.End = instant(r.Get("start")), instant(r.Get("end"))
	for p := range r.Get("participant").Each() {
		m.join(p.Get("actor"))
	}
	return m.stands(r)
}

func (m *Meeting) encounter(r fhir.Resource) bool {
	m.Kind = relation.Admission
	m.period(r)
	for p := range r.Get("participant").Each() {
		m.join(p.Get("individual"))
	}
	for l := range r.Get("location").Each() {
		if status := l.Get("status").Text(); status == "" || status == "active" || status == "reserved" {
			m.join(l.Get("location"))
		}
	}
	return m.stands(r)
}

func (m *Meeting) request(r fhir.Resource) bool {
	m.Kind, m.Start = relation.Order, instant(r.Get("authoredOn"))
	for c := range r.Get("category").Each() {
		for coding := range c.Get("coding").Each() {
			if coding.Get("code").Is(referralCode) {
				m.Kind = relation.Referral
			}
		}
	}
	m.join(r.Get("requester"))
	for p := range r.Get("performer").Each() {
		m.join(p)
	}
	return m.stands(r)
}

func (m *Meeting) episode(r fhir.Resource) bool {
	m.Kind = relation.Admission
	m.period(r)
	m.join(r.Get("careManager"))
	for t := range r.Get("team").Each() {
		m.join(t)
	}
	return m.stands(r)
}

func (m *Meeting) team(r fhir.Resource) bool {
	m.Kind = relation.Admission
	m.period(r)
	for i := range r.Get("identifier").Each() { // the team itself, where it is one of the house
		m.With = append(m.With, Party{Code: codeOf(i)})
	}
	for p := range r.Get("participant").Each() {
		m.join(p.Get("member"))
	}
	return m.stands(r)
}

// standing is what a status says of a meeting.
type standing uint8

const (
	unsaid  standing = iota // nothing of the kind
	dated                   // it stands if it says when it starts
	goingOn                 // until it says that it ended
	stands                  // or stood
	off                     // it does not take place
)

// standings are the statuses of each type (FHIR R4's value sets); of others nothing
// is said.
func standings() map[string]map[string]standing {
	return map[string]map[string]standing{
		"Appointment": {"pending": dated, "booked": dated, "arrived": dated, "fulfilled": dated, "checked-in": dated,
			"cancelled": off, "noshow": off, "entered-in-error": off},
		"CareTeam": {"active": goingOn, "suspended": stands, "inactive": stands, "entered-in-error": off},
		"Encounter": {"planned": dated, "arrived": goingOn, "triaged": goingOn, "in-progress": goingOn, "onleave": goingOn,
			"finished": stands, "cancelled": off, "entered-in-error": off},
		"EpisodeOfCare":  {"planned": dated, "active": goingOn, "onhold": goingOn, "waitlist": goingOn, "finished": stands, "cancelled": off, "entered-in-error": off},
		"ServiceRequest": {"active": stands, "on-hold": stands, "completed": stands, "revoked": off, "entered-in-error": off},
	}
}

// stands goes by the status; false where it says nothing of the kind.
func (m *Meeting) stands(r fhir.Resource) bool {
	switch standings()[r.Type][r.Get("status").Text()] {
	case dated:
		return m.Start > 0
	case goingOn:
		m.Open = m.End == 0
		return true
	case stands:
		return true
	case off:
		m.Off = true
		return true
	}
	return false
}

// roster is a duty of each actor: a Schedule whose horizon is a shift. A longer
// one is when a clinic is open, and says nothing of who is there.
func (m *Meeting) roster(r fhir.Resource) bool {
	m.Kind = relation.Duty
	m.Start, m.End = instant(r.Path("planningHorizon", "start")), instant(r.Path("planningHorizon", "end"))
	for a := range r.Get("actor").Each() {
		m.join(a)
	}
	m.Off = r.Get("active").Text() == "false" || m.Start <= 0 || m.End <= m.Start || m.End-m.Start > day
	return true
}

func (m *Meeting) period(r fhir.Resource) {
	m.Start, m.End = instant(r.Path("period", "start")), instant(r.Path("period", "end"))
}

// join adds whom a Reference names, but no patients and what they bring along.
func (m *Meeting) join(reference fhir.Value) {
	p := Party{Type: reference.Get("type").Text(), Code: codeOf(reference.Get("identifier"))}
	if ref, ok := fhir.ParseRef(reference.Get("reference").Text()); ok && ref.Base == "" && ref.ID != "" {
		p.Type, p.ID = ref.Type, ref.ID
	}
	if p.ID == "" && p.Code == (fhir.Code{}) || p.Type != "" && !slices.Contains(parties(), p.Type) {
		return
	}
	m.With = append(m.With, p)
}

// parties are the types of who and what a person or team can stand behind.
func parties() []string {
	return []string{"CareTeam", "HealthcareService", "Location", "Organization", "Practitioner", "PractitionerRole"}
}

func codeOf(identifier fhir.Value) fhir.Code {
	if v := identifier.Get("value").Text(); v != "" {
		return fhir.Code{System: identifier.Get("system").Text(), Value: v}
	}
	return fhir.Code{}
}

// instant is a FHIR date or time in unix seconds; 0 where it is none or before
// 1970.
func instant(v fhir.Value) int64 {
	for _, form := range []string{time.RFC3339, time.DateOnly, "2006-01", "2006"} {
		if t, err := time.Parse(form, v.Text()); err == nil {
			return max(t.Unix(), 0)
		}
	}
	return 0
}

// settle fills in what a resource does not say from what was said before, or now:
// it began when it was first told, and ended when that was first told.
func (m *Meeting) settle(was *Meeting, now int64) {
	if m.Start == 0 && was != nil {
		m.Start = was.Start
	}
	if m.Start == 0 {
		m.Start = now
	}
	if m.Open || m.End > 0 {
		return
	}
	m.End = max(now, m.Start)
	if was != nil && !was.Open {
		m.End = was.End
	}
}

const day = int64(24 * time.Hour / time.Second)

// span is how long before the start and after the end a meeting is a reason:
// charts are read before a visit, and letters written after a stay.
func span(k relation.Kind) (before, behind int64) {
	switch k {
	case relation.Appointment:
		return 2 * day, 3 * day
	case relation.Admission:
		return 2 * day, 7 * day
	}
	return 0, 0
}

// entries are what keepers are to hold of a meeting now: one for each of whom,
// and beyond the longest that one may run the one that stands now, and a day
// before its end the next. Start must be known. All begin shift seconds earlier
// than they need, so that two resources do not speak about one thing.
func (m *Meeting) entries(patient abaton.ActorID, whom []abaton.ActorID, shift, now int64) (all []relation.Entry) {
	if m.Off || m.Start <= 0 {
		return nil
	}
	if m.Kind == relation.Duty {
		shift %= 60 // a duty moved by hours would be another
	}
	life := int64(m.Kind.Life() / time.Second)
	before, behind := span(m.Kind)
	from := max(m.Start-before-shift, 0)
	end := int64(1) << 62
	switch {
	case m.Open:
	case m.Kind == relation.Order || m.Kind == relation.Referral:
		end = m.Start + life - shift // one entry
	default:
		end = max(m.End, m.Start) + behind
	}
	if n := (now - from) / life; n > 0 {
		from += n * life
	}
	for {
		until := min(from+life, end)
		if until <= max(from, now) {
			return all
		}
		for _, w := range whom {
			e := relation.Entry{Patient: patient, Whom: w, Kind: m.Kind, From: from, Until: until}
			if m.Kind == relation.Duty {
				e.Patient, e.Whom = w, abaton.ActorID{}
			}
			all = append(all, e)
		}
		if until == end || until-now > day {
			return all
		}
		from = until
	}
}

// Package report turns what keepers proved of an incident into what people must
// be told: the incident itself, a draft for each authority, a letter for each
// patient. It takes facts from ledgers and from settings, and invents nothing:
// what neither says is listed as missing.
//
//	asked := report.Ask(signing.ID(), look)
//	touched, err := network.Touched(ctx, asked.Look, proofs.Add)
//	i, err := report.NewIncident(touched, proofs, facts, now)
//	file, err := report.SealIncident(i, proofs, &asked, signing)
//	seen, err := report.Verify(file, trust) // by anybody, offline
//
// Each file is verified from the keepers' public keys alone: its numbers are
// computed again from the ledger entries it carries, and its page from its
// numbers. It does not prove that the organisation told every patient, and
// nothing in it can be sent anywhere: a person hands it in.
//
// It does not protect what it says: a report names patients by their names as
// actors, which keepers know too, and belongs in the organisation's own hands.
package report

import (
	"cmp"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/ledger"
)

// Vector is how somebody came to ask, as a person or a finding says. The zero
// Vector says nothing, and drafts list it as missing.
type Vector string

// The vectors.
const (
	StolenSession Vector = "stolen-session"
	StolenDevice  Vector = "stolen-device"
	Insider       Vector = "insider"
	SharedAccount Vector = "shared-account"
	Gateway       Vector = "gateway"
	Emergency     Vector = "emergency-abuse"
)

// Known reports whether v is one of the vectors.
func (v Vector) Known() bool {
	return slices.Contains([]Vector{StolenSession, StolenDevice, Insider, SharedAccount, Gateway, Emergency}, v)
}

// Clocks are the times of an incident, unix seconds; 0 is not known.
type Clocks struct {
	FirstRead int64  `json:"first_bad_read"` // first request of the subject, by keepers' clocks
	LastRead  int64  `json:"last_bad_read"`
	Detected  int64  `json:"detected"` // every deadline counts from here
	Contained int64  `json:"contained,omitempty"`
	Aware     int64  `json:"aware,omitempty"` // when a person took it as certain
	AwareBy   string `json:"aware_by,omitempty"`
}

// Facts are what no ledger holds: a person, or the watch, says it. The zero
// Facts leave all of it missing.
type Facts struct {
	Drill     bool
	Vector    Vector
	Detected  int64 // 0: when the question was asked
	Contained int64
	Aware     int64
	AwareBy   string
	Found     string // how it was found
	Measures  []Measure
	Classes   []Class // which class a line is of, where somebody may know it
	// Private are the patients to whom nothing may be posted.
	Private []abaton.ActorID
}

// Measure is something done about it.
type Measure struct {
	At   int64  `json:"at"`
	What string `json:"what"`
}

// Incident is what happened, from ledger entries and stated facts. Its form is
// canonical JSON (PROTOCOL.md#report).
type Incident struct {
	ID           string    `json:"id"`
	Drill        bool      `json:"drill"`
	Made         int64     `json:"made"`
	Organisation string    `json:"organisation"`
	Clocks       Clocks    `json:"clocks"`
	Subject      Subject   `json:"subject"`
	Vector       Vector    `json:"vector,omitempty"`
	Found        string    `json:"found,omitempty"`
	CIA          CIA       `json:"cia"`
	Scope        Scope     `json:"scope"`
	Encrypted    Encrypted `json:"encrypted"`
	Complete     Complete  `json:"complete"`
	Measures     []Measure `json:"measures"`
	Notices      []Sent    `json:"notices"`
	Regimes      []Regime  `json:"regimes"`
	Counts       Counts    `json:"counts"`
	Classes      []Class   `json:"classes"` // as stated, ascending by line
	Exposure     Exposure  `json:"exposure"`
	Severity     Severity  `json:"severity"`
}

// Subject is whose requests it is about: the question that was asked.
type Subject struct {
	Person  string   `json:"person,omitempty"`
	Device  string   `json:"device,omitempty"`
	Session string   `json:"session,omitempty"`
	Grant   string   `json:"grant,omitempty"`
	Since   int64    `json:"since"`
	Until   int64    `json:"until"`
	Roles   []string `json:"roles"` // in which the requests were made
	Actors  []string `json:"actors"`
}

// CIA says what was touched: records were read; written; erased.
type CIA struct {
	Confidentiality bool `json:"confidentiality"`
	Integrity       bool `json:"integrity"`
	Availability    bool `json:"availability"`
}

// Scope is who and what, by outcome.
type Scope struct {
	People   People    `json:"people"`
	Records  Records   `json:"records"`
	Patients []Patient `json:"patients"` // ascending by name
	// Directory is the organisation's own records, which are about no patient:
	// its people, rooms and who is registered.
	Directory Records `json:"directory"`
}

// People counts patients by the worst that happened.
type People struct {
	Opened int `json:"opened"`
	Close  int `json:"close"` // nothing opened, unless a keeper hides an entry
	Asked  int `json:"asked"` // asked for, nothing opened
	Listed int `json:"listed"`
}

// Records counts records by outcome.
type Records struct {
	Opened int `json:"opened"`
	Close  int `json:"close"`
	Asked  int `json:"asked"`
}

// Patient is what was done about one patient.
type Patient struct {
	Patient string  `json:"patient"`
	Records Records `json:"records"`
	First   int64   `json:"first"`
	Last    int64   `json:"last"`
	Batches []Batch `json:"batches"`
	Reads   []Read  `json:"reads"`
}

// Batch names records by their bits, as 16 hexadecimal digits.
type Batch struct {
	Batch  string `json:"batch"`
	Opened string `json:"opened"`
	Close  string `json:"close"`
	Asked  string `json:"asked"`
	// Lines are those that it may be of; the times are of the requests for it.
	Lines []string `json:"lines"`
	First int64    `json:"first"`
	Last  int64    `json:"last"`
}

// Read is one request, and the ledger entries that prove it.
type Read struct {
	At       int64    `json:"at"`
	What     string   `json:"what"`
	Purpose  string   `json:"purpose,omitempty"`
	Role     string   `json:"role,omitempty"`
	Opened   int      `json:"opened"`
	Refused  int      `json:"refused"` // records asked for and not opened
	Evidence []string `json:"evidence"`
}

// Encrypted says what stayed unreadable, with the entries that show it.
type Encrypted struct {
	Threshold int      `json:"threshold"` // keepers that must release a record before it opens
	Keepers   int      `json:"keepers"`
	Sealed    int      `json:"sealed"` // records asked for and not opened
	Evidence  []string `json:"evidence"`
}

// Complete says how far the lists reach, and shows where the keepers that count
// ledgered the question.
type Complete struct {
	Says     string   `json:"says"`
	Whole    bool     `json:"whole"`
	Keepers  []uint8  `json:"keepers"`
	Faults   []string `json:"faults"`
	Gone     uint64   `json:"gone"`
	Evidence []string `json:"evidence"`
}

// Sent names a notice that was made, by SHA-256 of its file.
type Sent struct {
	Patient string `json:"patient"`
	File    string `json:"file"`
	Post    bool   `json:"post"` // may go by post
}

// ErrEmpty says that the keepers told nothing to report.
var ErrEmpty = errors.New("the keepers told of no request of this subject")

// ErrClass says that a stated class is none of Classes, its line is no line, or one
// line was stated twice.
var ErrClass = errors.New("a class that is stated is none of those there are, or of no line")

// NewIncident is the incident that the answers to a look show. Made is when,
// unix seconds.
func NewIncident(t *ledger.Touched, p *Proofs, f *Facts, made int64) (*Incident, error) {
	if !slices.ContainsFunc(t.Patients, func(q ledger.TouchedPatient) bool { return q.Patient != t.Look.Organisation }) {
		return nil, ErrEmpty
	}
	stated := append([]Class{}, f.Classes...)
	if slices.SortFunc(stated, func(a, b Class) int { return strings.Compare(a.Line, b.Line) }); !validClasses(stated) {
		return nil, ErrClass
	}
	p.discount(t.Faults)
	ids := p.byRequest()
	i := &Incident{ID: nameOfIncident(t.Look.Hash()), Drill: f.Drill, Made: made, Organisation: t.Look.Organisation.String(),
		Vector: f.Vector, Found: f.Found, CIA: touchedOf(t), Subject: subjectOf(t),
		Scope: scopeOf(t, ids), Complete: completeOf(t, ids), Measures: append([]Measure{}, f.Measures...), Notices: []Sent{}, Classes: stated}
	i.Encrypted = encryptedOf(t, i.Scope)
	i.Clocks = Clocks{Detected: cmp.Or(f.Detected, askedAt(t), made), Contained: f.Contained, Aware: f.Aware, AwareBy: f.AwareBy}
	for _, q := range i.Scope.Patients {
		i.Clocks.FirstRead = cmp.Or(min(i.Clocks.FirstRead, q.First), q.First)
		i.Clocks.LastRead = max(i.Clocks.LastRead, q.Last)
	}
	i.Regimes = Due(i)
	i.Counts = countsOf(i)
	i.Exposure = exposureOf(i.Scope.Patients, i.Classes)
	i.Severity = severityOf(i)
	return i, nil
}

func touchedOf(t *ledger.Touched) (c CIA) {
	for i := range t.Patients {
		for _, l := range t.Patients[i].Lines {
			c.Confidentiality = c.Confidentiality || l.Op.Opens() || l.Op == ledger.OpList
			c.Integrity = c.Integrity || l.Op == ledger.OpDeposit
			c.Availability = c.Availability || l.Op == ledger.OpErase
		}
	}
	return c
}

// askedAt is when the first keeper ledgered the question.
func askedAt(t *ledger.Touched) (at int64) {
	for _, l := range t.Lines {
		if l.Op == ledger.OpLook && l.Request == t.Look.Hash() {
			at = l.First
		}
	}
	return at
}

func subjectOf(t *ledger.Touched) Subject {
	s := Subject{Since: t.Look.Since, Until: t.Look.Until, Roles: []string{}, Actors: []string{}}
	if t.Look.Person != (abaton.ActorID{}) {
		s.Person = t.Look.Person.String()
	}
	if t.Look.Device != (abaton.ActorID{}) {
		s.Device = t.Look.Device.String()
	}
	if t.Look.Session != (abaton.SessionID{}) {
		s.Session = t.Look.Session.String()
	}
	if t.Look.Grant != (abaton.GrantID{}) {
		s.Grant = t.Look.Grant.String()
	}
	for i := range t.Patients {
		for _, l := range t.Patients[i].Lines {
			s.Actors = append(s.Actors, l.Actor.String())
			if l.Role != "" {
				s.Roles = append(s.Roles, l.Role)
			}
		}
	}
	slices.Sort(s.Actors)
	slices.Sort(s.Roles)
	s.Actors, s.Roles = slices.Compact(s.Actors), slices.Compact(s.Roles)
	return s
}

func completeOf(t *ledger.Touched, ids map[[32]byte][]string) Complete {
	c := Complete{Says: t.String(), Whole: t.Verdict == ledger.Complete, Keepers: []uint8{}, Faults: []string{}, Gone: t.Gone,
		Evidence: append([]string{}, ids[t.Look.Hash()]...)}
	for _, x := range t.Counted {
		c.Keepers = append(c.Keepers, uint8(x))
	}
	for _, err := range t.Faults {
		c.Faults = append(c.Faults, err.Error())
	}
	return c
}

// nameOfIncident is the question's name, as a text.
func nameOfIncident(question [32]byte) string { return "inc1" + hex.EncodeToString(question[:16]) }

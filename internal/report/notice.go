package report

import (
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
)

// Notice is what one patient is told. The letter is made of it, word for word,
// whenever it is shown; it holds no word of its own.
type Notice struct {
	Incident  string    `json:"incident"`
	Drill     bool      `json:"drill"`
	Made      int64     `json:"made"`
	Facts     Patient   `json:"facts"`
	Vector    Vector    `json:"vector,omitempty"`
	Contained int64     `json:"contained,omitempty"`
	Measures  []Measure `json:"measures"`
	Complete  Complete  `json:"complete"`
	From      From      `json:"from"`
	Languages []string  `json:"languages"`
	Classes   []Class   `json:"classes"` // as stated of this patient's lines
	Exposure  []Exposed `json:"exposure"`
	// Post is false for a patient to whom nothing may be posted: others who open
	// the letter may be the danger. The page then says who speaks to the patient.
	Post bool `json:"post"`
	// Large asks for large print.
	Large bool `json:"large"`
}

// From is what a letter says of its sender; what is empty it leaves out.
type From struct {
	Organisation string  `json:"organisation"`
	Name         string  `json:"name"`
	Patients     Contact `json:"patients"`
	Support      Contact `json:"support"`
	DPO          Contact `json:"dpo"`
	Authority    string  `json:"authority"`
	Person       string  `json:"person"`
	// Helplines are others who help, outside of the organisation.
	Helplines []Helpline `json:"helplines"`
}

// NewNotice is the notice for one patient of an incident; nil for one who is not
// in it. Languages are of Languages.
func NewNotice(i *Incident, s *Settings, f *Facts, patient abaton.ActorID, languages []string) *Notice {
	at := slices.IndexFunc(i.Scope.Patients, func(p Patient) bool { return p.Patient == patient.String() })
	if at < 0 {
		return nil
	}
	own := &i.Scope.Patients[at]
	classes := classesOf(own, i.Classes)
	return &Notice{Classes: classes, Exposure: exposedOf(own, classes), Incident: i.ID, Drill: i.Drill, Made: i.Made, Facts: *own, Vector: i.Vector,
		Contained: i.Clocks.Contained, Measures: i.Measures, Complete: i.Complete, Languages: languages,
		Post: !slices.Contains(f.Private, patient),
		From: From{Organisation: i.Organisation, Name: s.Name, Patients: s.Patients, Support: s.Support, DPO: s.DPO, Authority: s.Authority, Person: s.Person, Helplines: s.helplines()}}
}

// SealNotice is the signed file of a notice, with the evidence about this
// patient and nobody else.
func SealNotice(n *Notice, p *Proofs, a *Asked, by *key.Signing) ([]byte, error) {
	patient, err := abaton.ParseActorID(n.Facts.Patient)
	if err != nil {
		return nil, err
	}
	return seal(NoticeFile, n.Drill, n, p.Of(patient), a, by)
}

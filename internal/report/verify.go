package report

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/abaton-health/abaton"
)

// Seen is what a verified file says of itself.
type Seen struct {
	Kind         Kind
	Drill        bool
	Organisation abaton.ActorID
	Asker        abaton.ActorID       // who asked the keepers: the organisation, or its security officer
	Vouched      []abaton.KeeperIndex // whose ledgers show that
	Entries      int                  // ledger entries proven
	People       int                  // of whom records were opened
	Incident     *Incident            // one of the three is set
	Draft        *Draft
	Notice       *Notice
}

// Verify checks a file, a page of one or what is printed of it, offline: its one form; its signature
// under a key to which more keepers' ledgers commit than may lie; every ledger
// entry it carries and the path to a checkpoint that its keeper signed; its
// numbers, computed again from these entries; and each word of the page or PDF. The
// error is a *HoldsError that says what does not hold.
func Verify(data []byte, t *Trust) (*Seen, error) {
	signed, made, err := signedIn(data)
	if err != nil {
		return nil, err
	}
	o, err := open(signed, t)
	if err != nil {
		return nil, err
	}
	s := &Seen{Kind: o.Kind, Drill: o.Drill, Organisation: o.look.Organisation, Asker: o.asker, Vouched: o.vouch, Entries: len(o.Evidence.Entries)}
	switch o.Kind {
	case IncidentFile:
		s.Incident, err = o.incident()
	case DraftFile:
		s.Draft, err = o.draft()
	case NoticeFile:
		s.Notice, err = o.notice()
	}
	if err != nil {
		return nil, err
	}
	s.People = o.people()
	if made == nil {
		return s, nil
	}
	again, err := made(signed)
	if err != nil || !bytes.Equal(again, data) {
		return nil, fails("the page does not say what was signed")
	}
	return s, nil
}

func (o *opened) people() (n int) {
	for i := range o.touched.Patients {
		if o.touched.Patients[i].Patient == o.look.Organisation {
			continue
		}
		if opened, _, _ := o.touched.Patients[i].Counts(); opened > 0 {
			n++
		}
	}
	return n
}

// body reads the body in its one form.
func (o *opened) body(into any) error {
	if err := strict(o.Body, into); err != nil {
		return fails("its body is not in its form")
	}
	again, err := json.Marshal(into)
	if err != nil || !bytes.Equal(again, o.Body) {
		return fails("its body is not in its form")
	}
	return nil
}

func (o *opened) incident() (*Incident, error) {
	i := new(Incident)
	if err := o.body(i); err != nil {
		return nil, err
	}
	return i, o.recount(i)
}

// recount makes the incident again from the entries and compares. What no entry
// can show (which keepers failed, what a person stated) is taken as it stands.
func (o *opened) recount(i *Incident) error {
	if i.Drill != o.Drill {
		return fails("it is a drill in one place and none in another")
	}
	again, err := NewIncident(o.touched, o.proofs, &Facts{Drill: i.Drill, Classes: i.Classes, Vector: i.Vector, Found: i.Found, Measures: i.Measures,
		Detected: i.Clocks.Detected, Contained: i.Clocks.Contained, Aware: i.Clocks.Aware, AwareBy: i.Clocks.AwareBy}, i.Made)
	if err != nil {
		return fails("its entries show nothing")
	}
	again.Complete.Faults, again.Complete.Gone, again.Notices = i.Complete.Faults, i.Complete.Gone, i.Notices
	for _, c := range []struct {
		what      string
		have, new any
	}{
		{"who and what was touched", i.Scope, again.Scope}, {"the times", i.Clocks, again.Clocks}, {"whose requests it is about", i.Subject, again.Subject},
		{"how complete it is", i.Complete, again.Complete}, {"what stayed sealed", i.Encrypted, again.Encrypted}, {"what is due when", i.Regimes, again.Regimes},
		{"what was exposed", i.Exposure, again.Exposure}, {"how severe it is", i.Severity, again.Severity},
	} {
		if !same(c.have, c.new) {
			return fails("%s: its entries say something else", c.what)
		}
	}
	if !same(i, again) {
		return fails("the incident is not what its entries make")
	}
	return nil
}

func (o *opened) draft() (*Draft, error) {
	d := new(Draft)
	if err := o.body(d); err != nil {
		return nil, err
	}
	if err := o.recount(&d.Incident); err != nil {
		return nil, err
	}
	r := rule(d.Rule, d.Version)
	if r == nil {
		return nil, fails("its form is not known here: a newer program may know it")
	}
	if !same(d, Fill(r, &d.Incident, &d.Settings)) {
		return nil, fails("a field does not say what the incident says")
	}
	return d, nil
}

func (o *opened) notice() (*Notice, error) {
	n := new(Notice)
	if err := o.body(n); err != nil {
		return nil, err
	}
	ids := o.proofs.byRequest()
	complete := completeOf(o.touched, ids)
	complete.Faults, complete.Gone = n.Complete.Faults, n.Complete.Gone
	hash := o.look.Hash()
	switch {
	case n.Drill != o.Drill:
		return nil, fails("it is a drill in one place and none in another")
	case n.Incident != nameOfIncident(hash):
		return nil, fails("it is of another incident")
	case n.From.Organisation != o.look.Organisation.String():
		return nil, fails("it is from another organisation")
	case len(o.touched.Patients) != 1 || !same(n.Facts, patientOf(&o.touched.Patients[0], ids)):
		return nil, fails("what was opened and asked for: its entries say something else")
	case !validClasses(n.Classes) || !same(n.Classes, classesOf(&n.Facts, n.Classes)) || !same(n.Exposure, exposedOf(&n.Facts, n.Classes)):
		return nil, fails("which class of records it is: it does not follow from what is stated")
	case !same(n.Complete, complete):
		return nil, fails("how complete it is: its entries say something else")
	case slices.ContainsFunc(n.Languages, func(l string) bool { return wordsOf(l) == nil }):
		return nil, fails("it is in a language that is not known here")
	}
	return n, nil
}

package gateway

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/fhir"
)

// ErrSeveral says that identifiers name more than one patient.
var ErrSeveral = errors.New("identifiers name several patients")

// roll is which of a session's patients has which identifier, taken from their
// Patient resources once each. It lives and ends with the session.
type roll struct {
	mu   sync.Mutex
	read map[abaton.ActorID]*enrolled
	by   map[fhir.Code]map[abaton.ActorID]bool
}

// enrolled is what the roll knows of one patient.
type enrolled struct {
	id    string // of the Patient
	codes []fhir.Code
	birth string
	again time.Time // of one who has no Patient yet: when to look again
}

const (
	// rollAtOnce is how many charts are opened beside each other to fill the
	// roll.
	rollAtOnce = 4
	// rollPatience is how long a patient without a Patient resource is not
	// looked at again: an import may be under way.
	rollPatience = 5 * time.Second
)

// FindPatient is the one patient of this session who has one of the
// identifiers, and the birth date in the chart. abaton.ErrNotFound if nobody
// has, ErrSeveral if several do. The first call of a session opens the charts
// of all its patients; later ones only those lent since. What is found is held
// against the chart as it stands now.
func (s *Service) FindPatient(ctx context.Context, codes []fhir.Code) (patient abaton.ActorID, birth string, err error) {
	r := &s.p.roll
	patient, known, err := r.look(ctx, s, codes)
	if err != nil {
		return abaton.ActorID{}, "", err
	}
	now, err := s.enrol(ctx, patient, known.id) // not under the lock: it may ask the keepers
	if err != nil {
		return abaton.ActorID{}, "", err
	}
	if slices.Equal(now.codes, known.codes) && now.birth == known.birth {
		return patient, now.birth, nil
	}
	s.Changed(patient) // somebody wrote over it
	if patient, known, err = r.look(ctx, s, codes); err != nil {
		return abaton.ActorID{}, "", err
	}
	return patient, known.birth, nil
}

// look fills the roll and finds in it.
func (r *roll) look(ctx context.Context, s *Service, codes []fhir.Code) (abaton.ActorID, *enrolled, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.fill(ctx, s); err != nil {
		return abaton.ActorID{}, nil, err
	}
	several := r.find(codes)
	switch len(several) {
	case 0:
		return abaton.ActorID{}, nil, abaton.ErrNotFound
	case 1:
		return several[0], r.read[several[0]], nil
	}
	patient, err := s.survivor(ctx, several, func(id abaton.ActorID) string { return r.read[id].id })
	return patient, r.read[patient], err
}

// find are the patients who have one of the identifiers. Callers hold mu.
func (r *roll) find(codes []fhir.Code) (patients []abaton.ActorID) {
	for _, code := range codes {
		if code.System == "" || code.Value == "" {
			continue
		}
		for id := range r.by[code] {
			if !slices.Contains(patients, id) {
				patients = append(patients, id)
			}
		}
	}
	return patients
}

// enter: callers hold mu.
func (r *roll) enter(patient abaton.ActorID, e *enrolled) {
	r.read[patient] = e
	for _, code := range e.codes {
		if r.by[code] == nil {
			r.by[code] = make(map[abaton.ActorID]bool)
		}
		r.by[code][patient] = true
	}
}

// Changed makes the roll read a patient's identifiers again.
func (s *Service) Changed(patient abaton.ActorID) {
	r := &s.p.roll
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(patient)
}

// fill reads the patients that are not in the roll. Callers hold mu.
func (r *roll) fill(ctx context.Context, s *Service) error {
	if r.read == nil {
		r.read, r.by = make(map[abaton.ActorID]*enrolled), make(map[fhir.Code]map[abaton.ActorID]bool)
	}
	var missing []abaton.ActorID
	for _, id := range s.p.patients() {
		known := r.read[id]
		if id != s.g.org && (known == nil || !known.again.IsZero() && s.g.now().After(known.again)) {
			missing = append(missing, id)
		}
	}
	found := make([]*enrolled, len(missing))
	g, within := errgroup.WithContext(ctx)
	g.SetLimit(rollAtOnce)
	for i, id := range missing {
		g.Go(func() (err error) {
			found[i], err = s.enrol(within, id, "")
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, id := range missing {
		r.enter(id, found[i])
	}
	return nil
}

// forget: callers hold mu.
func (r *roll) forget(patient abaton.ActorID) {
	if e := r.read[patient]; e != nil {
		for _, code := range e.codes {
			delete(r.by[code], patient)
		}
		delete(r.read, patient)
	}
}

// enrol reads one Patient, of this id if it is known. A grant that does not
// hold any more enrols nobody.
func (s *Service) enrol(ctx context.Context, patient abaton.ActorID, id string) (*enrolled, error) {
	nobody := &enrolled{again: s.g.now().Add(rollPatience)}
	c, err := s.g.chartOf(ctx, s.p, patient, "", false)
	if err == nil && id == "" {
		id, err = s.g.patientID(c)
	}
	if notMine(err) {
		return nobody, nil
	}
	if err != nil {
		return nil, err
	}
	v, _, ok := c.current("Patient", id)
	if !ok || v.Deleted {
		return nobody, nil
	}
	r, err := fhir.ParseResource(v.Body)
	if err != nil {
		return nil, err
	}
	e := &enrolled{id: id, birth: r.Get("birthDate").Text()}
	for one := range r.Get("identifier").Each() {
		if code := (fhir.Code{System: one.Get("system").Text(), Value: one.Get("value").Text()}); code.System != "" && code.Value != "" {
			e.codes = append(e.codes, code)
		}
	}
	return e, nil
}

package main

import (
	"context"
	"errors"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/people"
)

// The people of a sample network, beside its patients.
const (
	officeHandle     = "records-office" // imports
	annaHandle       = "dr-anna"        // reads every sample patient
	benHandle        = "dr-ben"         // holds no grant of a patient
	integratorHandle = "integrator"     // reads what the intake set aside, and nothing else
)

// sampleLife is how long grants of sample people last.
const sampleLife = 365 * 24 * time.Hour

// staff are the clinic's people. Those that are missing are made, published
// and let into the directory.
type staff struct {
	org, office, anna, ben, integrator *people.Person
}

// newStaff loads or makes the clinic's people. c must ask with the
// organisation's key.
func newStaff(ctx context.Context, n *local.Network, c *client.Network) (*staff, error) {
	s := new(staff)
	var err error
	if s.org, err = n.Organisation(); err != nil {
		return nil, err
	}
	for _, one := range []struct {
		into               **people.Person
		handle, name, role string
	}{{&s.office, officeHandle, "Records office", abaton.RoleRecords}, {&s.anna, annaHandle, "Dr Anna", abaton.RolePhysician},
		{&s.ben, benHandle, "Dr Ben", abaton.RolePhysician}, {&s.integrator, integratorHandle, "Integrator", abaton.RoleRecords}} {
		if *one.into, err = clinician(n.People(), one.handle, one.name, s.org, one.role); err != nil {
			return nil, err
		}
	}
	if err := n.Enlist(ctx, c, s.office, s.anna, s.ben, s.integrator); err != nil {
		return nil, err
	}
	return s, s.openDirectory(ctx, c)
}

func clinician(w *people.World, handle, name string, org *people.Person, roles ...string) (*people.Person, error) {
	p, err := w.Load(handle)
	if errors.Is(err, people.ErrNobody) {
		return w.NewClinician(handle, name, org, roles...)
	}
	return p, err
}

// openDirectory lets the staff read the organisation's directory, and the
// integrator its quarantine.
func (s *staff) openDirectory(ctx context.Context, c *client.Network) error {
	c.Refresh(s.org.ID)
	log, err := c.Log(ctx, s.org.ID)
	if err != nil {
		return err
	}
	for _, p := range []*people.Person{s.office, s.anna, s.ben} {
		if people.Reads(log, p, time.Now(), time.Hour) {
			continue
		}
		t := people.Terms{To: p, Actions: grant.Read, Directory: true, Purpose: abaton.Operations, Life: sampleLife, Quota: people.RecordsMax}
		if _, _, err := s.org.Give(ctx, c, t); err != nil {
			return err
		}
	}
	if people.Reads(log, s.integrator, time.Now(), time.Hour) {
		return nil
	}
	_, _, err = s.org.Give(ctx, c, people.QuarantineOf(s.integrator, grant.Read))
	return err
}

// treating are the terms by which a sample clinician reads a sample patient.
func treating(to *people.Person) people.Terms {
	return people.Terms{To: to, Actions: grant.Read, Categories: []fhir.Category{fhir.General, fhir.Imaging, fhir.Emergency},
		Purpose: abaton.Treatment, Life: sampleLife, Quota: people.RecordsMax}
}

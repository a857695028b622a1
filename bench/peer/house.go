package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/people"
)

// house is a network of Abaton with a clinic in it: an office that imports and
// a doctor who reads.
type house struct {
	n      *local.Trial
	c      *client.Network
	hangUp func()
	org    *people.Person
	office *people.Person
	doctor *people.Person
	actors []*people.Person
	desk   *side // the office, signed in
}

// lasts is how long the grants of a run hold.
const lasts = 4 * time.Hour

// newHouse starts the network and makes the patients' keys: that is what their
// devices do, and no part of what is timed.
func newHouse(ctx context.Context, bin string, patients int) (h *house, err error) {
	h = &house{}
	if h.n, err = local.Try(ctx, "", bin); err != nil {
		return nil, err
	}
	if err = h.enrol(ctx, patients); err == nil {
		h.desk, err = h.signIn(ctx, h.office)
	}
	if err != nil {
		return nil, errors.Join(err, h.stop())
	}
	return h, nil
}

func (h *house) stop() error {
	if h.hangUp != nil {
		h.hangUp()
	}
	return h.n.End()
}

func (h *house) enrol(ctx context.Context, patients int) (err error) {
	if h.org, err = h.n.Organisation(); err != nil {
		return err
	}
	if h.c, h.hangUp, err = h.n.Client(h.org.Manage); err != nil {
		return err
	}
	world := h.n.People()
	if h.office, err = world.NewClinician("records-office", "Records office", h.org); err != nil {
		return err
	}
	if h.doctor, err = world.NewClinician("doctor", "Doctor", h.org); err != nil {
		return err
	}
	if err := people.Introduce(ctx, h.c, h.office, h.doctor); err != nil {
		return err
	}
	for _, to := range []*people.Person{h.office, h.doctor} {
		t := people.Terms{To: to, Actions: grant.Read, Directory: true, Purpose: abaton.Treatment, Life: lasts, Quota: people.RecordsMax}
		if to == h.office {
			t.Purpose = abaton.Operations
		}
		if _, _, err := h.org.Give(ctx, h.c, t); err != nil {
			return err
		}
	}
	read := people.Terms{To: h.doctor, Actions: grant.Read, Purpose: abaton.Treatment, Life: lasts, Quota: people.RecordsMax,
		Categories: people.Importing(h.doctor).Categories} // all but the notes of a psychotherapy
	for range patients {
		p, err := world.NewPatient("patient", "", nil, h.org, people.Importing(h.office), read)
		if err != nil {
			return err
		}
		h.actors = append(h.actors, p)
	}
	return people.Introduce(ctx, h.c, h.actors...)
}

// signIn signs one of the staff in with all they hold.
func (h *house) signIn(ctx context.Context, who *people.Person) (*side, error) {
	ids := []abaton.ActorID{h.org.ID}
	for _, p := range h.actors {
		ids = append(ids, p.ID)
	}
	c, hangUp, err := h.n.Client(who.Manage)
	if err != nil {
		return nil, err
	}
	defer hangUp()
	bundles, err := who.HeldOf(ctx, c, ids...)
	if err != nil {
		return nil, err
	}
	s, err := h.n.People().SignIn(ctx, who, h.n.GatewayURL(), bundles)
	if err != nil {
		return nil, err
	}
	return &side{base: s.URL, access: s.Access}, nil
}

func (h *house) reader(ctx context.Context) (*side, error) { return h.signIn(ctx, h.doctor) }

// take imports a Bundle: of the n-th patient, or, below zero, of the directory.
func (h *house) take(ctx context.Context, c *chart, n int, took *time.Duration) (string, error) {
	more := http.Header{"Abaton-Import": {"true"}}
	if n >= 0 {
		more.Set("Abaton-Patient", h.actors[n].ID.String())
	}
	return h.desk.send(ctx, c, more, took)
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/people"
)

// world is the sample clinic with its patients' charts, ready to be fed.
type world struct {
	n      *local.Network
	c      *client.Network
	hangUp func()
	org    *people.Person
	reader *people.Person // of the quarantine
	humans []human
	actors []*people.Person // by human
}

// prepare makes the people, imports their charts and lets the intake in.
func prepare(ctx context.Context, n *local.Network) (w *world, err error) {
	w = &world{n: n}
	if w.humans, err = samplePeople(); err != nil {
		return nil, err
	}
	if w.org, err = n.Organisation(); err != nil {
		return nil, err
	}
	agent, err := n.Agent()
	if err != nil {
		return nil, err
	}
	if w.c, w.hangUp, err = n.Client(w.org.Manage); err != nil {
		return nil, err
	}
	office, err := w.staff(ctx)
	if err == nil {
		err = w.enrol(ctx, office, agent)
	}
	if err == nil {
		err = w.bring(ctx, office)
	}
	if err != nil {
		w.hangUp()
		return nil, err
	}
	return w, nil
}

func (w *world) staff(ctx context.Context) (office *people.Person, err error) {
	if office, err = w.n.People().NewClinician("records-office", "Records office", w.org); err != nil {
		return nil, err
	}
	if w.reader, err = w.n.People().NewClinician("integrator", "Integrator", w.org); err != nil {
		return nil, err
	}
	if err := w.n.Enlist(ctx, w.c, office, w.reader); err != nil {
		return nil, err
	}
	for _, t := range []people.Terms{
		{To: office, Actions: grant.Read, Directory: true, Purpose: abaton.Operations, Life: time.Hour, Quota: people.RecordsMax},
		people.QuarantineOf(w.reader, grant.Read),
	} {
		if _, _, err := w.org.Give(ctx, w.c, t); err != nil {
			return nil, err
		}
	}
	return office, nil
}

func (w *world) enrol(ctx context.Context, office, agent *people.Person) error {
	for range w.humans {
		p, err := w.n.People().NewPatient("patient", "", nil, w.org, people.Importing(office), people.Feeding(agent))
		if err != nil {
			return err
		}
		w.actors = append(w.actors, p)
	}
	return people.Introduce(ctx, w.c, w.actors...)
}

// bring imports directory and charts as the records office.
func (w *world) bring(ctx context.Context, office *people.Person) error {
	ids := []abaton.ActorID{w.org.ID}
	for _, p := range w.actors {
		ids = append(ids, p.ID)
	}
	c, hangUp, err := w.n.Client(office.Manage)
	if err != nil {
		return err
	}
	defer hangUp()
	bundles, err := office.HeldOf(ctx, c, ids...)
	if err != nil {
		return err
	}
	s, err := w.n.People().SignIn(ctx, office, w.n.GatewayURL(), bundles)
	if err != nil {
		return err
	}
	for _, name := range []string{"0-hospitals.json.gz", "0-practitioners.json.gz"} {
		text, err := unzipped(name)
		if err == nil {
			err = post(ctx, s, text, abaton.ActorID{})
		}
		if err != nil {
			return err
		}
	}
	for i, h := range w.humans {
		if err := post(ctx, s, h.bundle, w.actors[i].ID); err != nil {
			return err
		}
	}
	return nil
}

func post(ctx context.Context, s *people.Session, text []byte, patient abaton.ActorID) error {
	r, err := s.Request(ctx, http.MethodPost, "/", bytes.NewReader(text))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/fhir+json")
	r.Header.Set("Abaton-Import", "true")
	r.Header.Set("Prefer", "return=minimal")
	if patient != (abaton.ActorID{}) {
		r.Header.Set("Abaton-Patient", patient.String())
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return fmt.Errorf("import: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("import: %w", people.Refusal(resp.StatusCode, body))
	}
	return nil
}

package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/people"
	"github.com/abaton-health/abaton/testdata/patients"
)

// importer sends Bundles until each is acknowledged, and notes every
// acknowledgement with what was sent.
type importer struct {
	n           *local.Network
	c           *client.Network
	hangUp      func()
	org, office *people.Person
	directory   []*fhir.Bundle
	charts      []*fhir.Bundle
	identified  map[string]string // conditional reference -> Type/id

	mu       sync.Mutex
	session  *people.Session
	lent     []*people.Person
	acks     []ack
	accepted []ack
	retries  int
	rounds   int
}

// ack is one acknowledged resource.
type ack struct {
	at     string // Type/id
	wanted []byte // with its references as they must have become
}

// newImporter makes the clinic's people and brings the directory in.
func newImporter(ctx context.Context, n *local.Network) (*importer, error) {
	m := &importer{n: n, identified: make(map[string]string)}
	var err error
	if m.org, err = n.Organisation(); err != nil {
		return nil, err
	}
	if m.c, m.hangUp, err = n.Client(m.org.Manage); err != nil {
		return nil, err
	}
	if err := m.load(); err != nil {
		return nil, err
	}
	if m.office, err = n.People().NewClinician("records-office", "Records office", m.org); err != nil {
		return nil, err
	}
	if err := n.Enlist(ctx, m.c, m.office); err != nil {
		return nil, err
	}
	terms := people.Terms{To: m.office, Actions: grant.Read, Directory: true, Purpose: abaton.Operations, Life: time.Hour, Quota: people.RecordsMax}
	if _, _, err := m.org.Give(ctx, m.c, terms); err != nil {
		return nil, err
	}
	m.lent = append(m.lent, m.org)
	for _, b := range m.directory {
		if err := m.bring(ctx, b, nil, b.Raw()); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *importer) close() { m.hangUp() }

// load reads the sample Bundles.
func (m *importer) load() error {
	names, err := fs.Glob(patients.Files, "*.json.gz")
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		text, err := unzipped(name)
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		b, err := fhir.ParseBundle(text)
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		if strings.HasPrefix(name, "0-") {
			m.directory = append(m.directory, b)
		} else {
			m.charts = append(m.charts, b)
		}
	}
	return nil
}

// unzipped is a Bundle without white space between its values: an import keeps
// none.
func unzipped(name string) ([]byte, error) {
	f, err := patients.Files.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(z)
	if err != nil {
		return nil, err
	}
	var small bytes.Buffer
	err = json.Compact(&small, text)
	return small.Bytes(), err
}

// run imports the charts, each time for new patients, until there were enough
// kills.
func (m *importer) run(ctx context.Context, enough <-chan struct{}) error {
	for {
		select {
		case <-enough:
			return nil
		default:
		}
		if err := m.round(ctx, enough); err != nil {
			return err
		}
	}
}

// round makes one new patient for each chart and imports the charts beside
// each other, and then single resources, until the round is over.
func (m *importer) round(ctx context.Context, enough <-chan struct{}) error {
	var all []*people.Person
	for range m.charts {
		p, err := m.n.People().NewPatient("patient", "", nil, m.org, people.Importing(m.office))
		if err != nil {
			return err
		}
		all = append(all, p)
	}
	if err := m.introduce(ctx, all); err != nil {
		return err
	}
	m.rounds++
	g, ctx := errgroup.WithContext(ctx)
	for i, b := range m.charts {
		g.Go(func() error { return m.chart(ctx, b, all[i], enough) })
	}
	return g.Wait()
}

// introduce makes patients known, again and again while too few keepers are up.
func (m *importer) introduce(ctx context.Context, all []*people.Person) error {
	for {
		err := people.Introduce(ctx, m.c, all...)
		if err == nil {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.lent = append(m.lent, all...)
			m.session = nil // the next one brings their seeds
			return nil
		}
		if !errors.Is(err, abaton.ErrUnavailable) && !errors.Is(err, abaton.ErrPending) {
			return err
		}
		if err := pause(ctx, retryWait); err != nil {
			return err
		}
	}
}

// signedIn is the office's session; old is the one that did not serve.
func (m *importer) signedIn(ctx context.Context, old *people.Session) (*people.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.session != nil && m.session != old {
		return m.session, nil
	}
	ids := make([]abaton.ActorID, len(m.lent))
	for i, p := range m.lent {
		ids[i] = p.ID
	}
	m.c.Refresh(ids...)
	bundles, err := m.office.HeldOf(ctx, m.c, ids...)
	if err != nil {
		return nil, err
	}
	s, err := m.n.People().SignIn(ctx, m.office, m.n.GatewayURL(), bundles)
	if err == nil {
		m.session = s
	}
	return s, err
}

package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/feeder"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/internal/hl7"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/people"
	"github.com/abaton-health/abaton/seal"
	"github.com/abaton-health/abaton/session"
)

// verify reads every record and the quarantine from the keepers, with keys
// that the gateway never had, and looks for every message.
func (w *world) verify(ctx context.Context, all []message, answers []feeder.Answer, r *result) error {
	filed := make([]map[[32]byte]int, len(w.actors))
	for i, p := range w.actors {
		own, err := p.Own(ctx, w.c)
		if err != nil {
			return err
		}
		records, err := w.open(ctx, p, p.ID, abaton.GrantID{}, abaton.PatientAccess, own)
		if err != nil {
			return err
		}
		if filed[i], err = traces(records, r); err != nil {
			return err
		}
	}
	aside, err := w.aside(ctx)
	if err != nil {
		return err
	}
	for i := range all {
		w.place(&all[i], answers[i], filed, aside, r)
	}
	if r.Lost+r.Wrong+r.Twice > 0 {
		return errors.New("some messages are not where they should be")
	}
	return nil
}

// place holds one message against where it lies.
func (w *world) place(m *message, a feeder.Answer, filed []map[[32]byte]int, aside map[[32]byte]hl7.Reason, r *result) {
	reason, kept := aside[m.key]
	found := -1
	for i := range filed {
		if n := filed[i][m.key]; n > 0 {
			if found >= 0 || n > 1 {
				r.Twice++
			}
			found = i
		}
	}
	switch {
	case found < 0 && !kept:
		r.Lost++
	case m.reason == "" && (found != m.whose || a.Reason != ""), m.reason != "" && (reason != m.reason || found >= 0 || a.Reason != string(m.reason)):
		r.Wrong++
	}
}

// open opens what bundle's seeds open.
func (w *world) open(ctx context.Context, p *people.Person, of abaton.ActorID, grant abaton.GrantID, purpose abaton.Purpose, bundle session.Bundle) ([]client.Record, error) {
	c, hangUp, err := w.n.Client(p.Manage)
	if err != nil {
		return nil, err
	}
	defer hangUp()
	l, err := w.n.People().Direct(ctx, p, c, bundle)
	if err != nil {
		return nil, err
	}
	reader, err := c.NewReader(l)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	ask := client.Ask{Patient: of, Grant: grant, Purpose: purpose}
	for _, s := range bundle.Seeds {
		if !slices.Contains(ask.Lines, s.Line) && !s.Seed.IsZero() && (grant == (abaton.GrantID{}) || s.Category == login.QuarantineCategory()) {
			ask.Lines = append(ask.Lines, s.Line)
		}
	}
	slices.SortFunc(ask.Lines, func(a, b abaton.Line) int { return bytes.Compare(a[:], b[:]) })
	opened, err := reader.Chart(ctx, ask)
	if err != nil {
		return nil, fmt.Errorf("read back: %w", err)
	}
	if len(opened.Missing) > 0 {
		return nil, fmt.Errorf("read back: %d records do not open", len(opened.Missing))
	}
	return opened.Records, nil
}

// traces are how many Provenances hold each message. Two sealings of one
// version are one.
func traces(records []client.Record, r *result) (map[[32]byte]int, error) {
	found, seen, batches := make(map[[32]byte]int), make(map[string]bool), make(map[abaton.BatchName]bool)
	defer func() { r.Batches += len(batches) }()
	for i := range records {
		e := &records[i].Envelope
		batches[records[i].Name.Batch] = true
		if e.Kind != seal.KindResource || seen[e.Type+e.ID+e.VersionID] {
			continue
		}
		seen[e.Type+e.ID+e.VersionID] = true
		if e.Type != "Provenance" {
			continue
		}
		p, err := fhir.ParseResource(records[i].Content)
		if err != nil {
			return nil, err
		}
		for c := range p.Get("contained").Each() {
			for part := range c.Get("content").Each() {
				raw, err := base64.StdEncoding.DecodeString(part.Path("attachment", "data").Text())
				if err != nil {
					return nil, err
				}
				found[hl7.KeyOf(raw)]++
				r.Resources += 1 + p.Get("target").Len()
			}
		}
	}
	return found, nil
}

// aside reads the quarantine as its reader.
func (w *world) aside(ctx context.Context) (map[[32]byte]hl7.Reason, error) {
	c, hangUp, err := w.n.Client(w.reader.Manage)
	if err != nil {
		return nil, err
	}
	defer hangUp()
	bundles, err := w.reader.HeldOf(ctx, c, w.org.ID)
	if err != nil {
		return nil, err
	}
	if len(bundles) != 1 {
		return nil, fmt.Errorf("the reader of the quarantine holds %d grants, want 1", len(bundles))
	}
	records, err := w.open(ctx, w.reader, w.org.ID, bundles[0].Grant, abaton.Operations, bundles[0])
	if err != nil {
		return nil, err
	}
	all := make(map[[32]byte]hl7.Reason)
	for i := range records {
		if a, err := hl7.ParseAside(records[i].Content); err == nil {
			all[hl7.KeyOf(a.Raw)] = a.Refusal.Reason
		}
	}
	return all, nil
}

// search looks for patients' facts in every file the gateway has written.
func (w *world) search(_ context.Context, p *local.Processes, all []message, r *result) error {
	facts := [][]byte{[]byte("MSH|"), []byte("TVNIf"), []byte("Kerkstraat"), []byte("Onbekend"), []byte("uneventful"), []byte("resourceType"), []byte("GEN1-0")}
	for _, h := range w.humans {
		facts = append(facts, []byte(h.number), []byte(h.family))
	}
	if !contains(all[0].raw, facts) {
		return errors.New("the search finds nothing in a message itself")
	}
	err := filepath.WalkDir(p.GatewayDir(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		r.Searched++
		if contains(text, facts) {
			r.Readable++
		}
		return nil
	})
	if err == nil && r.Readable > 0 {
		err = errors.New("something of a message is readable on the gateway's disk")
	}
	return err
}

func contains(text []byte, facts [][]byte) bool {
	return slices.ContainsFunc(facts, func(f []byte) bool { return bytes.Contains(text, f) })
}

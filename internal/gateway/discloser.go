package gateway

import (
	"context"
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/ledger"
)

// typeOf is the FHIR type of an actor; empty for what FHIR has no word for.
func typeOf(kind actor.Kind) string {
	switch kind {
	case actor.Patient:
		return "Patient"
	case actor.Clinician:
		return "Practitioner"
	case actor.Organisation:
		return "Organization"
	case actor.Device, actor.Agent:
		return "Device"
	}
	return ""
}

// askers are the FHIR types of those who asked, from their key logs: a program
// is not shown as a person.
func (g *Gateway) askers(ctx context.Context, lines []ledger.Line) (func(abaton.ActorID) string, error) {
	var who []abaton.ActorID
	for i := range lines {
		if !slices.Contains(who, lines[i].Actor) {
			who = append(who, lines[i].Actor)
		}
	}
	logs, err := g.network.Logs(ctx, who...)
	if err != nil {
		return nil, err
	}
	kinds := make(map[abaton.ActorID]string, len(logs))
	for id, log := range logs {
		kinds[id] = typeOf(log.Kind())
	}
	return func(id abaton.ActorID) string { return kinds[id] }, nil
}

// partsOfBatches says which part of the record a batch of the chart is of, where
// the session was told the name of its line. Ledgers hold no such names.
func (p *person) partsOfBatches(c *chart) func(abaton.BatchName) (fhir.Category, bool) {
	parts := p.partsOf(c.patient)
	known := make(map[abaton.BatchName]fhir.Category)
	c.mu.RLock()
	defer c.mu.RUnlock()
	for line, batches := range c.rows {
		category, ok := parts[line]
		if !ok {
			continue
		}
		for batch := range batches {
			known[batch] = category
		}
	}
	return func(b abaton.BatchName) (fhir.Category, bool) { c, ok := known[b]; return c, ok }
}

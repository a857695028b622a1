package gateway

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/seal"
)

// copies are the writes that keep patients' emergency sets current: what of a
// transaction an emergency needs is sealed a second time, to the emergency line,
// in the same transaction. Only its public key is needed. Where a patient takes no
// deposits there, nothing is copied.
func (g *Gateway) copies(ctx context.Context, p *person, changes []*change) ([]client.Write, error) {
	var out []client.Write
	for _, ch := range changes {
		if ch.home == g.org || ch.envelope.Kind != seal.KindResource || !fhir.EmergencyKind(ch.envelope.Type) {
			continue
		}
		line, err := g.lineFor(ctx, p, ch.home, fhir.Emergency)
		if noDeposits(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if ch.line == line {
			continue
		}
		general, err := g.lineFor(ctx, p, ch.home, fhir.General)
		if err != nil && !noDeposits(err) {
			return nil, err
		}
		if w, ok := ch.copyTo(line, ch.line == general); ok {
			out = append(out, w)
		}
	}
	return out, nil
}

// copyTo is the copy of a change in an emergency line. What has moved to a part
// that the patient keeps apart leaves nothing there but a deletion.
func (ch *change) copyTo(line abaton.Line, general bool) (client.Write, bool) {
	envelope, content := ch.envelope, ch.content
	envelope.Line = line
	switch {
	case !general && len(envelope.Parents) == 0:
		return client.Write{}, false
	case !general:
		envelope.Deleted, content = true, nil
	case len(content) > 0: // a deletion keeps the body of what it deletes
		r, err := fhir.ParseResource(content)
		if err != nil || !fhir.EmergencyCopy(r) {
			return client.Write{}, false
		}
	}
	return client.Write{Patient: ch.home, Line: line, Record: seal.Record{Envelope: envelope, Content: content}}, true
}

// noDeposits reports whether a patient takes no deposits in a line.
func noDeposits(err error) bool {
	refused, ok := errors.AsType[*fhir.OutcomeError](err)
	return ok && refused.Status == http.StatusForbidden
}

// dropCopies leaves the emergency line out where the general one is asked for:
// it holds nothing that is not there, and each record would be released twice.
func (a *asking) dropCopies() {
	is := func(c fhir.Category) func(abaton.Line) bool {
		return func(line abaton.Line) bool { return a.categories[line] == c }
	}
	if !slices.ContainsFunc(a.asks, func(ask client.Ask) bool { return slices.ContainsFunc(ask.Lines, is(fhir.General)) }) {
		return
	}
	for i := range a.asks {
		a.asks[i].Lines = slices.DeleteFunc(a.asks[i].Lines, is(fhir.Emergency))
	}
	a.asks = slices.DeleteFunc(a.asks, func(ask client.Ask) bool { return len(ask.Lines) == 0 })
}

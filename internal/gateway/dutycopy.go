package gateway

import (
	"context"
	"net/http"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/seal"
)

// DutyCharts says in which chart of its own the organisation's copies of what it
// files for a patient lie: zero for none. An error refuses the write.
type DutyCharts func(patient abaton.ActorID) (chart abaton.ActorID, err error)

// dutyCopies are the writes that keep what the organisation must keep: what
// anybody but the patient files is sealed a second time, to the patient's duty
// chart, in the same transaction. Only that chart's public key is needed, and
// nobody here opens it (PROTOCOL.md#duty-chart). What the patient writes is the
// patient's; a large object's parts lie once.
func (g *Gateway) dutyCopies(ctx context.Context, p *person, changes []*change) (out []client.Write, err error) {
	if g.duty == nil {
		return nil, nil
	}
	for _, ch := range changes {
		if ch.home == g.org || ch.envelope.Kind != seal.KindResource || ch.envelope.Person == ch.home {
			continue
		}
		chart, err := g.duty(ch.home)
		if err != nil {
			g.log.ErrorContext(ctx, "list of duty charts does not open", "error", err.Error())
			return nil, refusal(http.StatusServiceUnavailable, "no-store", "this gateway cannot tell where its duty copies go, so nothing was written; tell the operator to look at the list of duty charts")
		}
		if chart == (abaton.ActorID{}) {
			continue
		}
		line, err := g.lineFor(ctx, p, chart, fhir.General)
		if noDeposits(err) {
			return nil, refusal(http.StatusForbidden, "forbidden", "the duty chart takes no more copies, so nothing was written; begin a new one (abaton duty-copy begin)")
		}
		if err != nil {
			return nil, err
		}
		envelope := ch.envelope
		envelope.Line = line
		out = append(out, client.Write{Patient: chart, Line: line, Record: seal.Record{Envelope: envelope, Content: ch.content}})
	}
	return out, nil
}

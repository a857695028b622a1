package view

import (
	"encoding/json"

	"github.com/abaton-health/abaton/ledger"
)

type bundle struct {
	ResourceType string        `json:"resourceType"`
	Type         string        `json:"type"`
	Entry        []bundleEntry `json:"entry"`
}

type bundleEntry struct {
	FullURL  string          `json:"fullUrl"`
	Resource json.RawMessage `json:"resource"`
}

type told struct {
	ResourceType string      `json:"resourceType"`
	Issue        []toldIssue `json:"issue"`
}

type toldIssue struct {
	Severity    string `json:"severity"`
	Code        string `json:"code"`
	Diagnostics string `json:"diagnostics"`
}

// AuditEvents is a whole history as a Bundle. Its first resource, an
// OperationOutcome, says how complete the list is and what is missing at whom;
// the rest are AuditEvents, oldest first. shown is what the viewer knows; its
// Line and Own are set here.
func AuditEvents(h *ledger.History, shown Disclosed) []byte {
	said := told{ResourceType: "OperationOutcome"}
	issue := toldIssue{"information", "informational", "this list is " + h.String()}
	if h.Verdict != ledger.Complete {
		issue.Severity, issue.Code = "warning", "incomplete"
	}
	said.Issue = append(said.Issue, issue)
	for _, g := range h.Gaps {
		span := seconds(g.From)
		if g.To != 0 {
			span += " to " + seconds(g.To)
		}
		said.Issue = append(said.Issue, toldIssue{"warning", "incomplete", g.String() + ", " + span})
	}
	out := bundle{ResourceType: "Bundle", Type: "collection", Entry: []bundleEntry{{"urn:abaton:completeness", text(said)}}}
	for i := range h.Lines {
		shown.Line, shown.Own = &h.Lines[i], h.Lines[i].Actor == shown.ID
		out.Entry = append(out.Entry, bundleEntry{"urn:abaton:disclosure:" + AuditEventID(shown.Tag, shown.Line), AuditEvent(shown)})
	}
	return text(out)
}

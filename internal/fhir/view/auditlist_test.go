package view

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/ledger"
)

// TestAuditEventsSayHowComplete: the list comes with its verdict and with what is
// missing at whom; each line is one event of one name.
func TestAuditEventsSayHowComplete(t *testing.T) {
	h := &ledger.History{Verdict: ledger.CompleteUnless, Answered: 3, Liars: 1,
		Gaps: []ledger.Gap{{Kind: ledger.GapMissing, Keepers: []abaton.KeeperIndex{4}, From: 1000, To: 2000, Requests: 2}}}
	for _, name := range []string{"own-read", "release-permitted", "release-refused"} {
		l := shapes()[name]
		l.Request[31] = byte(len(h.Lines))
		h.Lines = append(h.Lines, l)
	}
	body := AuditEvents(h, Disclosed{Tag: "own", ID: abaton.ActorID{1}, KeeperSet: abaton.ActorID{7}})
	emit(t, "list", body)
	var b struct {
		Type  string
		Entry []struct {
			FullURL  string
			Resource map[string]any
		}
	}
	if err := json.Unmarshal(body, &b); err != nil {
		t.Fatal(err)
	}
	if b.Type != "collection" || len(b.Entry) != 4 {
		t.Fatalf("got a %s of %d, want a collection of 4", b.Type, len(b.Entry))
	}
	said := string(body)
	for _, want := range []string{"complete unless one of these 3 lies", "keeper 4 does not show 2 entries", "1970-01-01T00:16:40Z to 1970-01-01T00:33:20Z", `"incomplete"`} {
		if !strings.Contains(said, want) {
			t.Errorf("the list does not say %q", want)
		}
	}
	names := make(map[string]bool)
	for _, e := range b.Entry {
		names[e.FullURL] = true
	}
	if len(names) != 4 {
		t.Errorf("got names %v, want one for each", names)
	}
	if who, _ := coded(at0(b.Entry[1].Resource, "agent", 0)["who"])["type"].(string); who != "Patient" {
		t.Errorf("the own look: got %q, want the patient", who)
	}
	h.Verdict, h.Gaps = ledger.Complete, nil
	if whole := string(AuditEvents(h, Disclosed{ID: abaton.ActorID{1}})); strings.Contains(whole, `"incomplete"`) || !strings.Contains(whole, "this list is complete") {
		t.Error("a complete list does not say that it is")
	}
}

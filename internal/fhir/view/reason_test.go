package view

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/abaton-health/abaton/internal/fhir"
)

// TestReason: the patient reads what was written, word for word and as text;
// what would not be shown, or be shown as something else, refuses the request.
func TestReason(t *testing.T) {
	ask := func(reasons ...string) fhir.Resource {
		var all []map[string]string
		for _, r := range reasons {
			all = append(all, map[string]string{"url": ReasonExtension, "valueString": r})
		}
		body, err := json.Marshal(map[string]any{"resourceType": "Consent", "status": "proposed", "extension": all,
			"scope": map[string]any{"coding": []map[string]string{{"system": systemScope, "code": "patient-privacy"}}}})
		if err != nil {
			t.Fatal(err)
		}
		return parsed(t, body)
	}
	for _, good := range []string{"choosing your medicine", "<script>alert(1)</script>", "&amp; <b>\"'", "Übelkeit, 病気, ασθένεια", strings.Repeat("ö", ReasonMax)} {
		q, err := RequestOf(ask(good))
		if err != nil || q.Reason != good {
			t.Errorf("a reason of %d characters: got another one, or error %v", len(good), err)
		}
	}
	if q, err := RequestOf(ask()); err != nil || q.Reason != "" {
		t.Errorf("no reason: got %v, want a request without one", err)
	}
	for name, bad := range map[string][]string{
		"two lines": {"one\ntwo"}, "a tab": {"a\tb"}, "an escape": {"\x1b[2J"}, "turned around": {"a\u202eb"}, "of no width": {"a\u200bb"},
		"too long": {strings.Repeat("ö", ReasonMax+1)}, "two reasons": {"one", "two"},
	} {
		if _, err := RequestOf(ask(bad...)); !errors.Is(err, ErrRequest) {
			t.Errorf("%s: got %v, want %v", name, err, ErrRequest)
		}
	}
}

package fhir

import (
	"fmt"
	"testing"
)

// TestLabels: a label leads back to its category, and to no other.
func TestLabels(t *testing.T) {
	for _, c := range Categories() {
		code := LabelFor(c)
		want := c
		if code == "" {
			want = General
		}
		r := mustResource(t, fmt.Sprintf(`{"resourceType":"Basic","meta":{"security":[{"system":%q,"code":%q}]}}`, SensitivitySystem, code))
		if got := CategoryOf(r); got != want {
			t.Errorf("%v by its label %q: got %v, want %v", c, code, got, want)
		}
	}
}

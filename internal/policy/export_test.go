package policy

import (
	"fmt"
	"testing"

	"github.com/cedar-policy/cedar-go"
)

// Unchecked are rules that no schema was held against.
func Unchecked(t testing.TB, texts ...string) *Rules {
	t.Helper()
	r := new(Rules)
	for i, text := range texts {
		var p cedar.Policy
		if err := p.UnmarshalCedar([]byte(text)); err != nil {
			t.Fatal(err)
		}
		r.rules = append(r.rules, rule{id: fmt.Sprintf("rule%d", i), why: "?", cedar: &p})
	}
	return r
}

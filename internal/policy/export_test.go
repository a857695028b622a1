package policy

import (
	"fmt"
	"slices"
	"testing"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
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

// Asked is a request in Cedar's own JSON and what Cedar answered here.
type Asked struct {
	Text      int            `json:"text"` // which of the texts
	Principal any            `json:"principal"`
	Action    any            `json:"action"`
	Resource  any            `json:"resource"`
	Context   types.Record   `json:"context"`
	Entities  []types.Entity `json:"entities"`
	Permit    bool           `json:"permit"`
	Rules     []int          `json:"rules"` // those that decided, by their place in the text
	Errors    int            `json:"errors"`
}

// Ask is Decide without what comes before Cedar, for other implementations to
// compare with.
func (r *Rules) Ask(text int, f *Facts) Asked {
	e, q := f.cedar(r.clock)
	answer, diag := cedar.Authorize(r, e, q)
	a := Asked{Text: text, Principal: types.ImplicitlyMarshaledEntityUID(q.Principal), Action: types.ImplicitlyMarshaledEntityUID(q.Action),
		Resource: types.ImplicitlyMarshaledEntityUID(q.Resource), Context: q.Context, Entities: []types.Entity{e.who, e.what},
		Permit: answer == types.Allow, Rules: []int{}, Errors: len(diag.Errors)}
	for _, reason := range diag.Reasons {
		a.Rules = append(a.Rules, slices.IndexFunc(r.rules, func(one rule) bool { return one.id == string(reason.PolicyID) }))
	}
	return a
}

package policy_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/abaton-health/abaton/internal/policy"
)

// atoms are conditions that random texts are made of.
var atoms = []string{
	`context.purpose == "TREAT"`, `["TREAT", "HRESCH", "ETREAT"].contains(context.purpose)`, `context.emergency`, `!context.onCall`,
	`resource.level <= 2`, `resource.level != 1`, `principal.roles.contains("nurse")`, `principal.roles.containsAny(["student", "clerk"])`,
	`principal.roles.containsAll(["nurse", "student"])`, `principal.roles.isEmpty()`, `principal is Person`, `context.minute >= 420`,
	`context.weekday < 6`, `context.patientsHour > 10`, `context.patientsDay - context.patientsHour > 9`,
	`context has grant && context.grant.life <= 2678400`, `context has grant && context.grant.age + context.grant.left > 86400`,
	`context has device && context.device.posture > 0`, `!(context has device) || context.device.enrolled`,
	`context has stepUp && context.stepUp <= 300`, `if context has stepUp then context.stepUp > 0 else resource.level == 1`,
	`principal.hasTag("sensitive-records") && principal.getTag("sensitive-records") > context.now`,
	`(principal.hasTag("research-ethics") || context.emergency) && resource.level < 3`,
}

// randomText is a policy of a few rules.
func randomText(r *rand.Rand) string {
	var b strings.Builder
	n := 2 + r.IntN(4)
	for i := range n {
		effect := "permit"
		if i > 0 && r.IntN(2) == 0 {
			effect = "forbid"
		}
		scope := []string{"principal", "principal is Person", "principal is Agent", "principal"}[r.IntN(4)]
		action := []string{"action", `action in [Action::"release", Action::"list", Action::"index"]`, `action == Action::"release"`}[r.IntN(3)]
		fmt.Fprintf(&b, "@id(\"r%d\") @why(\"R.\") %s (%s, %s, resource is Record)", i, effect, scope, action)
		for range r.IntN(3) {
			word := []string{"when", "unless"}[r.IntN(2)]
			join := []string{" && ", " || "}[r.IntN(2)]
			fmt.Fprintf(&b, " %s { (%s)%s(%s) }", word, atoms[r.IntN(len(atoms))], join, atoms[r.IntN(len(atoms))])
		}
		b.WriteString(";\n")
	}
	return b.String()
}

// TestDifferential makes the texts and requests of a comparison with another
// implementation of Cedar (interop/policy). With ABATON_POLICY_CASES it writes
// them there; without it checks only that they reach enough.
func TestDifferential(t *testing.T) {
	const texts, requests, shippedRequests = 60, 100, 3000
	r := rand.New(rand.NewPCG(2027, 1))
	schema := newSchema(t)
	schemaText, err := policy.SchemaText()
	if err != nil {
		t.Fatal(err)
	}
	all := []*policy.Rules{shipped(t, "solo"), shipped(t, "hospital"), parse(t, ward)}
	written := []string{shippedText(t, "solo"), shippedText(t, "hospital"), ward}
	var invalid []string
	for len(all) < texts {
		text := randomText(r)
		rules, err := policy.Parse([]byte(text), schema)
		if err != nil { // Cedar's validator sees a rule that can never hold
			invalid = append(invalid, text)
			continue
		}
		all, written = append(all, rules), append(written, text)
	}
	for _, body := range []string{
		`forbid (principal, action, resource) when { context.stepUp > 60 };`,
		`forbid (principal, action, resource) when { context.purposes == "TREAT" };`,
		`forbid (principal, action, resource) when { context has grant && context.device.enrolled };`,
		`forbid (principal, action, resource) when { context has device || context.device.enrolled };`,
		`forbid (principal, action, resource) when { principal.getTag("x") < context.now };`,
		`forbid (principal, action, resource) when { principal.hasTag("y") && principal.getTag("x") < context.now };`,
		`forbid (principal, action, resource) when { context.purpose > 3 };`,
		`forbid (principal, action == Action::"export", resource);`,
		`forbid (principal is Patient, action, resource);`,
	} {
		if _, err := policy.Parse([]byte(rule(body)), schema); err == nil {
			t.Errorf("accepted: %s", body)
		}
		invalid = append(invalid, rule(body))
	}
	cases := map[string]any{"schema": string(schemaText), "texts": written, "invalid": invalid}
	var asked []policy.Asked
	permitted := 0
	for i, rules := range all {
		n := requests
		if i < 2 {
			n = shippedRequests
		}
		for range n {
			a := rules.Ask(i, randomFacts(r))
			if a.Permit {
				permitted++
			}
			if a.Errors > 0 {
				t.Errorf("text %d: a rule errs", i)
			}
			asked = append(asked, a)
		}
	}
	if permitted < len(asked)/5 || permitted > len(asked)*4/5 {
		t.Errorf("%d of %d requests are permitted: the comparison would show little", permitted, len(asked))
	}
	t.Logf("%d texts, %d requests, %d permitted, %d texts refused", len(all), len(asked), permitted, len(invalid))
	if file := os.Getenv("ABATON_POLICY_CASES"); file != "" {
		cases["requests"] = asked
		writeCases(t, file, cases)
	}
}

func shippedText(t *testing.T, name string) string {
	t.Helper()
	text, err := policy.Shipped(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func writeCases(t *testing.T, file string, cases any) {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	if err := json.NewEncoder(w).Encode(cases); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

package policy_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/policy"
)

const all = `@id("all") @why("All.") permit (principal, action, resource);` + "\n"

// rule is a text with one further rule.
func rule(body string) string { return all + `@id("next") @why("Next.") ` + body }

// TestParseRefuses: each defect alone, with what must be said of it.
func TestParseRefuses(t *testing.T) {
	deep := strings.Repeat("(", policy.DepthMax) + "true" + strings.Repeat(")", policy.DepthMax)
	for name, c := range map[string]struct{ text, want string }{
		"empty":                        {"", "no rule permits"},
		"only a comment":               {"// nothing", "no rule permits"},
		"no permit":                    {`@id("a") @why("A.") forbid (principal, action, resource);`, "no rule permits"},
		"too long":                     {all + strings.Repeat("/", abaton.PolicyBytesMax), "longer than"},
		"not UTF-8":                    {all + "// \xff", "UTF-8"},
		"no semicolon":                 {`@id("a") @why("A.") permit (principal, action, resource)`, "parser"},
		"a slot of a template":         {rule(`permit (principal == ?principal, action, resource);`), "parser"},
		"no id":                        {`@why("A.") permit (principal, action, resource);`, "@id"},
		"no why":                       {`@id("a") permit (principal, action, resource);`, "@why"},
		"empty why":                    {`@id("a") @why("") permit (principal, action, resource);`, "@why"},
		"why of two lines":             {`@id("a") @why("A\nB") permit (principal, action, resource);`, "@why"},
		"long why":                     {`@id("a") @why("` + strings.Repeat("a", policy.WhyBytesMax+1) + `") permit (principal, action, resource);`, "@why"},
		"id in capitals":               {`@id("A") @why("A.") permit (principal, action, resource);`, "@id"},
		"the same id":                  {all + all, "twice"},
		"unknown annotation":           {`@owner("x") ` + all, "@owner"},
		"no clock at all":              {`@clock("Europe/Amsterdam") ` + all, "@clock"},
		"clock out of range":           {`@clock("+15:00") ` + all, "@clock"},
		"two clocks":                   {`@clock("+01:00") ` + all + `@clock("+02:00") @id("b") @why("B.") permit (principal, action, resource);`, "@clock"},
		"misspelt attribute":           {rule(`forbid (principal, action, resource) when { context.purposes == "TREAT" };`), "attribute"},
		"unguarded optional":           {rule(`forbid (principal, action, resource) when { context.stepUp > 60 };`), "optional attribute"},
		"unguarded optional in permit": {rule(`permit (principal, action, resource) when { context.device.enrolled };`), "optional attribute"},
		"guard of another attribute":   {rule(`forbid (principal, action, resource) when { context has grant && context.device.enrolled };`), "optional attribute"},
		"guard in the wrong order":     {rule(`forbid (principal, action, resource) when { context.device.enrolled && context has device };`), "optional attribute"},
		"guard that may fail":          {rule(`forbid (principal, action, resource) when { context has device || context.device.enrolled };`), "optional attribute"},
		"unguarded training":           {rule(`forbid (principal, action, resource) when { principal.getTag("x") < context.now };`), "tag"},
		"guard of another training":    {rule(`forbid (principal, action, resource) when { principal.hasTag("y") && principal.getTag("x") < context.now };`), "tag"},
		"wrong type":                   {rule(`forbid (principal, action, resource) when { context.purpose > 3 };`), "type"},
		"not a condition":              {rule(`forbid (principal, action, resource) when { context.now };`), "type"},
		"unknown action":               {rule(`forbid (principal, action == Action::"export", resource);`), "action"},
		"unknown type":                 {rule(`forbid (principal is Patient, action, resource);`), "entity"},
		"one person":                   {rule(`forbid (principal == Person::"asks", action, resource);`), "by type alone"},
		"one person in a group":        {rule(`forbid (principal in Person::"asks", action, resource);`), "by type alone"},
		"one person of a type":         {rule(`forbid (principal is Person in Person::"asks", action, resource);`), "by type alone"},
		"one record":                   {rule(`forbid (principal, action, resource == Record::"asked");`), "by type alone"},
		"one person in a condition":    {rule(`forbid (principal, action, resource) when { principal == Person::"asks" };`), "named entities"},
		"one person in a set":          {rule(`forbid (principal, action, resource) when { [Person::"asks"].contains(principal) };`), "named entities"},
		"in":                           {rule(`forbid (principal, action, resource) when { principal in resource };`), "hierarchy"},
		"multiplication":               {rule(`forbid (principal, action, resource) when { context.now * context.now > 1 };`), "multiplication"},
		"large number":                 {rule(`forbid (principal, action, resource) when { context.now + 9223372036854775807 > 1 };`), "a number over"},
		"extension":                    {rule(`forbid (principal, action, resource) when { ip("10.0.0.1").isLoopback() };`), "extension"},
		"pattern":                      {rule(`forbid (principal, action, resource) when { context.purpose like "T*" };`), "patterns"},
		"record":                       {rule(`forbid (principal, action, resource) when { {a: 1} == {a: 1} };`), "records"},
		"nested too deep":              {rule(`forbid (principal, action, resource) when { ` + deep + ` };`), "deeper"},
		"choices too deep": {rule(`forbid (principal, action, resource) when { ` +
			strings.Repeat("if true then true else ", policy.DepthMax+1) + `true };`), "deeper"},
		"too many rules": {manyRules(policy.RulesMax + 1), "more than"},
		"too many parts": {rule(`forbid (principal, action, resource) when { ` + strings.Repeat("0<1&&", policy.PartsMax/2) + "true };"), "more than"},
	} {
		_, err := policy.Parse([]byte(c.text), newSchema(t))
		e, ok := errors.AsType[*policy.Error](err)
		if !ok {
			t.Errorf("%s: got %v, want an Error", name, err)
			continue
		}
		if !strings.Contains(e.Error(), c.want) {
			t.Errorf("%s: got %q, want it to say %q", name, e.Error(), c.want)
		}
	}
}

func manyRules(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Replace(all, `"all"`, `"r`+string(rune('a'+i/26))+string(rune('a'+i%26))+`"`, 1))
	}
	return b.String()
}

// TestParseAccepts: what the dialect has room for.
func TestParseAccepts(t *testing.T) {
	for _, text := range []string{
		rule(`forbid (principal, action, resource) when { context has device && !context.device.enrolled };`),
		rule(`forbid (principal, action, resource) unless { context has device && context.device.enrolled };`),
		rule(`forbid (principal is Agent, action in [Action::"list", Action::"parts"], resource is Record);`),
		rule(`forbid (principal, action, resource) when { principal.hasTag("x") && principal.getTag("x") - 86400 < context.now };`),
		rule(`forbid (principal, action, resource) when { if context has stepUp then context.stepUp > 60 else resource.level > 1 };`),
		rule(`forbid (principal, action, resource) when { principal.roles.isEmpty() || principal is Device };`),
		"// ((((((((((((((((((((((((((((((((((\n" + all,
		`@why("((((((((((((((((((((((((((((((((((((((((((") @id("x") permit (principal, action, resource);`,
		manyRules(policy.RulesMax),
	} {
		if _, err := policy.Parse([]byte(text), newSchema(t)); err != nil {
			t.Errorf("got %v, want accepted: %.120s", err, text)
		}
	}
}

// TestID: every byte of a text counts, a comment's too.
func TestID(t *testing.T) {
	a, b := parse(t, all), parse(t, all+" ")
	if a.ID() == b.ID() || a.ID() != policy.IDOf([]byte(all)) {
		t.Errorf("ids: got %s and %s, want two and the first that of its text", a.ID(), b.ID())
	}
}

// FuzzParse: no text brings the parser down, and no text that parses errs on
// valid facts or answers twice differently.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"solo", "hospital"} {
		text, err := policy.Shipped(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, uint64(1))
		for part := range strings.SplitSeq(string(text), "\n\n") {
			f.Add([]byte(part), uint64(2))
		}
	}
	f.Add([]byte(rule(`forbid (principal, action, resource) when { principal.hasTag("x") && principal.getTag("x") - 86400 < context.now };`)), uint64(3))
	schema := newSchema(f)
	f.Fuzz(func(t *testing.T, text []byte, seed uint64) {
		r, err := policy.Parse(text, schema)
		if err != nil {
			return
		}
		if r.ID() != policy.IDOf(text) || r.Len() == 0 {
			t.Error("parsed rules without a name or a rule")
		}
		set, err := policy.NewSet(r, 1, 0, 1<<40)
		if err != nil {
			t.Fatal(err)
		}
		random := rand.New(rand.NewPCG(seed, 1))
		for range 8 {
			facts := randomFacts(random)
			d := policy.Decide(set, facts)
			if d.Why == policy.WhyError || d.Why == policy.WhyFacts || d != policy.Decide(set, facts) {
				t.Errorf("a text that parses: got %+v on valid facts", d)
			}
		}
	})
}

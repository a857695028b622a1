package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/people"
	"github.com/abaton-health/abaton/internal/relation"
)

// honeyMax is how many made-up patients one call makes.
const honeyMax = 1000

func newHoneyCommand(e *env) *cobra.Command {
	return noun("honey", "Made-up patients whom nobody has a reason to open", newHoneyMake(e))
}

func newHoneyMake(e *env) *cobra.Command {
	var to string
	var life time.Duration
	var asJSON bool
	c := &cobra.Command{Use: "make", Short: "Make made-up patients, and tell the keepers", Args: cobra.NoArgs,
		Long: `Make made-up patients with small charts, as patients are made, and tell the keepers
that nobody has a reason to open them: one touch is a finding. Each says so itself,
under its own key, so that no real patient can be called made up.

They have no appointment, no visit, no order and no number, so no work list shows
them. Without --to nobody holds a grant to them either: who asks for one is going
through names. With --to they lie among the patients whom a team may open, where
a stolen session finds them that takes all it can reach; do not give them to a team
whose work is to search all charts, it would find them too.

The network must be up. abaton relation list knows them; keep that list as you keep
the keys.`,
		Example: "  abaton honey make --count 20\n  abaton honey make --count 5 --to ward",
		RunE: func(c *cobra.Command, _ []string) error {
			count, _ := c.Flags().GetInt("count")
			if count < 1 || count > honeyMax {
				return usage("--count is 1 to %d", honeyMax)
			}
			if life <= 0 || life > relation.DelicateLife {
				return usage("--for is %v at most", relation.DelicateLife)
			}
			return e.makeHoney(c.Context(), count, to, life, asJSON)
		}}
	c.Flags().Int("count", 10, "how many; one of a hundred patients is plenty")
	c.Flags().StringVar(&to, "to", "", "a person or team whom each gives the reading of all but locked parts")
	c.Flags().DurationVar(&life, "for", 365*24*time.Hour, "for how long keepers are told")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// makeHoney makes them first and tells last: making them touches their charts.
func (e *env) makeHoney(ctx context.Context, count int, to string, life time.Duration, asJSON bool) error {
	made, err := e.importHoney(ctx, count)
	if err != nil {
		return err
	}
	m, err := e.employer()
	if err != nil {
		return err
	}
	defer m.hangUp()
	now := time.Now()
	var entries []relation.Entry
	for _, p := range made {
		if err := m.closeHoney(ctx, p); err != nil {
			return fmt.Errorf("%s: %w", p.Handle, err)
		}
		if to != "" {
			if err := m.baitFor(ctx, p, to, life); err != nil {
				return fmt.Errorf("%s: %w", p.Handle, err)
			}
		}
		entries = append(entries, relation.MakeHoney(p.Manage, p.ID, m.ID, now.Unix(), now.Add(life).Unix()))
	}
	return e.tell(ctx, m, entries, asJSON)
}

// importHoney brings in made-up charts as any other, and returns whose they are.
func (e *env) importHoney(ctx context.Context, count int) (made []*people.Person, err error) {
	n, err := e.network()
	if err != nil {
		return nil, err
	}
	before, err := n.People().All(actor.Patient)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "abaton-*") // nobody's facts: they are made up
	if err != nil {
		return nil, fmt.Errorf("make charts: %w", err)
	}
	defer os.RemoveAll(dir)
	for i := range count {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.json", i)), honeyChart(time.Now()), 0o600); err != nil {
			return nil, fmt.Errorf("make charts: %w", err)
		}
	}
	sources, err := sourcesOf([]string{dir})
	if err != nil {
		return nil, err
	}
	m, err := newImporter(ctx, e, n)
	if err != nil {
		return nil, err
	}
	out, err := m.run(ctx, sources)
	m.c.Close()
	if err != nil {
		return nil, err
	}
	if out.Refused > 0 || out.Patients != count {
		e.report(out)
		return nil, errors.New("make charts: not all were taken")
	}
	after, err := n.People().All(actor.Patient)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(after, func(p *people.Person) bool {
		return slices.ContainsFunc(before, func(o *people.Person) bool { return o.ID == p.ID })
	}), nil
}

// closeHoney ends the grant by which the chart was brought in: nobody reads it.
func (m *employer) closeHoney(ctx context.Context, p *people.Person) error {
	m.net.Refresh(p.ID)
	log, err := m.net.Log(ctx, p.ID)
	if err != nil {
		return err
	}
	for id, g := range log.Grants() {
		if g.Actions&grant.Read != 0 {
			if _, err := m.net.Append(ctx, p.Hand(), &actor.Revoke{Grant: id}); err != nil {
				return err
			}
		}
	}
	return nil
}

// baitFor gives a person or a team the reading of all but locked parts.
func (m *employer) baitFor(ctx context.Context, p *people.Person, to string, life time.Duration) error {
	person, team, err := m.grantee(ctx, to)
	if err != nil {
		return err
	}
	t := people.Importing(person)
	t.Team, t.Purpose, t.Life = team, abaton.Treatment, min(life, abaton.GrantLifeMax)
	_, _, err = p.Give(ctx, m.net, t)
	return err
}

// honeyChart is one made-up patient: a Bundle with a few old problems, and
// nothing that is under way. It has no number of any register.
func honeyChart(now time.Time) []byte {
	female := coin(2) == 0
	given, gender := honeyWords.men, "male"
	if female {
		given, gender = honeyWords.women, "female"
	}
	born := now.AddDate(-25-coin(60), -coin(12), -coin(28))
	seen := now.AddDate(-1-coin(6), -coin(12), -coin(28)).Format(time.DateOnly)
	patient := uuid()
	var entries []string
	add := func(full, kind, body string) {
		entries = append(entries, fmt.Sprintf(`{"fullUrl":"urn:uuid:%s","resource":{"resourceType":%q,%s},"request":{"method":"POST","url":%q}}`, full, kind, body, kind))
	}
	add(patient, "Patient", fmt.Sprintf(`"name":[{"use":"official","family":%q,"given":[%q]}],"gender":%q,"birthDate":%q`,
		pick(honeyWords.family), pick(given), gender, born.Format(time.DateOnly)))
	subject := fmt.Sprintf(`"subject":{"reference":"urn:uuid:%s"}`, patient)
	for range 1 + coin(3) {
		c := honeyWords.problems[coin(len(honeyWords.problems))]
		add(uuid(), "Condition", fmt.Sprintf(`"clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"active"}]},"code":{"coding":[{"system":"http://snomed.info/sct","code":%q,"display":%q}]},%s,"onsetDateTime":%q`, c[0], c[1], subject, seen))
	}
	add(uuid(), "Observation", fmt.Sprintf(`"status":"final","code":{"coding":[{"system":"http://loinc.org","code":"29463-7","display":"Body weight"}]},%s,"effectiveDateTime":%q,"valueQuantity":{"value":%d.%d,"unit":"kg","system":"http://unitsofmeasure.org","code":"kg"}`,
		subject, seen, 52+coin(48), coin(10)))
	add(uuid(), "Observation", fmt.Sprintf(`"status":"final","code":{"coding":[{"system":"http://loinc.org","code":"4548-4","display":"Hemoglobin A1c"}]},%s,"effectiveDateTime":%q,"valueQuantity":{"value":%d.%d,"unit":"%%","system":"http://unitsofmeasure.org","code":"%%"}`,
		subject, seen, 5+coin(3), coin(10)))
	return fmt.Appendf(nil, `{"resourceType":"Bundle","type":"transaction","entry":[%s]}`, strings.Join(entries, ","))
}

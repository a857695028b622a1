package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/ages"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/people"
)

// guardianYear is for how long a guardian's access is given at most: as any
// grant, it is looked at again within a year.
const guardianYear = abaton.GrantLifeMax - 2*time.Minute

func newGuardianCommand(e *env) *cobra.Command {
	return noun("guardian", "Parents and guardians of a minor", newGuardianGive(e), newGuardianAges(e))
}

// child is what a command knows of a minor's age.
type child struct{ born, law string }

func (k *child) flags(c *cobra.Command) {
	c.Flags().StringVar(&k.born, "born", "", "the day of birth, 2015-03-01, or with the time")
	c.Flags().StringVar(&k.law, "law", "NL", "the country whose law counts")
	c.MarkFlagRequired("born")
}

// stage is who decides now, under which law, and until when.
func (k *child) stage(now time.Time) (ages.Law, ages.Stage, time.Time, error) {
	born, err := time.ParseInLocation(time.DateOnly, k.born, time.Local)
	if err != nil {
		born, err = time.Parse(time.RFC3339, k.born)
	}
	if err != nil {
		return ages.Law{}, 0, time.Time{}, usage("--born is a day, 2015-03-01, or a time, 2015-03-01T04:30:00Z")
	}
	law, ok := ages.In(k.law, now)
	if !ok {
		return ages.Law{}, 0, time.Time{}, usage("the table of ages has no law of that country; there are: %v", ages.Countries())
	}
	s := law.Stage(born, now)
	if s == 0 {
		return law, 0, time.Time{}, usage("--born lies in the future")
	}
	return law, s, law.Next(born, now), nil
}

func newGuardianGive(e *env) *cobra.Command {
	var as, to, read string
	var k child
	var agreed bool
	c := &cobra.Command{Use: "give", Short: "Let one parent or guardian read a minor's record, until the birthday the law names", Args: cobra.NoArgs,
		Long: `Let one parent or guardian read a minor's record, until the birthday the law
names. Each has an access of their own, and neither sees the other's. It ends by
itself, at every keeper, at that instant; the device that keeps the child's keys
gives anew what the next age allows. From the age at which a child agrees (in the
Netherlands 12) the child says yes with --agreed, and what is the child's own is
left out. Who decides alone (16) gives access like anybody: abaton grant give.`,
		Example: "  abaton guardian give --as patient-8a4c9c04 --to patient-085e81c0 --born 2018-03-01",
		RunE: func(c *cobra.Command, _ []string) error {
			now := time.Now()
			law, stage, until, err := k.stage(now)
			if err != nil {
				return err
			}
			parts, err := guardianParts(law, stage, read, agreed)
			if err != nil {
				return err
			}
			if last := now.Add(guardianYear); until.After(last) {
				until = last
			}
			d, err := e.device(as)
			if err != nil {
				return err
			}
			defer d.hangUp()
			whom, err := guardianOf(d, to)
			if err != nil {
				return err
			}
			id, p, err := d.Give(c.Context(), d.net, people.Terms{To: whom, Actions: grant.Read, Categories: parts,
				Purpose: abaton.PatientAccess, Until: until, Quota: people.RecordsMax})
			if err != nil {
				return err
			}
			e.say("%s may now read %s, in force at %d of %d keepers. It ends by itself on %s.", whom.Handle, partNames(parts), p.At, p.Of,
				until.Format(time.DateTime))
			e.print("%s\n", id)
			return nil
		}}
	k.flags(c)
	c.Flags().StringVar(&as, "as", "", "the child")
	c.Flags().StringVar(&to, "to", "", "the parent or guardian")
	c.Flags().StringVar(&read, "read", "", "parts of the record, with commas (default: all that a guardian may be given)")
	c.Flags().BoolVar(&agreed, "agreed", false, "the child agrees, at the child's own device")
	c.MarkFlagRequired("as")
	c.MarkFlagRequired("to")
	return c
}

// guardianParts are the parts asked for, all of which the law lets a guardian
// have at this age.
func guardianParts(law ages.Law, s ages.Stage, read string, agreed bool) ([]fhir.Category, error) {
	may := law.Guardians(s)
	switch {
	case s == ages.Alone:
		return nil, usage("at this age the child decides alone: abaton grant give")
	case s == ages.Together && !agreed:
		return nil, usage("at this age the child says yes too: add --agreed")
	case read == "":
		return may, nil
	}
	parts, err := categoriesOf(read)
	if err != nil {
		return nil, err
	}
	for _, part := range parts {
		if !slices.Contains(may, part) {
			return nil, usage("%s is not a guardian's to read at this age", part)
		}
	}
	return parts, nil
}

// guardianOf is the person whom a patient gives something as family: people have
// records of their own, and sign in as themselves.
func guardianOf(d *device, to string) (*people.Person, error) {
	if d.Kind != actor.Patient {
		return nil, usage("%s is no patient and has no record to give", d.Handle)
	}
	whom, err := d.at.People().Find(to)
	if err != nil {
		return nil, err
	}
	if whom.Kind != actor.Patient {
		return nil, usage("%s is no person with a record of their own", whom.Handle)
	}
	if whom.ID == d.ID {
		return nil, usage("nobody gives the own record to oneself")
	}
	return whom, nil
}

func partNames(parts []fhir.Category) string {
	text := ""
	for i, p := range parts {
		if i > 0 {
			text += ", "
		}
		text += p.String()
	}
	return text
}

// ageTable is guardian ages --json.
type ageTable struct {
	V       int      `json:"v"`
	Law     string   `json:"law"`
	Source  string   `json:"source"`
	Decides string   `json:"decides"`
	Until   int64    `json:"until,omitempty"` // unix seconds
	Parts   []string `json:"parts"`           // a guardian's
}

func newGuardianAges(e *env) *cobra.Command {
	var k child
	var asJSON bool
	c := &cobra.Command{Use: "ages", Short: "Who decides at this age, and what a guardian may be given", Args: cobra.NoArgs,
		Example: "  abaton guardian ages --born 2014-11-22",
		RunE: func(*cobra.Command, []string) error {
			law, stage, until, err := k.stage(time.Now())
			if err != nil {
				return err
			}
			out := ageTable{V: 1, Law: law.Country, Source: law.Source, Decides: stage.String(), Parts: []string{}}
			for _, part := range law.Guardians(stage) {
				out.Parts = append(out.Parts, part.String())
			}
			if !until.IsZero() {
				out.Until = until.Unix()
			}
			if asJSON {
				return e.json(out)
			}
			e.print("decides: %s\n", out.Decides)
			if out.Until != 0 {
				e.print("until:   %s\n", until.Format(time.DateTime))
			}
			e.print("parts:   %s\n", partNames(law.Guardians(stage)))
			e.print("law:     %s\n", fmt.Sprintf("%s, %s", out.Law, out.Source))
			return nil
		}}
	k.flags(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

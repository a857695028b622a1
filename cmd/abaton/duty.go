package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton/actor"
)

func newDutyCommand(e *env) *cobra.Command {
	return noun("duty", "Hand a place in a team to a colleague for a shift", newDutyGive(e), newDutyAccept(e))
}

func newDutyGive(e *env) *cobra.Command {
	var as, to, team string
	var life time.Duration
	var asJSON bool
	c := &cobra.Command{Use: "give", Short: "Hand the own place on; it ends with the shift", Args: cobra.NoArgs,
		Example: "  abaton duty give --as dr-anna --to dr-ben --team ward --for 8h",
		RunE: func(c *cobra.Command, _ []string) error {
			if life <= 0 || life > actor.DutyLifeMax {
				return usage("--for is no shift: it lasts %v at most", actor.DutyLifeMax)
			}
			d, err := e.device(as)
			if err != nil {
				return err
			}
			defer d.hangUp()
			whom, err := d.named(c.Context(), to)
			if err != nil {
				return err
			}
			t, err := teamOf(d.at, team)
			if err != nil {
				return err
			}
			began := time.Now()
			published, err := d.HandOn(c.Context(), d.net, *t, whom.ID, began, began.Add(life))
			if err != nil {
				return err
			}
			e.say("%s takes it with: abaton duty accept --as %s --from %s", whom.Handle, whom.Handle, d.Handle)
			return e.sayDone(asJSON, "stands in for "+d.Handle+" for "+life.String(), whom.Handle, whom.ID, published, began)
		}}
	c.Flags().StringVar(&as, "as", "", "whose place")
	c.Flags().StringVar(&to, "to", "", "the colleague")
	c.Flags().StringVar(&team, "team", "", "in which team")
	c.Flags().DurationVar(&life, "for", 8*time.Hour, "the shift")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	for _, f := range []string{"as", "to", "team"} {
		c.MarkFlagRequired(f)
	}
	return c
}

func newDutyAccept(e *env) *cobra.Command {
	var as, from string
	var asJSON bool
	c := &cobra.Command{Use: "accept", Short: "Sign in in a colleague's place", Args: cobra.NoArgs,
		Long: `Sign in in a colleague's place. The session opens what was given to the teams in
which that colleague handed the place on, and nothing else; each opening is in the
ledgers under both names. It ends with the shift.`,
		Example: "  abaton duty accept --as dr-ben --from dr-anna",
		RunE: func(c *cobra.Command, _ []string) error {
			n, err := e.network()
			if err != nil {
				return err
			}
			p, err := n.People().Find(as)
			if err != nil {
				return err
			}
			giver, err := n.People().Find(from)
			if err != nil {
				return err
			}
			p.Behalf = giver.ID
			s, count, err := signIn(c.Context(), n, p)
			if err != nil {
				return err
			}
			if err := n.People().Keep(p, s); err != nil {
				return err
			}
			if asJSON {
				return e.json(struct {
					V       int    `json:"v"`
					Who     string `json:"who"`
					Behalf  string `json:"behalf"`
					Grants  int    `json:"grants"`
					Expires int64  `json:"expires"`
				}{1, p.Handle, giver.Handle, count, s.Expires.Unix()})
			}
			e.say("%s is signed in in the place of %s, with %d grants.", p.Handle, giver.Handle, count)
			e.print("%s\n", n.People().AccessFile(p.Handle))
			return nil
		}}
	c.Flags().StringVar(&as, "as", "", "who stands in")
	c.Flags().StringVar(&from, "from", "", "for whom")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.MarkFlagRequired("as")
	c.MarkFlagRequired("from")
	return c
}

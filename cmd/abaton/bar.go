package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton/actor"
)

func newGrantBar(e *env) *cobra.Command {
	var as string
	var asJSON bool
	c := &cobra.Command{Use: "bar WHO", Short: "Refuse one person whatever was given, also to a team; for ever", Args: cobra.ExactArgs(1),
		Long: `Refuse one person whatever was given to this one or to a team this one is in. It
holds for ever: who is barred by mistake is given to again as another actor.`,
		Example: "  abaton grant bar dr-ben --as patient-8a4c9c04",
		RunE: func(c *cobra.Command, args []string) error {
			d, err := e.device(as)
			if err != nil {
				return err
			}
			defer d.hangUp()
			if d.Kind != actor.Patient {
				return usage("%s is no patient; abaton staff leave ends somebody's work", d.Handle)
			}
			whom, err := d.named(c.Context(), args[0])
			if err != nil {
				return err
			}
			began := time.Now()
			p, err := d.net.Append(c.Context(), d.Hand(), &actor.Bar{Actor: whom.ID})
			if err != nil {
				return err
			}
			return e.sayDone(asJSON, "barred by "+d.Handle, whom.Handle, whom.ID, p, began)
		}}
	c.Flags().StringVar(&as, "as", "", "the patient")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.MarkFlagRequired("as")
	return c
}

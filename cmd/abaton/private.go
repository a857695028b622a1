package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton/internal/people"
)

func newPrivateCommand(e *env) *cobra.Command {
	return noun("private", "A record that nobody can be made to show", newPrivateMake(e))
}

// madePrivate is what private make prints as JSON.
type madePrivate struct {
	V      int    `json:"v"`
	Handle string `json:"handle"`
	Actor  string `json:"actor"`
	Kit    string `json:"kit"` // where the words of its kit lie
}

func newPrivateMake(e *env) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "make HANDLE", Short: "Make a second record, of which the first knows nothing", Args: cobra.ExactArgs(1),
		Long: `Make a second record, of which the first knows nothing: with keys, a passkey, a
kit and a history of its own. Whoever makes you open the record of every day finds
nothing there that tells of this one: keepers do not know that both are yours.

Its keys go into the folder of --keys and nowhere else: keep it where nobody looks,
such as a key of its own at a friend's. Every command takes it: --keys FOLDER --as
HANDLE. Tell a clinician you trust the name that begins with act1; what this one
writes there is not in your other record, in its lists, or in an emergency. How you
are to be reached about it stands in that record's own Patient resource.

What already stands in the record of every day stays there. Have its author write
it here instead, then erase it there; that you erased something can be seen.`,
		Example: "  abaton private make rose --keys /media/stick\n  abaton record list --keys /media/stick --as rose",
		RunE: func(c *cobra.Command, args []string) error {
			if e.keys == "" {
				return usage("say with --keys in which folder its keys are to lie, apart from all others")
			}
			n, err := e.network()
			if err != nil {
				return err
			}
			org, err := n.Organisation()
			if err != nil {
				return err
			}
			w, err := people.Open(e.keys, n.Set())
			if err != nil {
				return err
			}
			p, err := w.NewPatient(args[0], args[0], nil, org)
			if err != nil {
				return err
			}
			d, err := newDevice(n, p)
			if err != nil {
				return err
			}
			defer d.hangUp()
			if err := people.Introduce(c.Context(), d.net, p); err != nil {
				return fmt.Errorf("make private record: %w", err)
			}
			if asJSON {
				return e.json(madePrivate{V: 1, Handle: p.Handle, Actor: p.ID.String(), Kit: w.KitFile(p.Handle)})
			}
			e.say("Made. Its keys are in %s and nowhere else; without them, and without the words in %s, it is lost.", w.Dir(p.Handle), w.KitFile(p.Handle))
			e.print("%s\n", p.ID)
			return nil
		}}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

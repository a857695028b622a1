package main

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/people"
	"github.com/abaton-health/abaton/session"
)

func newLoginCommand(e *env) *cobra.Command {
	var as, role, notes, custody string
	c := &cobra.Command{Use: "login", Short: "Sign in at the gateway, for curl and other FHIR clients", Args: cobra.NoArgs,
		Example: "  abaton login --dir run/demo --as dr-anna",
		RunE: func(c *cobra.Command, _ []string) error {
			n, err := e.network()
			if err != nil {
				return err
			}
			w, err := e.people(n)
			if err != nil {
				return err
			}
			p, err := w.Find(as)
			if err != nil {
				return err
			}
			p.Role = role
			s, count, err := e.signIn(c.Context(), n, p, strings.FieldsFunc(custody, func(r rune) bool { return r == ',' })...)
			if err != nil {
				return err
			}
			if notes != "" {
				if err := touchNotes(c.Context(), n, w, p, s, notes); err != nil {
					return err
				}
				e.say("The notes of %s open for five minutes.", notes)
			}
			if err := w.Keep(p, s); err != nil {
				return err
			}
			e.say("%s is signed in at %s until %s, with %d grants.", p.Handle, s.URL, s.Expires.Format(time.TimeOnly), count)
			e.say("The access value is in this file; send it as Authorization: Bearer.")
			e.print("%s\n", w.AccessFile(p.Handle))
			return nil
		}}
	c.Flags().StringVar(&as, "as", "", "who signs in: a handle or act1...")
	c.Flags().StringVar(&custody, "custody", "", "open these patients' records, which the own team keeps, with commas")
	c.Flags().StringVar(&role, "role", "", "as what (default: the first of the roles)")
	c.Flags().StringVar(&notes, "notes", "", "touch the passkey once more, for the shielded notes of this patient")
	c.MarkFlagRequired("as")
	return c
}

// touchNotes opens what was given to p alone of a patient, for five minutes.
func touchNotes(ctx context.Context, n *local.Network, w *people.World, p *people.Person, s *people.Session, patient string) error {
	whose, err := w.Find(patient)
	if err != nil {
		return err
	}
	d, err := newDevice(n, p)
	if err != nil {
		return err
	}
	defer d.hangUp()
	bundles, err := d.lendable(ctx)
	if err != nil {
		return err
	}
	return s.Touch(ctx, p, whose.ID, bundles)
}

// signIn signs a person in with all that the person may lend. A patient's
// device burns first what was opened in an emergency.
func signIn(ctx context.Context, n *local.Network, p *people.Person) (*people.Session, int, error) {
	silent := &env{stdout: io.Discard, stderr: io.Discard}
	return silent.signIn(ctx, n, p)
}

// signIn is signIn, and says what was burned. kept are patients whose records
// the person's team keeps, to be opened and lent too.
func (e *env) signIn(ctx context.Context, n *local.Network, p *people.Person, kept ...string) (*people.Session, int, error) {
	d, err := newDevice(n, p)
	if err != nil {
		return nil, 0, err
	}
	defer d.hangUp()
	if d.Kind == actor.Patient {
		if err := e.burn(ctx, d); err != nil {
			return nil, 0, err
		}
	}
	bundles, err := d.lendable(ctx)
	if err != nil {
		return nil, 0, err
	}
	for _, handle := range kept {
		patient, _, err := subject(n, handle)
		if err != nil {
			return nil, 0, err
		}
		b, err := n.People().OpenKept(ctx, d.net, p, patient)
		if err != nil {
			return nil, 0, err
		}
		bundles = append(bundles, b)
	}
	s, err := n.People().SignIn(ctx, p, n.GatewayURL(), bundles)
	return s, len(bundles), err
}

// lendable are the seeds of the grants the person holds and, for a patient, of
// the own record.
func (d *device) lendable(ctx context.Context) ([]session.Bundle, error) {
	bundles, err := d.Held(ctx, d.net)
	if err != nil || d.Kind != actor.Patient {
		return bundles, err
	}
	own, err := d.Own(ctx, d.net)
	return append(bundles, own), err
}

package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/people"
)

func newServiceCommand(e *env) *cobra.Command {
	return noun("service", "Backend services of the organisation", newServiceMake(e), newServiceLend(e))
}

func newServiceMake(e *env) *cobra.Command {
	return &cobra.Command{Use: "make ID", Short: "Make a service an actor of its own, for the registry of apps", Args: cobra.ExactArgs(1),
		Long: `Make a service an actor of its own and print the setting that ties the two
together in the registry of apps. Patients give to it as to anybody, by the
handle that is shown: abaton grant give --to HANDLE.`,
		RunE: func(c *cobra.Command, args []string) error {
			n, err := e.network()
			if err != nil {
				return err
			}
			agent, err := serviceAgent(n, args[0])
			if err != nil {
				return err
			}
			net, hangUp, err := n.Client(agent.Manage)
			if err != nil {
				return err
			}
			defer hangUp()
			if err := n.Enlist(c.Context(), net, agent); err != nil {
				return err
			}
			e.say("The service %s acts as %s.", args[0], agent.Handle)
			e.print("actor = %q\n", agent.ID.String())
			return nil
		}}
}

func serviceAgent(n *local.Network, id string) (*people.Person, error) {
	org, err := n.Organisation()
	if err != nil {
		return nil, err
	}
	return n.People().Agent(id, id, abaton.ActorID{}, org)
}

func newServiceLend(e *env) *cobra.Command {
	var scope string
	c := &cobra.Command{Use: "lend ID", Short: "Lend a service a session, for an hour at most", Args: cobra.ExactArgs(1),
		Long: `Lend a service a session for an hour at most: what patients granted to it, under
the scopes named. It replaces the session lent before. The service then asks for
access with its own signature (SMART Backend Services).`,
		Example: "  abaton service lend nightly --scope 'system/Observation.rs system/Patient.r'",
		RunE: func(c *cobra.Command, args []string) error {
			n, err := e.network()
			if err != nil {
				return err
			}
			agent, err := serviceAgent(n, args[0])
			if err != nil {
				return err
			}
			d, err := newDevice(n, agent)
			if err != nil {
				return err
			}
			defer d.hangUp()
			if err := n.Enlist(c.Context(), d.net, agent); err != nil {
				return err
			}
			if _, err := directoryFor(c.Context(), n, agent); err != nil {
				return err
			}
			bundles, err := d.Held(c.Context(), d.net)
			if err != nil {
				return err
			}
			given, err := n.People().LendService(c.Context(), agent, n.GatewayURL(), args[0], scope, bundles)
			if err != nil {
				return err
			}
			e.say("%s has a session with %d grants until %s.", args[0], len(bundles), time.Unix(given.Expires, 0).Format(time.TimeOnly))
			e.print("%s\n", given.Scope)
			return nil
		}}
	c.Flags().StringVar(&scope, "scope", "system/*.rs", "what it may do at most")
	return c
}

package main

import (
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/gateway/login"
)

// inviteLife is for how long an invitation holds, if nothing else is said.
const inviteLife = 72 * time.Hour

func newInviteCommand(e *env) *cobra.Command {
	var to string
	var clinician, device bool
	var life time.Duration
	c := &cobra.Command{Use: "invite", Short: "Invite a person to make a record of their own, in their browser", Args: cobra.NoArgs,
		Long: `Invite a person to make a record of their own. The link works once and opens
nothing: it lets one new patient in. What stands behind the # never reaches a
computer but the person's own. With --to the page also offers to let that
clinician read; the person decides.

With --clinician the link is a ticket for new staff: the gateway turns it into an
invitation for a passkey that the clinic's list of authenticators takes, and for
no other. With --device the link makes the browser that opens it a computer of the
clinic, at which staff sign in; as many managers as the clinic demands sign it.`,
		Example: "  abaton invite --to dr-anna\n  abaton invite --clinician\n  abaton invite --device",
		RunE: func(*cobra.Command, []string) error {
			if life <= 0 || life > actor.InvitationLifeMax {
				return usage("--for is at most %v", actor.InvitationLifeMax)
			}
			n, err := e.network()
			if err != nil {
				return err
			}
			org, err := n.Organisation()
			if err != nil {
				return err
			}
			link := url.Values{"clinic": {org.Name}}
			page := "/enrol"
			switch {
			case clinician:
				link.Set("t", login.Encode(org.Ticket(life)))
			case device:
				page = "/staff"
				link.Set("i", login.Encode(org.Invite(life, actor.Device)))
			default:
				link.Set("i", login.Encode(org.Invite(life, actor.Patient)))
			}
			if to != "" {
				reader, err := n.People().Find(to)
				if err != nil {
					return err
				}
				if reader.Kind != actor.Clinician {
					return usage("%s is no clinician", reader.Handle)
				}
				link.Set("to", reader.ID.String())
				link.Set("name", reader.Name)
			}
			e.say("This link lets one person in, until %s. Give it to that person alone, as a code to scan or on paper.", time.Now().Add(life).Format(time.DateTime))
			e.print("%s%s#%s\n", n.PortalURL(), page, link.Encode())
			return nil
		}}
	c.Flags().StringVar(&to, "to", "", "a clinician to offer the reading of all but locked parts")
	c.Flags().BoolVar(&clinician, "clinician", false, "invite a clinician of the clinic, not a patient")
	c.Flags().BoolVar(&device, "device", false, "make a browser a computer of the clinic")
	c.MarkFlagsMutuallyExclusive("clinician", "to", "device")
	c.Flags().DurationVar(&life, "for", inviteLife, "for how long the link works")
	return c
}

package main

import (
	"net/url"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/gateway/login"
)

func newDeviceVouch(e *env) *cobra.Command {
	return &cobra.Command{Use: "vouch DEVICE", Short: "Say for half a day that a computer of the clinic is in order", Args: cobra.ExactArgs(1),
		Long: `Say for half a day that a computer of the clinic is in order. The clinic's
attesting key signs it; the link takes it to the browser that is this device, and is
of no use in any other. Without it nobody signs in there.`,
		Example: "  abaton device vouch act1...",
		RunE: func(c *cobra.Command, args []string) error {
			m, err := e.employer()
			if err != nil {
				return err
			}
			defer m.hangUp()
			id, err := abaton.ParseActorID(args[0])
			if err != nil {
				return usage("%q is not the name of a device: act1...", args[0])
			}
			st, err := m.net.Log(c.Context(), id)
			if err != nil {
				return err
			}
			if st.Kind() != actor.Device || st.Organisation() != m.ID {
				return usage("%s is no device of this clinic", args[0])
			}
			e.print("%s/staff#%s\n", m.at.PortalURL(), url.Values{"p": {login.Encode(m.Vouch(id))}}.Encode())
			return nil
		}}
}

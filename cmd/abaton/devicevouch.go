package main

import (
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/internal/people"
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

// staffNamed is somebody who enrolled in a browser, of whom there is no more
// here than the log says.
func (m *employer) staffNamed(c *cobra.Command, name string) (*people.Person, error) {
	id, err := abaton.ParseActorID(name)
	if err != nil {
		return nil, people.ErrNobody
	}
	st, err := m.net.Log(c.Context(), id)
	if err != nil {
		return nil, err
	}
	if st.Kind() != actor.Clinician {
		return nil, usage("%s is no clinician", name)
	}
	return &people.Person{Handle: name, ID: id, Kind: actor.Clinician, Sponsor: st.Organisation()}, nil
}

// takeOnNamed publishes the membership of somebody who enrolled in a browser.
func (e *env) takeOnNamed(c *cobra.Command, m *employer, p *people.Person, roles []string, t *memberTerms, did string) error {
	p.Roles = roles
	body, err := t.member(m, p)
	if err != nil {
		return err
	}
	began := time.Now()
	published, err := people.TakeOn(c.Context(), m.net, m.hand(), body)
	if err != nil {
		return err
	}
	return e.sayDone(t.asJSON, did, p.Handle, p.ID, published, began)
}

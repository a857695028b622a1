package local

import (
	"context"
	"errors"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/people"
)

// SampleAuthority is the assigning authority of the sample patients' record
// numbers, as it stands in PID-3.4: a name, and the system their charts have.
const SampleAuthority = "SAMPLE&http://hospital.smarthealthit.org&URI"

func (n *Network) intakeSettings(agent *people.Person) map[string]any {
	return map[string]any{"listen": n.form.Gateway.Intake, "actor": agent.ID.String()}
}

// Agent is the actor that files what other systems send; people.ErrNobody in
// a network that was made without.
func (n *Network) Agent() (*people.Person, error) { return n.people.Load(AgentHandle) }

// enlist makes the agent known and lets it use the directory and write to the
// quarantine. What is given already is not given again.
func (p *Processes) enlist(ctx context.Context) error {
	agent, err := p.Agent()
	if errors.Is(err, people.ErrNobody) {
		return nil
	}
	if err != nil {
		return err
	}
	org, err := p.Organisation()
	if err != nil {
		return err
	}
	c, hangUp, err := p.Client(org.Manage)
	if err != nil {
		return err
	}
	defer hangUp()
	if err := p.Enlist(ctx, c, agent); err != nil {
		return err
	}
	return admit(ctx, c, org, agent)
}

// Enlist makes people of the clinic known and has it take them on; its steward
// answers for programs. What is so already stays. c must ask with the clinic's
// key.
func (n *Network) Enlist(ctx context.Context, c *client.Network, all ...*people.Person) error {
	org, err := n.Organisation()
	if err != nil {
		return err
	}
	steward, err := n.people.Load(StewardHandle)
	if err != nil {
		return err
	}
	return n.people.Enlist(ctx, c, org, steward, append([]*people.Person{steward}, all...)...)
}

func admit(ctx context.Context, c *client.Network, org, agent *people.Person) error {
	log, err := c.Log(ctx, org.ID)
	if err != nil {
		return err
	}
	for _, t := range []people.Terms{
		{To: agent, Actions: grant.Read, Directory: true, Purpose: abaton.Operations, Life: 365 * 24 * time.Hour, Quota: people.RecordsMax},
		people.QuarantineOf(agent, grant.Deposit),
	} {
		if gives(log, agent, t.Actions) {
			continue
		}
		if _, _, err := org.Give(ctx, c, t); err != nil {
			return err
		}
	}
	return nil
}

// gives reports whether a grant of these actions to who is in the log and
// lasts.
func gives(log *actor.State, who *people.Person, actions grant.Action) bool {
	for _, g := range log.Grants() {
		if g.Grantee == who.ID && g.Actions == actions && g.Expires > time.Now().Add(time.Hour).Unix() {
			return true
		}
	}
	return false
}

// playAgent plays the agent's device until the processes stop.
func (p *Processes) playAgent() error {
	agent, err := p.Agent()
	if errors.Is(err, people.ErrNobody) {
		return nil
	}
	if err != nil {
		return err
	}
	c, hangUp, err := p.Client(agent.Manage)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.endAgent = cancel
	p.gone.Go(func() {
		defer hangUp()
		p.people.Serve(ctx, c, agent, p.GatewayURL())
	})
	return nil
}

package people

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/key"
)

// Times of sample staff.
const (
	memberLife  = 365 * 24 * time.Hour
	postureLife = 12 * time.Hour
)

// Enlist makes people known, with the devices of those who have one, and has
// org take them on in the roles they were made for. Whoever org ever took on
// stays as org's log says. answers is who answers for agents: a person of the
// staff; a patient's app is answered for by the patient.
func (w *World) Enlist(ctx context.Context, n *client.Network, org, answers *Person, all ...*Person) error {
	known, err := w.withDevices(all)
	if err != nil {
		return err
	}
	if err := Introduce(ctx, n, known...); err != nil {
		return err
	}
	n.Refresh(org.ID)
	log, err := n.Log(ctx, org.ID)
	if err != nil {
		return fmt.Errorf("take on: %w", err)
	}
	taken := make(map[abaton.ActorID]bool)
	for _, m := range log.Members() {
		taken[m.Actor] = true
	}
	for _, p := range all {
		if taken[p.ID] || log.Barred(p.ID, time.Now()) || p.Kind == actor.Patient || p.Kind == actor.Organisation {
			continue
		}
		if _, err := TakeOn(ctx, n, org.Hand(), p.membership(answers)); err != nil {
			return err
		}
	}
	return nil
}

func (w *World) withDevices(all []*Person) (out []*Person, err error) {
	for _, p := range all {
		out = append(out, p)
		if p.Device == (abaton.ActorID{}) {
			continue
		}
		d, err := w.Find(p.Device.String())
		if err != nil {
			return nil, fmt.Errorf("device of %s: %w", p.Handle, err)
		}
		out = append(out, d)
	}
	return out, nil
}

// membership is what a person was made for, for a year.
func (p *Person) membership(answers *Person) *actor.Member {
	now := time.Now()
	m := &actor.Member{Actor: p.ID, Roles: p.Roles, NotBefore: now.Add(-time.Minute).Unix(), Expires: now.Add(memberLife).Unix()}
	if p.Kind != actor.Agent {
		return m
	}
	if _, patient, ok := p.AppOf(); ok && patient != (abaton.ActorID{}) {
		m.Sponsor = patient
	} else if answers != nil {
		m.Sponsor = answers.ID
	}
	return m
}

// TakeOn publishes a membership in an organisation's log.
func TakeOn(ctx context.Context, n *client.Network, org client.Hand, m *actor.Member) (client.Published, error) {
	done, err := n.Append(ctx, org, m)
	if err != nil {
		return done, fmt.Errorf("take on: %w", err)
	}
	return done, nil
}

// Bar ends somebody's or a device's part in this organisation: for ever, or
// until a time. One manager will do, and for a lost device the alarm key.
func (p *Person) Bar(ctx context.Context, n *client.Network, who abaton.ActorID, until int64, by *key.Signing) (client.Published, error) {
	done, err := n.Append(ctx, client.KeyHand(p.ID, by), &actor.Bar{Actor: who, Until: until})
	if err != nil {
		return done, fmt.Errorf("bar: %w", err)
	}
	return done, nil
}

// ErrNoDevice says that a clinician has no enrolled device.
var ErrNoDevice = errors.New("no device is enrolled")

// device is what signs a person in: the passkey and, for a clinician, the
// enrolled device with the organisation's word about it, which in this world
// is there for the asking.
func (w *World) device(p *Person) (login.Device, error) {
	d := login.Device{Actor: p.ID, Gateway: p.Sponsor, Set: w.set.ID(), Passkey: p.Passkey, Behalf: p.Behalf}
	if p.Kind == actor.Patient {
		return d, nil
	}
	d.Organisation = p.Sponsor
	if d.Role = p.Role; d.Role == "" && len(p.Roles) > 0 {
		d.Role = p.Roles[0]
	}
	if p.Kind != actor.Clinician {
		return d, nil
	}
	if p.Device == (abaton.ActorID{}) {
		return d, fmt.Errorf("%s: %w", p.Handle, ErrNoDevice)
	}
	at, err := w.Find(p.Device.String())
	if err != nil {
		return d, fmt.Errorf("device of %s: %w", p.Handle, err)
	}
	org, err := w.Find(at.Sponsor.String())
	if err != nil {
		return d, fmt.Errorf("device of %s: %w", p.Handle, err)
	}
	d.Organisation, d.Gateway = org.ID, org.ID // a locum sits at a device of the place
	d.At = &login.At{Device: at.ID, Key: at.Alarm, Posture: org.Vouch(at.ID)}
	return d, nil
}

// Vouch is this organisation's word about a device, for half a day.
func (p *Person) Vouch(device abaton.ActorID) []byte {
	now := time.Now()
	return actor.Posture{Organisation: p.ID, Device: device, Level: actor.Managed,
		From: now.Add(-time.Minute).Unix(), Until: now.Add(postureLife).Unix()}.Sign(p.Attest)
}

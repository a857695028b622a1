package people

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// Touch signs once more with p's passkey, over exactly the shielded lines of a
// patient that bundles hold: the gateway shows them for five minutes
// (PROTOCOL.md#step-up). abaton.ErrNotFound when there are none.
func (s *Session) Touch(ctx context.Context, p *Person, patient abaton.ActorID, bundles []session.Bundle) error {
	u := session.StepUp{V: wire.Version, Patient: patient, Purpose: abaton.Treatment, Time: time.Now().Unix(), Lines: shieldedIn(patient, bundles)}
	if p.Kind == actor.Patient {
		u.Purpose = abaton.PatientAccess
	}
	if len(u.Lines) == 0 {
		return fmt.Errorf("no notes of this patient were given: %w", abaton.ErrNotFound)
	}
	statement, err := login.Decode(s.done.Statement)
	if err != nil {
		return fmt.Errorf("touch: %w", err)
	}
	signed, err := session.ParseSigned(statement)
	if err != nil {
		return fmt.Errorf("touch: %w", err)
	}
	u.Session = session.Challenge(signed.Statement)
	copy(u.Nonce[:], nonce())
	a, err := p.Passkey.Assert(u.Challenge())
	if err != nil {
		return fmt.Errorf("touch: %w", err)
	}
	body := map[string]string{"stepUp": login.Encode((&session.SignedStepUp{StepUp: u, Assertion: *a}).Marshal())}
	if err := s.post(ctx, "/portal/step-up", body, nil); err != nil {
		return fmt.Errorf("touch: %w", err)
	}
	return nil
}

// shieldedIn are the shielded lines of one patient, sorted.
func shieldedIn(patient abaton.ActorID, bundles []session.Bundle) (lines []abaton.Line) {
	for _, b := range bundles {
		for _, seed := range b.Seeds {
			if b.Patient == patient && seed.Level >= grant.Shielded {
				lines = append(lines, seed.Line)
			}
		}
	}
	slices.SortFunc(lines, func(a, b abaton.Line) int { return slices.Compare(a[:], b[:]) })
	return slices.Compact(lines)
}

package custody

import (
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
)

// unsealsMax is how often one keeper releases its share of one escrow. Who
// comes back needs it once, whoever helps in an emergency once in four hours; a
// repeat of the same request costs none. A care team needs it every day: a
// custody has budgets instead.
func unsealsMax(k actor.EscrowKind) uint64 {
	switch k {
	case actor.EscrowEmergency:
		return 128
	case actor.EscrowCustody:
		return 1 << 32
	}
	return 16
}

// grantUnseal decides whether this keeper's share of an escrow may leave
// (PROTOCOL.md#unseal). Whose log gives the escrow and that it is not ended
// holds for all kinds; who may ask is each kind's own rule.
func (v *verdict) grantUnseal() abaton.Reason {
	q := v.r.Asked
	e, ended := v.patient.Escrow(q.Grant)
	switch {
	case e == nil:
		return abaton.ReasonGrant
	case ended:
		return abaton.ReasonRevoked
	}
	if (q.Said() != nil) && e.Kind != actor.EscrowEmergency {
		return abaton.ReasonGrant
	}
	reason := abaton.ReasonGrant
	switch e.Kind {
	case actor.EscrowKit, actor.EscrowTrustees:
		reason = v.unsealOwn()
	case actor.EscrowEmergency:
		reason = v.unsealEmergency(e)
	case actor.EscrowCustody:
		reason = v.unsealCustody(e)
	}
	if reason != "" {
		return reason
	}
	if v.repeat == nil {
		if v.used >= unsealsMax(e.Kind) {
			return abaton.ReasonQuota
		}
		v.used++
	}
	v.escrow, v.level = e, v.levelOf(e)
	return ""
}

// levelOf is the highest level of the lines that an escrow opens.
func (v *verdict) levelOf(e *actor.Escrow) (level uint8) {
	for _, seg := range v.patient.Lines() {
		if len(e.Lines) == 0 || slices.Contains(e.Lines, seg.Line) {
			level = max(level, seg.Level)
		}
	}
	return level
}

// unsealOwn: the patient's own session, by the passkey that came back under
// this very escrow. That it is live says that four keepers saw the wait pass.
func (v *verdict) unsealOwn() abaton.Reason {
	st, q := v.r.Session.Statement(), v.r.Asked
	if st.Actor != q.Patient || q.Purpose != abaton.PatientAccess || !v.patient.Returned(st.Credential, q.Grant) {
		return abaton.ReasonGrant
	}
	return ""
}

// share opens this keeper's share, once its release is ledgered.
func (k *Keeper) share(patient abaton.ActorID, e *actor.Escrow) ([]byte, error) {
	if e == nil {
		return nil, abaton.Refuse(abaton.ReasonGrant)
	}
	share, err := e.OpenShare(patient, k.cfg.Index, k.cfg.Box)
	if err != nil {
		return nil, err
	}
	k.cfg.Mutation.lieShare(share[:])
	return share[:], nil
}

// holdsShare refuses to vote for an escrow of which this keeper could not give
// its share: what four keepers vote for can be opened.
func (k *Keeper) holdsShare(a *actor.Authentic) error {
	e, ok := a.Body().(*actor.Escrow)
	if !ok {
		return nil
	}
	if len(e.Shares) != int(k.cfg.Set.N) {
		return abaton.Refuse(abaton.ReasonShare)
	}
	_, err := e.OpenShare(a.Actor(), k.cfg.Index, k.cfg.Box)
	return err
}

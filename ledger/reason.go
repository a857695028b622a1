package ledger

import "github.com/abaton-health/abaton"

// knownReason reports whether r is in the registry of version 1. An entry
// holds no free text: a reason outside the registry could carry anything.
func knownReason(r abaton.Reason) bool {
	switch r {
	case abaton.ReasonMalformed, abaton.ReasonTooLarge, abaton.ReasonNoSession, abaton.ReasonSession,
		abaton.ReasonCredential, abaton.ReasonCloned, abaton.ReasonSignature, abaton.ReasonTime, abaton.ReasonClock,
		abaton.ReasonReplay, abaton.ReasonStanding, abaton.ReasonGrant, abaton.ReasonPurpose,
		abaton.ReasonExpired, abaton.ReasonRevoked, abaton.ReasonQuota, abaton.ReasonBarred,
		abaton.ReasonStepUp, abaton.ReasonPolicy, abaton.ReasonBudget, abaton.ReasonLease,
		abaton.ReasonQuarantine, abaton.ReasonStorage, abaton.ReasonActor, abaton.ReasonSlot,
		abaton.ReasonParent, abaton.ReasonInvitation, abaton.ReasonCertificate, abaton.ReasonKeeperSet,
		abaton.ReasonEpoch, abaton.ReasonWriter, abaton.ReasonBody, abaton.ReasonFragment,
		abaton.ReasonCapsule, abaton.ReasonShare, abaton.ReasonEquivocation, abaton.ReasonErased,
		abaton.ReasonNotFound, abaton.ReasonRoute, abaton.ReasonPeer, abaton.ReasonApprovals, abaton.ReasonVacant, abaton.ReasonDevice,
		abaton.ReasonWait, abaton.ReasonVetoed, abaton.ReasonWays, abaton.ReasonFrozen, abaton.ReasonDormant,
		abaton.ReasonNewRole, abaton.ReasonUnconfirmed, abaton.ReasonSecond,
		abaton.ReasonThrottled, abaton.ReasonSuspended:
		return true
	}
	return false
}

package abaton

// The reasons for refusal of version 1, in the order of the keeper's checks
// (PROTOCOL.md#refusals).
const (
	ReasonMalformed    Reason = "malformed"       // not the one canonical form
	ReasonTooLarge     Reason = "too-large"       // over a limit of limits.go
	ReasonNoSession    Reason = "session-unknown" // post the session statement first
	ReasonSession      Reason = "session-invalid" // statement, assertion, lifetime or checkpoint
	ReasonCredential   Reason = "credential"      // credential or key is not live in its key log
	ReasonApprovals    Reason = "approvals"       // the organisation demands a second manager
	ReasonVacant       Reason = "officer-vacant"  // no security officer, or no deputy, is appointed
	ReasonDevice       Reason = "device"          // device unknown, ended, barred or not attested now
	ReasonCloned       Reason = "cloned"          // the passkey's counter went back: two devices hold it
	ReasonSignature    Reason = "signature"       // signature does not verify
	ReasonTime         Reason = "time"            // time outside ±120 s
	ReasonClock        Reason = "clock"           // this keeper's own clock is not known healthy
	ReasonReplay       Reason = "replay"          // seen before, and not repeatable
	ReasonStanding     Reason = "standing"        // role, employment or training
	ReasonGrant        Reason = "grant"           // no live grant covers it
	ReasonPurpose      Reason = "purpose"         // purpose not granted
	ReasonExpired      Reason = "grant-expired"   // grant not yet or no longer valid
	ReasonRevoked      Reason = "grant-revoked"   // grant was taken back
	ReasonQuota        Reason = "quota"           // grant's quota is used up
	ReasonBarred       Reason = "barred"          // the patient bars this person
	ReasonStepUp       Reason = "step-up"         // needs a fresh assertion over these lines
	ReasonPolicy       Reason = "policy"          // the organisation's policy refuses
	ReasonBudget       Reason = "budget"          // too many patients in this time
	ReasonLease        Reason = "lease"           // this keeper has not heard two peers lately
	ReasonQuarantine   Reason = "quarantine"      // this keeper is catching up after a restore
	ReasonStorage      Reason = "storage"         // this keeper cannot write
	ReasonActor        Reason = "actor-unknown"   // key log not known here
	ReasonSlot         Reason = "slot-taken"      // another event has this slot of the key log
	ReasonParent       Reason = "parent-unknown"  // event does not continue the log known here
	ReasonInvitation   Reason = "invitation"      // inception without a valid invitation
	ReasonCertificate  Reason = "certificate"     // not four valid keeper signatures
	ReasonKeeperSet    Reason = "keeper-set"      // not this keeper set
	ReasonEpoch        Reason = "epoch"           // not the newest epoch of the line
	ReasonWriter       Reason = "writer"          // writer may not write this line
	ReasonBody         Reason = "body-root"       // leaves do not give HEAD's body root
	ReasonFragment     Reason = "fragment"        // fragment does not hash to its leaf
	ReasonCapsule      Reason = "capsule"         // capsule fragment does not hash to kappa
	ReasonShare        Reason = "share"           // shares do not give rho
	ReasonEquivocation Reason = "equivocation"    // sequence number used with another HEAD
	ReasonErased       Reason = "erased"          // tombstone
	ReasonNotFound     Reason = "none"            // not here or not yours
	ReasonRoute        Reason = "route"           // no such route
	ReasonPeer         Reason = "peer"            // not a keeper of this set
	ReasonWait         Reason = "recovery-waits"  // the recovery's wait is not over at this keeper
	ReasonVetoed       Reason = "recovery-vetoed" // the recovery was stopped for ever
	ReasonWays         Reason = "ways-back"       // the patient has no second way back in: make a kit first

	ReasonFrozen  Reason = "frozen"  // a death is stated: nothing but what was given for it opens
	ReasonDormant Reason = "dormant" // given for a case that is not stated now

	ReasonNewRole     Reason = "emergency-role-new"    // this keeper has not known the emergency role for long enough
	ReasonUnconfirmed Reason = "emergency-unconfirmed" // an earlier emergency opening was not confirmed in time
	ReasonSecond      Reason = "second-clinician"      // needs a second clinician's agreement

	ReasonThrottled Reason = "throttled" // the watch lets one new patient through in half a minute
	ReasonSuspended Reason = "suspended" // the watch holds this session, person or device back: with a second clinician, patients in care open
)

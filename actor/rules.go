package actor

import (
	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
)

// signers is who may prove an event: the rights a signing key needs (any one
// of the bits) and whether a live passkey will do. The zero value lets nobody.
type signers struct {
	rights  Rights
	passkey bool
}

var (
	anyKey  = signers{rights: rightsKnown, passkey: true}
	keyOnly = signers{rights: Manage}
	owner   = signers{rights: Manage, passkey: true}
	alarm   = signers{rights: Manage | DeviceRight}
	undo    = signers{rights: Manage | Write, passkey: true}
)

// signersOf is the table of PROTOCOL.md#who-may-sign: by kind of actor and
// kind of event. What it does not name, nobody may sign. Keeper-set logs are
// not here: they take w keepers (Document.checkProvers).
func signersOf(actor Kind, event EventKind) signers {
	switch actor {
	case Patient:
		switch event {
		case EventInception, EventKeyAdd, EventKeyRemove, EventCredentialAdd, EventCredentialRemove,
			EventEpoch, EventGrant, EventBar, EventErase, EventMerge, EventEscrow, EventRegistrar:
			return owner
		case EventRevoke, EventVeto: // who may prove an EventRecover says its escrow, an EventFinding the log and its registrar's
			return anyKey
		}
	case Organisation:
		switch event {
		case EventInception, EventKeyAdd, EventKeyRemove, EventCredentialAdd, EventCredentialRemove,
			EventEpoch, EventGrant, EventErase, EventMerge, EventOrigins, EventMember, EventTeam, EventPolicy,
			EventWatch, EventLift:
			return keyOnly
		case EventBar:
			return alarm
		case EventRevoke:
			return undo
		}
	case Clinician, Device, Agent:
		switch {
		case event == EventStop:
			return anyKey
		case (event == EventDuty || event == EventOnward) && actor == Clinician:
			return owner
		case event == EventRevoke && actor == Clinician: // of what was handed on
			return anyKey
		}
		switch event {
		case EventInception, EventKeyAdd, EventKeyRemove, EventCredentialAdd, EventCredentialRemove, EventMerge:
			return keyOnly
		}
	}
	return signers{}
}

// standing says who is live as one place in a log sees it: the rights of a
// key and the class of a passkey, zero when not live.
type standing struct {
	rights func(abaton.KeyID) Rights
	class  func(key.Credential) Class
}

// entitled reports whether at least one prover may prove this kind of event. A
// passkey that claims another class than it was enrolled with may not: one of
// the two is a lie.
func entitled(actor Kind, event EventKind, by provers, s standing) bool {
	need := signersOf(actor, event)
	for _, k := range by.keys {
		if s.rights(k)&need.rights != 0 {
			return true
		}
	}
	for _, c := range by.credentials {
		if class := s.class(c.name); need.passkey && class != 0 && class == c.class {
			return true
		}
	}
	return false
}

// inceptionRights is the standing an inception gives itself.
func inceptionRights(in *Inception) standing {
	return standing{
		rights: func(id abaton.KeyID) Rights {
			for _, k := range in.Keys {
				if k.ID == id {
					return k.Rights
				}
			}
			return 0
		},
		class: func(c key.Credential) Class {
			for _, have := range in.Credentials {
				if have.Public.Credential() == c {
					return have.Class
				}
			}
			return 0
		},
	}
}

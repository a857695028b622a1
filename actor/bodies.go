package actor

import (
	"bytes"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// Body is what an event of one kind says. Only this package's types are
// bodies.
type Body interface {
	// EventKind is the one kind of event that carries this body.
	EventKind() EventKind
	// validate reports whether every field is one that version 1
	// understands; abaton.Refuse errors.
	validate() error
}

// Rights of a signing key, one bit each.
type Rights uint8

// The rights of version 1; any other bit refuses.
const (
	Manage      Rights = 1 << iota // change the log
	Write                          // sign HEADs: deposit
	DeviceRight                    // of a device: sign for its sessions; of an organisation: raise an alarm
	Relock                         // sign LOCKs of version 2 and later
	Attest                         // say of an organisation's devices that they are in order
)

const rightsKnown = Manage | Write | DeviceRight | Relock | Attest

// Key is a signing key and what it may do.
type Key struct {
	ID     abaton.KeyID `cbor:"1,keyasint"`
	Rights Rights       `cbor:"2,keyasint"`
}

func (k Key) valid() bool {
	return k.ID != (abaton.KeyID{}) && k.Rights != 0 && k.Rights&^rightsKnown == 0
}

// Class says what kind of authenticator holds a credential, as enrolled. Zero
// is no class.
type Class uint8

// The classes of version 1.
const (
	Synced Class = iota + 1 // a passkey that syncs between devices
	Bound                   // bound to one device
)

// ClassOf is the class that an assertion claims by its flag BE. It means
// nothing before the assertion was verified.
func ClassOf(a *key.Assertion) Class {
	if a.Synced() {
		return Synced
	}
	return Bound
}

// Credential is a passkey and its class. What the authenticator says about
// itself at every use must fit the class (PROTOCOL.md#who-may-sign).
type Credential struct {
	Public key.Public `cbor:"1,keyasint"`
	Class  Class      `cbor:"2,keyasint"`
}

func (c Credential) valid() bool {
	return len(c.Public) > 0 && len(c.Public) <= key.PublicBytesMax && (c.Class == Synced || c.Class == Bound)
}

func (c Credential) name() key.Credential { return c.Public.Credential() }

func (c Credential) is(other Credential) bool {
	return c.Class == other.Class && bytes.Equal(c.Public, other.Public)
}

// KeyAdd adds a signing key.
type KeyAdd struct {
	Key Key `cbor:"1,keyasint"`
}

// KeyRemove removes a signing key for ever.
type KeyRemove struct {
	ID abaton.KeyID `cbor:"1,keyasint"`
}

// CredentialAdd adds a passkey.
type CredentialAdd struct {
	Credential Credential `cbor:"1,keyasint"`
}

// CredentialRemove removes a passkey for ever.
type CredentialRemove struct {
	Name key.Credential `cbor:"1,keyasint"`
}

// Epoch announces a line's next segment (PROTOCOL.md#epoch). The first epoch
// of a line is 1 and announces the line.
type Epoch struct {
	Line    abaton.Line `cbor:"1,keyasint"`
	Level   uint8       `cbor:"2,keyasint"` // assurance level 1 to 3; never falls
	Epoch   uint32      `cbor:"3,keyasint"`
	Segment []byte      `cbor:"4,keyasint"` // box public key, 1,216 bytes
	Urgent  bool        `cbor:"5,keyasint"` // locks to the previous epoch end at once
	Wraps   []SeedWrap  `cbor:"6,keyasint"`
}

// SeedWrap is the new segment's seed sealed to one remaining grantee.
type SeedWrap struct {
	Grantee abaton.ActorID `cbor:"1,keyasint"`
	Sealed  []byte         `cbor:"2,keyasint"`
}

// Granted gives a grant and, sealed, the seeds it covers.
type Granted struct {
	Grant []byte `cbor:"1,keyasint"`
	Wrap  []byte `cbor:"2,keyasint"`
}

// Revoke takes a grant back. It may name a grant this log copy has not heard
// of: then it holds from the moment it is.
type Revoke struct {
	Grant  abaton.GrantID `cbor:"1,keyasint"`
	Urgent bool           `cbor:"2,keyasint"` // locks to earlier epochs end at once
}

// Bar refuses one actor whatever it is granted: a person a patient bars, one
// who has left an organisation or is suspended, or a lost device.
type Bar struct {
	Actor abaton.ActorID `cbor:"1,keyasint"`
	Until int64          `cbor:"2,keyasint"` // unix seconds, exclusive; 0 for ever
}

// Row names records of one batch: bit j is record j.
type Row struct {
	_     struct{} `cbor:",toarray"`
	Batch abaton.BatchName
	Bits  uint64
}

// Erase erases records.
type Erase struct {
	Rows []Row `cbor:"1,keyasint"`
}

// Merge closes a split: the event names all heads, the body is empty.
type Merge struct{}

// SetChange gives the keeper at one index a new incarnation, and with it other
// keys, another address or, after a loss, another ledger. Last is the newest
// checkpoint of the ledger that ends which a peer holds, a signed note; empty
// where the ledger stays or no peer has one (PROTOCOL.md#set-change).
type SetChange struct {
	Keeper Keeper `cbor:"1,keyasint"`
	Last   []byte `cbor:"2,keyasint"`
}

// Origins certifies the relying party at which an organisation's own staff
// use their passkeys (RULINGS 4); the newest one holds.
type Origins struct {
	RelyingParty key.RelyingParty `cbor:"1,keyasint"`
}

// EventKind of Inception (Body).
func (*Inception) EventKind() EventKind { return EventInception }

// EventKind of KeyAdd (Body).
func (*KeyAdd) EventKind() EventKind { return EventKeyAdd }

// EventKind of KeyRemove (Body).
func (*KeyRemove) EventKind() EventKind { return EventKeyRemove }

// EventKind of CredentialAdd (Body).
func (*CredentialAdd) EventKind() EventKind { return EventCredentialAdd }

// EventKind of CredentialRemove (Body).
func (*CredentialRemove) EventKind() EventKind { return EventCredentialRemove }

// EventKind of Epoch (Body).
func (*Epoch) EventKind() EventKind { return EventEpoch }

// EventKind of Granted (Body).
func (*Granted) EventKind() EventKind { return EventGrant }

// EventKind of Revoke (Body).
func (*Revoke) EventKind() EventKind { return EventRevoke }

// EventKind of Bar (Body).
func (*Bar) EventKind() EventKind { return EventBar }

// EventKind of Erase (Body).
func (*Erase) EventKind() EventKind { return EventErase }

// EventKind of Merge (Body).
func (*Merge) EventKind() EventKind { return EventMerge }

// EventKind of SetChange (Body).
func (*SetChange) EventKind() EventKind { return EventSetChange }

// EventKind of Origins (Body).
func (*Origins) EventKind() EventKind { return EventOrigins }

func bodyOf(k EventKind) Body {
	switch k {
	case EventInception:
		return new(Inception)
	case EventKeyAdd:
		return new(KeyAdd)
	case EventKeyRemove:
		return new(KeyRemove)
	case EventCredentialAdd:
		return new(CredentialAdd)
	case EventCredentialRemove:
		return new(CredentialRemove)
	case EventEpoch:
		return new(Epoch)
	case EventGrant:
		return new(Granted)
	case EventRevoke:
		return new(Revoke)
	case EventBar:
		return new(Bar)
	case EventErase:
		return new(Erase)
	case EventMerge:
		return new(Merge)
	case EventSetChange:
		return new(SetChange)
	case EventOrigins:
		return new(Origins)
	case EventEscrow:
		return new(Escrow)
	case EventRecover:
		return new(Recover)
	case EventVeto:
		return new(Veto)
	case EventMember:
		return new(Member)
	case EventTeam:
		return new(Team)
	case EventDuty:
		return new(Duty)
	case EventOnward:
		return new(Onward)
	case EventStop:
		return new(Stop)
	case EventPolicy:
		return new(Policy)
	case EventRegistrar:
		return new(Registrar)
	case EventFinding:
		return new(Finding)
	case EventWatch:
		return new(Watch)
	case EventLift:
		return new(Lift)
	}
	return nil
}

func parseBody(k EventKind, data []byte) (Body, error) {
	b := bodyOf(k)
	if b == nil || wire.Unmarshal(data, b) != nil {
		return nil, malformed()
	}
	return b, b.validate()
}

func malformed() error { return abaton.Refuse(abaton.ReasonMalformed) }
func tooLarge() error  { return abaton.Refuse(abaton.ReasonTooLarge) }

// valid turns a condition into the refusal of a malformed body.
func valid(ok bool) error {
	if !ok {
		return malformed()
	}
	return nil
}

func (b *KeyAdd) validate() error           { return valid(b.Key.valid()) }
func (b *KeyRemove) validate() error        { return valid(b.ID != (abaton.KeyID{})) }
func (b *CredentialAdd) validate() error    { return valid(b.Credential.valid()) }
func (b *CredentialRemove) validate() error { return valid(b.Name != (key.Credential{})) }
func (b *Revoke) validate() error           { return valid(b.Grant != (abaton.GrantID{})) }
func (b *Bar) validate() error              { return valid(b.Actor != (abaton.ActorID{}) && b.Until >= 0) }
func (b *Merge) validate() error            { return nil }
func (b *SetChange) validate() error {
	if len(b.Last) > LastBytesMax {
		return tooLarge()
	}
	return b.Keeper.validate()
}
func (b *Origins) validate() error { return validateParty(b.RelyingParty) }

func (b *Epoch) validate() error {
	if len(b.Wraps) > WrapsMax {
		return tooLarge()
	}
	for _, w := range b.Wraps {
		if w.Grantee == (abaton.ActorID{}) || len(w.Sealed) < key.BoxOverhead {
			return malformed()
		}
		if len(w.Sealed) > WrapBytesMax {
			return tooLarge()
		}
	}
	ok := b.Line != (abaton.Line{}) && b.Level >= 1 && b.Level <= LevelMax && b.Epoch >= 1 &&
		len(b.Segment) == key.BoxPublicBytes &&
		unique(b.Wraps, func(w SeedWrap) abaton.ActorID { return w.Grantee })
	return valid(ok)
}

func (b *Granted) validate() error {
	if len(b.Wrap) > WrapBytesMax {
		return tooLarge()
	}
	_, err := grant.Parse(b.Grant)
	return err
}

func (b *Erase) validate() error {
	if len(b.Rows) > EraseRowsMax {
		return tooLarge()
	}
	for _, r := range b.Rows {
		if r.Batch == (abaton.BatchName{}) || r.Bits == 0 {
			return malformed()
		}
	}
	return valid(len(b.Rows) > 0 && unique(b.Rows, func(r Row) abaton.BatchName { return r.Batch }))
}

package actor

import (
	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// Inception is the body of the first event of every log
// (PROTOCOL.md#inception). The actor's name is the hash of that event.
type Inception struct {
	Kind         Kind                   `cbor:"1,keyasint"`
	Keys         []Key                  `cbor:"2,keyasint"`
	Credentials  []Credential           `cbor:"3,keyasint"`
	Box          []byte                 `cbor:"4,keyasint"`  // box public key; empty for a keeper set
	Organisation abaton.ActorID         `cbor:"5,keyasint"`  // sponsor; zero for organisations and keeper sets
	Invitation   []byte                 `cbor:"6,keyasint"`  // canonical wire.Signed; empty where none is due
	Set          abaton.ActorID         `cbor:"7,keyasint"`  // keeper set; zero for a keeper set
	Lines        []Epoch                `cbor:"8,keyasint"`  // each at epoch 1
	Grants       []Granted              `cbor:"9,keyasint"`  // their patient is zero: this log
	Document     []byte                 `cbor:"10,keyasint"` // canonical Document of a keeper set; else empty
	Nonce        [grant.NonceBytes]byte `cbor:"11,keyasint"`
	Approvals    uint8                  `cbor:"12,keyasint"` // organisations: how many managers must prove what gives; else zero
}

func (b *Inception) validate() error {
	if len(b.Keys) > KeysMax || len(b.Credentials) > KeysMax ||
		len(b.Lines) > abaton.LinesMax || len(b.Grants) > InceptionGrantsMax {
		return tooLarge()
	}
	if !b.Kind.Valid() || b.Nonce == ([grant.NonceBytes]byte{}) {
		return malformed()
	}
	if b.Kind == KeeperSet {
		return b.validateSet()
	}
	if err := b.validateKeys(); err != nil {
		return err
	}
	return b.validateRecord()
}

// validateSet: a keeper set is its document and nothing else.
func (b *Inception) validateSet() error {
	empty := len(b.Keys) == 0 && len(b.Credentials) == 0 && len(b.Box) == 0 && len(b.Invitation) == 0 &&
		len(b.Lines) == 0 && len(b.Grants) == 0 && b.Approvals == 0 && b.Organisation == (abaton.ActorID{}) && b.Set == (abaton.ActorID{})
	if !empty {
		return malformed()
	}
	_, err := parseDocument(b.Document)
	return err
}

func (b *Inception) validateKeys() error {
	for _, k := range b.Keys {
		if !k.valid() {
			return malformed()
		}
	}
	for _, c := range b.Credentials {
		if !c.valid() {
			return malformed()
		}
	}
	ok := unique(b.Keys, func(k Key) abaton.KeyID { return k.ID }) &&
		unique(b.Credentials, func(c Credential) key.Credential { return c.Public.Credential() }) &&
		len(b.Box) == key.BoxPublicBytes && len(b.Document) == 0 && b.approvalsFit() && b.Set != (abaton.ActorID{})
	return valid(ok)
}

// validateRecord: sponsors, invitations, lines and grants where the kind of
// actor has them.
func (b *Inception) validateRecord() error {
	sponsored := b.Kind != Organisation
	if sponsored != (b.Organisation != (abaton.ActorID{})) || sponsored != (len(b.Invitation) > 0) {
		if sponsored {
			return abaton.Refuse(abaton.ReasonInvitation)
		}
		return malformed()
	}
	if !keepsRecord(b.Kind) && len(b.Lines)+len(b.Grants) > 0 {
		return malformed()
	}
	lines := make(map[abaton.Line]struct{}, len(b.Lines))
	for i := range b.Lines {
		if err := b.Lines[i].validate(); err != nil {
			return err
		}
		lines[b.Lines[i].Line] = struct{}{}
		if b.Lines[i].Epoch != 1 {
			return malformed()
		}
	}
	if len(lines) != len(b.Lines) {
		return malformed()
	}
	return b.validateGrants(lines)
}

func (b *Inception) validateGrants(lines map[abaton.Line]struct{}) error {
	for i := range b.Grants {
		if err := b.Grants[i].validate(); err != nil {
			return err
		}
		g, err := grant.Parse(b.Grants[i].Grant)
		if err != nil {
			return err
		}
		if g.Patient != (abaton.ActorID{}) {
			return malformed()
		}
		for _, l := range g.Lines {
			if _, ok := lines[l]; !ok {
				return malformed()
			}
		}
	}
	return valid(unique(b.Grants, func(g Granted) abaton.GrantID { return grant.IDOf(g.Grant) }))
}

// keepsRecord reports whether actors of this kind have lines of their own: a
// patient its record, an organisation its directory.
func keepsRecord(k Kind) bool { return k == Patient || k == Organisation }

// Invitation lets one new actor of one kind in (PROTOCOL.md#invitation). It
// is signed by as many managers of an admitted organisation as that demands;
// for a patient one manage or write key will do.
type Invitation struct {
	V            uint64                 `cbor:"1,keyasint"`
	Organisation abaton.ActorID         `cbor:"2,keyasint"`
	Kind         Kind                   `cbor:"3,keyasint"`
	Nonce        [grant.NonceBytes]byte `cbor:"4,keyasint"` // one use
	Expires      int64                  `cbor:"5,keyasint"` // unix seconds, exclusive
	Signers      []abaton.KeyID         `cbor:"6,keyasint"` // different, 1 to ApprovalsMax
	Credential   key.Credential         `cbor:"7,keyasint"` // the one passkey let in; zero: whichever
}

// fits reports whether the invitation is for this inception: its kind, its
// sponsor, and its only passkey where it names one.
func (v *Invitation) fits(in *Inception) bool {
	if v.Kind != in.Kind || v.Organisation != in.Organisation {
		return false
	}
	return v.Credential == (key.Credential{}) || len(in.Credentials) == 1 && in.Credentials[0].Public.Credential() == v.Credential
}

// signedInvitation is an invitation's bytes and one signature for each signer
// it names, in their order.
type signedInvitation struct {
	_    struct{} `cbor:",toarray"`
	Body []byte
	Sigs [][]byte
}

// Sign makes the bytes an inception carries; Signers are set from the keys.
func (v Invitation) Sign(keys ...*key.Signing) []byte { return v.sign(wire.Invitation, keys) }

// Ticket makes what an organisation hands to a new clinician: it lets nobody
// in, but the organisation's gateway gives an invitation for it, for a passkey
// that its policy takes (docs/protocol/gateway.md#gateway-clinicians).
func (v Invitation) Ticket(keys ...*key.Signing) []byte { return v.sign(wire.Enrolment, keys) }

func (v Invitation) sign(label wire.Label, keys []*key.Signing) []byte {
	v.V, v.Signers = wire.Version, nil
	for _, k := range keys {
		v.Signers = append(v.Signers, k.ID())
	}
	s := signedInvitation{Body: wire.Marshal(v)}
	for _, k := range keys {
		s.Sigs = append(s.Sigs, k.Sign(label, s.Body))
	}
	return wire.Marshal(s)
}

// ParseTicket is ParseInvitation for a ticket.
func ParseTicket(data []byte) (*Invitation, error) { return readInvited(data, wire.Enrolment, false) }

// ParseInvitation reads an invitation and verifies its signatures under the
// keys it names; ReasonInvitation if it is none. Whether those keys may invite
// is the organisation's log's word.
func ParseInvitation(data []byte) (*Invitation, error) { return readInvitation(data, false) }

// readInvitation verifies the signatures unless the inception was authenticated
// before.
func readInvitation(data []byte, trusted bool) (*Invitation, error) {
	return readInvited(data, wire.Invitation, trusted)
}

func readInvited(data []byte, label wire.Label, trusted bool) (*Invitation, error) {
	var s signedInvitation
	var v Invitation
	if wire.Unmarshal(data, &s) != nil || wire.Unmarshal(s.Body, &v) != nil || v.V != wire.Version {
		return nil, abaton.Refuse(abaton.ReasonInvitation)
	}
	if !v.Kind.Valid() || v.Kind == Organisation || v.Kind == KeeperSet || v.Organisation == (abaton.ActorID{}) {
		return nil, abaton.Refuse(abaton.ReasonInvitation)
	}
	if !v.signed(&s, label, trusted) {
		return nil, abaton.Refuse(abaton.ReasonInvitation)
	}
	return &v, nil
}

// signed reports whether every signer it names is another and signed.
func (v *Invitation) signed(s *signedInvitation, label wire.Label, trusted bool) bool {
	if len(v.Signers) < 1 || len(v.Signers) > ApprovalsMax || len(s.Sigs) != len(v.Signers) ||
		!unique(v.Signers, func(k abaton.KeyID) abaton.KeyID { return k }) {
		return false
	}
	for i, id := range v.Signers {
		if !trusted && !key.Verify(id, label, s.Body, s.Sigs[i]) {
			return false
		}
	}
	return true
}

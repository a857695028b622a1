package actor

import (
	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// Authentic is an event whose form and proofs hold. Whether its provers may
// say so is State.Admit's question. It does not change.
type Authentic struct {
	signed     SignedEvent
	event      Event
	body       Body
	hash       Hash
	actor      abaton.ActorID
	by         provers
	invitation *Invitation
	document   *Document
}

// Authenticate is the one place where an event meets cryptography: strict
// decoding, every proof verified (rp for passkeys), bodies understood whole, an
// added key's holder among the provers.
// It keeps no state. ReasonMalformed, ReasonTooLarge, ReasonSignature or
// ReasonInvitation (PROTOCOL.md#authenticate).
func Authenticate(se SignedEvent, rp key.RelyingParty) (*Authentic, error) {
	a, err := read(se, rp, false)
	if err != nil {
		return nil, err
	}
	if err := a.checkPublicKeys(); err != nil {
		return nil, err
	}
	return a, nil
}

// Reopen reads an event that this keeper authenticated before it stored it:
// the same strict reading, no cryptography. Never give it bytes from a peer.
func Reopen(se SignedEvent) (*Authentic, error) { return read(se, key.RelyingParty{}, true) }

func read(se SignedEvent, rp key.RelyingParty, trusted bool) (*Authentic, error) {
	if len(se.Event) > abaton.EventBytesMax {
		return nil, tooLarge()
	}
	a := &Authentic{signed: se, hash: HashOf(se.Event)}
	if wire.Unmarshal(se.Event, &a.event) != nil {
		return nil, malformed()
	}
	e := &a.event
	if e.V != wire.Version || !e.Kind.Valid() || e.Time < 0 || !e.chained() {
		return nil, malformed()
	}
	if err := a.by.read(se.Proofs, a.hash, rp, trusted); err != nil {
		return nil, err
	}
	var err error
	if a.body, err = parseBody(e.Kind, e.Body); err != nil {
		return nil, err
	}
	a.actor = e.Actor
	switch b := a.body.(type) {
	case *Inception:
		a.actor = IDOf(se.Event)
		if err := a.readInception(b, trusted); err != nil {
			return nil, err
		}
	case *KeyAdd:
		if !a.ProvedBy(b.Key.ID) { // its holder agrees: a key's name is public
			return nil, abaton.Refuse(abaton.ReasonSignature)
		}
	case *Team:
		if b.Team != TeamID(a.actor, b.Nonce) { // one organisation cannot name another's team
			return nil, malformed()
		}
	}
	return a, nil
}

// readInception checks what an inception can show alone: it is signed by one
// that it names itself, and, unless trusted, its invitation is signed.
func (a *Authentic) readInception(in *Inception, trusted bool) (err error) {
	if in.Kind == KeeperSet {
		if a.document, err = parseDocument(in.Document); err != nil {
			return err
		}
		return a.document.checkProvers(a.by.keys, a.document.N)
	}
	if !entitled(in.Kind, EventInception, a.by, inceptionRights(in)) {
		return abaton.Refuse(abaton.ReasonCredential)
	}
	if in.Kind == Organisation {
		if managers(a.by, inceptionRights(in)) < int(in.Approvals) {
			return abaton.Refuse(abaton.ReasonApprovals)
		}
		return nil
	}
	if a.invitation, err = readInvitation(in.Invitation, trusted); err != nil {
		return err
	}
	if !a.invitation.fits(in) {
		return abaton.Refuse(abaton.ReasonInvitation)
	}
	return nil
}

// checkPublicKeys refuses box keys that nobody could seal to, so that no
// reader meets one later, and passkeys under which nobody, or anybody, could
// sign.
func (a *Authentic) checkPublicKeys() error {
	var boxes [][]byte
	var passkeys []Credential
	switch b := a.body.(type) {
	case *CredentialAdd:
		passkeys = []Credential{b.Credential}
	case *Epoch:
		boxes = [][]byte{b.Segment}
	case *Team:
		boxes = [][]byte{b.Public}
	case *SetChange:
		boxes = [][]byte{b.Keeper.Box}
	case *Recover:
		boxes = [][]byte{b.Box}
	case *Inception:
		passkeys = b.Credentials
		if len(b.Box) > 0 {
			boxes = append(boxes, b.Box)
		}
		for i := range b.Lines {
			boxes = append(boxes, b.Lines[i].Segment)
		}
		if a.document != nil {
			for i := range a.document.Keepers {
				boxes = append(boxes, a.document.Keepers[i].Box)
			}
		}
	}
	for _, c := range passkeys {
		if !c.Public.Valid() {
			return malformed()
		}
	}
	for _, box := range boxes {
		if _, err := key.ParseBoxPublic(box); err != nil {
			return malformed()
		}
	}
	return nil
}

// Event is the parsed event. Its slices are not to be changed.
func (a *Authentic) Event() Event { return a.event }

// Body is the parsed body, a pointer to one of this package's bodies. It is
// not to be changed.
func (a *Authentic) Body() Body { return a.body }

// Hash is what proofs, certificates and the next event name.
func (a *Authentic) Hash() Hash { return a.hash }

// Actor is whose log this stands in; for an inception the new actor's name.
func (a *Authentic) Actor() abaton.ActorID { return a.actor }

// Kind is what the event does.
func (a *Authentic) Kind() EventKind { return a.event.Kind }

// Signed is the event as it came, for the store and for feeds.
func (a *Authentic) Signed() SignedEvent { return a.signed }

// Invitation is the invitation of an inception, nil where none is due.
func (a *Authentic) Invitation() *Invitation { return a.invitation }

// Inception is the body of an inception, or nil.
func (a *Authentic) Inception() *Inception {
	in, _ := a.body.(*Inception)
	return in
}

// ProvedBy reports whether the event carries a valid proof by this key.
func (a *Authentic) ProvedBy(id abaton.KeyID) bool {
	for _, k := range a.by.keys {
		if k == id {
			return true
		}
	}
	return false
}

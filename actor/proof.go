package actor

import (
	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// Proof is one signature over an event: a tag and the canonical body that the
// tag names (PROTOCOL.md#proof).
type Proof struct {
	_    struct{} `cbor:",toarray"`
	Tag  uint8
	Body []byte
}

// The tags of version 1.
const (
	proofKey     = 1
	proofPasskey = 2
)

type keyProof struct {
	Key abaton.KeyID `cbor:"1,keyasint"`
	Sig []byte       `cbor:"2,keyasint"`
}

// ByKey proves an event with a signing key: Ed25519 over the event's hash
// under label wire.Event.
func ByKey(k *key.Signing, event []byte) Proof {
	h := HashOf(event)
	return Proof{Tag: proofKey, Body: wire.Marshal(keyProof{Key: k.ID(), Sig: k.Sign(wire.Event, h[:])})}
}

// ByPasskey proves an event with an assertion whose challenge is the event's
// hash.
func ByPasskey(a *key.Assertion) Proof { return Proof{Tag: proofPasskey, Body: wire.Marshal(a)} }

// Signed puts proofs beside an event's bytes.
func Signed(event []byte, proofs ...Proof) SignedEvent {
	return SignedEvent{Event: event, Proofs: proofs}
}

// provers are the keys and credentials whose proofs an event carries.
type provers struct {
	keys        []abaton.KeyID
	credentials []claim
}

// claim is a passkey that proved something and the class it claimed doing so.
type claim struct {
	name  key.Credential
	class Class
}

// read parses the proofs and, unless trusted, verifies each one.
func (p *provers) read(proofs []Proof, h Hash, rp key.RelyingParty, trusted bool) error {
	if len(proofs) == 0 {
		return abaton.Refuse(abaton.ReasonSignature)
	}
	if len(proofs) > abaton.KeepersMax {
		return tooLarge()
	}
	for _, proof := range proofs {
		if len(proof.Body) > ProofBytesMax {
			return tooLarge()
		}
		if err := p.readOne(proof, h, rp, trusted); err != nil {
			return err
		}
	}
	ok := unique(p.keys, func(k abaton.KeyID) abaton.KeyID { return k }) &&
		unique(p.credentials, func(c claim) key.Credential { return c.name })
	return valid(ok)
}

func (p *provers) readOne(proof Proof, h Hash, rp key.RelyingParty, trusted bool) error {
	switch proof.Tag {
	case proofKey:
		var k keyProof
		if wire.Unmarshal(proof.Body, &k) != nil {
			return malformed()
		}
		if !trusted && !key.Verify(k.Key, wire.Event, h[:], k.Sig) {
			return abaton.Refuse(abaton.ReasonSignature)
		}
		p.keys = append(p.keys, k.Key)
	case proofPasskey:
		var a key.Assertion
		if wire.Unmarshal(proof.Body, &a) != nil {
			return malformed()
		}
		if !trusted && a.Verify(h, rp) != nil {
			return abaton.Refuse(abaton.ReasonSignature)
		}
		p.credentials = append(p.credentials, claim{name: a.Credential(), class: ClassOf(&a)})
	default:
		return malformed()
	}
	return nil
}

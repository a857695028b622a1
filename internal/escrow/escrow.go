// Package escrow makes and opens what keeps a secret under two locks besides
// its owner's devices: the paper kit, the helpers, the emergency set, a care
// team's custody. Half A lies with people or on paper, half B is shared over
// the keepers; neither opens anything without the other.
//
//	code := escrow.NewCode()
//	body, err := escrow.Make(set, patient, escrow.Kit(patient, code, wait), code.Half(patient), payload)
//	...
//	payload, err := escrow.Open(patient, body, halfA, halfB)
//
// It does not keep the payload secret from whoever holds half A and what three
// keepers store: that the keepers release half B only after a wait, to the
// right session and into their ledgers is custody's part. The event stands in
// the key log for ever, also after it was ended.
package escrow

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// ErrSealed says that an escrow does not open with these halves.
var ErrSealed = errors.New("escrow does not open")

// Payload is what an escrow keeps. Root and Box are zero where only Seeds are
// kept.
type Payload struct {
	Root  key.Secret   // what the patient's key.Root is made from
	Box   key.Secret   // seed of the actor's box key: what was sealed to it still opens
	Seeds []grant.Seed // of the escrow's lines, or of epochs that Root does not give
}

type payloadForm struct {
	V     uint64 `cbor:"1,keyasint"`
	Root  []byte `cbor:"2,keyasint"` // 32 bytes, or empty
	Box   []byte `cbor:"3,keyasint"` // 32 bytes, or empty
	Seeds []byte `cbor:"4,keyasint"` // PROTOCOL.md#seeds, or empty
}

func (p Payload) marshal() []byte {
	f := payloadForm{V: wire.Version, Root: bytesOf(p.Root), Box: bytesOf(p.Box)}
	if len(p.Seeds) > 0 {
		f.Seeds = grant.MarshalSeeds(p.Seeds)
	}
	return wire.Marshal(f)
}

func bytesOf(s key.Secret) []byte {
	if s.IsZero() {
		return nil
	}
	return s[:]
}

func parsePayload(data []byte) (p Payload, err error) {
	var f payloadForm
	if wire.Unmarshal(data, &f) != nil || f.V != wire.Version || !secretTo(&p.Root, f.Root) || !secretTo(&p.Box, f.Box) {
		return Payload{}, abaton.Refuse(abaton.ReasonMalformed)
	}
	if len(f.Seeds) > 0 {
		if p.Seeds, err = grant.ParseSeeds(f.Seeds); err != nil {
			return Payload{}, err
		}
	}
	return p, nil
}

func secretTo(s *key.Secret, b []byte) bool {
	if len(b) == 0 {
		return true
	}
	return copy(s[:], b) == len(s) && len(b) == len(s) && !s.IsZero()
}

// Holder is who gets half A or a part of it.
type Holder struct {
	ID  abaton.ActorID
	Box key.BoxPublic
}

// Terms are for whom and how an escrow opens. Kit, Trustees and Authorities
// make them.
type Terms struct {
	Kind    actor.EscrowKind
	Lines   []abaton.Line // of an emergency set
	Holders []Holder
	Provers []actor.Prover
	Need    int
	Wait    time.Duration // whole seconds
}

// Trustees are the terms of an escrow that need of these helpers open together.
func Trustees(trustees []Holder, need int, wait time.Duration) Terms {
	t := Terms{Kind: actor.EscrowTrustees, Holders: trustees, Need: need, Wait: wait}
	for _, h := range trustees {
		t.Provers = append(t.Provers, actor.Prover{Actor: h.ID})
	}
	return t
}

// Emergency are the terms of an emergency set, of which any one authority
// opens half A. Clinicians is how many must agree: 1 for what every emergency
// opens, 2 for anything wider.
func Emergency(authorities []Holder, clinicians int, lines ...abaton.Line) Terms {
	lines = slices.Clone(lines)
	slices.SortFunc(lines, func(a, b abaton.Line) int { return slices.Compare(a[:], b[:]) })
	return Terms{Kind: actor.EscrowEmergency, Holders: authorities, Lines: lines, Need: clinicians}
}

// Custody are the terms of a root that care teams keep for a patient: any one
// of them opens half A.
func Custody(teams ...Holder) Terms { return Terms{Kind: actor.EscrowCustody, Holders: teams} }

// Duty are the terms of a part of a duty copy's root: Custody, for a complaint or
// liability alone, and about is told of every opening.
func Duty(about abaton.ActorID, teams ...Holder) Terms {
	t := Custody(teams...)
	t.Provers = []actor.Prover{{Actor: about}}
	return t
}

// Make seals a payload under half A and a fresh half B that is shared over the
// set. Log is whose event it will be. Half A is NewHalf's but for a kit.
func Make(set *actor.Set, log abaton.ActorID, t Terms, a key.Secret, p Payload) (*actor.Escrow, error) {
	if a.IsZero() {
		return nil, fmt.Errorf("make escrow: %w", key.ErrKey)
	}
	e := &actor.Escrow{Kind: t.Kind, Lines: t.Lines, Provers: t.Provers, Need: uint8(t.Need), Delay: uint32(t.Wait / time.Second)}
	rand.Read(e.Nonce[:])
	for _, h := range t.Holders { // the context names the holders
		e.Wraps = append(e.Wraps, actor.HalfWrap{Holder: h.ID})
	}
	context, b := e.Context(log), key.NewSecret()
	if err := wrap(e, context, t, a); err != nil {
		return nil, err
	}
	_, _, threshold, _ := set.Shape()
	xs := make([]abaton.KeeperIndex, len(set.Keepers))
	for i := range set.Keepers {
		xs[i] = set.Keepers[i].X
	}
	for _, s := range spread.Split(b, int(threshold), xs) {
		box, err := set.BoxOf(s.X)
		if err != nil {
			return nil, fmt.Errorf("make escrow: %w", err)
		}
		share, err := actor.SealShare(context, s.X, box, s.Y)
		if err != nil {
			return nil, err
		}
		e.Shares = append(e.Shares, share)
	}
	gcm := payloadCipher(context, a, b)
	e.Sealed = gcm.Seal(nil, make([]byte, gcm.NonceSize()), p.marshal(), context[:])
	return e, nil
}

// wrap seals half A to every authority, or a part of it to each helper.
func wrap(e *actor.Escrow, context [32]byte, t Terms, a key.Secret) (err error) {
	parts := make([]spread.Share, len(t.Holders))
	for i := range parts {
		parts[i].Y = a
	}
	if t.Kind == actor.EscrowTrustees {
		if t.Need < 2 || t.Need > len(t.Holders) {
			return fmt.Errorf("make escrow: %w", spread.ErrShares)
		}
		xs := make([]abaton.KeeperIndex, len(t.Holders))
		for i := range xs {
			xs[i] = abaton.KeeperIndex(i + 1)
		}
		parts = spread.Split(a, t.Need, xs)
	}
	for i, h := range t.Holders {
		if e.Wraps[i], err = actor.WrapHalf(context, h.ID, parts[i].X, h.Box, parts[i].Y); err != nil {
			return err
		}
	}
	return nil
}

// Open is the other end of Make; ErrSealed when the halves are not this
// escrow's.
func Open(log abaton.ActorID, e *actor.Escrow, a, b key.Secret) (Payload, error) {
	context := e.Context(log)
	gcm := payloadCipher(context, a, b)
	plain, err := gcm.Open(nil, make([]byte, gcm.NonceSize()), e.Sealed, context[:])
	if err != nil {
		return Payload{}, ErrSealed
	}
	return parsePayload(plain)
}

// payloadCipher: HKDF-Extract(salt = context, ikm = A || B), then HKDF-Expand
// under the label. Both halves are 32 uniform bytes, so the key is secret while
// either is (PROTOCOL.md#escrow). One message a key: the nonce is zero.
func payloadCipher(context [32]byte, a, b key.Secret) cipher.AEAD {
	prk := key.Extract(context[:], append(a[:], b[:]...))
	k := key.Expand(prk[:], wire.EscrowKey)
	block, err := aes.NewCipher(k[:])
	if err != nil {
		panic("escrow: 32 bytes are a valid AES-256 key")
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic("escrow: AES has the block size of GCM")
	}
	return gcm
}

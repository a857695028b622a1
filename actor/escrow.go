package actor

import (
	"bytes"
	"crypto/subtle"
	"fmt"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// EscrowKind is for whom a secret is kept. Zero is no kind.
type EscrowKind uint8

// The kinds of escrows of version 1 (PROTOCOL.md#escrow).
const (
	EscrowEmergency EscrowKind = iota + 1 // some lines, for an emergency
	EscrowCustody                         // the root of a record whose care team keeps it
	EscrowKit                             // the root, for whoever holds the paper kit
	EscrowTrustees                        // the root, for some of several helpers together
)

// Recovers reports whether an escrow of this kind brings its owner back in:
// it takes a Recover event, a wait, and the owner's own session.
func (k EscrowKind) Recovers() bool { return k == EscrowKit || k == EscrowTrustees }

// Bounds of escrows.
const (
	// EscrowsMax is how many escrows one log may give at a time.
	EscrowsMax = 16
	// HoldersMax is how many authorities or helpers one escrow may have.
	HoldersMax = 16
	// EscrowDelayMax bounds the wait of a recovery.
	EscrowDelayMax = 366 * 24 * time.Hour
	// sealedOverhead is what AES-256-GCM adds.
	sealedOverhead = 16
	// halfBytes is the length of half A, of half B and of each share of either.
	halfBytes = len(key.Secret{})
)

// Escrow keeps secrets under two locks besides their owner's own devices
// (PROTOCOL.md#escrow): half A with people or on paper, half B shared over the
// keepers. Neither the event nor either half opens anything. Its name is the
// event's hash; a Revoke that names it ends it.
type Escrow struct {
	Kind    EscrowKind             `cbor:"1,keyasint"`
	Lines   []abaton.Line          `cbor:"2,keyasint"` // whose seeds, ascending; none: the root, and with it all
	Wraps   []HalfWrap             `cbor:"3,keyasint"` // half A; none where it is on paper
	Shares  []KeeperShare          `cbor:"4,keyasint"` // half B, one for each keeper, by X
	Sealed  []byte                 `cbor:"5,keyasint"` // AES-256-GCM of the payload under A and B
	Provers []Prover               `cbor:"6,keyasint"` // who may prove a Recover
	Need    uint8                  `cbor:"7,keyasint"` // how many of them; of helpers, how many parts give A; of an emergency set, how many clinicians
	Delay   uint32                 `cbor:"8,keyasint"` // seconds a Recover waits at each keeper
	Nonce   [grant.NonceBytes]byte `cbor:"9,keyasint"`
}

// HalfWrap is half A, or a helper's part of it, sealed to its holder.
type HalfWrap struct {
	Holder abaton.ActorID     `cbor:"1,keyasint"`
	X      abaton.KeeperIndex `cbor:"2,keyasint"` // zero: all of A; else the part's coordinate
	Sealed []byte             `cbor:"3,keyasint"`
	Hash   [32]byte           `cbor:"4,keyasint"` // names a holder that gives another part
}

// KeeperShare is one keeper's share of half B, sealed to its box key.
type KeeperShare struct {
	X      abaton.KeeperIndex `cbor:"1,keyasint"`
	Sealed []byte             `cbor:"2,keyasint"`
	Hash   [32]byte           `cbor:"3,keyasint"` // names a keeper that gives another share
}

// Prover is one key, or any live passkey or manage key of one actor; the other
// field is zero.
type Prover struct {
	Key   abaton.KeyID   `cbor:"1,keyasint"`
	Actor abaton.ActorID `cbor:"2,keyasint"`
}

// EventKind of Escrow (Body).
func (*Escrow) EventKind() EventKind { return EventEscrow }

func (b *Escrow) validate() error {
	if len(b.Lines) > abaton.LinesMax || len(b.Wraps) > HoldersMax || len(b.Provers) > HoldersMax ||
		len(b.Shares) > abaton.KeepersMax || len(b.Sealed) > WrapBytesMax {
		return tooLarge()
	}
	ok := len(b.Sealed) > sealedOverhead && b.Nonce != ([grant.NonceBytes]byte{}) &&
		time.Duration(b.Delay)*time.Second <= EscrowDelayMax &&
		ascendingLines(b.Lines) && b.wrapsHold() && b.sharesHold() && b.proversHold()
	return valid(ok && b.kindHolds())
}

func ascendingLines(lines []abaton.Line) bool {
	for i, l := range lines {
		if l == (abaton.Line{}) || i > 0 && bytes.Compare(lines[i-1][:], l[:]) >= 0 {
			return false
		}
	}
	return true
}

func (b *Escrow) wrapsHold() bool {
	for _, w := range b.Wraps {
		if w.Holder == (abaton.ActorID{}) || len(w.Sealed) != key.BoxOverhead+halfBytes || w.Hash == ([32]byte{}) {
			return false
		}
	}
	return unique(b.Wraps, func(w HalfWrap) abaton.ActorID { return w.Holder })
}

func (b *Escrow) sharesHold() bool {
	for i, s := range b.Shares {
		if int(s.X) != i+1 || len(s.Sealed) != key.BoxOverhead+halfBytes || s.Hash == ([32]byte{}) {
			return false
		}
	}
	return len(b.Shares) >= 2
}

func (b *Escrow) proversHold() bool {
	for _, p := range b.Provers {
		if (p.Key == abaton.KeyID{}) == (p.Actor == abaton.ActorID{}) {
			return false
		}
	}
	return unique(b.Provers, func(p Prover) Prover { return p })
}

// kindHolds: each kind has its own parties and no other's.
func (b *Escrow) kindHolds() bool {
	switch b.Kind {
	case EscrowEmergency: // two authorities, so that the loss of one loses nothing
		return len(b.Lines) > 0 && len(b.Wraps) >= 2 && b.whole() && b.waitsForNobody() && (b.Need == 1 || b.Need == 2)
	case EscrowCustody:
		return len(b.Wraps) >= 1 && b.whole() && b.Delay == 0 && b.Need == 0 &&
			(len(b.Provers) == 0 || len(b.Provers) == 1 && b.Provers[0].Key == abaton.KeyID{})
	case EscrowKit:
		return len(b.Lines) == 0 && len(b.Wraps) == 0 && len(b.Provers) == 1 && b.Provers[0].Actor == (abaton.ActorID{}) &&
			b.Need == 1 && b.Delay > 0
	case EscrowTrustees:
		return len(b.Lines) == 0 && b.inParts() && b.Need >= 2 && int(b.Need) <= len(b.Wraps) && b.Delay > 0
	}
	return false
}

// whole: any one holder opens all of half A.
func (b *Escrow) whole() bool {
	return !slices.ContainsFunc(b.Wraps, func(w HalfWrap) bool { return w.X != 0 })
}

// Told is whom a duty copy is about: a custody that names an actor opens for
// abaton.Legal alone, and that actor is told of every opening. Zero for any
// other escrow (PROTOCOL.md#custody).
func (b *Escrow) Told() (who abaton.ActorID) {
	if b.Kind == EscrowCustody && len(b.Provers) == 1 {
		who = b.Provers[0].Actor
	}
	return who
}

// Tells reports whether this log is a duty copy about somebody, by any custody
// in force, also one that was ended: what was opened under it stays told. A log
// with a passkey is somebody's own, who alone asks: what a custody said before
// it was claimed tells nobody.
func (s *State) Tells(who abaton.ActorID) bool {
	if w := s.Ways(); who == (abaton.ActorID{}) || w.Bound || w.Synced {
		return false
	}
	for _, e := range s.escrows {
		if body, ok := e.first(); ok && body.Told() == who {
			return true
		}
	}
	return false
}

// waitsForNobody: nothing of such an escrow is proven or waited for; who may
// ask is each keeper's own judgement of the request.
func (b *Escrow) waitsForNobody() bool { return len(b.Provers) == 0 && b.Delay == 0 }

// inParts: each helper has a part of its own and may prove.
func (b *Escrow) inParts() bool {
	if len(b.Provers) != len(b.Wraps) {
		return false
	}
	for i, w := range b.Wraps {
		if int(w.X) != i+1 || b.Provers[i].Actor != w.Holder {
			return false
		}
	}
	return true
}

// escrowTerms is what an escrow says besides its sealed parts.
type escrowTerms struct {
	Log     abaton.ActorID         `cbor:"1,keyasint"`
	Kind    EscrowKind             `cbor:"2,keyasint"`
	Lines   []abaton.Line          `cbor:"3,keyasint"`
	Holders []abaton.ActorID       `cbor:"4,keyasint"`
	Provers []Prover               `cbor:"5,keyasint"`
	Need    uint8                  `cbor:"6,keyasint"`
	Delay   uint32                 `cbor:"7,keyasint"`
	Nonce   [grant.NonceBytes]byte `cbor:"8,keyasint"`
}

// Context binds every sealed part of an escrow to the log it stands in and to
// all its terms: copied into another log, or under other provers or a shorter
// delay, no share opens (PROTOCOL.md#escrow).
func (b *Escrow) Context(log abaton.ActorID) [32]byte {
	t := escrowTerms{Log: log, Kind: b.Kind, Lines: b.Lines, Provers: b.Provers, Need: b.Need, Delay: b.Delay, Nonce: b.Nonce}
	for _, w := range b.Wraps {
		t.Holders = append(t.Holders, w.Holder)
	}
	return wire.Hash(wire.Escrow, wire.Marshal(t))
}

// WrapHalf seals half A (x = 0) or the part at x to its holder. Context is the
// escrow's.
func WrapHalf(context [32]byte, holder abaton.ActorID, x abaton.KeeperIndex, box key.BoxPublic, half [32]byte) (HalfWrap, error) {
	sealed, err := box.SealTo(wire.EscrowHalf, halfContext(context, x), half[:])
	if err != nil {
		return HalfWrap{}, fmt.Errorf("wrap half: %w", err)
	}
	return HalfWrap{Holder: holder, X: x, Sealed: sealed, Hash: halfHash(context, x, half)}, nil
}

// OpenWrap is the other end of WrapHalf; key.ErrBox if the wrap is not for this
// box or holds another part than its hash says.
func (b *Escrow) OpenWrap(log abaton.ActorID, w HalfWrap, box *key.Box) ([32]byte, error) {
	context := b.Context(log)
	half, err := openHalf(box, wire.EscrowHalf, halfContext(context, w.X), w.Sealed)
	if err != nil || !same(halfHash(context, w.X, half), w.Hash) {
		return [32]byte{}, fmt.Errorf("open wrap: %w", key.ErrBox)
	}
	return half, nil
}

// CheckPart reports whether a holder's part is the one that was sealed to it.
func (b *Escrow) CheckPart(log abaton.ActorID, w HalfWrap, part [32]byte) bool {
	return same(halfHash(b.Context(log), w.X, part), w.Hash)
}

// SealShare seals a share of half B to the keeper at x. Context is the escrow's.
func SealShare(context [32]byte, x abaton.KeeperIndex, box key.BoxPublic, share [32]byte) (KeeperShare, error) {
	sealed, err := box.SealTo(wire.EscrowShare, halfContext(context, x), share[:])
	if err != nil {
		return KeeperShare{}, fmt.Errorf("seal share: %w", err)
	}
	return KeeperShare{X: x, Sealed: sealed, Hash: shareHash(context, x, share)}, nil
}

// OpenShare is the other end of SealShare, at the keeper; ReasonShare.
func (b *Escrow) OpenShare(log abaton.ActorID, x abaton.KeeperIndex, box *key.Box) ([32]byte, error) {
	if x < 1 || int(x) > len(b.Shares) || box == nil {
		return [32]byte{}, abaton.Refuse(abaton.ReasonShare)
	}
	context, s := b.Context(log), b.Shares[x-1]
	share, err := openHalf(box, wire.EscrowShare, halfContext(context, x), s.Sealed)
	if err != nil || !same(shareHash(context, x, share), s.Hash) {
		return [32]byte{}, abaton.Refuse(abaton.ReasonShare)
	}
	return share, nil
}

// CheckShare reports whether a share is the one that was sealed to the keeper
// at x.
func (b *Escrow) CheckShare(log abaton.ActorID, x abaton.KeeperIndex, share [32]byte) bool {
	return x >= 1 && int(x) <= len(b.Shares) && same(shareHash(b.Context(log), x, share), b.Shares[x-1].Hash)
}

func openHalf(box *key.Box, label wire.Label, context, sealed []byte) (half [32]byte, err error) {
	plain, err := box.OpenFrom(label, context, sealed)
	if err != nil || len(plain) != len(half) {
		return half, key.ErrBox
	}
	return [32]byte(plain), nil
}

func halfContext(context [32]byte, x abaton.KeeperIndex) []byte { return append(context[:], byte(x)) }

// The hashes hide what they commit to: halves and shares are 32 uniform bytes.
func halfHash(context [32]byte, x abaton.KeeperIndex, half [32]byte) [32]byte {
	return wire.Hash(wire.EscrowPart, context[:], []byte{byte(x)}, half[:])
}

func shareHash(context [32]byte, x abaton.KeeperIndex, share [32]byte) [32]byte {
	return wire.Hash(wire.EscrowLeaf, context[:], []byte{byte(x)}, share[:])
}

func same(a, b [32]byte) bool { return subtle.ConstantTimeCompare(a[:], b[:]) == 1 }

// Escrow is an escrow of this log by its name, and whether it was ended. Nil
// when the log does not (yet) give it. It is not to be changed.
func (s *State) Escrow(id abaton.GrantID) (e *Escrow, ended bool) {
	have := s.escrows[id]
	if have == nil {
		return nil, false
	}
	e, _ = have.first()
	return e, len(have.removed) > 0
}

// Escrows lists the escrows that are given and not ended, by name.
func (s *State) Escrows() map[abaton.GrantID]*Escrow {
	live := make(map[abaton.GrantID]*Escrow)
	for id, have := range s.escrows {
		if e, ok := have.now(); ok {
			live[id] = e
		}
	}
	return live
}

// admitEscrow: a wait shorter than the set's rule is no wait.
func (s *State) admitEscrow(b *Escrow, parents []*knot, door Door) error {
	if b.Kind.Recovers() && time.Duration(b.Delay)*time.Second < door.wait() {
		return abaton.Refuse(abaton.ReasonWait)
	}
	for _, line := range b.Lines {
		epoch, level := s.epochOn(line, parents)
		if epoch == 0 || b.Kind == EscrowEmergency && level >= grant.Shielded {
			return abaton.Refuse(abaton.ReasonGrant)
		}
	}
	if len(s.Escrows()) >= EscrowsMax {
		return tooLarge()
	}
	return nil
}

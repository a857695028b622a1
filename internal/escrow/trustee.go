package escrow

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// Part is a helper's part of half A, sealed again to the device that comes
// back.
type Part struct {
	V      uint64             `cbor:"1,keyasint"`
	X      abaton.KeeperIndex `cbor:"2,keyasint"`
	Sealed []byte             `cbor:"3,keyasint"`
}

// Help opens a helper's own wrap and seals the part to the box that the
// Recover event names, for that event alone. Call it only after both people
// have compared the words.
func Help(log abaton.ActorID, e *actor.Escrow, helper abaton.ActorID, box *key.Box, recover actor.Hash, to *actor.Recover) (Part, error) {
	for _, w := range e.Wraps {
		if w.Holder != helper {
			continue
		}
		part, err := e.OpenWrap(log, w, box)
		if err != nil {
			return Part{}, err
		}
		device, err := key.ParseBoxPublic(to.Box)
		if err != nil {
			return Part{}, fmt.Errorf("help: %w", err)
		}
		sealed, err := device.SealTo(wire.TrusteePart, partContext(recover, w.X), part[:])
		if err != nil {
			return Part{}, fmt.Errorf("help: %w", err)
		}
		return Part{V: wire.Version, X: w.X, Sealed: sealed}, nil
	}
	return Part{}, fmt.Errorf("help: %w", abaton.ErrNotFound)
}

func partContext(recover actor.Hash, x abaton.KeeperIndex) []byte { return append(recover[:], byte(x)) }

// Marshal is the part's one encoding.
func (p Part) Marshal() []byte { return wire.Marshal(p) }

// ParsePart reads a part strictly; ReasonMalformed.
func ParsePart(data []byte) (p Part, err error) {
	if len(data) > 2*key.BoxOverhead || wire.Unmarshal(data, &p) != nil || p.V != wire.Version || p.X == 0 {
		return Part{}, abaton.Refuse(abaton.ReasonMalformed)
	}
	return p, nil
}

// HalfOf is half A from the helpers' parts, opened with the device's own box
// key. Liars are helpers whose part is not the one the escrow gave them: it is
// named, and not used. ErrSealed when fewer than the escrow's Need are left.
func HalfOf(log abaton.ActorID, e *actor.Escrow, recover actor.Hash, device *key.Box, parts []Part) (half key.Secret, liars []abaton.ActorID, err error) {
	good := make(map[abaton.KeeperIndex]spread.Share)
	for _, p := range parts {
		if p.X < 1 || int(p.X) > len(e.Wraps) {
			continue
		}
		w := e.Wraps[p.X-1]
		plain, err := device.OpenFrom(wire.TrusteePart, partContext(recover, p.X), p.Sealed)
		if err != nil || len(plain) != len(half) || !e.CheckPart(log, w, [32]byte(plain)) {
			liars = append(liars, w.Holder)
			continue
		}
		good[p.X] = spread.Share{X: p.X, Y: [32]byte(plain)}
	}
	var shares []spread.Share
	for _, s := range good {
		shares = append(shares, s)
	}
	if e.Need < 2 || len(shares) < int(e.Need) {
		return key.Secret{}, liars, ErrSealed
	}
	half, err = spread.Combine(shares[:e.Need])
	return half, liars, err
}

// Words a helper and the person coming back compare by voice.
const (
	wordCount = 3
	// wordRounds makes each try of whoever looks for another device with the
	// same words cost as much as the people's own: 33 bits at 2^18 rounds.
	wordRounds = 1 << 18
)

// Words are what both screens show for a Recover event. They stand for the
// event, and with it for the new device's keys (PROTOCOL.md#recovery-words).
func Words(recover actor.Hash, l Language) []string {
	out, err := pbkdf2.Key(sha256.New, string(recover[:]), []byte(wire.RecoveryWord), wordRounds, 8)
	if err != nil {
		panic("escrow: PBKDF2 with SHA-256 gives 8 bytes")
	}
	bits := binary.BigEndian.Uint64(out)
	words := make([]string, wordCount)
	for i := range words {
		words[i] = l.words()[bits>>(64-wordBits)]
		bits <<= wordBits
	}
	return words
}

// SameWords reports whether somebody heard these words, however typed.
func SameWords(shown, heard []string) bool {
	if len(shown) == 0 || len(shown) != len(heard) {
		return false
	}
	for i := range shown {
		if !strings.EqualFold(shown[i], strings.TrimSpace(heard[i])) {
			return false
		}
	}
	return true
}

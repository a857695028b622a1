package escrow

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"log/slog"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// CodeBytes is the length of a kit's code: 128 bits, which nobody guesses, so
// that no slow hash is needed.
const CodeBytes = 16

// CodeWords is how many words write a code: 128 bits and 4 of a checksum.
const CodeWords = 12

// ErrWords says that words are not a kit's code: one is not in the list, or
// they do not belong together.
var ErrWords = errors.New("these are not the words of a kit")

// Code is the secret on a paper kit. Whoever holds it may begin a recovery and
// has half A. It does not print.
type Code [CodeBytes]byte

// String, GoString, LogValue and MarshalText print nothing of a Code.
func (Code) String() string { return "redacted" }

// GoString is String.
func (Code) GoString() string { return "redacted" }

// LogValue is String.
func (Code) LogValue() slog.Value { return slog.StringValue("redacted") }

// MarshalText is String.
func (Code) MarshalText() ([]byte, error) { return []byte("redacted"), nil }

// NewCode draws a code.
func NewCode() (c Code) {
	rand.Read(c[:]) // never fails: crypto/rand documents that it crashes instead
	return c
}

func (c Code) derive(label wire.Label, log abaton.ActorID) key.Secret {
	prk := key.Extract(nil, c[:])
	return key.Expand(prk[:], label, log[:])
}

// Half is half A of the kit of this log (PROTOCOL.md#kit).
func (c Code) Half(log abaton.ActorID) key.Secret { return c.derive(wire.KitHalf, log) }

// Prover is the key that proves a Recover event with this kit.
func (c Code) Prover(log abaton.ActorID) *key.Signing {
	return key.SigningFromSeed(c.derive(wire.KitProver, log))
}

// Kit are the terms of a paper kit: whoever holds the code begins, and wait
// passes before anything opens.
func Kit(log abaton.ActorID, c Code, wait time.Duration) Terms {
	return Terms{Kind: actor.EscrowKit, Need: 1, Wait: wait, Provers: []actor.Prover{{Key: c.Prover(log).ID()}}}
}

// Words writes the code as 12 words (BIP 39: the entropy, then the first 4 bits
// of its SHA-256). The words are the entropy itself: nothing is stretched.
func (c Code) Words(l Language) []string {
	list := l.words()
	sum := sha256.Sum256(c[:])
	all := append(c[:], sum[0])
	out := make([]string, CodeWords)
	for i := range out {
		out[i] = list[bitsAt(all, i*wordBits)]
	}
	return out
}

// bitsAt reads wordBits bits from a place in b.
func bitsAt(b []byte, at int) (v int) {
	for i := at; i < at+wordBits; i++ {
		v = v<<1 | int(b[i/8]>>(7-i%8)&1)
	}
	return v
}

// ParseWords reads a code back; ErrWords. Case and accents of the list do not
// matter, nor does the language's list have to be named if it is one of ours.
func ParseWords(words []string) (c Code, err error) {
	err = ErrWords
	for _, l := range Languages() {
		if c, err = l.parse(words); err == nil {
			return c, nil
		}
	}
	return Code{}, err
}

func (l Language) parse(words []string) (c Code, err error) {
	if len(words) != CodeWords {
		return c, ErrWords
	}
	var all [CodeBytes + 1]byte
	for i, w := range words {
		v := l.index(w)
		if v < 0 {
			return c, ErrWords
		}
		for bit := range wordBits {
			at := i*wordBits + bit
			all[at/8] |= byte(v>>(wordBits-1-bit)&1) << (7 - at%8)
		}
	}
	copy(c[:], all[:])
	if sum := sha256.Sum256(c[:]); all[CodeBytes]>>4 != sum[0]>>4 {
		return Code{}, ErrWords
	}
	return c, nil
}

package actor

import (
	"net/url"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// Keeper is one keeper's entry in a keeper-set document
// (PROTOCOL.md#keeper-set).
type Keeper struct {
	X           abaton.KeeperIndex     `cbor:"1,keyasint"` // x-coordinate of its shares, 1 to n
	Key         abaton.KeyID           `cbor:"2,keyasint"` // signs votes, receipts, replies, feeds
	Box         []byte                 `cbor:"3,keyasint"` // box public key, 1,216 bytes
	URL         string                 `cbor:"4,keyasint"` // https origin, no path
	Operator    string                 `cbor:"5,keyasint"` // who runs it; shares between keepers of one operator do not count as apart
	Incarnation [grant.NonceBytes]byte `cbor:"6,keyasint"` // new after every recovery
	SPKI        [32]byte               `cbor:"7,keyasint"` // SHA-256 of its TLS key's SubjectPublicKeyInfo
	Origin      string                 `cbor:"8,keyasint"` // ledger origin (c2sp.org/tlog-checkpoint)
}

// Document is what a keeper set signs at its first boot: the numbers, the
// keepers, and where patients' passkeys are used.
type Document struct {
	V            uint64           `cbor:"1,keyasint"`
	N            uint8            `cbor:"2,keyasint"` // keepers
	K            uint8            `cbor:"3,keyasint"` // fragments that give a record
	T            uint8            `cbor:"4,keyasint"` // shares that open it
	W            uint8            `cbor:"5,keyasint"` // receipts or votes that make it durable
	F            uint8            `cbor:"6,keyasint"` // dishonest keepers it bears
	Keepers      []Keeper         `cbor:"7,keyasint"` // sorted by X, exactly 1 to N
	RelyingParty key.RelyingParty `cbor:"8,keyasint"`
	// Wait is the least a recovery waits, in seconds. Zero is the rule,
	// abaton.RecoveryWait; less makes a test network, and all keepers sign it.
	Wait uint32 `cbor:"9,keyasint"`
}

// RecoveryWait is the least a recovery waits in this set.
func (d *Document) RecoveryWait() time.Duration {
	if d.Wait == 0 {
		return abaton.RecoveryWait
	}
	return time.Duration(d.Wait) * time.Second
}

func parseDocument(data []byte) (*Document, error) {
	var d Document
	if wire.Unmarshal(data, &d) != nil {
		return nil, malformed()
	}
	return &d, d.Validate()
}

// Marshal is the document's one encoding.
func (d *Document) Marshal() []byte { return wire.Marshal(d) }

// Validate checks form and numbers. The numbers are those that let the set
// bear F liars and one keeper away: C1 to C5 of PROTOCOL.md#keeper-set.
func (d *Document) Validate() error {
	if d.V != wire.Version || !d.numbersHold() || len(d.Keepers) != int(d.N) || d.RecoveryWait() > abaton.RecoveryWait {
		return malformed()
	}
	for i := range d.Keepers {
		if int(d.Keepers[i].X) != i+1 {
			return malformed()
		}
		if err := d.Keepers[i].validate(); err != nil {
			return err
		}
	}
	if !d.keepersApart() {
		return malformed()
	}
	return validateParty(d.RelyingParty)
}

// numbersHold: C1, C4 and C5 together also give 2w > n+f, so that two
// certificates for one slot would share an honest keeper.
func (d *Document) numbersHold() bool {
	n, k, t, w, f := int(d.N), int(d.K), int(d.T), int(d.W), int(d.F)
	return n >= 1 && n <= abaton.KeepersMax && k >= 1 && k <= n && t <= n &&
		t >= f+1 && // no coalition of liars opens anything
		w == n-f && // C1: writes go on with f away
		w >= k+f && // C2: what is acknowledged survives the liars
		n-w+f <= t-1 && // C4: the unaware and the lying stay below t
		t+f <= n // C5: shares survive
}

// keepersApart: nothing that names a keeper may name two.
func (d *Document) keepersApart() bool {
	return unique(d.Keepers, func(k Keeper) abaton.KeyID { return k.Key }) &&
		unique(d.Keepers, func(k Keeper) string { return string(k.Box) }) &&
		unique(d.Keepers, func(k Keeper) string { return k.URL }) &&
		unique(d.Keepers, func(k Keeper) string { return k.Operator }) &&
		unique(d.Keepers, func(k Keeper) string { return k.Origin }) &&
		unique(d.Keepers, func(k Keeper) [grant.NonceBytes]byte { return k.Incarnation })
}

func (k *Keeper) validate() error {
	if len(k.URL) > TextBytesMax || len(k.Operator) > TextBytesMax || len(k.Origin) > TextBytesMax {
		return tooLarge()
	}
	ok := k.X >= 1 && k.X <= abaton.KeepersMax && k.Key != (abaton.KeyID{}) &&
		len(k.Box) == key.BoxPublicBytes && httpsOrigin(k.URL) && line(k.Operator) && line(k.Origin) &&
		k.Incarnation != ([grant.NonceBytes]byte{}) && k.SPKI != ([32]byte{})
	return valid(ok)
}

// httpsOrigin accepts https://host[:port] in the one form net/url prints.
func httpsOrigin(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "https" && u.Hostname() != "" && u.Path == "" && u.User == nil && "https://"+u.Host == text
}

// line accepts one line of text that cannot forge another in a text dump.
func line(text string) bool {
	return text != "" && !slices.ContainsFunc([]rune(text), func(r rune) bool { return r < 0x20 || r == 0x7f })
}

func validateParty(rp key.RelyingParty) error {
	if len(rp.Origins) > OriginsMax || len(rp.ID) > TextBytesMax {
		return tooLarge()
	}
	for _, origin := range rp.Origins {
		if len(origin) > TextBytesMax {
			return tooLarge()
		}
		if !line(origin) {
			return malformed()
		}
	}
	return valid(line(rp.ID) && len(rp.Origins) > 0 && unique(rp.Origins, func(o string) string { return o }))
}

// checkProvers demands proofs by at least need keepers of this document;
// ReasonCredential.
func (d *Document) checkProvers(keys []abaton.KeyID, need uint8) error {
	var have uint8
	for i := range d.Keepers {
		if slices.Contains(keys, d.Keepers[i].Key) {
			have++
		}
	}
	if have < need {
		return abaton.Refuse(abaton.ReasonCredential)
	}
	return nil
}

// with is the document after one keeper's entry changed. It may not take a
// name another keeper has, nor keep its incarnation.
func (d *Document) with(k Keeper) (*Document, error) {
	if k.X < 1 || int(k.X) > len(d.Keepers) {
		return nil, abaton.Refuse(abaton.ReasonKeeperSet)
	}
	next := *d
	next.Keepers = slices.Clone(d.Keepers)
	if next.Keepers[k.X-1].Incarnation == k.Incarnation {
		return nil, abaton.Refuse(abaton.ReasonKeeperSet)
	}
	next.Keepers[k.X-1] = k
	if next.Validate() != nil {
		return nil, abaton.Refuse(abaton.ReasonKeeperSet)
	}
	return &next, nil
}

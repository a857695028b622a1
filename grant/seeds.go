package grant

import (
	"crypto/sha256"
	"fmt"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// SeedsMax is how many seeds one payload may hold: every line of a patient in
// eight epochs.
const SeedsMax = abaton.LinesMax * 8

// Seed is lock one of one segment: what a grantee needs to open it
// (PROTOCOL.md#seeds). Keepers see it only sealed.
type Seed struct {
	Line     abaton.Line
	Category abaton.Category
	Level    uint8  // assurance level, 1 to 3
	Epoch    uint32 // 1 is the first
	// Seed is the segment's private seed; zero for a grant that only
	// deposits.
	Seed key.Secret
}

// seedForm is the encoding of Seed: the seed is empty for deposit-only.
type seedForm struct {
	Line     abaton.Line     `cbor:"1,keyasint"`
	Category abaton.Category `cbor:"2,keyasint"`
	Level    uint8           `cbor:"3,keyasint"`
	Epoch    uint32          `cbor:"4,keyasint"`
	Seed     []byte          `cbor:"5,keyasint"`
}

// MarshalSeeds is the canonical payload of a wrap.
func MarshalSeeds(seeds []Seed) []byte {
	forms := make([]seedForm, len(seeds))
	for i, s := range seeds {
		forms[i] = seedForm{Line: s.Line, Category: s.Category, Level: s.Level, Epoch: s.Epoch}
		if !s.Seed.IsZero() {
			forms[i].Seed = append([]byte(nil), s.Seed[:]...)
		}
	}
	return wire.Marshal(forms)
}

// ParseSeeds reads a payload strictly; ReasonMalformed or ReasonTooLarge.
func ParseSeeds(payload []byte) ([]Seed, error) {
	var forms []seedForm
	if err := wire.Unmarshal(payload, &forms); err != nil {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	if len(forms) > SeedsMax {
		return nil, abaton.Refuse(abaton.ReasonTooLarge)
	}
	seeds := make([]Seed, len(forms))
	for i, f := range forms {
		if !f.valid() {
			return nil, abaton.Refuse(abaton.ReasonMalformed)
		}
		seeds[i] = Seed{Line: f.Line, Category: f.Category, Level: f.Level, Epoch: f.Epoch}
		copy(seeds[i].Seed[:], f.Seed)
	}
	return seeds, nil
}

func (f *seedForm) valid() bool {
	seed := len(f.Seed) == 0 || len(f.Seed) == len(key.Secret{}) && key.Secret(f.Seed) != (key.Secret{})
	return seed && f.Line != (abaton.Line{}) && f.Level >= 1 && f.Level <= 3 && f.Epoch >= 1
}

// WrapSeeds seals seeds to the grantee. The wrap opens only beside these very
// grant bytes.
func WrapSeeds(grantee key.BoxPublic, grantBytes []byte, seeds []Seed) ([]byte, error) {
	sum := sha256.Sum256(grantBytes)
	sealed, err := grantee.SealTo(wire.GrantWrap, sum[:], MarshalSeeds(seeds))
	if err != nil {
		return nil, fmt.Errorf("wrap seeds: %w", err)
	}
	return sealed, nil
}

// Unwrap is the other end of WrapSeeds; key.ErrBox if it does not open.
func Unwrap(grantee *key.Box, grantBytes, wrap []byte) ([]Seed, error) {
	sum := sha256.Sum256(grantBytes)
	payload, err := grantee.OpenFrom(wire.GrantWrap, sum[:], wrap)
	if err != nil {
		return nil, fmt.Errorf("unwrap seeds: %w", err)
	}
	return ParseSeeds(payload)
}

package actor

import (
	"fmt"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// WrapEpoch seals the seed of a new epoch to one remaining grantee, for an
// Epoch event. The wrap opens only for this line, epoch and segment.
func WrapEpoch(grantee abaton.ActorID, box key.BoxPublic, segment key.BoxPublic, s grant.Seed) (SeedWrap, error) {
	sealed, err := box.SealTo(wire.EpochWrap, epochContext(s.Line, s.Epoch, segment.Bytes()), grant.MarshalSeeds([]grant.Seed{s}))
	if err != nil {
		return SeedWrap{}, fmt.Errorf("wrap epoch: %w", err)
	}
	return SeedWrap{Grantee: grantee, Sealed: sealed}, nil
}

// UnwrapEpoch is the other end of WrapEpoch. It refuses a seed that is not
// the announced segment's: key.ErrBox.
func UnwrapEpoch(grantee *key.Box, segment Segment, sealed []byte) (grant.Seed, error) {
	payload, err := grantee.OpenFrom(wire.EpochWrap, epochContext(segment.Line, segment.Epoch, segment.Public), sealed)
	if err != nil {
		return grant.Seed{}, fmt.Errorf("unwrap epoch: %w", err)
	}
	seeds, err := grant.ParseSeeds(payload)
	if err != nil {
		return grant.Seed{}, fmt.Errorf("unwrap epoch: %w", err)
	}
	if len(seeds) != 1 || seeds[0].Line != segment.Line || seeds[0].Epoch != segment.Epoch || !segment.Opens(seeds[0]) {
		return grant.Seed{}, fmt.Errorf("unwrap epoch: %w", key.ErrBox)
	}
	return seeds[0], nil
}

// Opens reports whether a seed is this segment's private key. Whoever is
// given seeds checks each against the key log before using it.
func (s Segment) Opens(seed grant.Seed) bool {
	if seed.Seed.IsZero() {
		return false
	}
	return key.SegmentIDOf(key.BoxFromSeed(seed.Seed).Public()) == s.ID
}

func epochContext(line abaton.Line, epoch uint32, segment []byte) []byte {
	context := append([]byte(nil), line[:]...)
	context = append(context, wire.U32(epoch)...)
	return append(context, segment...)
}

package actor

import (
	"bytes"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
)

// Every maximum of a key log that is not already in the root's limits.go.
const (
	// KeysMax is how many keys or credentials an inception may list.
	KeysMax = 16
	// InceptionGrantsMax is how many grants an inception may carry.
	InceptionGrantsMax = 16
	// WrapsMax is how many grantees one epoch event may wrap its seed to.
	WrapsMax = 64
	// WrapBytesMax is the largest wrap, in bytes: 256 seeds and one box.
	WrapBytesMax = 32 << 10
	// EraseRowsMax is how many batches one erase event may name.
	EraseRowsMax = abaton.RequestRowsMax
	// TextBytesMax bounds every text in a keeper set, in bytes.
	TextBytesMax = 256
	// OriginsMax is how many origins one relying party may list.
	OriginsMax = 16
	// ProofBytesMax is the largest proof, in bytes: an assertion with its
	// client data.
	ProofBytesMax = 4 << 10
	// LastBytesMax is the largest checkpoint that a change of a keeper set may
	// name, in bytes: a signed note as a session may carry it.
	LastBytesMax = 2 << 10
	// LevelMax is the highest assurance level of a line, at which it is shielded.
	LevelMax = grant.Shielded
	// InvitationLifeMax bounds an invitation.
	InvitationLifeMax = 30 * 24 * time.Hour
	// PolicyLifeMax bounds a policy: once a year somebody looks at it again.
	PolicyLifeMax = 366 * 24 * time.Hour

	signedBytesMax = abaton.EventBytesMax + abaton.KeepersMax*ProofBytesMax + 1024
)

// ascending reports whether hashes are sorted and unique: one form per set.
func ascending(hashes []Hash) bool {
	for i := 1; i < len(hashes); i++ {
		if bytes.Compare(hashes[i-1][:], hashes[i][:]) >= 0 {
			return false
		}
	}
	return true
}

// unique reports whether no two items have the same name.
func unique[T any, K comparable](items []T, name func(T) K) bool {
	seen := make(map[K]struct{}, len(items))
	for _, item := range items {
		n := name(item)
		if _, twice := seen[n]; twice {
			return false
		}
		seen[n] = struct{}{}
	}
	return true
}

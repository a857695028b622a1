package client

import (
	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/quorum"
)

// HedgeTest is longer than a read waits before it asks everybody.
const HedgeTest = 2 * quorum.HedgeAfter

// ProvedReceipts is one memory of verified receipts.
func ProvedReceipts(set *actor.Set) func(signed []byte, batch abaton.BatchName, lock [32]byte) abaton.KeeperIndex {
	p := new(proved)
	return func(signed []byte, batch abaton.BatchName, lock [32]byte) abaton.KeeperIndex {
		return p.receipt(set, signed, batch, lock)
	}
}

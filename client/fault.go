package client

import (
	"fmt"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// Fault is a proof that somebody broke the construction. Proof stands alone
// against writers and lockers; against a keeper it goes with Reply, the signed
// reply that carried the bytes.
type Fault struct {
	Keeper abaton.KeeperIndex // zero unless a keeper is at fault
	Key    abaton.KeyID       // of the writer or locker at fault
	Party  spread.Party
	Reason abaton.Reason
	Batch  abaton.BatchName
	Proof  []byte // spread.Fault; check with spread.ParseFault and Verify
	Reply  []byte // wire.Signed keeper.Reply
}

// VerifyFault checks a fault as a stranger would: the proof by itself, and for
// a keeper its signature, from the set, over a reply with those very bytes.
// spread.ErrFault if it proves nothing.
func VerifyFault(set *actor.Set, f Fault) (*spread.Fault, error) {
	p, err := spread.ParseFault(f.Proof)
	if err != nil {
		return nil, err
	}
	if err := p.Verify(); err != nil {
		return nil, err
	}
	if p.Party != f.Party || p.Keeper != f.Keeper || p.Key != f.Key || p.Set != set.ID() ||
		p.Party == spread.KeeperParty && !said(set, p, f.Reply) {
		return nil, fmt.Errorf("verify fault: %w", spread.ErrFault)
	}
	return p, nil
}

// said reports whether the keeper signed a reply with the proof's piece.
func said(set *actor.Set, p *spread.Fault, signed []byte) bool {
	var s keeper.Signed
	var r keeper.Reply
	k := set.Keeper(p.Keeper)
	if k == nil || wire.Unmarshal(signed, &s) != nil || wire.Unmarshal(s.Body, &r) != nil ||
		!key.Verify(k.Key, wire.Reply, s.Body, s.Sig) {
		return false
	}
	for _, piece := range r.Pieces {
		if string(piece) == string(p.Piece) {
			return true
		}
	}
	return false
}

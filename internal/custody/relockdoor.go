package custody

import (
	"context"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// Prepare takes new locks of batches: each message is opened and decoded, then
// kept under the rules of Prepare the input.
func (k *Keeper) Prepare(ctx context.Context, body []byte) ([]byte, error) {
	var m keeper.Prepares
	if wire.Unmarshal(body, &m) != nil || m.V != wire.Version {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	return k.each(ctx, m.Prepares, func(sealed []byte) (Input, error) {
		message, err := spread.OpenRekey(sealed, k.cfg.Set.ID(), k.cfg.Index, k.cfg.Box)
		if err != nil {
			return nil, err
		}
		return readPrepare(message)
	}, func(o Output) []byte { return o.Bytes })
}

// readPrepare decodes a prepare and verifies the LOCK that it brings beside
// its own, whose signature is verified where it is known that anybody may
// lock.
func readPrepare(message []byte) (Input, error) {
	var m keeper.Prepare
	if wire.Unmarshal(message, &m) != nil || m.V != wire.Version {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	p := Prepare{Patient: m.Patient}
	var err error
	if p.Rekey, err = spread.ParseRekey(m.Rekey); err != nil {
		return nil, err
	}
	if p.Lock, err = spread.DecodeLock(p.Rekey.Lock.Body); err != nil || len(m.Base) == 0 {
		return p, err
	}
	p.Base = new(wire.Signed)
	if wire.Unmarshal(m.Base, p.Base) != nil {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	_, err = spread.ParseLock(*p.Base)
	return p, err
}

// Commit puts prepared locks in force. All of one message become durable, and
// the shares they replace are destroyed, before it answers.
func (k *Keeper) Commit(ctx context.Context, body []byte) ([]byte, error) {
	in, err := readCommit(body, k.cfg.Set)
	if err != nil {
		return nil, err
	}
	out, err := k.one(ctx, in)
	if err != nil {
		return nil, err
	}
	results := make([]keeper.Result, len(out.Each))
	for i, reason := range out.Each {
		if results[i].Reason = reason; reason == "" {
			results[i].OK = []byte{}
		}
	}
	return wire.Marshal(keeper.Results{V: wire.Version, Results: results}), nil
}

// readCommit decodes a commit and counts whose receipts it brings. One that
// does not verify counts for nobody.
func readCommit(body []byte, set *actor.Set) (Commit, error) {
	var m keeper.Commits
	if wire.Unmarshal(body, &m) != nil || m.V != wire.Version || len(m.Locks) == 0 {
		return Commit{}, abaton.Refuse(abaton.ReasonMalformed)
	}
	if len(m.Locks) > abaton.RequestRowsMax { // they stand in one ledger entry
		return Commit{}, abaton.Refuse(abaton.ReasonTooLarge)
	}
	in := Commit{Patient: m.Patient}
	seen := make(map[abaton.BatchName]bool, len(m.Locks))
	for _, l := range m.Locks {
		if seen[l.Batch] || len(l.Receipts) > abaton.KeepersMax {
			return Commit{}, abaton.Refuse(abaton.ReasonMalformed)
		}
		seen[l.Batch] = true
		one := Certified{Batch: l.Batch, Lock: l.Lock}
		from := make(map[abaton.KeeperIndex]bool)
		for _, r := range l.Receipts {
			if x, err := keeperOfReceipt(r, set, l.Batch, l.Lock); err == nil && !from[x] {
				from[x], one.Receipts = true, append(one.Receipts, r)
			}
		}
		one.Keepers = len(from)
		in.Locks = append(in.Locks, one)
	}
	return in, nil
}

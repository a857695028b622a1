package client

import (
	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/quorum"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// VerifyReceipt checks a keeper's signed receipt for a batch under one LOCK
// (lock is SHA-256 of the LOCK's body); ReasonMalformed, ReasonKeeperSet or
// ReasonSignature.
func VerifyReceipt(set *actor.Set, signed []byte, batch abaton.BatchName, lock [32]byte) (keeper.Receipt, error) {
	var s keeper.Signed
	var r keeper.Receipt
	if wire.Unmarshal(signed, &s) != nil || wire.Unmarshal(s.Body, &r) != nil || r.V != wire.Version {
		return r, abaton.Refuse(abaton.ReasonMalformed)
	}
	k := set.Keeper(r.Keeper)
	if k == nil {
		return r, abaton.Refuse(abaton.ReasonKeeperSet)
	}
	if r.Batch != batch || r.Lock != lock || !key.Verify(k.Key, wire.Receipt, s.Body, s.Sig) {
		return r, abaton.Refuse(abaton.ReasonSignature)
	}
	return r, nil
}

// VerifyCertificate checks that receipts are those of at least w different
// keepers for one batch and LOCK: proof that the batch is acknowledged.
// ReasonCertificate otherwise.
func VerifyCertificate(set *actor.Set, receipts [][]byte, batch abaton.BatchName, lock [32]byte) error {
	if holders(set, receipts, batch, lock).Len() < int(set.W) {
		return abaton.Refuse(abaton.ReasonCertificate)
	}
	return nil
}

// holders is whose valid receipts are among receipts. More than one for each
// keeper is not looked at.
func holders(set *actor.Set, receipts [][]byte, batch abaton.BatchName, lock [32]byte) (s quorum.Keepers) {
	for i, signed := range receipts {
		if i >= abaton.KeepersMax {
			break
		}
		if r, err := VerifyReceipt(set, signed, batch, lock); err == nil {
			s = s.With(r.Keeper)
		}
	}
	return s
}

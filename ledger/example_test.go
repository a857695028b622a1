package ledger_test

import (
	"fmt"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/ledger"
)

// A keeper ledgers one disclosure and hands out the receipt, which anybody
// checks with the ledger's public key alone.
func Example() {
	k := key.NewSigning()
	signer, err := ledger.NewSigner("keeper1.example/ledger", k)
	if err != nil {
		fmt.Println(err)
		return
	}
	self, err := ledger.NewSigner("keeper1.example", k)
	if err != nil {
		fmt.Println(err)
		return
	}
	cfg := ledger.Config{
		Origin: signer.Name(), Keeper: 1,
		Signer: signer, Verifier: signer.Verifier(), Cosigner: self.Cosigner(),
	}
	store, first := memory{}, batch{}
	log, begin, err := ledger.Create(cfg, store, first, at(0))
	if err != nil {
		fmt.Println(err)
		return
	}
	first.commit(store) // one fsync
	begin.Commit()

	entry := ledger.Entry{
		Request: [32]byte{1}, Op: ledger.OpRelease, Outcome: ledger.Permitted,
		Actor: abaton.ActorID{2}, Patient: abaton.ActorID{3}, Purpose: abaton.Treatment,
		Rows: []ledger.Row{{Batch: abaton.BatchName{4}, Released: 1}},
	}
	next := batch{}
	group, err := log.Append(next, []ledger.Entry{entry}, at(1))
	if err != nil {
		fmt.Println(err)
		return
	}
	next.commit(store) // one fsync; before it nothing may be released
	group.Commit()

	receipt, err := group.Proof(0)
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := receipt.Verify(group.Leaf(0), cfg.Origin, signer.Verifier())
	fmt.Println(receipt.Index, c.Size, err)
	// Output: 0 1 <nil>
}

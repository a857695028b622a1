// Package sim is a world of five keepers, their clients and all that can go
// wrong between them, played from one seed in one thread.
//
//	pool, err := sim.NewPool()
//	result := sim.Run(pool, sim.NewPlan(seed), nil)
//	if result.Violation != nil { ... } // names the promise and the command that replays it
//
// Keepers are the real custody.Core over the real store (its engine in memory)
// and the real ledger; clients are the real steps of quorum. What is not real:
// keepers sign with marks, doors have verified what comes in, and records are
// sealed once for all worlds. So it says nothing about cryptography, decoding
// or the engine on a disk; those have their own tests.
//
// A world lives through random faults, is healed, must then finish all that is
// pending, and is audited at rest. At most f = 1 keeper spends the budget
// (Byzantine, rolled back, wiped); any number of transient faults go on beside.
//
// The promises, and where each is checked:
//
//   - I1 An acknowledged batch is with at least k honest keepers: at every
//     acknowledgement and every loss (checker.survives), whole at rest
//     (checker.pieces).
//   - I2 With nothing wrong a live grant opens (checker.answered); after the
//     faults it opens what was acknowledged (world.lastLook).
//   - I3 A listing that begins after an acknowledgement shows the batch or says
//     that it is incomplete (checker.listed).
//   - I4 After a revocation is in force no later request gets t shares
//     (checker.share), and no honest keeper answers beyond its lease; nothing is
//     released under a grant that no quorum certified (checker.leaves).
//   - I5 What a reader was shown as saved, and wrote back, no later listing of
//     its own takes back (checker.listed).
//   - I6 A release is in the keeper's durable ledger before the reply leaves
//     (checker.leaves, and after every crash checker.restarted); a history said
//     to be complete shows every opening (checker.told).
//   - I7 A receipt means durable: after every crash (checker.restarted).
//   - I8 A restart never shrinks a ledger but into quarantine
//     (checker.restarted, checker.stepped, checker.heard).
//   - I9 The union of key logs is the same in any order, every honest keeper
//     reaches it, and no slot has two certificates (checker.commutes,
//     checker.certified).
//   - I10 A keeper holds its own piece and nobody else's: fewer than t shares
//     (checker.pieces).
//   - I11 A keeper starts again from whatever a crash left (keeper.start).
//   - E1 What was erased in force gives no later request t shares and is at no
//     honest keeper at rest (checker.share, checker.pieces).
//   - E2 A repeat has no second effect (checker.once).
//   - Liveness: once the faults have stopped, everything pending ends
//     (world.live).
//
// It protects nothing and is linked by no binary.
package sim

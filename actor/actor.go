// Package actor holds key logs: who patients, clinicians, organisations,
// devices, agents and the keeper set itself are, with which keys, and what a
// patient has granted, taken back, barred and erased.
//
//	a, err := actor.Authenticate(signed, rp)    // once, at the door: all the cryptography
//	err = state.Admit(a, door, now)             // who may say this, here, now
//	err = state.Apply(a)                        // narrowing holds at once
//	err = ballot.Cast(&state, a.Hash())         // one vote per slot
//	err = state.Certify(certified)              // w votes: now it counts
//	view, err := actor.NewView(told, f, now)    // who asks: what several keepers tell together
//
// An actor's name is the hash of the first event of its log, so nobody
// assigns names. Events form a graph that is nearly always a chain; a split
// is closed by an event that names both ends, and deny wins.
//
// It does not keep the log: no disk, no network, no clock. It does not hide
// that something was granted, revoked or erased; keepers see that, by opaque
// names. Against more dishonest keepers than the set bears it gives no
// agreement. The form is frozen with protocol version 1
// (PROTOCOL.md#actor).
package actor

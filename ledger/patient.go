package ledger

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/wire"
)

// chain is where one patient's entries stand in this ledger.
type chain struct {
	next  uint64 // seq of the next entry
	index uint64 // index of the newest entry
	tie   [32]byte
}

// chains are the patients touched by one group.
type chains map[abaton.ActorID]*chain

func (l *Log) chain(cs chains, patient abaton.ActorID) (*chain, error) {
	if c := cs[patient]; c != nil {
		return c, nil
	}
	c, err := readChain(l.r, patient, l.head.edge.size)
	if err != nil {
		return nil, err
	}
	cs[patient] = c
	return c, nil
}

func (cs chains) write(w Writer) {
	ordered := make([]abaton.ActorID, 0, len(cs))
	for id := range cs {
		ordered = append(ordered, id)
	}
	sortActors(ordered) // the same entries make the same batch
	for _, id := range ordered {
		c, k := cs[id], keyPatient(id)
		w.Put(k, summed(k, append(wire.U64(c.next-1), wire.U64(c.index)...)))
	}
}

// readChain reads where a patient stands; no key means no entry yet.
func readChain(r Reader, patient abaton.ActorID, size uint64) (*chain, error) {
	k := keyPatient(patient)
	v, err := r.Get(k)
	if err != nil {
		return nil, fmt.Errorf("read patient index: %w", err)
	}
	if v == nil {
		return &chain{}, nil
	}
	f, ok := unsum(k, v, 2)
	if !ok || f[0] >= SizeMax || f[1] >= size {
		return nil, corrupt("index of a patient is damaged")
	}
	rec, err := record(r, f[1])
	if err != nil {
		return nil, err
	}
	return &chain{next: f[0] + 1, index: f[1], tie: Leaf(rec[:32]).Tie()}, nil
}

// readSeq is the index of the seq'th entry about a patient.
func readSeq(r Reader, patient abaton.ActorID, seq, size uint64) (uint64, error) {
	k := keySeq(patient, seq)
	v, err := r.Get(k)
	if err != nil {
		return 0, fmt.Errorf("read patient index: %w", err)
	}
	f, ok := unsum(k, v, 1)
	if !ok || f[0] >= size {
		return 0, corrupt("index of a patient is damaged at its entry %d", seq)
	}
	return f[0], nil
}

func sortActors(ids []abaton.ActorID) {
	slices.SortFunc(ids, func(a, b abaton.ActorID) int { return bytes.Compare(a[:], b[:]) })
}

package client

import (
	"bytes"
	"crypto/sha256"
	"slices"

	"github.com/abaton-health/abaton"
)

// marksMax is how many (patient, line) pairs the outbox remembers one by one.
// Of older ones it keeps only the highest number, below which no pair starts
// again; gaps are allowed (RULINGS 3), reuse is not.
const marksMax = 1 << 16

// markKey names a (patient, line) of this writer.
type markKey [16]byte

func markOf(patient abaton.ActorID, line abaton.Line) (k markKey) {
	sum := sha256.Sum256(append(patient[:], line[:]...))
	copy(k[:], sum[:])
	return k
}

type mark struct {
	seq  uint64
	head [32]byte
	used uint64 // when last used, in reservations
}

// marks are the sequence numbers used, per patient and line.
type marks struct {
	by    map[markKey]*mark
	floor uint64
	clock uint64
}

func newMarks() *marks { return &marks{by: make(map[markKey]*mark)} }

// next is the number and the previous head for a new batch. It is not
// reserved until note.
func (m *marks) next(k markKey) (seq uint64, prev [32]byte) {
	if at := m.by[k]; at != nil {
		return at.seq + 1, at.head
	}
	return m.floor + 1, prev
}

// note says that seq was used for the batch named head.
func (m *marks) note(k markKey, seq uint64, head [32]byte) {
	m.clock++
	at := m.by[k]
	if at == nil {
		if len(m.by) >= marksMax {
			m.forget()
		}
		at = &mark{}
		m.by[k] = at
	}
	at.used = m.clock
	if seq > at.seq {
		at.seq, at.head = seq, head
	}
}

// forget drops the older half and raises the floor over what is dropped.
func (m *marks) forget() {
	used := make([]uint64, 0, len(m.by))
	for _, at := range m.by {
		used = append(used, at.used)
	}
	slices.Sort(used)
	limit := used[len(used)/2]
	for k, at := range m.by {
		if at.used <= limit {
			m.floor = max(m.floor, at.seq)
			delete(m.by, k)
		}
	}
}

// marksForm is the encoding of marks.
type marksForm struct {
	Floor uint64     `cbor:"1,keyasint"`
	Marks []markForm `cbor:"2,keyasint"`
}

type markForm struct {
	_    struct{} `cbor:",toarray"`
	Key  markKey
	Seq  uint64
	Head [32]byte
}

func (m *marks) form() marksForm {
	f := marksForm{Floor: m.floor, Marks: make([]markForm, 0, len(m.by))}
	for k, at := range m.by {
		f.Marks = append(f.Marks, markForm{Key: k, Seq: at.seq, Head: at.head})
	}
	slices.SortFunc(f.Marks, func(a, b markForm) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	return f
}

func (m *marks) take(f marksForm) {
	m.floor = max(m.floor, f.Floor)
	for _, one := range f.Marks {
		m.note(one.Key, one.Seq, one.Head)
	}
}

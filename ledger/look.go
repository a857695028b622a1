package ledger

import (
	"crypto/sha256"
	"fmt"
	"sort"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/wire"
)

// Look is an organisation's question to a keeper for its own entries: what its
// people and programs were given, or asked for, in a time (PROTOCOL.md#look).
// What is set narrows the question; what is zero leaves it open.
type Look struct {
	Organisation abaton.ActorID   `cbor:"1,keyasint"` // whose entries; never zero
	Person       abaton.ActorID   `cbor:"2,keyasint"` // who asked
	Device       abaton.ActorID   `cbor:"3,keyasint"` // at which device
	Session      abaton.SessionID `cbor:"4,keyasint"` // in which session
	Grant        abaton.GrantID   `cbor:"5,keyasint"` // under which grant
	Since        int64            `cbor:"6,keyasint"` // unix seconds, the keeper's clock; included
	Until        int64            `cbor:"7,keyasint"` // unix seconds; left out
	Name         [16]byte         `cbor:"8,keyasint"` // random: one question, its pages and its ledger entries
}

// lookSlack is how far a keeper's clock may have gone back within its ledger:
// it serves at most ClockSkewMax from its peers' time.
const lookSlack = int64(4 * abaton.ClockSkewMax / time.Second)

// Valid reports whether the question may be asked.
func (l *Look) Valid() bool {
	return l.Organisation != (abaton.ActorID{}) && l.Since >= 0 && l.Until > l.Since && l.Name != ([16]byte{})
}

// Hash names the question in every ledger that has it: Request of its entry.
func (l *Look) Hash() [32]byte { return sha256.Sum256(wire.Marshal(l)) }

// Matches reports whether an entry is one that the question is for.
func (l *Look) Matches(e *Entry) bool {
	if l.Own(e) {
		return true
	}
	narrowed := l.Device != (abaton.ActorID{}) || l.Session != (abaton.SessionID{}) || l.Grant != (abaton.GrantID{})
	if e.Op == OpLook && narrowed { // its fields are a question's, not where it was asked
		return false
	}
	return l.Valid() && e.Organisation == l.Organisation && e.Time >= l.Since && e.Time < l.Until &&
		(l.Person == (abaton.ActorID{}) || l.Person == e.Actor) &&
		(l.Device == (abaton.ActorID{}) || l.Device == e.Device) &&
		(l.Session == (abaton.SessionID{}) || l.Session == e.Session) &&
		(l.Grant == (abaton.GrantID{}) || l.Grant == e.Grant)
}

// Own reports whether an entry is the question's own: each answer shows where
// its keeper has it.
func (l *Look) Own(e *Entry) bool {
	return l.Valid() && e.Op == OpLook && e.Organisation == l.Organisation && e.Request == l.Hash()
}

// Entry is what a keeper ledgers of the question before it answers: who asked
// for whose entries. In an entry of OpLook, Behalf, Device, Session and Grant
// are what the question was narrowed to.
func (l *Look) Entry(asker abaton.ActorID) Entry {
	return Entry{Request: l.Hash(), Op: OpLook, Outcome: Permitted, Actor: asker, Organisation: l.Organisation,
		Behalf: l.Person, Device: l.Device, Session: l.Session, Grant: l.Grant}
}

// Found is one page of an answer to a Look.
type Found struct {
	Extract        // Total is zero; disclosures ascend by index
	Next    uint64 // the entry to go on from; 0 when all is told
	Gone    uint64 // entries passed over because their retention is over: of whom, nobody can say
}

// Select gives the entries that a question is for, with paths to the newest
// checkpoint, from an index on; 0 begins where the time does. It tells at most
// most of them and reads at most reads entries. The question's own entry, at own,
// comes last where the time asked for ends before it. It may run beside appends.
func (l *Log) Select(q *Look, own, from uint64, most, reads int) (Found, error) {
	h, err := l.committed()
	if err != nil {
		return Found{}, err
	}
	size := h.edge.size
	if from == 0 {
		if from, err = l.firstAt(q.Since-lookSlack, size); err != nil {
			return Found{}, err
		}
	}
	f := Found{Extract: Extract{Checkpoint: h.signed}}
	for at := from; at < size; at++ {
		if len(f.Disclosures) == most || at-from == uint64(reads) {
			f.Next = at
			return f, nil
		}
		over, err := l.look(q, at, size, &f)
		if err != nil {
			return Found{}, err
		}
		if over {
			if own >= at && own < size {
				_, err = l.look(q, own, size, &f)
			}
			return f, err
		}
	}
	return f, nil
}

// look adds the entry at an index if the question is for it; over says that
// what follows is too late.
func (l *Log) look(q *Look, at, size uint64, f *Found) (over bool, err error) {
	en, raw, err := l.readAt(at)
	switch {
	case err != nil:
		return false, err
	case en == nil:
		f.Gone++
		return false, nil
	case !q.Matches(en):
		return en.Time >= q.Until+lookSlack, nil
	}
	d := Disclosure{Index: at, Seq: en.PatientSeq, Leaf: raw.leaf, Salt: raw.salt, Entry: raw.entry}
	if d.Path, err = l.inclusion(at, size); err != nil {
		return false, err
	}
	f.Disclosures = append(f.Disclosures, d)
	return false, nil
}

// rawEntry is an entry as stored, which its leaf commits to.
type rawEntry struct {
	leaf  Leaf
	salt  [SaltSize]byte
	entry []byte
}

// readAt reads the entry at an index; nil for one that is redacted.
func (l *Log) readAt(index uint64) (*Entry, rawEntry, error) {
	rec, err := l.record(index)
	if err != nil {
		return nil, rawEntry{}, err
	}
	raw := rawEntry{leaf: Leaf(rec[:32])}
	if raw.salt, raw.entry, err = readEntry(l.r, index, raw.leaf); err != nil || raw.entry == nil {
		return nil, raw, err
	}
	en, err := ParseEntry(raw.entry)
	if err != nil {
		return nil, raw, fmt.Errorf("read entry %d: %w", index, err)
	}
	return &en, raw, nil
}

// firstAt is the first entry not before a time. Redacted ones are the oldest.
func (l *Log) firstAt(since int64, size uint64) (uint64, error) {
	var failed error
	at := sort.Search(int(size), func(i int) bool {
		en, _, err := l.readAt(uint64(i))
		if err != nil {
			failed = err
			return true
		}
		return en != nil && en.Time >= since
	})
	return uint64(at), failed
}

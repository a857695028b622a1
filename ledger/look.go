package ledger

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math"
	"sort"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

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

// Found is one page of an answer to a Look. Its disclosures carry no path: Cover
// proves them all at once.
type Found struct {
	Extract             // Total is zero; disclosures ascend by index
	Cover   []tlog.Hash // of the disclosures in the checkpoint's tree (PROTOCOL.md#ledger-cover)
	Next    uint64      // the entry to go on from; 0 when all is told
	Gone    uint64      // entries passed over because their retention is over: of whom, nobody can say
}

// Verify checks the signature on the page's checkpoint, that each leaf is of its
// salt and entry, and that the tree has all of them.
func (f *Found) Verify(origin string, v note.Verifier) error { return f.verify(origin, v, nil) }

// VerifyPaths is Verify, and gives each disclosure the path that proves it alone.
func (f *Found) VerifyPaths(origin string, v note.Verifier) error {
	paths := make([][]tlog.Hash, len(f.Disclosures))
	if err := f.verify(origin, v, paths); err != nil {
		return err
	}
	for i := range f.Disclosures {
		f.Disclosures[i].Path = paths[i]
	}
	return nil
}

func (f *Found) verify(origin string, v note.Verifier, paths [][]tlog.Hash) error {
	c, err := VerifyCheckpoint(f.Checkpoint, origin, v)
	if err != nil {
		return err
	}
	for i := range f.Disclosures {
		if d := &f.Disclosures[i]; NewLeaf(d.Salt, d.Entry) != d.Leaf {
			return refuse("disclosure", "leaf")
		}
	}
	if at, leaves := f.leaves(); !covers(c, at, leaves, f.Cover, paths) {
		return refuse("disclosure", "cover")
	}
	return nil
}

func (f *Found) leaves() ([]uint64, []Leaf) {
	at, leaves := make([]uint64, len(f.Disclosures)), make([]Leaf, len(f.Disclosures))
	for i := range f.Disclosures {
		at[i], leaves[i] = f.Disclosures[i].Index, f.Disclosures[i].Leaf
	}
	return at, leaves
}

// Select gives the entries that a question is for, with their cover in the newest
// checkpoint's tree, from an index on; 0 begins where the time does. It tells at
// most most of them and reads at most reads entries. The question's own entry, at
// own, comes last where the time asked for ends before it. It may run beside
// appends.
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
	end, over := min(size, from+uint64(reads)), false
	at := min(from, size)
	if err := l.entries(at, end, func(value []byte) (bool, error) {
		if len(f.Disclosures) == most {
			return false, nil
		}
		if over, err = f.take(q, at, value); err != nil || over {
			return false, err
		}
		at++
		return true, nil
	}); err != nil {
		return Found{}, err
	}
	switch {
	case over && own >= at && own < size:
		if err := l.entries(own, own+1, func(value []byte) (bool, error) {
			_, err := f.take(q, own, value)
			return false, err
		}); err != nil {
			return Found{}, err
		}
	case !over && at < size:
		f.Next = at
	}
	return f, l.coverAll(&f, &h)
}

// coverAll adds the cover, and holds it against the tree: a disk that lost
// something must not make this keeper look like one that lies.
func (l *Log) coverAll(f *Found, h *head) (err error) {
	at, leaves := f.leaves()
	if f.Cover, err = l.cover(at, h.edge.size); err != nil {
		return err
	}
	if !covers(h.checkpoint, at, leaves, f.Cover, nil) {
		return corrupt("entries from %d on do not make the tree", at[0])
	}
	return nil
}

// take adds the entry at an index, as it is stored, if the question is for it;
// over says that what follows is too late.
func (f *Found) take(q *Look, at uint64, value []byte) (over bool, err error) {
	if len(value) == 1 && value[0] == redacted {
		f.Gone++
		return false, nil
	}
	if len(value) <= SaltSize {
		return false, corrupt("entry %d is missing or has the wrong length", at)
	}
	en, err := ParseEntry(value[SaltSize:])
	if err != nil {
		return false, fmt.Errorf("read entry %d: %w", at, err)
	}
	if !q.Matches(&en) {
		return en.Time >= q.Until+lookSlack, nil
	}
	d := Disclosure{Index: at, Seq: en.PatientSeq, Salt: [SaltSize]byte(value[:SaltSize]), Entry: bytes.Clone(value[SaltSize:])}
	d.Leaf = NewLeaf(d.Salt, d.Entry)
	f.Disclosures = append(f.Disclosures, d)
	return false, nil
}

// entries reads the stored entries of a range in order, until yield says no. Their
// values are valid during the yield only. A storage that can read a run of keys is
// read in one.
func (l *Log) entries(from, to uint64, yield func(value []byte) (more bool, err error)) error {
	if from >= to {
		return nil
	}
	run, runs := l.r.(Ranger)
	if !runs {
		for at := from; at < to; at++ {
			v, err := l.r.Get(keyIndex(kindEntry, at))
			if err != nil {
				return fmt.Errorf("read entry %d: %w", at, err)
			}
			if more, err := yield(v); err != nil || !more {
				return err
			}
		}
		return nil
	}
	at, failed, stopped := from, error(nil), false
	if err := run.Scan(keyIndex(kindEntry, from), keyIndex(kindEntry, to), func(k, v []byte) bool {
		if !bytes.Equal(k, keyIndex(kindEntry, at)) {
			failed = corrupt("entry %d is missing or has the wrong length", at)
			return false
		}
		at++
		more, err := yield(v)
		failed, stopped = err, !more
		return err == nil && more
	}); err != nil {
		return fmt.Errorf("read entries from %d on: %w", from, err)
	}
	if failed == nil && !stopped && at < to {
		return corrupt("entry %d is missing or has the wrong length", at)
	}
	return failed
}

// firstAt is the first entry not before a time. Redacted ones are the oldest.
func (l *Log) firstAt(since int64, size uint64) (uint64, error) {
	var failed error
	at := sort.Search(int(size), func(i int) bool {
		at, err := l.timeAt(uint64(i))
		if err != nil {
			failed = err
			return true
		}
		return at >= since
	})
	return uint64(at), failed
}

// timeAt is when the entry at an index was made; before all times for one that is
// redacted.
func (l *Log) timeAt(index uint64) (int64, error) {
	rec, err := l.record(index)
	if err != nil {
		return 0, err
	}
	_, b, err := readEntry(l.r, index, Leaf(rec[:32]))
	if err != nil || b == nil {
		return math.MinInt64, err
	}
	en, err := ParseEntry(b)
	if err != nil {
		return 0, fmt.Errorf("read entry %d: %w", index, err)
	}
	return en.Time, nil
}

package store

import "github.com/abaton-health/abaton"

// WithoutSync is the control of the crash test.
func (o PebbleOptions) WithoutSync() PebbleOptions {
	o.noSync = true
	return o
}

// EraseSteps are the moments at which an erasure can be cut short.
var EraseSteps = []string{"pending", "records", "promoted", "purged"}

// OnStep calls f between the steps of an erasure.
func (s *Store) OnStep(f func(step string) error) { s.reached = f }

// RowKey returns the patient's row key, for a search through the files.
func (s *Store) RowKey(patient abaton.ActorID) ([]byte, error) {
	k, err := s.rowKey(s.pseudonym(patient))
	return k.secret[:], err
}

// Unfinished counts the marks and pending keys of erasures under way.
func (s *Store) Unfinished() (int, error) {
	marks, err := s.marks()
	if err != nil {
		return 0, err
	}
	pending, err := s.pending()
	return len(marks) + len(pending), err
}

// SwapShares exchanges two sealed shares on the disk, as a thief with write
// access might.
func (s *Store) SwapShares(patient abaton.ActorID, batch abaton.BatchName, i, j int) error {
	p := s.pseudonym(patient)
	a, b := recordKey(tableShare, p, batch, i), recordKey(tableShare, p, batch, j)
	one, err := s.records.Get(a)
	if err != nil {
		return err
	}
	two, err := s.records.Get(b)
	if err != nil {
		return err
	}
	var swap Batch
	swap.Put(a, two)
	swap.Put(b, one)
	return s.records.Commit(&swap)
}

// ShareRows counts the sealed shares on the disk.
func (s *Store) ShareRows(patient abaton.ActorID, batch abaton.BatchName) (n int, err error) {
	prefix := batchKey(tableShare, s.pseudonym(patient), batch)
	err = s.records.Scan(prefix, after(prefix), func(_, _ []byte) bool { n++; return true })
	return n, err
}

// KeySecret is where the keeper's secret lies in the engine of row keys.
func KeySecret() []byte { return keySecret }

// Pinned counts the tables that are replaced but still held by a reader.
func Pinned(p *Pebble) int64 { return p.db.Metrics().Table.ZombieCount }

// Reencode parses and marshals again the row format of that name.
func Reencode(format string, b []byte) ([]byte, error) {
	switch format {
	case "notice":
		n, err := parseNotice(b)
		return n.marshal(), err
	case "tombstone":
		t, err := parseTombstone(b)
		if err != nil {
			return nil, err
		}
		return t.marshal(), nil
	case "shape":
		s, err := parseShape(b)
		return s.marshal(), err
	case "row key":
		k, err := parseRowKey(b)
		return k.marshal(), err
	case "fragment":
		r, err := parseFragment(b)
		return r.marshal(), err
	}
	panic("store: no such format")
}

// RowExamples holds one of each format, for the fuzzer to start from.
func RowExamples() map[string][]byte {
	n := Notice{Head: []byte("head"), Lock: []byte("lock"), Capsule: []byte{1}, Leaves: make([][32]byte, 2)}
	t := tombstone{whole: true, erased: 5}
	t.leaves[2] = [32]byte{1}
	return map[string][]byte{
		"notice":    n.marshal(),
		"tombstone": t.marshal(),
		"shape":     shape{size: 3, live: 5, bytes: 700}.marshal(),
		"row key":   newRowKey(2).marshal(),
		"fragment":  (&ParcelRecord{Length: 4, Fragment: []byte("abcd")}).marshal(),
	}
}

package store

import (
	"encoding/binary"

	"github.com/abaton-health/abaton"
)

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

// ForgeShares changes a sealed row of shares on the disk, as a thief with
// write access might.
func (s *Store) ForgeShares(patient abaton.ActorID, batch abaton.BatchName, forge func(sealed []byte) []byte) error {
	return s.forge(batchKey(tableShare, s.pseudonym(patient), batch), forge)
}

// ForgeFragments changes the row of a batch's small fragments.
func (s *Store) ForgeFragments(patient abaton.ActorID, batch abaton.BatchName, forge func(row []byte) []byte) error {
	return s.forge(batchKey(tableFragment, s.pseudonym(patient), batch), forge)
}

func (s *Store) forge(key []byte, forge func([]byte) []byte) error {
	row, err := s.records.Get(key)
	if err != nil {
		return err
	}
	var b Batch
	b.Put(key, forge(row))
	return s.records.Commit(&b)
}

// MoveShares puts the sealed shares of one batch in the place of another's.
func (s *Store) MoveShares(patient abaton.ActorID, from, to abaton.BatchName) error {
	row, err := s.records.Get(batchKey(tableShare, s.pseudonym(patient), from))
	if err != nil {
		return err
	}
	return s.ForgeShares(patient, to, func([]byte) []byte { return row })
}

// SharesHeld says which records' shares lie sealed on the disk.
func (s *Store) SharesHeld(patient abaton.ActorID, batch abaton.BatchName) (held uint64, err error) {
	row, err := getOrNil(s.records, batchKey(tableShare, s.pseudonym(patient), batch))
	if err != nil || row == nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(row[4:]), nil
}

// ForgeLive makes the short row of a batch say that those records are there.
func (s *Store) ForgeLive(patient abaton.ActorID, batch abaton.BatchName, live uint64) error {
	return s.forge(batchKey(tableBatch, s.pseudonym(patient), batch), func(row []byte) []byte {
		binary.BigEndian.PutUint64(row[17:], live)
		return row
	})
}

// FragmentRows counts the rows in which fragments lie: one for all small ones,
// one for each large one.
func (s *Store) FragmentRows(patient abaton.ActorID, batch abaton.BatchName) (n int, err error) {
	prefix := batchKey(tableFragment, s.pseudonym(patient), batch)
	err = s.records.Scan(prefix, after(prefix), func(_, _ []byte) bool { n++; return true })
	return n, err
}

// SetFormat marks the store as made by another version.
func (s *Store) SetFormat(version byte) error {
	return s.forge(keyFormat, func(row []byte) []byte { row[0] = version; return row })
}

// Writes lists what the change would write: the sizes of values by table.
func (c *Change) Writes() map[byte]int {
	sizes := make(map[byte]int)
	c.batch.Each(func(key, value []byte, _ bool) bool { sizes[key[0]] += len(value); return true })
	return sizes
}

// KeySecret is where the keeper's secret lies in the engine of row keys.
func KeySecret() []byte { return keySecret }

// Pinned counts the tables that are replaced but still held by a reader.
func Pinned(p *Pebble) int64 { return p.db.Metrics().Table.ZombieCount }

// exampleSeal is a row key whose generation is 2.
func exampleSeal() rowSeal { return rowKey{generation: 2, secret: [32]byte{1}}.ready() }

// SealedExample is a sealed row of two shares.
func SealedExample() []byte {
	return exampleSeal().seal(abaton.BatchName{1}, &shareRow{held: 5, plain: make([]byte, 64)})
}

// OpenExample opens a row as SealedExample seals it and says which records it
// holds.
func OpenExample(sealed []byte) (held uint64, err error) {
	row, err := exampleSeal().open(abaton.BatchName{1}, sealed)
	if err != nil {
		return 0, err
	}
	return row.held, nil
}

// Reencode parses and marshals again the row format of that name.
func Reencode(format string, b []byte) ([]byte, error) {
	switch format {
	case "notice":
		n, err := parseNotice(b)
		return n.marshal(), err
	case "beside":
		n, err := parseBeside(b)
		if err != nil {
			return nil, err
		}
		return n.marshal(), nil
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
	case "fragments":
		f, err := parseFragmentRow(b)
		if err != nil {
			return nil, err
		}
		return f.marshal(), nil
	case "large fragment":
		r, err := parseFragment(b)
		return r.append(nil), err
	}
	panic("store: no such format")
}

// RowExamples holds one of each format, for the fuzzer to start from.
func RowExamples() map[string][]byte {
	n := Notice{Head: []byte("head"), Lock: []byte("lock"), Capsule: []byte{1}, Leaves: make([][32]byte, 2)}
	t := tombstone{whole: true, erased: 5}
	t.leaves[2] = [32]byte{1}
	f := fragmentRow{held: 1<<63 | 1}
	f.records[0] = ParcelRecord{Length: 4, Fragment: []byte("abcd")}
	f.records[63] = ParcelRecord{Length: 300, Fragment: []byte("x")}
	return map[string][]byte{
		"notice":         n.marshal(),
		"tombstone":      t.marshal(),
		"beside":         (&Beside{Lock: []byte("lock"), Receipt: []byte{1}, Leaves: make([][32]byte, 2)}).marshal(),
		"shape":          shape{size: 3, live: 5, bytes: 700}.marshal(),
		"row key":        newRowKey(2).marshal(),
		"fragments":      f.marshal(),
		"large fragment": (&ParcelRecord{Length: 300, Fragment: make([]byte, FragmentTogetherBytes+1)}).append(nil),
	}
}

// BesideRows counts the rows that prepared locks of a batch take.
func (s *Store) BesideRows(patient abaton.ActorID, batch abaton.BatchName) (n int, err error) {
	for _, table := range []byte{tableBeside, tableBesideRow} {
		prefix := batchKey(table, s.pseudonym(patient), batch)
		if err := s.records.Scan(prefix, after(prefix), func(_, _ []byte) bool { n++; return true }); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// SealedShares is the sealed row of a batch's shares, for a search through the
// files.
func (s *Store) SealedShares(patient abaton.ActorID, batch abaton.BatchName) ([]byte, error) {
	return s.records.Get(batchKey(tableShare, s.pseudonym(patient), batch))
}

// MoveBeside puts the prepared shares of one number in the place of another's.
func (s *Store) MoveBeside(patient abaton.ActorID, batch abaton.BatchName, from, to uint64) error {
	p := s.pseudonym(patient)
	row, err := s.records.Get(besideKey(tableBesideRow, p, batch, from))
	if err != nil {
		return err
	}
	return s.forge(besideKey(tableBesideRow, p, batch, to), func([]byte) []byte { return row })
}

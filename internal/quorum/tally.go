package quorum

import (
	"bytes"
	"slices"

	"github.com/abaton-health/abaton"
)

// Standing is what may be shown of a batch (docs/protocol/client.md#list).
type Standing uint8

// The zero Standing is a name somebody mentioned and is never shown as a
// record.
const (
	Rumour Standing = 0 // fewer than T keepers are known to hold it
	Saving Standing = 1 // readable, not yet acknowledged
	Saved  Standing = 2 // W receipts
)

// Row is one batch in the union of several listings.
type Row struct {
	Batch    abaton.BatchName
	Heard    Keepers // who listed it
	Held     Keepers // who says to hold its piece, or gave a receipt
	Receipts Keepers // whose valid receipt is in hand
}

// Standing of the row under p.
func (r Row) Standing(p Params) Standing {
	switch {
	case r.Receipts.Len() >= p.W:
		return Saved
	case (r.Held | r.Receipts).Len() >= p.T:
		return Saving
	}
	return Rumour
}

// Tally is the union of listings: grow-only, the same in any order.
type Tally struct {
	p    Params
	rows map[abaton.BatchName]*Row
	told map[abaton.BatchName]Keepers // who showed at least W receipts
}

// NewTally is an empty union.
func NewTally(p Params) *Tally {
	return &Tally{p: p, rows: map[abaton.BatchName]*Row{}, told: map[abaton.BatchName]Keepers{}}
}

// Add notes that keeper x listed batch with these valid receipts; held says
// that x holds its piece.
func (t *Tally) Add(x abaton.KeeperIndex, batch abaton.BatchName, held bool, receipts Keepers) {
	row := t.rows[batch]
	if row == nil {
		row = &Row{Batch: batch}
		t.rows[batch] = row
	}
	row.Heard = row.Heard.With(x)
	row.Receipts |= receipts & All(t.p.N)
	if held {
		row.Held = row.Held.With(x)
	}
	if receipts.Len() >= t.p.W {
		t.told[batch] = t.told[batch].With(x)
	}
}

// Unclear reports whether some batch is not known to be held by T keepers.
func (t *Tally) Unclear() bool {
	for _, row := range t.rows {
		if row.Standing(t.p) == Rumour {
			return true
		}
	}
	return false
}

// Rows is the union in the order of batch names.
func (t *Tally) Rows() []Row {
	rows := make([]Row, 0, len(t.rows))
	for _, row := range t.rows {
		rows = append(rows, *row)
	}
	slices.SortFunc(rows, func(a, b Row) int { return bytes.Compare(a.Batch[:], b.Batch[:]) })
	return rows
}

// WriteBack is whom among answered to send a batch's notice: keepers that did
// not show the certificate when others know W receipts between them, and
// keepers that did not list the batch at all.
func (t *Tally) WriteBack(row Row, answered Keepers) Keepers {
	if row.Receipts.Len() >= t.p.W {
		return answered &^ t.told[row.Batch]
	}
	return answered &^ row.Heard
}

package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/ledger"
)

// accessFilter is which disclosures of a list are wanted; empty: all.
type accessFilter struct {
	since  string // an instant (RFC 3339)
	record string // TYPE/ID
}

// apply leaves the lines that are wanted. Which record is which only the
// patient's device knows: it opens the record for that, which is a line itself.
func (f *accessFilter) apply(ctx context.Context, d *device, h *ledger.History) error {
	if f.since != "" {
		since, err := time.Parse(time.RFC3339, f.since)
		if err != nil {
			return usage("--since is no instant with a time zone, as 2026-01-31T08:00:00Z")
		}
		h.Lines = slices.DeleteFunc(h.Lines, func(l ledger.Line) bool { return l.Last < since.Unix() })
	}
	if f.record == "" {
		return nil
	}
	r, err := d.record(ctx)
	if err != nil {
		return err
	}
	versions := r.names[f.record]
	if len(versions) == 0 {
		return fmt.Errorf("%s: %w", f.record, abaton.ErrNotFound)
	}
	h.Lines = slices.DeleteFunc(h.Lines, func(l ledger.Line) bool { return !gives(&l, versions) })
	return nil
}

// gives reports whether a disclosure handed out one of the records.
func gives(l *ledger.Line, versions []abaton.RecordName) bool {
	return l.Op == ledger.OpRelease && slices.ContainsFunc(l.Rows, func(r ledger.LineRow) bool {
		return slices.ContainsFunc(versions, func(v abaton.RecordName) bool {
			return v.Batch == r.Batch && r.Released>>v.Index&1 == 1
		})
	})
}

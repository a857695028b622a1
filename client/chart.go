package client

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/seal"
)

// Chart is a patient's records, as far as the ask covers them.
type Chart struct {
	Records []Record // without indexes and commit records
	Batches []Batch
	Hidden  int // records of transactions that are not committed yet
	Missing []Missing
	Faults  []Fault
	Caveat  string
}

// Chart lists and opens everything that each ask covers, asks in parallel,
// with few requests: a chart of a thousand records is one list and sixteen
// rows.
func (r *Reader) Chart(ctx context.Context, asks ...Ask) (*Chart, error) {
	charts := make([]*Chart, len(asks))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(requestsAtOnce)
	for i, a := range asks {
		g.Go(func() (err error) {
			charts[i], err = r.chart(ctx, a)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	all := new(Chart)
	for _, c := range charts {
		all.Records = append(all.Records, c.Records...)
		all.Batches = append(all.Batches, c.Batches...)
		all.Missing = append(all.Missing, c.Missing...)
		all.Faults = append(all.Faults, c.Faults...)
		all.Hidden += c.Hidden
		if all.Caveat == "" {
			all.Caveat = c.Caveat
		}
	}
	return all, nil
}

func (r *Reader) chart(ctx context.Context, a Ask) (*Chart, error) {
	list, err := r.List(ctx, a)
	if err != nil {
		return nil, err
	}
	var rows []Row
	for i := range list.Batches {
		if row := list.Batches[i].Rows(); row.Records != 0 {
			rows = append(rows, row)
		}
	}
	c := &Chart{Batches: list.Batches, Caveat: list.Caveat()}
	if len(rows) == 0 {
		return c, nil
	}
	got, err := r.Get(ctx, a, rows...)
	if err != nil {
		return nil, err
	}
	c.Missing, c.Faults = got.Missing, got.Faults
	c.Records, c.Hidden = Committed(got.Records)
	return c, nil
}

// lineTransaction is one line's part of a transaction.
type lineTransaction struct {
	line abaton.Line
	id   [seal.TransactionBytes]byte
}

// Committed leaves out the records of transactions whose commit record is not
// among them (RULINGS 9), indexes and the commit records themselves; hidden
// counts the records left out for want of a commit.
func Committed(records []Record) (shown []Record, hidden int) {
	committed := make(map[lineTransaction]bool)
	for i := range records {
		if records[i].Envelope.Kind != seal.KindCommit {
			continue
		}
		if c, err := seal.ParseCommit(records[i].Content); err == nil {
			committed[lineTransaction{records[i].Line, c.Transaction}] = true
		}
	}
	for _, record := range records {
		e := &record.Envelope
		switch {
		case e.Kind == seal.KindIndex || e.Kind == seal.KindCommit:
		case len(e.Transaction) != 0 && !committed[lineTransaction{record.Line, [seal.TransactionBytes]byte(e.Transaction)}]:
			hidden++
		default:
			shown = append(shown, record)
		}
	}
	return shown, hidden
}

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/ledger"
)

// records is a set of records that somebody opened.
type records map[abaton.RecordName]bool

// disclosuresExact compares the patient's list of disclosures, from the
// keepers' ledgers, with what really happened.
func (d *demo) disclosuresExact(ctx context.Context) (result, error) {
	r := result{unit: "disclosures"}
	if d.chart == nil || d.reads == 0 {
		return r, errBefore
	}
	h, err := d.history(ctx)
	if err != nil {
		return r, err
	}
	if h.Verdict != ledger.Complete || len(h.Faults) > 0 {
		return r, fmt.Errorf("the list is %s", h.String())
	}
	happened := map[abaton.ActorID]records{
		d.patient.ID: d.inLines(d.lines(fhir.Categories())),
		d.ben.ID:     d.inLines(d.lines(granted)),
		d.office.ID:  d.inLines(d.lines(readByOffice())),
	}
	listed, deposits, disputed := toldBy(h)
	if disputed > 0 {
		return r, fmt.Errorf("%d lines are told differently by different ledgers", disputed)
	}
	for who, set := range listed {
		want, known := happened[who]
		if !known {
			return r, fmt.Errorf("the list names somebody who opened nothing: %s", short(who.String()))
		}
		if err := sameRecords(set, want); err != nil {
			return r, fmt.Errorf("what %s opened: %w", nameOfActor(d, who), err)
		}
		r.figure += float64(len(set))
	}
	if len(listed) != len(happened) {
		return r, fmt.Errorf("the list names %d who opened something, want %d", len(listed), len(happened))
	}
	held := make(map[abaton.BatchName]bool)
	for i := range d.chart.Batches {
		held[d.chart.Batches[i].Name] = true
	}
	if len(held) != len(deposits) || !slices.ContainsFunc(h.Lines, func(l ledger.Line) bool { return l.Op == ledger.OpDeposit }) {
		return r, fmt.Errorf("%d batches are held and %d deposits listed", len(held), len(deposits))
	}
	r.detail = fmt.Sprintf("of records to readers listed, the very ones that %d readers opened, in %d lines; %d deposits; the list is %s",
		len(listed), len(h.Lines), len(deposits), h.String())
	return r, nil
}

func nameOfActor(d *demo, id abaton.ActorID) string {
	for _, one := range []*device{d.patient, d.ben, d.office} {
		if one.ID == id {
			return one.Handle
		}
	}
	return short(id.String())
}

// readByOffice are the parts that an importing records office opens: what it may,
// less the emergency set, which holds copies of what it reads in the general part.
func readByOffice() (all []fhir.Category) {
	for _, c := range fhir.Categories() {
		if c != fhir.PsychotherapyNotes && c != fhir.Emergency {
			all = append(all, c)
		}
	}
	return all
}

// inLines are all records that lie in these lines, indexes apart.
func (d *demo) inLines(lines []abaton.Line) records {
	set := make(records)
	for i := range d.chart.Batches {
		if b := &d.chart.Batches[i]; slices.Contains(lines, b.Line) {
			set.add(b.Rows())
		}
	}
	return set
}

func (set records) add(row client.Row) {
	for j := range abaton.BatchRecordsMax {
		if row.Records>>j&1 == 1 {
			set[abaton.RecordName{Batch: row.Batch, Index: uint16(j)}] = true
		}
	}
}

// toldBy sorts a history: who opened which records, and which batches came in.
func toldBy(h *ledger.History) (opened map[abaton.ActorID]records, deposits map[abaton.BatchName]bool, disputed int) {
	opened, deposits = make(map[abaton.ActorID]records), make(map[abaton.BatchName]bool)
	for i := range h.Lines {
		l := &h.Lines[i]
		if l.Disputed {
			disputed++
		}
		for _, row := range l.Rows {
			switch {
			case row.Released == 0 || l.Op == ledger.OpIndex || l.Op == ledger.OpPermit:
			case l.Op == ledger.OpDeposit:
				deposits[row.Batch] = true
			default:
				if opened[l.Actor] == nil {
					opened[l.Actor] = make(records)
				}
				opened[l.Actor].add(client.Row{Batch: row.Batch, Records: row.Released})
			}
		}
	}
	return opened, deposits, disputed
}

func sameRecords(got, want records) error {
	missing, extra := 0, 0
	for name := range want {
		if !got[name] {
			missing++
		}
	}
	for name := range got {
		if !want[name] {
			extra++
		}
	}
	if missing+extra > 0 {
		return fmt.Errorf("%d records are not listed, %d are listed and were not opened", missing, extra)
	}
	return nil
}

// lookAtLedgers checks every ledger from outside and remembers what it saw, so
// that each look must contain all before. A keeper that is down at the moment
// is looked at the next time.
func (d *demo) lookAtLedgers(ctx context.Context) error {
	d.looked++
	for _, r := range auditAll(ctx, d.ledgers, d.path("seen")) {
		if !r.OK {
			return fmt.Errorf("%s: %s", r.Keeper, r.Problem)
		}
	}
	return nil
}

// cosignMax is how long peers may take to cosign the newest trees.
const cosignMax = 30 * time.Second

// ledgersVerified checks all five ledgers against every checkpoint seen, and
// waits until two others have cosigned each newest tree.
func (d *demo) ledgersVerified(ctx context.Context) (result, error) {
	r := result{unit: "entries"}
	began := time.Now()
	for {
		reports := auditAll(ctx, d.ledgers, d.path("seen"))
		least := len(d.ledgers)
		r.figure = 0
		for _, one := range reports {
			if !one.OK {
				return r, fmt.Errorf("%s: %s", one.Keeper, one.Problem)
			}
			if one.SeenSize == nil {
				return r, errors.New("a ledger was never seen before")
			}
			least = min(least, len(one.Cosigned))
			r.figure += float64(one.Size)
		}
		r.detail = fmt.Sprintf("in %d ledgers, recomputed from their published hashes; each contains what it showed at %d looks before; each cosigned by at least %d others",
			len(reports), d.looked, least)
		if least >= 2 {
			return r, nil
		}
		if time.Since(began) > cosignMax {
			return r, errors.New("peers do not cosign")
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return r, err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

package custody_test

import (
	"slices"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/session"
)

// entriesAt is what one keeper's ledger tells the patient of an operation.
func (w *world) entriesAt(t *testing.T, x abaton.KeeperIndex, own *custodytest.Session, op ledger.Op) (out []ledger.Entry) {
	t.Helper()
	r := w.mustAsk(t, own, x, session.Request{Patient: w.ana.ID, Mode: session.History, Purpose: abaton.PatientAccess}, keeper.Permitted, "")
	for _, d := range r.Disclosures {
		e, err := ledger.ParseEntry(d.Entry)
		if err != nil {
			t.Fatal(err)
		}
		if e.Op == op {
			out = append(out, e)
		}
	}
	return out
}

// TestEntriesSayByWhichPolicy: the version in force when it was asked, permitted
// or refused; none before one is published, and none for the patient.
func TestEntriesSayByWhichPolicy(t *testing.T) {
	w := newWorld(t, 1)
	sealed := w.seals(t, 1, 1)
	w.mustDeposit(t, sealed)
	doctor, own, q := w.SignIn(t, w.doctor), w.SignIn(t, w.ana), w.release(sealed, 1)
	w.mustAsk(t, doctor, 1, q, keeper.Permitted, "")
	w.publishes(t, 1, permitAll)
	w.mustAsk(t, doctor, 1, q, keeper.Permitted, "")
	w.publishes(t, 2, permitAll+`@id("none") @why("None.") forbid (principal, action, resource);`)
	w.mustAsk(t, doctor, 1, q, keeper.Refused, abaton.ReasonPolicy)
	mine := q
	mine.Grant, mine.Purpose = abaton.GrantID{}, abaton.PatientAccess
	w.mustAsk(t, own, 1, mine, keeper.Permitted, "")
	var got []uint64
	for _, e := range w.entriesAt(t, 1, own, ledger.OpRelease) {
		got = append(got, e.Policy)
	}
	if want := []uint64{0, 1, 2, 0}; !slices.Equal(got, want) {
		t.Errorf("got policies %v, want %v", got, want)
	}
}

// TestEntriesNameTheLine: what was put in and what was opened names its line,
// which says which part of the record it was to whoever knows the line's name.
func TestEntriesNameTheLine(t *testing.T) {
	w := newWorld(t, 1)
	sealed := w.seals(t, 1, 1)
	w.mustDeposit(t, sealed)
	own := w.SignIn(t, w.ana)
	w.mustAsk(t, w.SignIn(t, w.doctor), 1, w.release(sealed, 1), keeper.Permitted, "")
	for _, op := range []ledger.Op{ledger.OpDeposit, ledger.OpRelease} {
		all := w.entriesAt(t, 1, own, op)
		if len(all) != 1 || !slices.Equal(all[0].Lines, w.grant.Lines[:1]) {
			t.Errorf("%s: got %d entries, want one that names the line", op, len(all))
		}
	}
}

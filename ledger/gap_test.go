package ledger_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/ledger"
)

// withholding is five ledgers of which one, the liar's, is a second ledger that
// it keeps for the patient's eyes: whole, signed, and without some entries.
type withholding struct {
	t     *testing.T
	real  []*ledgerOf
	shown []*ledgerOf
	liar  int
	hides func(ledger.Entry) bool
}

func newWithholding(t *testing.T, liar int, hides func(ledger.Entry) bool) *withholding {
	w := &withholding{t: t, real: fiveKeepers(t), liar: liar, hides: hides}
	w.shown = slices.Clone(w.real)
	w.shown[liar-1] = fiveKeepers(t)[liar-1]
	return w
}

func (w *withholding) asks(second int64, e ledger.Entry, xs ...int) {
	ask(w.t, w.real, second, e, xs...)
	if slices.Contains(xs, w.liar) && !w.hides(e) {
		ask(w.t, w.shown, second, e, w.liar)
	}
}

func event(name string) ledger.Entry {
	return ledger.Entry{Request: id("event", name), Op: ledger.OpEvent, Outcome: ledger.Permitted, Actor: id("patient", "ana"), Patient: id("patient", "ana")}
}

// TestWithheldReadsAreNamed: keeper 3 leaves out every read. Its ledger is
// whole, so the list is complete without it, and the gap names it, from the
// first such read to the last.
func TestWithheldReadsAreNamed(t *testing.T) {
	w := newWithholding(t, 3, func(e ledger.Entry) bool { return e.Op == ledger.OpRelease })
	w.asks(1, event("inception"), 1, 2, 3, 4, 5)
	w.asks(100, release("r1", "doctor", "ana"), 1, 2, 3)
	w.asks(200, release("r2", "doctor", "ana"), 3, 4, 5)
	w.asks(300, release("r3", "doctor", "ana"), 1, 4, 5)
	w.asks(900, event("later"), 1, 2, 3, 4, 5)
	h := merge(t, w.shown, 1, 2, 3, 4, 5)
	if h.Verdict != ledger.Complete || len(h.Lines) != 5 || len(h.Gaps) != 1 {
		t.Fatalf("got %s, %d lines, gaps %v; want complete, 5 and one", h.String(), len(h.Lines), h.Gaps)
	}
	g := h.Gaps[0]
	if g.Kind != ledger.GapShort || !slices.Equal(g.Keepers, []abaton.KeeperIndex{3}) || g.Requests != 2 || g.From != at(100).Unix() || g.To != at(200).Unix() {
		t.Errorf("got %+v, want keeper 3, two requests, from 100 to 200", g)
	}
	if !strings.Contains(g.String(), "keeper 3") {
		t.Errorf("got %q, want the keeper named", g)
	}
	if h := merge(t, w.real, 1, 2, 3, 4, 5); len(h.Gaps) != 0 {
		t.Errorf("honest ledgers: got %v, want no gap", h.Gaps)
	}
	// With keeper 5 away the first read may have been whole, the second not: 4
	// shows it, 5 may have it, and one of the others must.
	if g := merge(t, w.shown, 1, 2, 3, 4).Gaps; len(g) != 1 || g[0].Requests != 1 || !slices.Equal(g[0].Keepers, []abaton.KeeperIndex{1, 2, 3}) {
		t.Errorf("with one away: got %v, want one request and keeper 1, 2 or 3", g)
	}
}

// TestOneShortReadNamesAllThatCould: with one read alone three keepers could be
// the one, and all three are named; a read that two left out names none.
func TestOneShortReadNamesAllThatCould(t *testing.T) {
	ks := fiveKeepers(t)
	ask(t, ks, 1, release("r1", "doctor", "ana"), 1, 2)
	if g := merge(t, ks, 1, 2, 3, 4, 5).Gaps; len(g) != 1 || !slices.Equal(g[0].Keepers, []abaton.KeeperIndex{3, 4, 5}) {
		t.Errorf("got %v, want keeper 3 or 4 or 5", g)
	}
	ask(t, ks, 2, release("r2", "doctor", "ana"), 3, 4)
	ask(t, ks, 3, release("r3", "doctor", "ana"), 2, 5)
	if g := merge(t, ks, 1, 2, 3, 4, 5).Gaps; len(g) != 1 || len(g[0].Keepers) != 0 || g[0].Requests != 3 {
		t.Errorf("got %v, want three requests and nobody named", g)
	}
}

func TestRefusedReadsLeaveNoGap(t *testing.T) {
	ks := fiveKeepers(t)
	e := release("r1", "doctor", "ana", row("b1", 0, 1))
	e.Outcome, e.Reason = ledger.Refused, abaton.ReasonGrant
	ask(t, ks, 1, e, 1)
	if g := merge(t, ks, 1, 2, 3, 4, 5).Gaps; len(g) != 0 {
		t.Errorf("got %v, want none: nothing was released", g)
	}
}

// TestMissingEventsAreNamed: what reaches every keeper and one does not show.
func TestMissingEventsAreNamed(t *testing.T) {
	w := newWithholding(t, 4, func(e ledger.Entry) bool { return e.Request == id("event", "revocation") })
	w.asks(1, event("inception"), 1, 2, 3, 4, 5)
	w.asks(100, event("revocation"), 1, 2, 3, 4, 5)
	for _, c := range []struct {
		last int64
		want int
	}{{150, 0}, {900, 1}} { // it may still be on its way; then not any more
		w.asks(c.last, event(fmt.Sprint(c.last)), 1, 2, 3, 4, 5)
		h := merge(t, w.shown, 1, 2, 3, 4, 5)
		if len(h.Gaps) != c.want {
			t.Fatalf("until %d: got %v, want %d", c.last, h.Gaps, c.want)
		}
		if c.want == 1 && (h.Gaps[0].Kind != ledger.GapMissing || h.Gaps[0].Keepers[0] != 4 || h.Gaps[0].From != at(100).Unix()) {
			t.Errorf("got %+v, want keeper 4 at 100", h.Gaps[0])
		}
	}
	// Two that lack it: then not all others show it.
	ask(t, w.real, 1000, event("half"), 1, 2, 3)
	ask(t, w.shown, 1000, event("half"), 1)
	if h := merge(t, w.real, 1, 2, 3, 4, 5); len(h.Gaps) != 0 {
		t.Errorf("two lack the newest: got %v, want none", h.Gaps)
	}
}

// TestBrokenChainsSayFromWhenToWhen: the hole lies between its neighbours.
func TestBrokenChainsSayFromWhenToWhen(t *testing.T) {
	ks := fiveKeepers(t)
	for i := range 4 {
		ask(t, ks, int64(100*(i+1)), release(fmt.Sprint(i), "doctor", "ana"), 1, 2, 3, 4, 5)
	}
	as := answers(t, ks, "ana", 1, 2, 3, 4, 5)
	as[1].Disclosures = slices.Delete(as[1].Disclosures, 2, 3)
	h := ledger.Merge(id("patient", "ana"), as, shape())
	if len(h.Gaps) != 1 || h.Gaps[0].Kind != ledger.GapBroken || h.Gaps[0].Keepers[0] != 2 || h.Gaps[0].From != at(200).Unix() || h.Gaps[0].To != at(400).Unix() {
		t.Errorf("got %+v, want keeper 2 between 200 and 400", h.Gaps)
	}
	if h.Verdict != ledger.Complete {
		t.Errorf("got %s, want complete by the four others", h.String())
	}
}

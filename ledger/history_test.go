package ledger_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/ledger"
)

// five keepers with one ledger each.
func fiveKeepers(t *testing.T) []*ledgerOf {
	var out []*ledgerOf
	for x := range 5 {
		name := fmt.Sprintf("keeper%d.example", x+1)
		out = append(out, newLedger(t, config(t, name+"/ledger", name, abaton.KeeperIndex(x+1))))
	}
	return out
}

// ask sends one request to the keepers listed.
func ask(t *testing.T, ks []*ledgerOf, second int64, e ledger.Entry, xs ...int) {
	t.Helper()
	for _, x := range xs {
		ks[x-1].add(t, at(second), e)
	}
}

func answers(t *testing.T, ks []*ledgerOf, patient string, xs ...int) []ledger.Answer {
	t.Helper()
	var out []ledger.Answer
	for _, x := range xs {
		k := ks[x-1]
		ex, err := k.Extract(id("patient", patient), 0, abaton.DisclosuresMax)
		if err != nil {
			t.Fatal(err)
		}
		if err := ex.Verify(k.Origin(), k.cfg.Verifier); err != nil {
			t.Fatal(err)
		}
		out = append(out, ledger.Answer{Keeper: abaton.KeeperIndex(x), Disclosures: ex.Disclosures})
	}
	return out
}

func shape() ledger.Shape { return ledger.Shape{Keepers: 5, Threshold: 3, Faulty: 1} }

func merge(t *testing.T, ks []*ledgerOf, xs ...int) ledger.History {
	return ledger.Merge(id("patient", "ana"), answers(t, ks, "ana", xs...), shape())
}

// subsets of keepers 1 to 5 of the given size.
func subsets(size int) (out [][]int) {
	for bits := range 1 << 5 {
		var s []int
		for x := range 5 {
			if bits>>x&1 == 1 {
				s = append(s, x+1)
			}
		}
		if len(s) == size {
			out = append(out, s)
		}
	}
	return out
}

func TestVerdictNeedsFourAnswers(t *testing.T) {
	ks := fiveKeepers(t)
	ask(t, ks, 1, release("r1", "doctor", "ana"), 1, 2, 3)
	for n, want := range map[int]string{
		0: "incomplete", 1: "incomplete", 2: "incomplete",
		3: "complete unless one of these 3 lies", 4: "complete", 5: "complete",
	} {
		for _, s := range subsets(n) {
			if h := merge(t, ks, s...); h.String() != want {
				t.Errorf("answers of %v: got %q, want %q", s, h.String(), want)
			}
		}
	}
	h := ledger.Merge(id("patient", "ana"), answers(t, ks, "ana", 1, 2, 3, 4, 5), ledger.Shape{})
	if h.Verdict != ledger.Incomplete {
		t.Errorf("zero shape: got %v, want incomplete", h.Verdict)
	}
}

// TestAnyFourAnswersShowEveryOpening is T11: every set of three keepers that
// opens, every liar among them that says nothing, every four that answer.
func TestAnyFourAnswersShowEveryOpening(t *testing.T) {
	missed := 0
	for _, opening := range subsets(3) {
		ks := fiveKeepers(t)
		ask(t, ks, 1, release("r1", "doctor", "ana"), opening...)
		empty := fiveKeepers(t)
		for liar := 1; liar <= 5; liar++ {
			view := slices.Clone(ks)
			view[liar-1] = empty[liar-1]
			for _, s := range subsets(4) {
				h := merge(t, view, s...)
				if h.Verdict != ledger.Complete || len(h.Lines) != 1 {
					t.Errorf("opened by %v, liar %d, asked %v: got %d lines, %s", opening, liar, s, len(h.Lines), h.String())
				}
			}
			for _, s := range subsets(3) {
				h := merge(t, view, s...)
				if len(h.Lines) == 0 {
					missed++
				}
				if h.Verdict == ledger.Complete {
					t.Errorf("three answers: got complete, want the caveat")
				}
			}
		}
	}
	if missed == 0 {
		t.Error("three answers with a liar never missed an opening: the caveat would be needless")
	}
}

func TestMergeShowsWhatWasOpened(t *testing.T) {
	ks := fiveKeepers(t)
	e := release("r1", "doctor", "ana", row("b1", 0b011, 0))
	ask(t, ks, 1, e, 1, 2)
	part := e
	part.Rows, part.Outcome, part.Reason = []ledger.Row{row("b1", 0b001, 0b110)}, ledger.Partly, abaton.ReasonNotFound
	ask(t, ks, 2, part, 3)
	no := release("r2", "nurse", "ana", row("b2", 0, 1))
	no.Outcome, no.Reason = ledger.Refused, abaton.ReasonGrant
	ask(t, ks, 3, no, 1, 2, 3, 4, 5)
	h := merge(t, ks, 1, 2, 3, 4)
	if len(h.Lines) != 2 {
		t.Fatalf("got %d lines, want 2", len(h.Lines))
	}
	a, b := h.Lines[0], h.Lines[1]
	want := ledger.LineRow{Batch: id("batch", "b1"), Released: 0b011, Refused: 0b110, Confirmed: 0b001}
	if a.Rows[0] != want || !slices.Equal(a.Keepers, []abaton.KeeperIndex{1, 2, 3}) || a.Disputed {
		t.Errorf("got %+v by %v, want %+v by 1 2 3", a.Rows[0], a.Keepers, want)
	}
	if a.First != at(1).Unix() || a.Last != at(2).Unix() {
		t.Errorf("got %d to %d", a.First, a.Last)
	}
	if b.Rows[0].Released != 0 || b.Rows[0].Refused != 1 || b.Actor != id("actor", "nurse") {
		t.Errorf("refusal: got %+v", b)
	}
}

func TestRepeatedRequestCountsAKeeperOnce(t *testing.T) {
	ks := fiveKeepers(t)
	e := release("r1", "doctor", "ana")
	ask(t, ks, 1, e, 1, 1, 1, 2)
	if h := merge(t, ks, 1, 2, 3, 4); len(h.Lines) != 1 || h.Lines[0].Rows[0].Confirmed != 0 {
		t.Errorf("got %+v, want one line, nothing confirmed", h.Lines)
	}
}

func TestLiarCannotChangeFacts(t *testing.T) {
	for name, lie := range map[string]func(*ledger.Entry){
		"actor":  func(e *ledger.Entry) { e.Actor = id("actor", "scapegoat") },
		"device": func(e *ledger.Entry) { e.Device = id("actor", "another device") },
		"role":   func(e *ledger.Entry) { e.Role = "emergency" },
		"behalf": func(e *ledger.Entry) { e.Behalf = id("actor", "colleague") },
		"onward": func(e *ledger.Entry) {
			e.Grant, e.Onward = id("grant"), abaton.Handed{From: id("giver"), ID: id("hand-on")}
		},
	} {
		ks := fiveKeepers(t)
		e := release("r1", "doctor", "ana")
		ask(t, ks, 1, e, 1, 2)
		lie(&e)
		ask(t, ks, 1, e, 3)
		h := merge(t, ks, 1, 2, 3, 4)
		if len(h.Lines) != 2 || !h.Lines[0].Disputed || !h.Lines[1].Disputed {
			t.Errorf("%s: got %d lines, want both versions, disputed", name, len(h.Lines))
		}
	}
}

func TestRenewalsFold(t *testing.T) {
	permit := func(request string, folds uint64, rows ...ledger.Row) ledger.Entry {
		e := release(request, "doctor", "ana", rows...)
		e.Op, e.FoldsInto = ledger.OpPermit, folds
		return e
	}
	open := release("r1", "doctor", "ana", row("b1", 3, 0))
	other := func(e ledger.Entry) ledger.Entry { e.Session = id("session", "other"); return e }
	for _, c := range []struct {
		name  string
		plays func(ks []*ledgerOf)
		lines int
	}{
		{"renewal of the same session", func(ks []*ledgerOf) {
			ask(t, ks, 60, permit("p1", ledger.Fold(0), row("b1", 1, 0)), 1, 2, 3)
			ask(t, ks, 120, permit("p2", ledger.Fold(0), row("b1", 3, 0)), 1, 2, 3)
		}, 1},
		{"a permit that is no renewal", func(ks []*ledgerOf) { ask(t, ks, 60, permit("p1", 0, row("b1", 1, 0)), 1, 2, 3) }, 2},
		{"only one keeper says so", func(ks []*ledgerOf) {
			ask(t, ks, 60, permit("p1", ledger.Fold(0), row("b1", 1, 0)), 1)
			ask(t, ks, 60, permit("p1", 0, row("b1", 1, 0)), 2, 3)
		}, 2},
		{"another session", func(ks []*ledgerOf) { ask(t, ks, 60, other(permit("p1", ledger.Fold(0), row("b1", 1, 0))), 1, 2, 3) }, 2},
		{"a record more", func(ks []*ledgerOf) { ask(t, ks, 60, permit("p1", ledger.Fold(0), row("b1", 7, 0)), 1, 2, 3) }, 2},
		{"another batch", func(ks []*ledgerOf) { ask(t, ks, 60, permit("p1", ledger.Fold(0), row("b9", 1, 0)), 1, 2, 3) }, 2},
		{"a record refused", func(ks []*ledgerOf) {
			e := permit("p1", ledger.Fold(0), row("b1", 1, 2))
			e.Outcome, e.Reason = ledger.Partly, abaton.ReasonGrant
			ask(t, ks, 60, e, 1, 2, 3)
		}, 2},
		{"disputed", func(ks []*ledgerOf) {
			ask(t, ks, 60, permit("p1", ledger.Fold(0), row("b1", 1, 0)), 1, 2)
			e := permit("p1", 0, row("b1", 1, 0))
			e.Actor = id("actor", "scapegoat")
			ask(t, ks, 60, e, 3)
		}, 3},
		{"into itself", func(ks []*ledgerOf) { ask(t, ks, 60, permit("p1", ledger.Fold(1), row("b1", 1, 0)), 1, 2, 3) }, 2},
		{"into a renewal", func(ks []*ledgerOf) {
			ask(t, ks, 60, permit("p1", ledger.Fold(0), row("b1", 1, 0)), 1, 2, 3)
			ask(t, ks, 120, permit("p2", ledger.Fold(1), row("b1", 1, 0)), 1, 2, 3)
		}, 2},
	} {
		ks := fiveKeepers(t)
		ask(t, ks, 1, open, 1, 2, 3)
		c.plays(ks)
		h := merge(t, ks, 1, 2, 3, 4, 5)
		if len(h.Lines) != c.lines {
			t.Errorf("%s: got %d lines, want %d", c.name, len(h.Lines), c.lines)
		}
		if c.lines == 1 && (h.Lines[0].Renewals != 2 || h.Lines[0].Renewed != at(120).Unix()) {
			t.Errorf("%s: got %d renewals, last %d", c.name, h.Lines[0].Renewals, h.Lines[0].Renewed)
		}
	}
}

func TestChainNamesTheGap(t *testing.T) {
	l := newLedger(t, keeperOne(t))
	for i := range 6 {
		l.add(t, at(int64(i+1)), release(fmt.Sprint(i), "doctor", "ana"), release(fmt.Sprint(i), "doctor", "bob"))
	}
	whole := func(patient string) []ledger.Disclosure {
		x, err := l.Extract(id("patient", patient), 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		return x.Disclosures
	}
	if _, err := ledger.CheckChain(1, id("patient", "ana"), whole("ana")); err != nil {
		t.Fatal(err)
	}
	blank := func(d *ledger.Disclosure) { d.Salt, d.Entry = [32]byte{}, nil }
	for _, c := range []struct {
		name  string
		spoil func([]ledger.Disclosure) []ledger.Disclosure
		seq   uint64
		check string
	}{
		{"first missing", func(d []ledger.Disclosure) []ledger.Disclosure { return d[1:] }, 0, "missing"},
		{"one missing", func(d []ledger.Disclosure) []ledger.Disclosure { return slices.Delete(d, 2, 3) }, 2, "missing"},
		{"renumbered", func(d []ledger.Disclosure) []ledger.Disclosure {
			d = slices.Delete(d, 2, 3)
			for i := range d {
				d[i].Seq = uint64(i)
			}
			return d
		}, 2, "seq"},
		{"indexes not ascending", func(d []ledger.Disclosure) []ledger.Disclosure { d[3].Index = d[2].Index; return d }, 3, "order"},
		{"another leaf before", func(d []ledger.Disclosure) []ledger.Disclosure { blank(&d[0]); d[0].Leaf[0] ^= 1; return d }, 1, "tie"},
		{"entry changed", func(d []ledger.Disclosure) []ledger.Disclosure {
			d[4].Entry = append(slices.Clone(d[4].Entry), 0)
			return d
		}, 4, "leaf"},
		{"redacted in the middle", func(d []ledger.Disclosure) []ledger.Disclosure { blank(&d[3]); return d }, 3, "redacted"},
		{"another patient's", func([]ledger.Disclosure) []ledger.Disclosure { return whole("bob") }, 0, "patient"},
	} {
		ds := c.spoil(whole("ana"))
		_, err := ledger.CheckChain(1, id("patient", "ana"), ds)
		g, ok := errors.AsType[*ledger.GapError](err)
		if !ok || g.Seq != c.seq || g.Check != c.check || g.Keeper != 1 {
			t.Errorf("%s: got %v, want gap at %d: %s", c.name, err, c.seq, c.check)
		}
		h := ledger.Merge(id("patient", "ana"), []ledger.Answer{{Keeper: 1, Disclosures: ds}}, shape())
		if h.Answered != 0 || len(h.Faults) != 1 {
			t.Errorf("%s: counted %d answers, %d faults; want 0, 1", c.name, h.Answered, len(h.Faults))
		}
	}
	if _, err := ledger.CheckChain(2, id("patient", "ana"), whole("ana")); err == nil {
		t.Error("entries of keeper 1 pass as those of keeper 2")
	}
}

func TestMergeCountsOnlyWholeChainsOnce(t *testing.T) {
	ks := fiveKeepers(t)
	for i := range 3 {
		ask(t, ks, int64(i+1), release(fmt.Sprint(i), "doctor", "ana"), 1, 2, 3, 4, 5)
	}
	as := answers(t, ks, "ana", 1, 2, 3)
	as = append(as, as[0])
	h := ledger.Merge(id("patient", "ana"), as, shape())
	if h.Verdict != ledger.CompleteUnless || len(h.Faults) != 1 {
		t.Errorf("same keeper twice: got %s, %d faults", h.String(), len(h.Faults))
	}
	as = answers(t, ks, "ana", 1, 2, 3, 4)
	as[3].Disclosures = as[3].Disclosures[1:]
	h = ledger.Merge(id("patient", "ana"), as, shape())
	if h.Verdict != ledger.CompleteUnless || len(h.Lines) != 3 || len(h.Lines[1].Keepers) != 4 {
		t.Errorf("one gap: got %s, %d lines", h.String(), len(h.Lines))
	}
	b := batch{}
	for i := range uint64(2) {
		if err := ks[0].Redact(b, i); err != nil {
			t.Fatal(err)
		}
	}
	b.commit(ks[0].store)
	if h = merge(t, ks, 1, 2, 3, 4); h.Verdict != ledger.Complete || h.Since != at(3).Unix() {
		t.Errorf("redacted: got %s since %d, want complete since %d", h.String(), h.Since, at(3).Unix())
	}
	if err := ks[0].Redact(b, 2); err != nil {
		t.Fatal(err)
	}
	b.commit(ks[0].store)
	if h = merge(t, ks, 1, 2, 3, 4); h.Verdict != ledger.CompleteUnless {
		t.Errorf("all redacted at one keeper: got %s", h.String())
	}
}

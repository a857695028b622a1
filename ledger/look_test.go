package ledger_test

import (
	"errors"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/ledger"
)

func question(organisation string) ledger.Look {
	return ledger.Look{Organisation: id(organisation), Since: at(0).Unix(), Until: at(1 << 20).Unix(), Name: [16]byte{1}}
}

// TestSelectTellsAllOfOne: in pages as small as they come, an organisation's
// entries are told whole, and nobody else's.
func TestSelectTellsAllOfOne(t *testing.T) {
	l := newLedger(t, keeperOne(t))
	want := 0
	for n := range 40 {
		e := release(string(rune('a'+n)), "actor", "patient")
		if n%3 == 0 {
			e.Organisation = id("another")
		} else {
			want++
		}
		l.add(t, at(int64(n)), e)
	}
	for _, most := range []int{1, 7, 100} {
		q, got := question("organisation"), 0
		for from := uint64(0); ; {
			f, err := l.Select(&q, l.Size(), from, most, 5)
			if err != nil || f.Verify(origin, l.cfg.Verifier) != nil {
				t.Fatal(err)
			}
			for i := range f.Disclosures {
				e, err := ledger.ParseEntry(f.Disclosures[i].Entry)
				if err != nil || e.Organisation != q.Organisation {
					t.Fatal("another organisation's entry is told")
				}
				got++
			}
			if f.Next == 0 {
				break
			}
			if f.Next <= from {
				t.Fatal("pages do not move on")
			}
			from = f.Next
		}
		if got != want {
			t.Errorf("pages of %d: got %d entries, want %d", most, got, want)
		}
	}
	late := question("organisation")
	late.Since, late.Until = at(10).Unix(), at(20).Unix()
	if f, err := l.Select(&late, l.Size(), 0, 100, 100); err != nil || len(f.Disclosures) != 7 {
		t.Errorf("ten seconds of it: got %d entries, %v; want 7", len(f.Disclosures), err)
	}
	b := batch{}
	for i := range uint64(5) {
		if err := l.Redact(b, i); err != nil {
			t.Fatal(err)
		}
	}
	b.commit(l.store)
	all := question("organisation")
	if f, err := l.Select(&all, l.Size(), 0, 100, 100); err != nil || len(f.Disclosures) != want-3 {
		t.Errorf("with five entries gone: got %d, %v; want %d", len(f.Disclosures), err, want-3)
	}
}

// TestSurveyNames whatever is wrong with an answer, and keeps what was proven.
func TestSurveyNames(t *testing.T) {
	l := newLedger(t, keeperOne(t))
	q := question("organisation")
	own := q.Entry(id("organisation"))
	opening := release("r1", "actor", "patient")
	renewal := release("r2", "actor", "patient")
	renewal.Op, renewal.FoldsInto = ledger.OpPermit, ledger.Fold(1)
	l.add(t, at(1), release("r0", "actor", "someone"))
	l.add(t, at(2), opening)
	l.add(t, at(3), renewal)
	foreign := release("r3", "actor", "patient")
	foreign.Organisation = id("another")
	l.add(t, at(4), foreign)
	l.add(t, at(5), own)
	whole, err := l.Select(&q, 4, 0, 100, 100)
	if err != nil {
		t.Fatal(err)
	}
	rest := question("another")
	other, err := l.Select(&rest, l.Size(), 0, 100, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, want string
		spoil      func(d []ledger.Disclosure) []ledger.Disclosure
	}{
		{"whole", "", func(d []ledger.Disclosure) []ledger.Disclosure { return d }},
		{"an opening left out", "withheld", func(d []ledger.Disclosure) []ledger.Disclosure { return append(d[:1], d[2:]...) }},
		{"out of order", "order", func(d []ledger.Disclosure) []ledger.Disclosure { d[0], d[3] = d[3], d[0]; return d }},
		{"twice", "order", func(d []ledger.Disclosure) []ledger.Disclosure { return append(d, d[3]) }},
		{"another's entry", "not asked for", func([]ledger.Disclosure) []ledger.Disclosure { return other.Disclosures }},
		{"another salt", "leaf", func(d []ledger.Disclosure) []ledger.Disclosure { d[0].Salt[0] ^= 1; return d }},
		{"another number", "seq", func(d []ledger.Disclosure) []ledger.Disclosure { d[0].Seq++; return d }},
		{"the question not shown", "question not ledgered", func(d []ledger.Disclosure) []ledger.Disclosure { return d[:3] }},
	} {
		s := ledger.NewSurvey(q, ledger.Shape{Keepers: 1, Threshold: 1})
		page := whole
		page.Disclosures = c.spoil(append([]ledger.Disclosure(nil), whole.Disclosures...))
		s.Take(1, &page)
		s.Done(1, 0)
		got := s.Touched()
		why := ""
		if len(got.Faults) == 1 {
			if e, is := errors.AsType[*ledger.WithheldError](got.Faults[0]); is {
				why = e.Check
			}
		}
		if why != c.want || (got.Answered == 1) != (c.want == "") {
			t.Errorf("%s: got fault %q, %d answers that count; want %q", c.name, why, got.Answered, c.want)
		}
	}
	s := ledger.NewSurvey(q, ledger.Shape{Keepers: 1, Threshold: 1})
	if err := s.Take(2, &whole); err == nil {
		t.Error("an answer under another keeper's name is taken")
	}
	if s.Touched().Verdict != ledger.Incomplete || ledger.NewSurvey(q, ledger.Shape{}).Touched().Verdict != ledger.Incomplete {
		t.Error("without an answer the list is complete")
	}
	if (&ledger.Look{}).Matches(&ledger.Entry{}) || (&ledger.Look{Organisation: abaton.ActorID{1}}).Valid() {
		t.Error("an empty question matches, or is valid")
	}
}

package detect

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/abaton-health/abaton"
)

// TestFiguresBearTheFinding: what a rule that counts finds is shown by a number
// that is over, and what it does not find by none.
func TestFiguresBearTheFinding(t *testing.T) {
	counting := Of(D0, D1, D2, D3, D5)
	r := rand.New(rand.NewPCG(7, 8))
	w, at, seen := New(Default()), start, Rules(0)
	for range 20000 {
		at += int64(r.IntN(2))
		a := arbitrary(r, at, 2, 4000)
		f := w.Judge(&a)
		shown := w.Figures(&a, f.Rules)
		for rule := range ruleCount {
			if !counting.Has(rule) || !f.Rules.Has(rule) {
				continue
			}
			seen |= 1 << rule
			if !slices.ContainsFunc(shown, func(g Figure) bool { return g.Rule == rule && g.Over() }) {
				t.Fatalf("%v at %d: got no number behind %v", f, at, rule)
			}
		}
		for _, g := range shown {
			if !f.Rules.Has(g.Rule) {
				t.Fatalf("%v: got a number of %v", f, g.Rule)
			}
		}
		w.Note(&a, true)
	}
	if seen != counting {
		t.Errorf("rules met: got %v, want %v", seen, counting)
	}
}

func TestFigures(t *testing.T) {
	w := New(Default())
	take(w, line(6, 60, unrelated)...)
	a := with(opening(start+6*60, 7), unrelated)
	f := w.Judge(&a)
	wantFinding(t, f, D2, StepUp)
	if got, want := w.Figures(&a, Of(D2)), []Figure{{D2, NoReason, 7, 5, hour}}; !slices.Equal(got, want) {
		t.Errorf("figures: got %v, want %v", got, want)
	}
	house := opening(start+7*60, 8)
	house.Patient = house.Organisation
	take(w, opening(start+7*60, 8), house)
	figures, care := w.Counted(actorOf(1), start+8*60)
	if care != 1 {
		t.Errorf("in care: got %d, want 1", care)
	}
	if i := slices.IndexFunc(figures, func(g Figure) bool { return g.Rule == D2 }); i < 0 || figures[i].Count != 6 {
		t.Errorf("counted now: got %v, want 6 without a reason within an hour", figures)
	}
	if figures, care := w.Counted(actorOf(2), start); figures != nil || care != 0 {
		t.Errorf("a stranger: got %v, %d, want nothing", figures, care)
	}
	if got := new(Watch).Figures(&a, AllRules); got != nil {
		t.Errorf("the zero watch: got %v, want nothing", got)
	}
}

// TestForgiven: of whom a lift speaks nothing is counted, also where it speaks
// of a session in which nothing was opened.
func TestForgiven(t *testing.T) {
	for name, c := range map[string]struct {
		acts    []Act
		forgive func(*Watch)
		left    bool
	}{
		"the person":              {line(6, 60, unrelated), func(w *Watch) { w.Forgive(actorOf(1)) }, false},
		"the session":             {line(6, 60, unrelated), func(w *Watch) { w.ForgiveSession(sessionOf(1)) }, false},
		"a session of refusals":   {line(6, 1, refused(abaton.ReasonGrant)), func(w *Watch) { w.ForgiveSession(sessionOf(1)) }, false},
		"another person":          {line(6, 60, unrelated), func(w *Watch) { w.Forgive(actorOf(2)) }, true},
		"somebody else's session": {line(6, 60, unrelated), func(w *Watch) { w.ForgiveSession(sessionOf(2)) }, true},
	} {
		w := New(Default())
		take(w, c.acts...)
		c.forgive(w)
		figures, _ := w.Counted(actorOf(1), c.acts[len(c.acts)-1].Time+1)
		if got := len(figures) > 0; got != c.left {
			t.Errorf("%s: counted %v, want something: %v", name, figures, c.left)
		}
	}
}

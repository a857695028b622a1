package detect

import (
	"math/rand/v2"
	"testing"
)

// BenchmarkJudgeAndNote is one opening of an ordinary day.
func BenchmarkJudgeAndNote(b *testing.B) {
	h := &house{dice: rand.New(rand.NewPCG(1, 5)), unexplained: 0.02}
	staff, w := h.staff(1000), New(Default())
	var acts []Act
	for _, p := range staff {
		mine := h.shift(p, start)
		h.mark(mine)
		acts = append(acts, mine...)
	}
	h.dice.Shuffle(len(acts), func(i, j int) { acts[i], acts[j] = acts[j], acts[i] })
	b.ReportAllocs()
	n := int64(0)
	for b.Loop() {
		a := &acts[n%int64(len(acts))]
		a.Time = start + n/10
		f := w.Judge(a)
		w.Note(a, f.Level < StepUp)
		n++
	}
}

// BenchmarkFullest is the worst an actor can hold: a program at its bound.
func BenchmarkFullest(b *testing.B) {
	w := New(Default())
	take(w, line(2*ProgramPairsMax, 1, program("batch"))...)
	take(w, line(2*OpensMax, 1, program("batch"), unrelated)...)
	a := with(opening(start+2*ProgramPairsMax, 99), program("batch"))
	b.ReportAllocs()
	for b.Loop() {
		w.Judge(&a)
		w.Note(&a, true)
	}
}

// BenchmarkSettle is the minute's turn over 5,000 people.
func BenchmarkSettle(b *testing.B) {
	w := New(Default())
	for who := range 5000 {
		take(w, line(40, 60, by(who))...)
	}
	for b.Loop() {
		w.Settle(start + hour)
	}
}

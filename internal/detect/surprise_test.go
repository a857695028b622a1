package detect

import (
	"math"
	"testing"
)

// TestUnlikely holds the tail against sums of exact probabilities: for a size
// of 1 the negative binomial is geometric, for a large one it is Poisson.
func TestUnlikely(t *testing.T) {
	for _, mean := range []float64{0.5, 3, 20} {
		for _, n := range []int{8, 30, 60} {
			if float64(n) <= mean {
				continue
			}
			want := float64(n) * math.Log10((1+mean)/mean) // q^n
			if got := unlikely(n, mean, 1); math.Abs(got-want) > 1e-6 {
				t.Errorf("geometric, mean %v, n %d: got %v, want %v", mean, n, got, want)
			}
			if got, want := unlikely(n, mean, 1e7), poissonTail(n, mean); math.Abs(got-want) > 1e-3*want {
				t.Errorf("poisson, mean %v, n %d: got %v, want %v", mean, n, got, want)
			}
		}
	}
	if got := unlikely(3, 5, 3); got != 0 {
		t.Errorf("below the mean: got %v, want 0", got)
	}
}

func poissonTail(n int, mean float64) float64 {
	term := math.Exp(-mean)
	for k := 1; k <= n; k++ {
		term *= mean / float64(k)
	}
	sum := 0.0
	for k := n; k < n+1000; k++ {
		sum += term
		term *= mean / float64(k+1)
	}
	return -math.Log10(sum)
}

// teach lets n people open so many related patients in each working hour.
func teach(w *Watch, people, hours, each int) (now int64) {
	for h := range hours {
		for who := range people {
			for i := range each {
				take(w, with(opening(start+int64(h)*hour+int64(i)*20, h*1000+i), by(who)))
			}
		}
		w.Settle(start + int64(h)*hour)
	}
	return start + int64(hours)*hour
}

// surprisesAt is the first count of new patients in an hour that D11 asks
// about, for a stranger of that role.
func surprisesAt(w *Watch, now int64) int {
	for n := range 200 {
		at := now - now%hour
		a := with(opening(at+int64(n)*15, 500_000+n), by(77))
		if w.Judge(&a).Rules.Has(D11) {
			return n + 1
		}
		take(w, a)
	}
	return 0
}

// TestLearns: a quiet role's busy hour is noticed sooner, a busy one's later.
func TestLearns(t *testing.T) {
	fresh := surprisesAt(New(alone(D11)), start+20*day)
	quiet, busy := New(alone(D11)), New(alone(D11))
	later := teach(quiet, 10, 20*24, 1)
	afterQuiet := surprisesAt(quiet, later)
	teach(busy, 10, 20*24, 9)
	afterBusy := surprisesAt(busy, later)
	if afterQuiet >= fresh || fresh >= afterBusy {
		t.Errorf("asked at: got %d after quiet weeks, %d at first, %d after busy ones; want them to grow", afterQuiet, fresh, afterBusy)
	}
}

// TestPoisonedBaseline: months of far too much move what is learned as far as
// the profile lets it, and no hard cap at all.
func TestPoisonedBaseline(t *testing.T) {
	w := New(alone(D11))
	later := teach(w, 4, 15*24, 70)
	p := Default().Profiles[w.rows.of("nurse", false)]
	if got := surprisesAt(w, later); got == 0 || got > int(p.Hour)+1 {
		t.Errorf("D11 asked at %d, want at most %d", got, p.Hour+1)
	}
	for h := range 24 {
		for _, weekend := range []int{0, 1} {
			mean, size := w.baselines[w.rows.of("nurse", false)][weekend][h].fit(&p)
			if mean > float64(p.Mean)/10*2 || size < float64(p.Spread)/10/2 {
				t.Errorf("learned: got mean %v, size %v, want at most twice and at least half of the profile", mean, size)
			}
		}
	}

	// The other rules do not learn: a poisoned keeper asks where a new one asks.
	for _, rule := range []Rule{D0, D1, D2, D3} {
		poisoned := New(alone(rule))
		later := teach(poisoned, 2, 3*24, 70)
		for _, s := range stories() {
			if s.rule != rule {
				continue
			}
			shift := later - start + day // nurse 1 has slept
			for _, a := range s.acts {
				take(poisoned, with(a, by(900), func(a *Act) { a.Time += shift }))
			}
			last := with(s.last, by(900), func(a *Act) { a.Time += shift })
			if got := poisoned.Judge(&last); got.Level != s.level {
				t.Errorf("%v %s: got %v, want %v", rule, s.name, got, s.level)
			}
			poisoned.Settle(last.Time + 8*day)
			delete(poisoned.trails, actorOf(900))
		}
	}
}

// TestUnrelatedDoesNotTeach: looking around does not make it ordinary.
func TestUnrelatedDoesNotTeach(t *testing.T) {
	one, two := New(Default()), New(Default())
	for h := range int64(200) {
		a := opening(start+h*hour, int(h))
		take(one, a)
		take(two, a)
		for i := range 20 {
			take(two, with(opening(start+h*hour+60, 10_000+int(h)*20+i), unrelated))
		}
	}
	row := one.rows.of("nurse", false)
	if one.baselines[row] != two.baselines[row] {
		t.Error("unrelated openings moved the baseline")
	}
}

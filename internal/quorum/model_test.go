package quorum_test

import (
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/quorum"
)

var five = quorum.Params{N: 5, K: 3, T: 3, W: 4, F: 1}

// behaviour is what one keeper does in a small world.
type behaviour uint8

const (
	honest behaviour = iota
	dead
	refusing
	lying
	behaviours
)

// world is what each of the five keepers does; index 0 is unused.
type world [6]behaviour

func (w world) who(b behaviour) (s quorum.Keepers) {
	for x := abaton.KeeperIndex(1); x <= 5; x++ {
		if w[x] == b {
			s = s.With(x)
		}
	}
	return s
}

// worlds yields every assignment of behaviours to five keepers.
func worlds(yield func(world) bool) {
	var w world
	for code := range 4 * 4 * 4 * 4 * 4 {
		for x, rest := 1, code; x <= 5; x++ {
			w[x] = behaviour(rest % int(behaviours))
			rest /= int(behaviours)
		}
		if !yield(w) {
			return
		}
	}
}

// orders are all orders in which five keepers may answer.
var orders = permute([]abaton.KeeperIndex{1, 2, 3, 4, 5})

func permute(xs []abaton.KeeperIndex) (out [][]abaton.KeeperIndex) {
	if len(xs) == 0 {
		return [][]abaton.KeeperIndex{nil}
	}
	for i := range xs {
		rest := append(append([]abaton.KeeperIndex(nil), xs[:i]...), xs[i+1:]...)
		for _, p := range permute(rest) {
			out = append(out, append([]abaton.KeeperIndex{xs[i]}, p...))
		}
	}
	return out
}

// line is the messages on their way, delivered in the order of a permutation.
type line struct {
	order   []abaton.KeeperIndex
	waiting [6]int
	certs   [6]int
	wakes   quorum.Keepers
	hedge   bool
}

func (l *line) take(effects []quorum.Effect) {
	for _, e := range effects {
		switch e.Do {
		case quorum.Send:
			l.waiting[e.Keeper]++
		case quorum.Certify:
			l.certs[e.Keeper]++
		case quorum.Wake:
			if e.Keeper == 0 {
				l.hedge = true
			} else {
				l.wakes = l.wakes.With(e.Keeper)
			}
		}
	}
}

// next is the first keeper in order with a message under way.
func (l *line) next() (abaton.KeeperIndex, bool) {
	for _, x := range l.order {
		if l.waiting[x] > 0 {
			l.waiting[x]--
			return x, true
		}
	}
	return 0, false
}

func TestParams(t *testing.T) {
	tests := []struct {
		p  quorum.Params
		ok bool
	}{
		{five, true},
		{quorum.Params{N: 9, K: 5, T: 5, W: 7, F: 2}, true},
		{quorum.Params{N: 7, K: 3, T: 5, W: 5, F: 2}, false}, // shares must stand on t+f of the w keepers
		{quorum.Params{N: 7, K: 4, T: 4, W: 5, F: 1}, true},
		{quorum.Params{}, false},
		{quorum.Params{N: 5, K: 3, T: 3, W: 3, F: 1}, false},
		{quorum.Params{N: 5, K: 3, T: 3, W: 5, F: 1}, false},
		{quorum.Params{N: 4, K: 2, T: 2, W: 3, F: 1}, false},
		{quorum.Params{N: 5, K: 3, T: 3, W: 4, F: 2}, false},
		{quorum.Params{N: 99, K: 3, T: 3, W: 98, F: 1}, false},
	}
	for _, test := range tests {
		if got := test.p.Validate() == nil; got != test.ok {
			t.Errorf("Validate(%+v): got ok %v, want %v", test.p, got, test.ok)
		}
	}
	if got := five.R(); got != 3 {
		t.Errorf("R: got %d, want 3", got)
	}
	if got := five.HistoryAnswers(); got != 4 {
		t.Errorf("HistoryAnswers: got %d, want 4", got)
	}
}

func TestCompleteness(t *testing.T) {
	want := []quorum.Completeness{quorum.Incomplete, quorum.Incomplete, quorum.Incomplete,
		quorum.CompleteUnless, quorum.Complete, quorum.Complete}
	for answers, w := range want {
		if got := five.Completeness(answers); got != w {
			t.Errorf("%d answers: got %d, want %d", answers, got, w)
		}
	}
}

// TestHistoryFourAnswers is T11's count: a disclosure made through any t
// keepers is seen by any four ledgers with one of them silent, and is missed
// by some three.
func TestHistoryFourAnswers(t *testing.T) {
	missed := map[int]int{}
	all := uint32(quorum.All(5))
	for made := range uint32(64) {
		if quorum.Keepers(made&all).Len() != five.T || made&^all != 0 {
			continue
		}
		for asked := range uint32(64) {
			if asked&^all != 0 {
				continue
			}
			for liar := abaton.KeeperIndex(1); liar <= 5; liar++ {
				if quorum.Keepers(made&asked).Without(liar) == 0 {
					missed[quorum.Keepers(asked).Len()]++
				}
			}
		}
	}
	if missed[4] != 0 || missed[5] != 0 {
		t.Errorf("missed at 4 and 5 answers: got %d and %d, want 0", missed[4], missed[5])
	}
	if missed[3] == 0 {
		t.Error("missed at 3 answers: got 0, want some: the caveat would be idle talk")
	}
}

func TestKeepers(t *testing.T) {
	s := quorum.Of(5, 2, 0, 17)
	if s.Len() != 2 || !s.Has(2) || !s.Has(5) || s.Has(0) || s.Has(17) {
		t.Errorf("Of(5, 2, 0, 17): got %b", s)
	}
	var got []abaton.KeeperIndex
	for x := range s.With(1).Each {
		got = append(got, x)
	}
	if len(got) != 3 || got[0] != 1 || got[1] != 2 || got[2] != 5 {
		t.Errorf("Each: got %v, want [1 2 5]", got)
	}
	if got := quorum.All(16); got.Len() != 16 || !got.Has(16) || got.Has(0) {
		t.Errorf("All(16): got %b", got)
	}
}

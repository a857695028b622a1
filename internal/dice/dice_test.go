package dice

import (
	"slices"
	"testing"
	"time"
)

func TestASeedRepeats(t *testing.T) {
	a, b, other := New(7), New(7), New(8)
	same := 0
	for range 200 {
		x, y := a.Below(1000), b.Below(1000)
		if x != y || x < 0 || x >= 1000 {
			t.Fatalf("got %d and %d, want the same number below 1000", x, y)
		}
		if other.Below(1000) == x {
			same++
		}
	}
	if same > 20 {
		t.Errorf("another seed: got %d of 200 the same", same)
	}
}

// Over many seeds each choice comes about as often as any other.
func TestChoicesAreEven(t *testing.T) {
	var counts [5]int
	var pairs [6][6]int
	for seed := range uint64(2500) {
		counts[New(seed).Below(len(counts))]++
		a, b := New(seed).Two(5)
		if a == b || min(a, b) < 1 || max(a, b) > 5 {
			t.Fatalf("seed %d: got %d and %d, want two different of 1 to 5", seed, a, b)
		}
		pairs[a][b]++
		if d := New(seed).Between(time.Second, 2*time.Second); d < time.Second || d >= 2*time.Second {
			t.Fatalf("seed %d: between a second and two: got %v", seed, d)
		}
	}
	for n, got := range counts {
		if got < 400 || got > 600 {
			t.Errorf("%d: got %d of 2500, want about 500", n, got)
		}
	}
	for a := 1; a <= 5; a++ {
		for b := 1; b <= 5; b++ {
			if got := pairs[a][b]; a != b && (got < 65 || got > 185) {
				t.Errorf("%d and %d: got %d of 2500, want about 125", a, b, got)
			}
		}
	}
}

func TestOrderHoldsEachOnce(t *testing.T) {
	for n := range 20 {
		all := New(uint64(n)).Order(n)
		slices.Sort(all)
		for i, x := range all {
			if x != i {
				t.Fatalf("of %d: got %v", n, all)
			}
		}
	}
}

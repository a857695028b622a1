package ledger_test

import (
	"testing"

	"github.com/abaton-health/abaton/ledger"
)

// TestRenewedLedgers: a ledger that followed a lost one counts for those who
// came after it, by the word of more than f others, and for nobody else.
func TestRenewedLedgers(t *testing.T) {
	ks := fiveKeepers(t)
	ask(t, ks, 100, release("r1", "doctor", "ana"), 1, 2, 4)
	ask(t, ks, 300, release("r2", "doctor", "ana"), 1, 2, 3, 4, 5)
	first := merge(t, ks, 1).Lines[0].First // the clock of the tests
	for _, c := range []struct {
		name    string
		since   map[int]int64 // by keeper
		asked   []int
		counted int
		renewed int
		want    string
	}{
		{"none began anew", nil, []int{1, 2, 4, 5}, 4, 0, "complete"},
		{"the four others tell", map[int]int64{3: first + 150}, []int{1, 2, 3, 4, 5}, 4, 1, "complete"},
		{"one of the four is away", map[int]int64{3: first + 150}, []int{1, 2, 3, 4}, 3, 1, "complete unless one of these 3 lies"},
		{"two began anew", map[int]int64{3: first + 150, 5: first + 250}, []int{1, 2, 3, 4, 5}, 3, 2, "complete unless one of these 3 lies"},
		{"before the patient came", map[int]int64{3: first - 1}, []int{1, 2, 3, 4}, 4, 0, "complete"},
		{"in the second the patient came", map[int]int64{3: first}, []int{1, 2, 3, 4}, 3, 1, "complete unless one of these 3 lies"},
		{"only one other says when that was", map[int]int64{3: first - 1, 4: first - 1, 5: first - 1}, []int{1, 3, 4, 5}, 1, 3, "incomplete"},
	} {
		all := answers(t, ks, "ana", c.asked...)
		for i := range all {
			all[i].Since = c.since[int(all[i].Keeper)]
		}
		h := ledger.Merge(id("patient", "ana"), all, shape())
		if h.Answered != c.counted || len(h.Renewed) != c.renewed || h.String() != c.want || len(h.Faults) != 0 {
			t.Errorf("%s: got %d counted, %d that began anew, %q, %d faults; want %d, %d, %q and none",
				c.name, h.Answered, len(h.Renewed), h.String(), len(h.Faults), c.counted, c.renewed, c.want)
		}
		if len(h.Lines) != 2 {
			t.Errorf("%s: got %d lines, want both shown", c.name, len(h.Lines))
		}
	}
}

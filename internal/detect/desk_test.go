package detect

import "testing"

// TestDesks: programs make no desk, a full memory takes no more and keeps what
// it has, and after a month without anybody nothing is left.
func TestDesks(t *testing.T) {
	w := New(alone(D7))
	for i := range 3 {
		take(w, with(opening(start, 1), by(50+i), on(2, 50+i), program("")))
	}
	take(w, opening(start, 1))
	last := with(opening(start+minute, 2), on(2, 2), unrelated)
	wantFinding(t, w.Judge(&last), D7, StepUp)

	take(w, seated(2)...)
	for i := range uint64(DesksMax) {
		if len(w.desks) < DesksMax {
			w.desks[1<<50+i] = desk{at: [deskPeople]uint32{clock(start)}}
		}
	}
	take(w, with(opening(start, 1), by(60), on(7, 60)))
	if len(w.desks) != DesksMax {
		t.Errorf("desks: got %d, want %d", len(w.desks), DesksMax)
	}
	wantFinding(t, w.Judge(&last), D7, StepUp)
	take(w, with(opening(start, 1), by(60), on(2, 60)))
	wantFinding(t, w.Judge(&last), D7, 0)

	w.Settle(start + month - hour)
	if len(w.desks) == 0 {
		t.Error("desks within the month: got none, want all")
	}
	w.Settle(start + month + hour)
	if len(w.desks) != 0 {
		t.Errorf("desks after the month: got %d, want none", len(w.desks))
	}
}

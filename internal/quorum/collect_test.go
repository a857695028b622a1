package quorum_test

import (
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/quorum"
)

func TestCollectEveryWorld(t *testing.T) {
	tests := []struct {
		name        string
		need, floor int
	}{{"list", 3, 3}, {"history", 4, 1}}
	for _, test := range tests {
		for w := range worlds {
			good, refused := w.who(honest), w.who(refusing)
			for _, order := range orders[:24] {
				step := quorum.NewCollect(five, test.need, test.floor)
				l := &line{order: order}
				l.take(step.Start())
				parts := [6]int{0, 2, 1, 3, 2, 1}
				for {
					x, ok := l.next()
					if !ok {
						break
					}
					switch w[x] {
					case honest:
						parts[x]--
						l.take(step.Answer(x, parts[x] > 0))
					case refusing:
						l.take(step.Refuse(x, abaton.ReasonBarred))
					case lying:
						l.take(step.Lost(x)) // its answer did not verify
					}
				}
				l.take(step.Timer()) // who is dead never answers
				want := quorum.Unavailable
				switch {
				case good.Len() == 5:
					want = quorum.Settled
				case good.Len() >= test.floor:
					want = quorum.Durable
				case refused.Len() > 5-test.floor, good == 0 && refused.Len() > 1:
					want = quorum.Refused
				}
				if got := step.State(); got != want {
					t.Fatalf("%s world %v order %v: got state %d, want %d", test.name, w, order, got, want)
				}
				if got := step.Answered(); got != good {
					t.Fatalf("%s world %v: got answers of %b, want %b", test.name, w, got, good)
				}
			}
		}
	}
}

// TestCollectMeetsAHolder: whoever took an acknowledged write, whoever lies
// and whichever three answer, an honest holder is among them (A12).
func TestCollectMeetsAHolder(t *testing.T) {
	for holders := range uint32(64) {
		for answered := range uint32(64) {
			h, a := quorum.Keepers(holders)&quorum.All(5), quorum.Keepers(answered)&quorum.All(5)
			if h.Len() < five.W || a.Len() < five.R() {
				continue
			}
			for liar := range quorum.All(5).Each {
				if (h & a).Without(liar) == 0 {
					t.Fatalf("holders %b answered %b liar %d: nobody tells", h, a, liar)
				}
			}
		}
	}
}

func TestTally(t *testing.T) {
	tally := quorum.NewTally(five)
	a, b, c := abaton.BatchName{3}, abaton.BatchName{1}, abaton.BatchName{2}
	tally.Add(1, a, true, quorum.Of(1, 2, 3, 4))
	tally.Add(2, a, true, quorum.Of(2))
	tally.Add(1, b, true, quorum.Of(1))
	tally.Add(2, b, true, quorum.Of(2))
	tally.Add(3, b, true, 0)
	tally.Add(5, c, false, 0)
	rows := tally.Rows()
	if len(rows) != 3 || rows[0].Batch != b || rows[1].Batch != c || rows[2].Batch != a {
		t.Fatalf("rows: got %v, want b, c, a", rows)
	}
	tests := []struct {
		row  quorum.Row
		want quorum.Standing
		back quorum.Keepers
	}{
		{rows[2], quorum.Saved, quorum.Of(2, 3, 5)},
		{rows[0], quorum.Saving, quorum.Of(5)},
		{rows[1], quorum.Rumour, quorum.Of(1, 2, 3)},
	}
	for _, test := range tests {
		if got := test.row.Standing(five); got != test.want {
			t.Errorf("batch %d: got standing %d, want %d", test.row.Batch[0], got, test.want)
		}
		if got := tally.WriteBack(test.row, quorum.Of(1, 2, 3, 5)); got != test.back {
			t.Errorf("batch %d: got write-back to %b, want %b", test.row.Batch[0], got, test.back)
		}
	}
}

// TestCollectHeld: three answers that leave a batch unclear are not enough
// while others may still come.
func TestCollectHeld(t *testing.T) {
	step := quorum.NewCollect(five, 3, 3)
	step.Start()
	for x := abaton.KeeperIndex(1); x <= 3; x++ {
		step.Hold(true)
		step.Answer(x, false)
	}
	if got := step.State(); got != quorum.Working {
		t.Fatalf("held at three answers: got state %d, want Working", got)
	}
	step.Hold(false)
	step.Answer(4, false)
	if got := step.State(); got != quorum.Durable {
		t.Errorf("cleared up by the fourth: got state %d, want Durable", got)
	}
	step = quorum.NewCollect(five, 3, 3)
	step.Start()
	step.Hold(true)
	for x := abaton.KeeperIndex(1); x <= 3; x++ {
		step.Answer(x, false)
	}
	step.Timer()
	if got := step.State(); got != quorum.Durable {
		t.Errorf("held and nobody else answers: got state %d, want Durable", got)
	}
}

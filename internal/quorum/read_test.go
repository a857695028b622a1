package quorum_test

import (
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/quorum"
)

// playRead runs one read in a world; the hedge timer fires when tick answers
// have come (more than five: never).
func playRead(w world, order []abaton.KeeperIndex, wide bool, tick int) (*quorum.Read, quorum.Keepers) {
	step := quorum.NewRead(five, nil, wide)
	l := &line{order: order}
	asked, valid := quorum.Keepers(0), quorum.Keepers(0)
	take := func(effects []quorum.Effect) {
		for _, e := range effects {
			if e.Do == quorum.Send {
				asked = asked.With(e.Keeper)
			}
		}
		l.take(effects)
	}
	take(step.Start())
	for came := 0; ; came++ {
		if came == tick {
			take(step.Timer())
		}
		x, ok := l.next()
		if !ok {
			return step, asked
		}
		switch w[x] {
		case honest:
			valid = valid.With(x)
			take(step.Answer(x, true, valid.Len() >= five.T))
		case refusing:
			take(step.Refuse(x, abaton.ReasonRevoked))
		case lying:
			take(step.Answer(x, false, valid.Len() >= five.T))
		default:
			take(step.Lost(x))
		}
	}
}

func TestReadEveryWorld(t *testing.T) {
	for w := range worlds {
		good, refused, lies := w.who(honest), w.who(refusing), w.who(lying)
		for _, order := range orders {
			for _, tick := range []int{0, 2, 9} {
				step, asked := playRead(w, order, false, tick)
				want := quorum.Unavailable
				switch {
				case good.Len() >= 3:
					want = quorum.Durable
				case refused.Len() >= 3, refused.Len() == 2 && good|lies == 0:
					want = quorum.Refused
				}
				if got := step.State(); got != want {
					t.Fatalf("world %v order %v tick %d: got state %d, want %d", w, order, tick, got, want)
				}
				if (step.Err() == nil) != (want == quorum.Durable) {
					t.Fatalf("world %v: got error %v at state %d", w, step.Err(), want)
				}
				if good.Has(1) && good.Has(2) && good.Has(3) && tick == 9 && asked != quorum.Of(1, 2, 3) {
					t.Fatalf("world %v: asked %b, want the first three only: each keeper asked ledgers a disclosure", w, asked)
				}
			}
		}
	}
}

func TestReadWideAsksAll(t *testing.T) {
	_, asked := playRead(world{}, orders[0], true, 9)
	if asked != quorum.All(5) {
		t.Errorf("got %b, want all five", asked)
	}
}

func TestReadPrefers(t *testing.T) {
	step := quorum.NewRead(five, []abaton.KeeperIndex{5, 9, 3, 5, 0}, false)
	var got []abaton.KeeperIndex
	for _, e := range step.Start() {
		if e.Do == quorum.Send {
			got = append(got, e.Keeper)
		}
	}
	if len(got) != 3 || got[0] != 5 || got[1] != 3 || got[2] != 1 {
		t.Errorf("asked %v, want [5 3 1]", got)
	}
}

func TestReadIgnoresStrangers(t *testing.T) {
	step := quorum.NewRead(five, nil, false)
	step.Start()
	step.Answer(5, true, true) // was never asked
	step.Answer(17, true, true)
	step.Refuse(4, abaton.ReasonRevoked)
	if got := step.State(); got != quorum.Working {
		t.Errorf("got state %d, want Working", got)
	}
}

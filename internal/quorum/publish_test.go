package quorum_test

import (
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/quorum"
)

// playPublish runs one event; a lying keeper says the slot is taken.
func playPublish(w world, order []abaton.KeeperIndex, narrows bool) *quorum.Publish {
	step := quorum.NewPublish(five, narrows)
	l := &line{order: order}
	l.take(step.Start())
	for {
		x, ok := l.next()
		certificate := false
		if !ok {
			x, certificate = nextCertificate(l)
			if !certificate {
				return step
			}
		}
		switch {
		case w[x] == honest && certificate:
			l.take(step.Ack(x))
		case w[x] == honest:
			l.take(step.Vote(x))
		case w[x] == refusing:
			l.take(step.Refuse(x, abaton.ReasonGrant))
		case w[x] == lying:
			l.take(step.Taken(x, [32]byte{9}))
		default:
			l.take(step.Lost(x))
		}
	}
}

func nextCertificate(l *line) (abaton.KeeperIndex, bool) {
	for _, x := range l.order {
		if l.certs[x] > 0 {
			l.certs[x] = 0
			return x, true
		}
	}
	return 0, false
}

func TestPublishEveryWorld(t *testing.T) {
	for _, narrows := range []bool{false, true} {
		for w := range worlds {
			good, against := w.who(honest), w.who(refusing)|w.who(lying)
			for _, order := range orders {
				step := playPublish(w, order, narrows)
				want, lying := quorum.Pending, w.who(lying)
				if narrows { // in force where the slot is taken, too
					good, against = good|lying, w.who(refusing)
				}
				switch {
				case w.who(honest).Len() == 5:
					want = quorum.Settled
				case good.Len() >= 4:
					want = quorum.Durable
				case !narrows && lying.Len() >= 2:
					want = quorum.Conflict
				case against.Len() >= 2:
					want = quorum.Refused
				}
				got := step.State()
				// A conflict and a refusal both end it; which is seen first
				// depends on the order of answers.
				ended := (got == quorum.Conflict || got == quorum.Refused) && against.Len() >= 2
				if got != want && !(ended && (want == quorum.Conflict || want == quorum.Refused)) {
					t.Fatalf("world %v order %v narrows %v: got state %d, want %d", w, order, narrows, got, want)
				}
				if got := step.InForceAt(); got&^good != 0 {
					t.Fatalf("world %v: in force at %b, but only %b took it", w, got, good)
				}
				if step.Certified() && step.Votes().Len() < five.W {
					t.Fatalf("world %v: certified by %b", w, step.Votes())
				}
			}
		}
	}
}

// TestPublishForce: a widening event is in force by acknowledged certificates
// only, a narrowing one by votes already.
func TestPublishForce(t *testing.T) {
	for _, narrows := range []bool{false, true} {
		step := quorum.NewPublish(five, narrows)
		step.Start()
		for x := abaton.KeeperIndex(1); x <= 4; x++ {
			if step.State() == quorum.Durable {
				t.Fatalf("narrows %v: in force at %d", narrows, x-1)
			}
			step.Vote(x)
		}
		if got, want := step.State() == quorum.Durable, narrows; got != want {
			t.Errorf("narrows %v at four votes: got in force %v, want %v", narrows, got, want)
		}
		for x := abaton.KeeperIndex(1); x <= 4; x++ {
			step.Ack(x)
		}
		if got := step.State(); got != quorum.Durable {
			t.Errorf("narrows %v at four acknowledgements: got state %d, want Durable", narrows, got)
		}
	}
}

// TestPublishNeverTwoCertificates: two events in one slot, keepers that vote
// once, one liar that votes for both: never two certificates (A16, T10).
func TestPublishNeverTwoCertificates(t *testing.T) {
	for liar := range quorum.All(5).Each {
		for split := range uint32(64) {
			a, b := quorum.NewPublish(five, false), quorum.NewPublish(five, false)
			a.Start()
			b.Start()
			for x := range quorum.All(5).Each {
				first := quorum.Keepers(split).Has(x)
				if first || x == liar {
					a.Vote(x)
				} else {
					a.Taken(x, [32]byte{2})
				}
				if !first || x == liar {
					b.Vote(x)
				} else {
					b.Taken(x, [32]byte{1})
				}
			}
			if a.Certified() && b.Certified() {
				t.Fatalf("liar %d split %b: two certificates for one slot", liar, split)
			}
			if a.State() == quorum.Conflict && a.Other() != [32]byte{2} {
				t.Fatalf("split %b: conflict without the other event", split)
			}
		}
	}
}

// TestPublishLateVoter: who comes after the certificate gets the certificate.
func TestPublishLateVoter(t *testing.T) {
	step := quorum.NewPublish(five, false)
	step.Start()
	for x := abaton.KeeperIndex(1); x <= 4; x++ {
		step.Vote(x)
	}
	step.Lost(5)
	effects := step.Timer(5)
	if len(effects) != 1 || effects[0].Do != quorum.Certify || effects[0].Keeper != 5 {
		t.Errorf("got %+v, want the certificate for keeper 5", effects)
	}
}

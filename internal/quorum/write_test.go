package quorum_test

import (
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/quorum"
)

// playWrite runs one write until nothing is under way, retries left out.
func playWrite(w world, order []abaton.KeeperIndex) (*quorum.Write, *line) {
	step := quorum.NewWrite(five, 0)
	l := &line{order: order}
	l.take(step.Start())
	for {
		x, ok := l.next()
		if !ok {
			return step, l
		}
		switch w[x] {
		case honest:
			l.take(step.Receipt(x))
		case refusing:
			l.take(step.Refuse(x, abaton.ReasonWriter))
		default: // a liar's receipt does not verify
			l.take(step.Lost(x))
		}
	}
}

func TestWriteEveryWorld(t *testing.T) {
	for w := range worlds {
		good, refused := w.who(honest), w.who(refusing)
		for _, order := range orders {
			step, l := playWrite(w, order)
			want := quorum.Pending
			switch {
			case good.Len() == 5:
				want = quorum.Settled
			case good.Len() >= 4:
				want = quorum.Durable
			case refused.Len() >= 2:
				want = quorum.Refused
			}
			if got := step.State(); got != want {
				t.Fatalf("world %v order %v: got state %d, want %d", w, order, got, want)
			}
			if got := step.Receipts(); got&^good != 0 {
				t.Fatalf("world %v: receipts %b from keepers that gave none (%b gave)", w, got, good)
			}
			for x := range quorum.All(5).Each {
				if told := l.certs[x] > 0; told != (want <= quorum.Settled && want >= quorum.Durable && good.Has(x)) {
					t.Fatalf("world %v order %v keeper %d: told the receipts %v", w, order, x, told)
				}
				again := !good.Has(x) && want != quorum.Refused
				if again && !l.wakes.Has(x) {
					t.Fatalf("world %v order %v: keeper %d is never asked again", w, order, x)
				}
			}
			if want == quorum.Refused && step.Reason() != abaton.ReasonWriter {
				t.Fatalf("world %v: got reason %q, want writer", w, step.Reason())
			}
		}
	}
}

func TestWriteNeverAcknowledgedBelowFour(t *testing.T) {
	step := quorum.NewWrite(five, 0)
	step.Start()
	for range 3 { // the same receipt again is not another one
		for _, x := range []abaton.KeeperIndex{1, 2, 3, 0, 6, 17} {
			step.Receipt(x)
		}
	}
	if got := step.State(); got != quorum.Working {
		t.Errorf("three receipts: got state %d, want Working", got)
	}
	step.Receipt(4)
	if got := step.State(); got != quorum.Durable {
		t.Errorf("four receipts: got state %d, want Durable", got)
	}
	step.Receipt(5)
	if got := step.State(); got != quorum.Settled {
		t.Errorf("five receipts: got state %d, want Settled", got)
	}
}

func TestWriteReturns(t *testing.T) {
	step := quorum.NewWrite(five, quorum.Of(1, 2))
	l := &line{order: orders[0]}
	l.take(step.Start())
	if l.waiting[1]+l.waiting[2] != 0 || l.waiting[3] != 1 {
		t.Fatalf("resumed: sent %v, want only keepers without a receipt", l.waiting)
	}
	l.take(step.Receipt(3))
	l.take(step.Lost(4))
	l.take(step.Refuse(5, abaton.ReasonStorage))
	if got := step.State(); got != quorum.Pending {
		t.Fatalf("two keepers away: got state %d, want Pending", got)
	}
	l = &line{order: orders[0]}
	l.take(step.Timer(4))
	if l.waiting[4] != 1 {
		t.Fatal("timer: keeper 4 was not asked again")
	}
	l.take(step.Receipt(4))
	if got := step.State(); got != quorum.Durable {
		t.Fatalf("fourth receipt: got state %d, want Durable", got)
	}
	l = &line{order: orders[0]}
	l.take(step.Timer(5))
	l.take(step.Receipt(5))
	if step.State() != quorum.Settled || l.certs[5] != 1 {
		t.Errorf("late keeper: got state %d, certificates %v, want Settled and one for keeper 5", step.State(), l.certs)
	}
}

// TestWriteEpochBehind: a keeper that refuses for a newer epoch takes the
// batch with the certificate, so that goes first.
func TestWriteEpochBehind(t *testing.T) {
	step := quorum.NewWrite(five, 0)
	step.Start()
	step.Refuse(5, abaton.ReasonEpoch)
	for x := abaton.KeeperIndex(1); x <= 4; x++ {
		step.Receipt(x)
	}
	effects := step.Timer(5)
	if len(effects) != 2 || effects[0].Do != quorum.Certify || effects[1].Do != quorum.Send {
		t.Errorf("got %+v, want the certificate and then the batch", effects)
	}
}

// TestWriteErased: an erasure settles a keeper only once the write is
// acknowledged; one keeper's word never loses a batch.
func TestWriteErased(t *testing.T) {
	step := quorum.NewWrite(five, 0)
	step.Start()
	step.Refuse(5, abaton.ReasonErased)
	for x := abaton.KeeperIndex(1); x <= 4; x++ {
		step.Receipt(x)
	}
	if got := step.State(); got != quorum.Durable {
		t.Fatalf("got state %d, want Durable", got)
	}
	step.Timer(5)
	step.Refuse(5, abaton.ReasonErased)
	if got := step.State(); got != quorum.Settled {
		t.Errorf("erased after four receipts: got state %d, want Settled", got)
	}
}

func TestWriteOneRefusalIsNotTheEnd(t *testing.T) {
	step := quorum.NewWrite(five, 0)
	step.Start()
	step.Refuse(1, abaton.ReasonBody)
	step.Refuse(2, abaton.ReasonLease) // its own trouble: no judgement
	if got := step.State(); got != quorum.Pending {
		t.Errorf("got state %d, want Pending", got)
	}
	step.Refuse(3, abaton.ReasonBody)
	if got := step.State(); got != quorum.Refused {
		t.Errorf("two lasting refusals: got state %d, want Refused", got)
	}
	if effects := step.Timer(4); len(effects) != 0 {
		t.Errorf("after the refusal: got %v, want nothing", effects)
	}
}

func TestBackoff(t *testing.T) {
	tests := []struct {
		tries int
		want  time.Duration
	}{{0, quorum.RetryFirst}, {1, quorum.RetryFirst}, {2, 2 * quorum.RetryFirst}, {3, 4 * quorum.RetryFirst},
		{20, quorum.RetryMost}, {1 << 30, quorum.RetryMost}}
	for _, test := range tests {
		if got := quorum.Backoff(test.tries); got != test.want {
			t.Errorf("Backoff(%d): got %v, want %v", test.tries, got, test.want)
		}
	}
}

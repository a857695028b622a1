package quorum_test

import (
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/quorum"
)

// relockWorld is what each keeper does when it is asked: 0 answers, 1 refuses,
// 2 is silent.
type relockWorld struct {
	t         *testing.T
	prepare   [6]int
	readable  quorum.Keepers
	commit    [6]int
	step      *quorum.Relock
	certified quorum.Keepers
	early     bool // a commit went out before four receipts and four readings
	checked   bool
}

// run plays the step to its end: every effect is answered, timers fire last.
func (w *relockWorld) run() {
	queue := append([]quorum.Effect(nil), w.step.Start()...)
	for n := 0; len(queue) > 0; n++ {
		if n > 1000 {
			w.t.Fatal("the step does not end")
		}
		e := queue[0]
		queue = queue[1:]
		queue = append(queue, w.answer(e)...)
	}
}

func (w *relockWorld) answer(e quorum.Effect) []quorum.Effect {
	x := e.Keeper
	switch e.Do {
	case quorum.Send:
		switch w.prepare[x] {
		case 0:
			return w.step.Receipt(x)
		case 1:
			return w.step.Refuse(x, abaton.ReasonErased)
		}
		return w.step.Lost(x)
	case quorum.Check:
		w.checked = true
		return w.step.Checked(w.readable)
	case quorum.Certify:
		w.certified = w.certified.With(x)
		w.early = w.early || !w.checked || w.step.Receipts().Len() < five.W || (w.readable&w.step.Receipts()).Len() < five.W
		switch w.commit[x] {
		case 0:
			return w.step.InForce(x)
		case 1:
			return w.step.Refuse(x, abaton.ReasonCertificate)
		}
		return w.step.Lost(x)
	case quorum.Wake:
		return w.step.Timer(x)
	}
	return nil
}

// TestRelockEveryWorld: over every way five keepers can prepare, be read and
// commit, nothing is committed below four receipts that were read back, the step
// ends, and it says "in force" where four are.
func TestRelockEveryWorld(t *testing.T) {
	worlds := 0
	for p := range 243 {
		for readable := range 32 {
			for c := range 32 {
				w := &relockWorld{t: t, readable: quorum.Keepers(readable << 1), step: quorum.NewRelock(five, quorum.All(5))}
				receipts := 0
				for x, rest := 1, p; x <= 5; x, rest = x+1, rest/3 {
					w.prepare[x], w.commit[x] = rest%3, (c>>(x-1)&1)*2
					if w.prepare[x] == 0 {
						receipts++
					}
				}
				w.run()
				worlds++
				inForce := 0
				for x := range w.certified.Each {
					if w.commit[x] == 0 {
						inForce++
					}
				}
				may := receipts >= five.W && (w.readable&w.step.Receipts()).Len() >= five.W
				switch {
				case w.early:
					t.Fatalf("prepare %v, readable %b: committed too early", w.prepare, readable)
				case may != (w.certified != 0):
					t.Fatalf("prepare %v, readable %b: commits to %b, want some: %v", w.prepare, readable, w.certified, may)
				case (w.step.Err() == nil) != (inForce >= five.W):
					t.Fatalf("prepare %v, readable %b, commit %v: got %v, in force at %d", w.prepare, readable, w.commit, w.step.Err(), inForce)
				case w.step.State() == quorum.Working:
					t.Fatalf("prepare %v, readable %b, commit %v: the step does not end", w.prepare, readable, w.commit)
				}
			}
		}
	}
	t.Logf("%d worlds", worlds)
}

// TestRelockDoesNotWaitForTheAbsent: a keeper that was away just now is tried
// once, one that answered four times.
func TestRelockDoesNotWaitForTheAbsent(t *testing.T) {
	for _, c := range []struct {
		alive quorum.Keepers
		want  int
	}{{quorum.All(5), 4}, {quorum.Of(1, 2, 3, 4), 1}} {
		step := quorum.NewRelock(five, c.alive)
		queue, sent, checked := append([]quorum.Effect(nil), step.Start()...), 0, false
		for len(queue) > 0 {
			e := queue[0]
			queue = queue[1:]
			switch {
			case e.Do == quorum.Send && e.Keeper == 5:
				sent++
				queue = append(queue, step.Lost(5)...)
			case e.Do == quorum.Send:
				queue = append(queue, step.Receipt(e.Keeper)...)
			case e.Do == quorum.Wake && e.Keeper == 5:
				queue = append(queue, step.Timer(5)...)
			case e.Do == quorum.Check:
				checked = true
			}
		}
		if sent != c.want || !checked {
			t.Errorf("alive %b: sent %d times, checked %v, want %d and true", c.alive, sent, checked, c.want)
		}
	}
}

// TestRelockIgnoresStrangers: keepers that are none, and answers nobody asked
// for, change nothing.
func TestRelockIgnoresStrangers(t *testing.T) {
	step := quorum.NewRelock(five, quorum.All(5))
	step.Start()
	for _, e := range [][]quorum.Effect{step.Receipt(0), step.Receipt(6), step.Refuse(9, abaton.ReasonErased), step.Lost(0), step.InForce(1), step.Checked(quorum.All(5))} {
		if len(e) != 0 {
			t.Errorf("got %v, want nothing", e)
		}
	}
	if step.Receipts() != 0 || step.Committed() != 0 || step.Committing() {
		t.Error("a stranger counted")
	}
}

package contain_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/internal/detect"
	"github.com/abaton-health/abaton/key"
)

const (
	own = abaton.KeeperIndex(1)
	now = int64(1_800_000_000)
)

var (
	clinic = abaton.ActorID{31: 7}
	doctor = contain.Person(abaton.ActorID{31: 1})
	seat   = contain.Session(abaton.SessionID{31: 2})
	laptop = contain.Device(abaton.ActorID{31: 3})
	signer = key.NewSigning()
)

// says is keeper x's verdict of an hour.
func says(t testing.TB, x abaton.KeeperIndex, about contain.Subject, level detect.Level, at int64) *contain.Said {
	t.Helper()
	s, err := contain.Sign(signer, contain.Verdict{Keeper: x, Organisation: clinic, Subject: about, Level: level,
		Rules: detect.Of(detect.D2), Time: at, Until: at + 3600})
	if err != nil {
		t.Fatalf("sign %v about a %v: %v", level, about.Kind, err)
	}
	return s
}

func put(t testing.TB, l *contain.Ladder, s *contain.Said, proof bool) {
	t.Helper()
	if took, err := l.Put(s, proof, s.Time, nil); err != nil || !took {
		t.Fatalf("put: got %v, %v, want taken", took, err)
	}
}

func TestAt(t *testing.T) {
	type word struct {
		x     abaton.KeeperIndex
		about contain.Subject
		level detect.Level
		proof bool
	}
	const suspend, throttle, stepUp = detect.SuspendPerson, detect.Throttle, detect.StepUp
	for _, c := range []struct {
		name  string
		words []word
		want  detect.Level
	}{
		{"nobody", nil, 0},
		{"own in full", []word{{own, doctor, suspend, false}}, suspend},
		{"one other is at most throttle", []word{{2, doctor, suspend, false}}, throttle},
		{"one other that says less", []word{{2, doctor, stepUp, false}}, stepUp},
		{"one other in two words is one other", []word{{2, doctor, suspend, false}, {2, seat, detect.SuspendSession, false}}, throttle},
		{"two others", []word{{2, doctor, suspend, false}, {3, doctor, suspend, false}}, suspend},
		{"two others: the lower", []word{{2, doctor, suspend, false}, {3, seat, detect.SuspendSession, false}}, detect.SuspendSession},
		{"two others, the lower a step-up", []word{{2, doctor, suspend, false}, {3, doctor, stepUp, false}}, throttle},
		{"own and one other", []word{{own, doctor, stepUp, false}, {2, doctor, suspend, false}}, throttle},
		{"one other with proof", []word{{2, doctor, suspend, true}}, suspend},
		{"four others", []word{{2, doctor, stepUp, false}, {3, doctor, suspend, false}, {4, laptop, detect.Quarantine, false}, {5, doctor, throttle, false}}, suspend},
		{"somebody else", []word{{2, contain.Person(abaton.ActorID{9}), suspend, true}}, 0},
	} {
		l := contain.NewLadder(own)
		for _, w := range c.words {
			put(t, l, says(t, w.x, w.about, w.level, now), w.proof)
		}
		h := l.At(now+1, nil, seat, doctor, laptop)
		if h.Level != c.want {
			t.Errorf("%s: got %v, want %v", c.name, h.Level, c.want)
		}
		if ended := l.At(now+3600, nil, seat, doctor, laptop); ended.Level != 0 || len(ended.Names) != 0 {
			t.Errorf("%s: after its end: got %v, want none", c.name, ended.Level)
		}
	}
}

func TestHoldingTellsWho(t *testing.T) {
	l := contain.NewLadder(own)
	first, second := says(t, 3, doctor, detect.StepUp, now), says(t, 2, seat, detect.Throttle, now+60)
	put(t, l, first, false)
	put(t, l, second, false)
	h := l.At(now+61, nil, doctor, seat)
	if got, want := fmt.Sprint(h.By), "[2 3]"; got != want {
		t.Errorf("by: got %s, want %s", got, want)
	}
	if h.Since != now || h.Until != now+60+3600 || len(h.Names) != 2 || h.Proof {
		t.Errorf("got since %d until %d, %d names, proof %v, want %d, %d, 2, false", h.Since, h.Until, len(h.Names), h.Proof, now, now+3660)
	}
	lifted := func(org abaton.ActorID, n contain.Name) bool { return org == clinic && n == second.Name() }
	if h := l.At(now+61, lifted, doctor, seat); h.Level != detect.StepUp {
		t.Errorf("one lifted: got %v, want step-up", h.Level)
	}
	if got := l.List(clinic, now+61, nil); len(got) != 2 || got[0].Subject != seat || got[1].Subject != doctor {
		t.Errorf("list: got %d, want the session and the person", len(got))
	}
	if got := l.List(abaton.ActorID{1}, now+61, nil); len(got) != 0 {
		t.Errorf("another organisation's list: got %d, want 0", len(got))
	}
}

func TestRepeatsChangeNothing(t *testing.T) {
	l := contain.NewLadder(own)
	s := says(t, 2, doctor, detect.StepUp, now)
	put(t, l, s, false)
	for name, again := range map[string]*contain.Said{
		"the same": s, "a newer one at once": says(t, 2, doctor, detect.StepUp, now+contain.AgainAfter-1),
		"an older one": says(t, 2, doctor, detect.StepUp, now-60),
	} {
		if took, err := l.Put(again, false, now+contain.AgainAfter, nil); took || err != nil {
			t.Errorf("%s: got %v, %v, want not taken", name, took, err)
		}
	}
	put(t, l, says(t, 2, doctor, detect.StepUp, now+contain.AgainAfter), false)
	if h := l.At(now+3600, nil, doctor); h.Level != detect.StepUp || len(h.Names) != 1 {
		t.Errorf("renewed: got %v by %d verdicts, want step-up by 1", h.Level, len(h.Names))
	}
}

func TestPutRefuses(t *testing.T) {
	l := contain.NewLadder(own)
	if _, err := l.Put(says(t, 2, doctor, detect.StepUp, now+121), false, now, nil); err == nil {
		t.Error("from the future: taken")
	}
	if _, err := l.Put(says(t, 2, doctor, detect.StepUp, now-3600), false, now, nil); err == nil {
		t.Error("ended: taken")
	}
	if h := l.At(now, nil, doctor); h.Level != 0 {
		t.Errorf("got %v, want none", h.Level)
	}
}

// TestALyingKeeperIsMuted: whoever says too much counts no more, but for what
// it proves.
func TestALyingKeeperIsMuted(t *testing.T) {
	l := contain.NewLadder(own)
	person := func(i int) contain.Subject { return contain.Person(abaton.ActorID{byte(i), byte(i >> 8), 1}) }
	for i := range contain.SubjectsPerHourMax {
		put(t, l, says(t, 2, person(i), detect.SuspendPerson, now), false)
	}
	if h := l.At(now, nil, person(0)); h.Level != detect.Throttle {
		t.Fatalf("within its bound: got %v, want throttle", h.Level)
	}
	if _, err := l.Put(says(t, 2, doctor, detect.SuspendPerson, now), false, now, nil); err == nil {
		t.Fatal("one more: taken")
	}
	if l.Muted(2, now) == 0 || l.Muted(3, now) != 0 {
		t.Error("muted: want keeper 2 and no other")
	}
	if h := l.At(now, nil, person(0)); h.Level != 0 {
		t.Errorf("muted: got %v, want none", h.Level)
	}
	put(t, l, says(t, 2, doctor, detect.SuspendPerson, now), true)
	if h := l.At(now, nil, doctor); h.Level != detect.SuspendPerson {
		t.Errorf("muted, with proof: got %v, want suspend-person", h.Level)
	}
	again := contain.NewLadder(own)
	again.Mute(2, l.Muted(2, now))
	if _, err := again.Put(says(t, 2, doctor, detect.SuspendPerson, now), false, now, nil); err == nil {
		t.Error("after a restart: taken")
	}
}

// TestOneLyingKeeper: whatever one other keeper says, however often, nobody is
// held further than by a step-up and a wait, and memory stays bounded.
func TestOneLyingKeeper(t *testing.T) {
	const seed = 31
	r := rand.New(rand.NewPCG(seed, seed))
	people := make([]contain.Subject, 200)
	for i := range people {
		people[i] = contain.Subject{Kind: contain.Kind(1 + r.IntN(3)), ID: [32]byte{byte(i), 1}}
	}
	levels := []detect.Level{detect.StepUp, detect.Throttle, detect.SuspendSession, detect.SuspendPerson, detect.Quarantine}
	l := contain.NewLadder(own)
	taken := 0
	for step := range 5000 {
		at := now + int64(step)*17
		about, level := people[r.IntN(len(people))], levels[r.IntN(len(levels))]
		if !about.Fits(level) {
			continue
		}
		if took, _ := l.Put(says(t, 4, about, level, at), false, at, nil); took {
			taken++
		}
		pick := func() contain.Subject { return people[r.IntN(len(people))] }
		if h := l.At(at, nil, pick(), pick(), pick()); h.Level > detect.Throttle {
			t.Fatalf("seed %d, step %d: got %v, want at most throttle", seed, step, h.Level)
		}
	}
	if hours := 5000*17/3600 + 1; taken > hours*contain.SubjectsPerHourMax*6*3 {
		t.Errorf("taken: got %d", taken)
	}
	l.Settle(now + 48*3600)
	if got := l.List(clinic, now, nil); len(got) != 0 {
		t.Errorf("settled: got %d held, want 0", len(got))
	}
}

func TestOwnVerdictsAreBounded(t *testing.T) {
	l := contain.NewLadder(own)
	for i := range 9000 {
		put(t, l, says(t, own, contain.Session(abaton.SessionID{byte(i), byte(i >> 8), 1}), detect.StepUp, now), false)
	}
	put(t, l, says(t, own, doctor, detect.SuspendPerson, now), false)
	if got := len(l.List(clinic, now, nil)); got > 8192 {
		t.Errorf("held: got %d, want at most 8192", got)
	}
	if h := l.At(now, nil, doctor); h.Level != detect.SuspendPerson {
		t.Errorf("got %v, want suspend-person", h.Level)
	}
}

package alert

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/internal/detect"
)

func keepers() []abaton.KeeperIndex { return []abaton.KeeperIndex{1, 2, 3, 4, 5} }

func organisation() abaton.ActorID { return abaton.ActorID{9, 9} }

func held(subject byte, level detect.Level) Holding {
	return Holding{Kind: contain.KindPerson, Subject: [32]byte{subject}, Level: level, Rules: detect.Of(detect.D9), By: []abaton.KeeperIndex{1, 2},
		Since: 900, Until: 5000, Verdicts: [][32]byte{{subject, 1}}}
}

// looks gives a book one look in which these keepers answer.
func looks(b *Book, now int64, says map[abaton.KeeperIndex][]Holding, more ...func(*Look)) []Alert {
	l := Look{Organisation: organisation(), Now: now, Keepers: keepers()}
	for _, x := range keepers() {
		if h, answers := says[x]; answers {
			l.Answers = append(l.Answers, Answer{Keeper: x, Held: h})
		}
	}
	for _, f := range more {
		f(&l)
	}
	return b.Take(&l)
}

// all is the same answer by all five.
func all(h ...Holding) map[abaton.KeeperIndex][]Holding {
	return map[abaton.KeeperIndex][]Holding{1: h, 2: h, 3: h, 4: h, 5: h}
}

func said(fresh []Alert) (words []string) {
	for i := range fresh {
		words = append(words, fresh[i].What.String()+" "+fresh[i].Act.String()+" "+fresh[i].Level.String()+" "+fresh[i].Ended)
	}
	return words
}

func wants(t *testing.T, step string, fresh []Alert, want ...string) {
	t.Helper()
	if got := said(fresh); !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", step, got, want)
	}
}

func TestCase(t *testing.T) {
	var b Book
	wants(t, "nothing", looks(&b, 1000, all()))
	one := all()
	one[2] = []Holding{held(1, detect.SuspendPerson)}
	first := looks(&b, 1005, one)
	wants(t, "one keeper's word", first, "held created throttle ")
	wants(t, "the same again", looks(&b, 1010, one))
	one[4] = []Holding{held(1, detect.SuspendPerson)}
	second := looks(&b, 1015, one)
	wants(t, "two keepers' word", second, "held updated suspend-person ")
	if second[0].Case != first[0].Case || second[0].ID == first[0].ID || len(second[0].Keepers) != 2 {
		t.Errorf("update: got %+v after %+v, want another message about the same case", second[0], first[0])
	}
	// A keeper that does not answer has taken nothing back.
	wants(t, "two away", looks(&b, 1020, map[abaton.KeeperIndex][]Holding{1: nil, 3: nil, 5: nil}))
	wants(t, "less", looks(&b, 1025, all(held(1, detect.StepUp))))
	closed := looks(&b, 1030, all(), func(l *Look) { l.Lifted = func(v [32]byte) bool { return v == [32]byte{1, 1} } })
	wants(t, "lifted", closed, "held closed suspend-person lifted")
	if closed[0].Open != 0 || len(b.Cases) != 0 {
		t.Errorf("closed: %d open, want 0", closed[0].Open)
	}
	again := looks(&b, 1035, all(held(1, detect.StepUp)))
	wants(t, "again", again, "held created step-up ")
	if again[0].Case == first[0].Case || again[0].ID == first[0].ID {
		t.Error("a case that opens again has the name of the one that ended")
	}
	wants(t, "over", looks(&b, 5000, all(held(1, detect.StepUp))), "held closed step-up ended")
}

func TestSameLooksSameAlerts(t *testing.T) {
	var a, b Book
	for _, says := range []map[abaton.KeeperIndex][]Holding{all(held(2, 3), held(1, 5)), all(held(1, 6)), all()} {
		x, y := looks(&a, 1000, says), looks(&b, 1000, says)
		if !reflect.DeepEqual(x, y) {
			t.Errorf("got %v and %v, want the same", said(x), said(y))
		}
		text, err := json.Marshal(&b)
		b = Book{} // a restart
		if err != nil || json.Unmarshal(text, &b) != nil {
			t.Fatal("a book does not come back from JSON")
		}
	}
}

func TestSilentKeeper(t *testing.T) {
	var b Book
	four := all()
	delete(four, 3)
	wants(t, "first", looks(&b, 1000, four))
	wants(t, "not long", looks(&b, 1000+SilentAfter-1, four))
	wants(t, "a minute", looks(&b, 1000+SilentAfter, four), "keeper-silent created none ")
	wants(t, "still", looks(&b, 1000+2*SilentAfter, four))
	wants(t, "back", looks(&b, 2000, all()), "keeper-silent closed none ended")
	// A keeper that answers twice, or is none of the set, is heard once or not.
	double := func(l *Look) {
		l.Answers = append(l.Answers, l.Answers[0], Answer{Keeper: 9, Held: []Holding{held(1, 6)}})
	}
	wants(t, "double", looks(&b, 2001, all(), double))
}

func TestLoudKeeper(t *testing.T) {
	var b Book
	var many []Holding
	for i := range 100 {
		many = append(many, held(byte(i+1), detect.SuspendPerson))
	}
	one := all()
	one[5] = many
	fresh := looks(&b, 1000, one)
	if len(fresh) != aloneMax+1 || fresh[0].What != Loud || fresh[0].Keeper != 5 {
		t.Errorf("one keeper about 100: got %d alerts, first %s; want %d, the keeper first", len(fresh), fresh[0].What, aloneMax+1)
	}
	for _, a := range fresh[1:] {
		if a.Level > detect.Throttle {
			t.Errorf("by one keeper's word: got %s, want throttle at most", a.Level)
		}
	}
	wants(t, "the same", looks(&b, 1005, one))
	one[4] = many
	if fresh := looks(&b, 1010, one); len(fresh) != 101 {
		t.Errorf("two keepers about 100: got %d alerts, want each, and that the keeper is no longer alone", len(fresh))
	}
	for _, h := range []Holding{{}, {Kind: 9, Subject: [32]byte{1}, Level: 5, Until: 1 << 40}, {Kind: 1, Subject: [32]byte{1}, Level: 99, Until: 1 << 40},
		{Kind: 1, Level: 5, Until: 1 << 40}, {Kind: 1, Subject: [32]byte{1}, Level: 5, Until: 1}} {
		var b Book
		wants(t, "senseless", looks(&b, 1000, all(h)))
	}
}

func TestStrangerHasNoName(t *testing.T) {
	var b Book
	patient := held(7, detect.SuspendPerson)
	fresh := looks(&b, 1000, all(patient, held(8, detect.SuspendPerson)), func(l *Look) { l.Staff = func(who abaton.ActorID) bool { return who[0] == 8 } })
	names := map[string]int{}
	for _, a := range fresh {
		names[a.Subject]++
	}
	if len(fresh) != 2 || names["unknown"] != 1 || names[abaton.ActorID{8}.String()] != 1 {
		t.Errorf("got %v, want the alert without the name of whom nobody knows", names)
	}
}

func TestFindings(t *testing.T) {
	var b Book
	counts := func(n uint64, r abaton.Reason) func(*Look) {
		return func(l *Look) { l.Answers[0].Found = map[abaton.Reason]uint64{r: n, "free text of a liar": n} }
	}
	wants(t, "what was", looks(&b, 1000, all(), counts(3, "equivocation")))
	fresh := looks(&b, 1005, all(), counts(4, "equivocation"))
	wants(t, "one more", fresh, "keeper-found created none ")
	if fresh[0].Severity() != 5 || fresh[0].Keeper != 1 || fresh[0].Count != 4 {
		t.Errorf("got %+v", fresh[0])
	}
	wants(t, "within the hour", looks(&b, 1010, all(), counts(9, "equivocation")))
	wants(t, "after it", looks(&b, 1005+foundEvery, all(), counts(9, "equivocation")), "keeper-found created none ")
	wants(t, "another", looks(&b, 1020, all(), counts(1, "cloned")), "keeper-found created none ")
}

func TestBookIsBounded(t *testing.T) {
	var b Book
	for round := range 6 {
		var many []Holding
		for i := range 1024 {
			h := held(byte(round+1), detect.StepUp)
			h.Subject[1], h.Subject[2] = byte(i), byte(i>>8)
			many = append(many, h)
		}
		looks(&b, 1000, map[abaton.KeeperIndex][]Holding{1: many, 2: many})
		for _, c := range b.Cases { // as if others still said it
			if c.Alert.What == Held {
				c.Says[3] = Keeper{Keeper: 3, Level: detect.StepUp, Until: 5000}
			}
		}
	}
	if len(b.Cases) > casesMax+2*len(keepers()) {
		t.Errorf("got %d cases, want %d at most", len(b.Cases), casesMax)
	}
}

package actor_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/key"
)

func TestDocument(t *testing.T) {
	tests := []struct {
		name   string
		change func(*actor.Document)
		want   abaton.Reason
	}{
		{"5 3 3 4 1", func(*actor.Document) {}, ""},
		{"version", func(d *actor.Document) { d.V = 2 }, abaton.ReasonMalformed},
		{"C1: quorum above n-f", func(d *actor.Document) { d.W = 5 }, abaton.ReasonMalformed},
		{"C1: quorum below n-f", func(d *actor.Document) { d.W = 3 }, abaton.ReasonMalformed},
		{"C2: acknowledged does not survive a liar", func(d *actor.Document) { d.K = 4 }, abaton.ReasonMalformed},
		{"C4: unaware and lying open", func(d *actor.Document) { d.T = 2 }, abaton.ReasonMalformed},
		{"C5: shares do not survive", func(d *actor.Document) { d.T = 5 }, abaton.ReasonMalformed},
		{"liars open alone", func(d *actor.Document) { d.T = 1 }, abaton.ReasonMalformed},
		{"two liars of five", func(d *actor.Document) { d.F, d.W, d.K = 2, 3, 1 }, abaton.ReasonMalformed},
		{"no keepers", func(d *actor.Document) { d.N, d.Keepers = 0, nil }, abaton.ReasonMalformed},
		{"no fragments", func(d *actor.Document) { d.K = 0 }, abaton.ReasonMalformed},
		{"a keeper missing", func(d *actor.Document) { d.Keepers = d.Keepers[:4] }, abaton.ReasonMalformed},
		{"keepers out of order", func(d *actor.Document) { d.Keepers[0], d.Keepers[1] = d.Keepers[1], d.Keepers[0] }, abaton.ReasonMalformed},
		{"key twice", func(d *actor.Document) { d.Keepers[1].Key = d.Keepers[0].Key }, abaton.ReasonMalformed},
		{"box twice", func(d *actor.Document) { d.Keepers[1].Box = d.Keepers[0].Box }, abaton.ReasonMalformed},
		{"operator twice", func(d *actor.Document) { d.Keepers[1].Operator = d.Keepers[0].Operator }, abaton.ReasonMalformed},
		{"address twice", func(d *actor.Document) { d.Keepers[1].URL = d.Keepers[0].URL }, abaton.ReasonMalformed},
		{"ledger twice", func(d *actor.Document) { d.Keepers[1].Origin = d.Keepers[0].Origin }, abaton.ReasonMalformed},
		{"incarnation twice", func(d *actor.Document) { d.Keepers[1].Incarnation = d.Keepers[0].Incarnation }, abaton.ReasonMalformed},
		{"no incarnation", func(d *actor.Document) { d.Keepers[1].Incarnation = [16]byte{} }, abaton.ReasonMalformed},
		{"no TLS key", func(d *actor.Document) { d.Keepers[1].SPKI = [32]byte{} }, abaton.ReasonMalformed},
		{"no key", func(d *actor.Document) { d.Keepers[1].Key = abaton.KeyID{} }, abaton.ReasonMalformed},
		{"plain http", func(d *actor.Document) { d.Keepers[1].URL = "http://k2.example" }, abaton.ReasonMalformed},
		{"address with a path", func(d *actor.Document) { d.Keepers[1].URL = "https://k2.example/x" }, abaton.ReasonMalformed},
		{"two lines in a text", func(d *actor.Document) { d.Keepers[1].Operator = "one\nkeeper 9" }, abaton.ReasonMalformed},
		{"long text", func(d *actor.Document) { d.Keepers[1].Operator = strings.Repeat("x", actor.TextBytesMax+1) }, abaton.ReasonTooLarge},
		{"no relying party", func(d *actor.Document) { d.RelyingParty.ID = "" }, abaton.ReasonMalformed},
		{"no origin", func(d *actor.Document) { d.RelyingParty.Origins = nil }, abaton.ReasonMalformed},
		{"origin twice", func(d *actor.Document) { d.RelyingParty.Origins = []string{"https://a", "https://a"} }, abaton.ReasonMalformed},
	}
	for _, tt := range tests {
		d := document()
		tt.change(d)
		_, err := actor.Authenticate(setInception(d, 5), key.RelyingParty{})
		if got := reason(err); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestNumbers: of all small sets, exactly those are accepted that satisfy the
// conditions one by one (storage conditions C1 to C5).
func TestNumbers(t *testing.T) {
	accepted := 0
	base := document()
	for n := 1; n <= 7; n++ {
		for k := range n + 2 {
			for threshold := range n + 2 {
				for w := range n + 2 {
					for f := range n + 1 {
						want := k >= 1 && w == n-f && w-f >= k && 2*w-n > f && n-w+f < threshold && threshold > f && threshold <= n-f
						d := &actor.Document{V: 1, RelyingParty: party}
						d.N, d.K, d.T, d.W, d.F = uint8(n), uint8(k), uint8(threshold), uint8(w), uint8(f)
						d.Keepers = nil
						for x := 1; x <= n; x++ {
							d.Keepers = append(d.Keepers, entryLike(base.Keepers[0], x))
						}
						if got := d.Validate() == nil; got != want {
							t.Errorf("n=%d k=%d t=%d w=%d f=%d: got accepted %t, want %t", n, k, threshold, w, f, got, want)
						}
						if want {
							accepted++
						}
					}
				}
			}
		}
	}
	if accepted == 0 {
		t.Errorf("no set is accepted")
	}
}

// entryLike is k with every name changed.
func entryLike(k actor.Keeper, x int) actor.Keeper {
	k.X, k.Key[0], k.Incarnation[0] = abaton.KeeperIndex(x), byte(x), byte(x)
	k.Box = append([]byte(nil), k.Box...)
	k.Box[0] = byte(x)
	k.URL, k.Operator, k.Origin = fmt.Sprintf("https://k%d", x), fmt.Sprint(x), fmt.Sprint(x)
	return k
}

func setChange(s *actor.Set, k actor.Keeper, seq uint64, head actor.Hash, voters ...int) actor.SignedEvent {
	event := actor.New(s.ID(), seq, []actor.Hash{head}, epochStart.Unix(), &actor.SetChange{Keeper: k})
	se := actor.Signed(event)
	for _, x := range voters {
		se.Proofs = append(se.Proofs, actor.ByKey(signing(fmt.Sprintf("keeper %d", x)), event))
	}
	return se
}

// TestSetChangeLedger: a new ledger names the end of the old one, and no ledger
// or incarnation comes a second time.
func TestSetChangeLedger(t *testing.T) {
	inception := setInception(document(), 5)
	first, err := actor.ParseSet(actor.MarshalSet([]actor.SignedEvent{inception}))
	if err != nil {
		t.Fatal(err)
	}
	old := *first.Keeper(3)
	moved := func(edit func(k *actor.Keeper)) actor.Keeper {
		k := old
		k.Incarnation[0] ^= 0xff
		edit(&k)
		return k
	}
	change := func(s *actor.Set, k actor.Keeper, last string) actor.SignedEvent {
		seq, head := s.Head()
		event := actor.New(s.ID(), seq+1, []actor.Hash{head}, epochStart.Unix()+int64(seq), &actor.SetChange{Keeper: k, Last: []byte(last)})
		se := actor.Signed(event)
		for _, x := range []int{1, 2, 4, 5} {
			se.Proofs = append(se.Proofs, actor.ByKey(signing(fmt.Sprintf("keeper %d", x)), event))
		}
		return se
	}
	renamed := moved(func(k *actor.Keeper) { k.Origin += "/again" })
	end := old.Origin + "\n7\nroot\n\nsignature"
	again := change(first, renamed, end)
	second, err := actor.ParseSet(actor.MarshalSet([]actor.SignedEvent{inception, again}))
	if err != nil {
		t.Fatal(err)
	}
	if b := second.Begun(3); b.At != epochStart.Unix() || string(b.Last) != end {
		t.Errorf("begun: got %d, %q; want the change's time and the end of the old ledger", b.At, b.Last)
	}
	if f := second.Former(3); len(f) != 1 || f[0].Origin != old.Origin || len(second.Former(2)) != 0 || second.Former(9) != nil || len(first.Former(3)) != 0 {
		t.Errorf("former entries: got %d of keeper 3, want the first one", len(f))
	}
	if b := second.Begun(2); b.At != 0 || second.Begun(0).At != 0 || second.Begun(6).At != 0 {
		t.Errorf("keeper 2: got a ledger begun at %d, want none", b.At)
	}
	third := moved(func(k *actor.Keeper) {
		k.Incarnation[1] ^= 0xff
		k.Origin = renamed.Origin
		k.URL = "https://elsewhere.example"
	})
	for _, tt := range []struct {
		name   string
		events []actor.SignedEvent
		want   abaton.Reason
	}{
		{"another address, the same ledger", []actor.SignedEvent{inception, again, change(second, third, "")}, ""},
		{"the same ledger, and an end of it", []actor.SignedEvent{inception, again, change(second, third, renamed.Origin+"\n7\n")}, abaton.ReasonKeeperSet},
		{"another key, the same ledger", []actor.SignedEvent{inception, change(first, moved(func(k *actor.Keeper) { k.Key[0] ^= 1 }), "")}, abaton.ReasonKeeperSet},
		{"the end of another ledger", []actor.SignedEvent{inception, change(first, renamed, "elsewhere\n7\n")}, abaton.ReasonKeeperSet},
		{"nobody knows the end", []actor.SignedEvent{inception, change(first, renamed, "")}, ""},
		{"too long an end", []actor.SignedEvent{inception, change(first, renamed, old.Origin+"\n"+strings.Repeat("7", actor.LastBytesMax))}, abaton.ReasonTooLarge},
		{"back to the first ledger", []actor.SignedEvent{inception, again, change(second, moved(func(k *actor.Keeper) { k.Incarnation[1] ^= 0xff }), "")}, abaton.ReasonKeeperSet},
		{"back to the first incarnation", []actor.SignedEvent{inception, again, change(second, old, "")}, abaton.ReasonKeeperSet},
	} {
		got, err := actor.ParseSet(actor.MarshalSet(tt.events))
		if reason(err) != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, reason(err), tt.want)
		}
		if err == nil && len(tt.events) == 3 && got.Begun(3).At != second.Begun(3).At {
			t.Errorf("%s: the ledger began anew", tt.name)
		}
	}
}

func TestSetFile(t *testing.T) {
	inception := setInception(document(), 5)
	set, err := actor.ParseSet(actor.MarshalSet([]actor.SignedEvent{inception}))
	if err != nil {
		t.Fatalf("got %v, want a set", err)
	}
	_, head := set.Head()
	again := keeperEntry(3, " again")
	taken := keeperEntry(3, " again")
	taken.Operator = "operator 4"
	same := keeperEntry(3, " again")
	same.Incarnation = document().Keepers[2].Incarnation
	outside := keeperEntry(6, "")
	change := setChange(set, again, 1, head, 1, 2, 4, 5)
	tests := []struct {
		name   string
		events []actor.SignedEvent
		want   abaton.Reason
	}{
		{"inception", []actor.SignedEvent{inception}, ""},
		{"one change", []actor.SignedEvent{inception, change}, ""},
		{"nothing", nil, abaton.ReasonMalformed},
		{"four of five sign the inception", []actor.SignedEvent{setInception(document(), 4)}, abaton.ReasonCredential},
		{"three of five sign a change", []actor.SignedEvent{inception, setChange(set, again, 1, head, 1, 2, 4)}, abaton.ReasonCredential},
		{"strangers make up the number", []actor.SignedEvent{inception, setChange(set, again, 1, head, 1, 2, 4, 6)}, abaton.ReasonCredential},
		{"change without its place", []actor.SignedEvent{inception, setChange(set, again, 2, head, 1, 2, 4, 5)}, abaton.ReasonParent},
		{"change of another head", []actor.SignedEvent{inception, setChange(set, again, 1, actor.Hash{1}, 1, 2, 4, 5)}, abaton.ReasonParent},
		{"the same change twice", []actor.SignedEvent{inception, change, change}, abaton.ReasonParent},
		{"takes another's operator", []actor.SignedEvent{inception, setChange(set, taken, 1, head, 1, 2, 4, 5)}, abaton.ReasonKeeperSet},
		{"keeps its incarnation", []actor.SignedEvent{inception, setChange(set, same, 1, head, 1, 2, 4, 5)}, abaton.ReasonKeeperSet},
		{"a sixth keeper", []actor.SignedEvent{inception, setChange(set, outside, 1, head, 1, 2, 4, 5)}, abaton.ReasonKeeperSet},
		{"begins with a change", []actor.SignedEvent{change}, abaton.ReasonKeeperSet},
		{"a second inception", []actor.SignedEvent{inception, inception}, abaton.ReasonKeeperSet},
	}
	for _, tt := range tests {
		got, err := actor.ParseSet(actor.MarshalSet(tt.events))
		if reason(err) != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, reason(err), tt.want)
		}
		if err == nil && got.ID() != set.ID() {
			t.Errorf("%s: the set's name changed", tt.name)
		}
	}
	moved, err := actor.ParseSet(actor.MarshalSet([]actor.SignedEvent{inception, change}))
	if err != nil {
		t.Fatal(err)
	}
	if moved.Keeper(3).Key != again.Key || moved.KeeperOf(again.Key).X != 3 || moved.KeeperOf(document().Keepers[2].Key) != nil {
		t.Errorf("the change did not take the old key's place")
	}
	if set.Keeper(3).Key != document().Keepers[2].Key {
		t.Errorf("the change changed the set it came from")
	}
	for _, line := range []string{"keepers 5, fragments 3, shares 3, quorum 4, bears 1 dishonest", `operator "operator 3"`, set.ID().String()} {
		if !strings.Contains(set.Text(), line) {
			t.Errorf("text: %q is missing", line)
		}
	}
	if set.CompleteAnswers() != 4 || set.ReadAnswers() != 3 {
		t.Errorf("answers: got %d and %d, want 4 and 3", set.CompleteAnswers(), set.ReadAnswers())
	}
	if n, k, threshold, x := set.Shape(); n != 5 || k != 3 || threshold != 3 || string(x) != "\x01\x02\x03\x04\x05" {
		t.Errorf("shape: got %d %d %d %v", n, k, threshold, x)
	}
	if set.Keeper(0) != nil || set.Keeper(6) != nil {
		t.Errorf("the set has a keeper 0 or 6")
	}
}

func TestSetLog(t *testing.T) {
	inception := setInception(document(), 5)
	a, err := actor.Authenticate(inception, key.RelyingParty{})
	if err != nil {
		t.Fatal(err)
	}
	var st actor.State
	if got := reason(st.Admit(a, actor.Door{Set: abaton.ActorID{1}}, epochStart)); got != abaton.ReasonKeeperSet {
		t.Errorf("another keeper set: got %q, want %q", got, abaton.ReasonKeeperSet)
	}
	if err := st.Admit(a, actor.Door{Set: a.Actor()}, epochStart); err != nil {
		t.Fatalf("own set: %v", err)
	}
	if err := st.Apply(a); err != nil {
		t.Fatal(err)
	}
	_, head := st.Set().Head()
	for _, tt := range []struct {
		voters []int
		want   abaton.Reason
	}{{[]int{1, 2, 4}, abaton.ReasonCredential}, {[]int{1, 2, 4, 5}, ""}} {
		change, err := actor.Authenticate(setChange(st.Set(), keeperEntry(3, " again"), 1, head, tt.voters...), key.RelyingParty{})
		if err != nil {
			t.Fatal(err)
		}
		if got := reason(st.Admit(change, actor.Door{}, epochStart)); got != tt.want {
			t.Errorf("%d voters: got %q, want %q", len(tt.voters), got, tt.want)
		}
		if got := reason(st.Apply(change)); got != tt.want {
			t.Errorf("%d voters, applied: got %q, want %q", len(tt.voters), got, tt.want)
		}
	}
	if p, ok := st.Certified(); !ok || p.Seq != 1 || !st.IsCertified(p.Hash) {
		t.Errorf("a change proved by four keepers does not count")
	}
	rival, err := actor.Authenticate(setChange(st.Set(), keeperEntry(2, " again"), 1, head, 1, 4, 5, 2), key.RelyingParty{})
	if err != nil {
		t.Fatal(err)
	}
	if got := reason(st.Admit(rival, actor.Door{}, epochStart)); got != abaton.ReasonSlot {
		t.Errorf("second change in one slot: got %q, want %q", got, abaton.ReasonSlot)
	}
	if got := reason(st.Apply(rival)); got != abaton.ReasonSlot {
		t.Errorf("second change in one slot, applied: got %q, want %q", got, abaton.ReasonSlot)
	}
}

func TestCertificate(t *testing.T) {
	w := newWorld(t)
	p := actor.Place{Actor: abaton.ActorID{1}, Seq: 3, Hash: actor.Hash{2}}
	vote := func(x int, name string, p actor.Place) actor.Vote {
		return actor.SignVote(w.set.ID(), abaton.KeeperIndex(x), signing(name), p)
	}
	var votes []actor.Vote
	for x := 5; x >= 1; x-- {
		votes = append(votes, vote(x, fmt.Sprintf("keeper %d", x), p))
	}
	tests := []struct {
		name  string
		votes []actor.Vote
		want  abaton.Reason
	}{
		{"five", votes, ""},
		{"four", votes[1:], ""},
		{"three", votes[2:], abaton.ReasonCertificate},
		{"none", nil, abaton.ReasonCertificate},
		{"one keeper four times", []actor.Vote{votes[0], votes[0], votes[0], votes[0]}, abaton.ReasonCertificate},
		{"four and one forged", append(votes[1:5:5], vote(5, "stranger", p)), abaton.ReasonCertificate},
		{"one for another event", append(votes[2:5:5], vote(5, "keeper 5", actor.Place{Actor: p.Actor, Seq: 3, Hash: actor.Hash{3}})), abaton.ReasonCertificate},
		{"one for another slot", append(votes[2:5:5], vote(5, "keeper 5", actor.Place{Actor: p.Actor, Seq: 4, Hash: p.Hash})), abaton.ReasonCertificate},
		{"one for another log", append(votes[2:5:5], vote(5, "keeper 5", actor.Place{Actor: abaton.ActorID{9}, Seq: 3, Hash: p.Hash})), abaton.ReasonCertificate},
		{"one under another's index", append(votes[2:5:5], vote(5, "keeper 4", p)), abaton.ReasonCertificate},
		{"a keeper that is none", append(votes[2:5:5], vote(6, "keeper 6", p)), abaton.ReasonCertificate},
	}
	for _, tt := range tests {
		c := actor.NewCertificate(p, tt.votes)
		got, err := c.Verify(w.set)
		if reason(err) != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, reason(err), tt.want)
		}
		if err == nil && got.Place() != p {
			t.Errorf("%s: certified another place", tt.name)
		}
		again, err := actor.ParseCertificate(c.Marshal())
		if err != nil || string(again.Marshal()) != string(c.Marshal()) {
			t.Errorf("%s: parsed and written again, it differs", tt.name)
		}
	}
	twice := &actor.Certificate{V: 1, Actor: p.Actor, Seq: p.Seq, Hash: p.Hash, Votes: []actor.Vote{votes[4], votes[4], votes[4], votes[4]}}
	if _, err := twice.Verify(w.set); reason(err) != abaton.ReasonCertificate {
		t.Errorf("one vote four times: got %v, want %q", err, abaton.ReasonCertificate)
	}
	if _, err := actor.ParseCertificate(twice.Marshal()); reason(err) != abaton.ReasonMalformed {
		t.Errorf("votes not sorted: got %v, want %q", err, abaton.ReasonMalformed)
	}
	if _, err := actor.NewCertificate(p, votes).Verify(new(actor.Set)); reason(err) != abaton.ReasonCertificate {
		t.Errorf("zero set: got %v, want %q", err, abaton.ReasonCertificate)
	}
	if _, err := actor.NewCertificate(p, nil).Verify(new(actor.Set)); reason(err) != abaton.ReasonCertificate {
		t.Errorf("zero set, no votes: got %v, want %q", err, abaton.ReasonCertificate)
	}
}

// TestVotesOutliveTheirKeys: a certificate made before a keeper was replaced
// still stands, with one vote for each keeper.
func TestVotesOutliveTheirKeys(t *testing.T) {
	w := newWorld(t)
	p := actor.Place{Actor: abaton.ActorID{1}, Seq: 3, Hash: actor.Hash{2}}
	_, head := w.set.Head()
	inception := setInception(document(), 5)
	moved, err := actor.ParseSet(actor.MarshalSet([]actor.SignedEvent{inception, setChange(w.set, keeperEntry(3, " again"), 1, head, 1, 2, 4, 5)}))
	if err != nil {
		t.Fatal(err)
	}
	var votes []actor.Vote
	for x := 1; x <= 4; x++ {
		votes = append(votes, actor.SignVote(w.set.ID(), abaton.KeeperIndex(x), signing(fmt.Sprintf("keeper %d", x)), p))
	}
	if _, err := actor.NewCertificate(p, votes).Verify(moved); err != nil {
		t.Errorf("certificate with a vote by the key before: %v", err)
	}
	votes[1] = actor.SignVote(w.set.ID(), 3, signing("keeper 3 again"), p)
	if _, err := actor.NewCertificate(p, votes).Verify(moved); reason(err) != abaton.ReasonCertificate {
		t.Errorf("two keys of one keeper count twice: got %v", err)
	}
}

func TestCompare(t *testing.T) {
	at := func(seq uint64, hash byte) actor.Certified {
		return certified(actor.Place{Actor: abaton.ActorID{1}, Seq: seq, Hash: actor.Hash{hash}})
	}
	best, err := actor.Longest([]actor.Certified{at(3, 3), at(7, 7), at(5, 5)})
	if err != nil || best != at(7, 7) {
		t.Errorf("longest: got %v, %v, want seq 7", best.Place().Seq, err)
	}
	if _, err := actor.Longest(nil); reason(err) != abaton.ReasonCertificate {
		t.Errorf("no answers: got %v", err)
	}
	if _, err := actor.Longest([]actor.Certified{at(7, 7), at(7, 8)}); err != actor.ErrSplit {
		t.Errorf("two certificates for one slot: got %v, want %v", err, actor.ErrSplit)
	}
	other := certified(actor.Place{Actor: abaton.ActorID{2}, Seq: 9})
	if _, err := actor.Compare(at(1, 1), other); reason(err) != abaton.ReasonActor {
		t.Errorf("two logs: got %v, want %q", err, abaton.ReasonActor)
	}
}

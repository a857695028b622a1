package seal

import (
	"errors"
	"slices"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// dishonest seals like Seal, but lets a writer change what it spreads after
// the code words are cut and before HEAD is signed, with honest hashes over
// the dishonest fragments.
func dishonest(t *testing.T, b Batch, change func(*sealing)) *Sealed {
	t.Helper()
	e := fresh(len(b.Records))
	raws, places, err := b.raws(e.order)
	if err != nil {
		t.Fatal(err)
	}
	code, err := spread.NewCode(b.Shape.N, b.Shape.K)
	if err != nil {
		t.Fatal(err)
	}
	s := sealing{batch: &b, entropy: e, code: code, shape: b.Shape, m: len(raws)}
	if err := s.bodies(raws); err != nil {
		t.Fatal(err)
	}
	change(&s)
	s.rehash()
	s.head()
	if err := s.lock(); err != nil {
		t.Fatal(err)
	}
	return &Sealed{Name: s.name, Head: s.headSigned, Lock: s.lockSigned, Uploads: s.uploads(), Places: places}
}

func (s *sealing) rehash() {
	for j := range s.leaves {
		for p, x := range s.shape.X {
			s.hashes[j][p] = spread.FragmentHash(x, uint16(j), s.fragments[j][p])
		}
		s.leaves[j] = spread.BodyLeaf(uint16(j), s.lengths[j], s.hashes[j])
	}
}

// refit replaces the code word of record j by an honest encoding of another.
func (s *sealing) refit(j int, word []byte) {
	s.fragments[j], s.lengths[j] = s.code.Encode(word), uint32(len(word))
}

// word is the code word that record j now has.
func (s *sealing) word(j int) []byte {
	return slices.Concat(s.fragments[j][:s.shape.K]...)[:s.lengths[j]]
}

// gatherFrom adds the pieces at these positions.
func (w *world) gatherFrom(t *testing.T, s *Sealed, positions ...int) *spread.Gather {
	t.Helper()
	stored := w.stored(t, s)
	rows := all(len(stored[0].Rows))
	g := w.gather(t, s.Name, rows)
	for _, p := range positions {
		if err := g.Add(w.shape.X[p], piece(t, stored[p], rows)); err != nil {
			t.Fatalf("honest keeper's piece refused: %v", err)
		}
	}
	return g
}

// triples calls try with each three of five positions.
func triples(try func(...int)) {
	for a := range 3 {
		for b := a + 1; b < 4; b++ {
			for c := b + 1; c < 5; c++ {
				try(a, b, c)
			}
		}
	}
}

// TestFragmentsOffTheCode is T2 for bodies: one fragment that is no part of
// the code word, honestly hashed. All ten triples refuse; with all five
// answers the writer is proven, and never a keeper.
func TestFragmentsOffTheCode(t *testing.T) {
	for bad := range 5 {
		w := newWorld()
		s := dishonest(t, w.batch(1), func(s *sealing) { s.fragments[0][bad][7] ^= 1 })
		triples(func(p ...int) {
			g := w.gatherFrom(t, s, p...)
			if found := g.Result(); len(found.Found) != 0 || len(g.Faults()) != 0 {
				t.Errorf("bad %d, triple %v: found %d, faults %d, want none", bad, p, len(found.Found), len(g.Faults()))
			}
		})
		g := w.gatherFrom(t, s, 0, 1, 2, 3, 4)
		if found := g.Result(); len(found.Found) != 0 {
			t.Errorf("bad %d: found a record that is no code word", bad)
		}
		w.mustName(t, g, spread.WriterParty, abaton.ReasonBody)
	}
}

// TestTwoFacedCode: the first three fragments decode to one text and the last
// three to another; every signature and hash is valid.
func TestTwoFacedCode(t *testing.T) {
	w := newWorld()
	s := dishonest(t, w.batch(1), func(s *sealing) {
		other := s.code.Encode(append(s.word(0)[:40], make([]byte, int(s.lengths[0])-40)...))
		places := [][]byte{nil, nil, s.fragments[0][2], other[3], other[4]}
		_, second, err := s.code.Decode(places, int(s.lengths[0]))
		if err != nil {
			t.Fatal(err)
		}
		s.fragments[0][3], s.fragments[0][4] = second[3], second[4]
	})
	triples(func(p ...int) {
		if found := w.gatherFrom(t, s, p...).Result(); len(found.Found) != 0 {
			t.Errorf("triple %v: a two-faced body was found", p)
		}
	})
	g := w.gatherFrom(t, s, 0, 1, 2, 3, 4)
	g.Result()
	w.mustName(t, g, spread.WriterParty, abaton.ReasonBody)
}

// TestSilentWriter: code words that are consistent and wrong inside. All
// triples find the same bytes and all refuse to show them.
func TestSilentWriter(t *testing.T) {
	for name, change := range map[string]func(*sealing){
		"commitment":        func(s *sealing) { s.refit(0, flip(s.word(0), 0)) },
		"first cipher byte": func(s *sealing) { s.refit(0, flip(s.word(0), 32)) },
		"last byte":         func(s *sealing) { s.refit(0, flip(s.word(0), len(s.word(0))-1)) },
		"other text under the same key": func(s *sealing) {
			s.refit(0, resealed(t, s, func(raw []byte) []byte { return append(raw, ' ') }, true))
		},
		"other patient inside": func(s *sealing) {
			r := s.batch.Records[0]
			r.Envelope.Patient[5] ^= 1
			s.refit(0, resealed(t, s, func([]byte) []byte { return r.raw() }, false))
		},
		"other line inside": func(s *sealing) {
			r := s.batch.Records[0]
			r.Envelope.Line[5] ^= 1
			s.refit(0, resealed(t, s, func([]byte) []byte { return r.raw() }, false))
		},
		"index alone": func(s *sealing) {
			r := s.batch.Records[0]
			r.Envelope.Kind = KindIndex
			s.refit(0, resealed(t, s, func([]byte) []byte { return r.raw() }, false))
		},
		"no envelope": func(s *sealing) {
			s.refit(0, resealed(t, s, func([]byte) []byte { return []byte("{}") }, false))
		},
	} {
		w := newWorld()
		s := dishonest(t, w.batch(1), change)
		triples(func(p ...int) {
			g := w.gatherFrom(t, s, p...)
			opened, err := Open(w.segment, g.Result(), w.authors)
			if err != nil || !errors.Is(opened[0].Err, ErrFaulty) || len(opened[0].Record.Content) != 0 {
				t.Errorf("%s, triple %v: got %v, want ErrFaulty and no text", name, p, opened)
			}
			if len(g.Faults()) != 0 {
				t.Errorf("%s, triple %v: somebody was blamed without proof", name, p)
			}
		})
	}
}

// resealed makes record 0's code word over changed text, under its own key;
// keepCommit leaves the old commitment in place.
func resealed(t *testing.T, s *sealing, change func([]byte) []byte, keepCommit bool) []byte {
	raw := s.batch.Records[0].raw()
	word, err := sealBody(s.entropy.keys[0], change(raw), bodyContext(s.batch.Patient, s.entropy.nonce, s.m, 0))
	if err != nil {
		t.Fatal(err)
	}
	if keepCommit {
		copy(word, s.word(0)[:spread.CommitBytes])
	}
	return word
}

func flip(b []byte, at int) []byte {
	b = slices.Clone(b)
	b[at] ^= 1
	return b
}

// TestIndexLies: an index that describes a record differently makes that
// record refused where both were opened.
func TestIndexLies(t *testing.T) {
	w := newWorld()
	s := dishonest(t, w.batch(2), func(s *sealing) {
		index := s.batch.index(s.entropy.order)
		x, err := ParseIndex(index.Content)
		if err != nil {
			t.Fatal(err)
		}
		x.Entries[0].ID = "another"
		index.Content = x.Bytes()
		word, err := sealBody(s.entropy.keys[0], index.raw(), bodyContext(s.batch.Patient, s.entropy.nonce, s.m, 0))
		if err != nil {
			t.Fatal(err)
		}
		s.refit(0, word)
	})
	opened, err := Open(w.segment, w.gatherFrom(t, s, 0, 1, 2).Result(), w.authors)
	if err != nil {
		t.Fatal(err)
	}
	if !errors.Is(opened[1].Err, ErrFaulty) || opened[2].Err != nil {
		t.Errorf("got %v and %v, want ErrFaulty for the record lied about only", opened[1].Err, opened[2].Err)
	}
}

// relocked changes what a locker hands out after LOCK was made, recomputes the
// hashes in it and signs it again.
func (w *world) relocked(t *testing.T, s *Sealed, change func([]*spread.Upload)) {
	t.Helper()
	change(s.Uploads)
	head, err := spread.ParseHead(s.Head)
	if err != nil {
		t.Fatal(err)
	}
	lock, err := spread.ParseLock(s.Lock)
	if err != nil {
		t.Fatal(err)
	}
	ctx := spread.Ctx(head.Line, lock)
	for p, u := range s.Uploads {
		lock.Kappa[p] = spread.CapsuleHash(ctx, u.X, u.Capsule)
		var leaves []spread.Hash32
		for j := range u.Rows {
			leaves = append(leaves, spread.ShareLeaf(ctx, u.X, uint16(j), u.Rows[j].Share))
		}
		lock.Rho[p] = spread.Root(leaves)
	}
	s.Lock = w.writer.Seal(wire.Lock, lock.Bytes())
	for _, u := range s.Uploads {
		u.Lock = s.Lock
	}
}

// TestSharesOffThePolynomial is T2 for shares: each bad share alone. Triples
// with it refuse, triples without it open the one text there is, and with four
// answers the locker is proven.
func TestSharesOffThePolynomial(t *testing.T) {
	for _, count := range []int{1, 3} {
		for bad := range 5 {
			w := newWorld()
			b := w.batch(count)
			s, err := Seal(b)
			if err != nil {
				t.Fatal(err)
			}
			last := len(s.Uploads[0].Rows) - 1
			w.relocked(t, s, func(u []*spread.Upload) { u[bad].Rows[last].Share[0] ^= 1 })
			triples(func(p ...int) {
				found := w.gatherFrom(t, s, p...).Result()
				opened, err := Open(w.segment, found, w.authors)
				if err != nil {
					t.Fatal(err)
				}
				got, want := opened[last].Err == nil, !slices.Contains(p, bad)
				if got != want {
					t.Errorf("bad %d, triple %v: opens got %v, want %v", bad, p, got, want)
				}
			})
			g := w.gatherFrom(t, s, 0, 1, 2, 3, 4)
			w.mustOpen(t, b, s, g.Result())
			w.mustName(t, g, spread.LockerParty, abaton.ReasonShare)
		}
	}
}

// TestTwoFacedShares: shares that give one key from keepers 1, 2, 3 and
// another from 3, 4, 5. Nobody ever reads two texts.
func TestTwoFacedShares(t *testing.T) {
	w := newWorld()
	b := w.batch(1)
	s, err := Seal(b)
	if err != nil {
		t.Fatal(err)
	}
	w.relocked(t, s, func(u []*spread.Upload) {
		second := []spread.Share{{X: 3, Y: u[2].Rows[0].Share}, {X: 4, Y: key.NewSecret()}, {X: 5, Y: key.NewSecret()}}
		u[3].Rows[0].Share, u[4].Rows[0].Share = second[1].Y, second[2].Y
	})
	open := 0
	triples(func(p ...int) {
		opened, err := Open(w.segment, w.gatherFrom(t, s, p...).Result(), w.authors)
		if err != nil {
			t.Fatal(err)
		}
		if opened[0].Err == nil {
			open++
			if string(opened[0].Record.Content) != string(b.Records[0].Content) {
				t.Errorf("triple %v reads another text", p)
			}
		}
	})
	if open != 1 {
		t.Errorf("got %d triples that open, want the one dealt consistently", open)
	}
	g := w.gatherFrom(t, s, 0, 1, 2, 3, 4)
	w.mustOpen(t, b, s, g.Result())
	w.mustName(t, g, spread.LockerParty, abaton.ReasonShare)
}

// TestCapsuleOffTheCode is T2 for capsules: all triples refuse, and the
// locker is proven by any of them.
func TestCapsuleOffTheCode(t *testing.T) {
	for bad := range 5 {
		w := newWorld()
		s := w.seal(t, 1)
		w.relocked(t, s, func(u []*spread.Upload) { u[bad].Capsule = flip(u[bad].Capsule, 3) })
		triples(func(p ...int) {
			g := w.gatherFrom(t, s, p...)
			if len(g.Result().Found) != 0 {
				t.Errorf("bad %d, triple %v: found", bad, p)
			}
			w.mustName(t, g, spread.LockerParty, abaton.ReasonCapsule)
		})
	}
}

// TestCapsuleInside: a consistent capsule that is wrong inside.
func TestCapsuleInside(t *testing.T) {
	for _, at := range []int{0, 1000, key.EncBytes, spread.CapsuleBytes - 1} {
		w := newWorld()
		s := w.seal(t, 1)
		code, err := spread.NewCode(5, 3)
		if err != nil {
			t.Fatal(err)
		}
		w.relocked(t, s, func(u []*spread.Upload) {
			capsule := slices.Concat(u[0].Capsule, u[1].Capsule, u[2].Capsule)[:spread.CapsuleBytes]
			for p, f := range code.Encode(flip(capsule, at)) {
				u[p].Capsule = f
			}
		})
		opened, err := Open(w.segment, w.gatherFrom(t, s, 0, 1, 2).Result(), w.authors)
		if err != nil || !errors.Is(opened[0].Err, ErrLocker) {
			t.Errorf("byte %d: got %v, want ErrLocker", at, opened)
		}
	}
}

// TestEquivocatingLocker: two LOCKs of one number. Each group stands alone,
// and the two are the proof.
func TestEquivocatingLocker(t *testing.T) {
	w := newWorld()
	b := w.batch(1)
	s, err := Seal(b)
	if err != nil {
		t.Fatal(err)
	}
	first := w.stored(t, s)
	code, err := spread.NewCode(5, 3)
	if err != nil {
		t.Fatal(err)
	}
	w.relocked(t, s, func(u []*spread.Upload) {
		for p, f := range code.Encode(make([]byte, spread.CapsuleBytes)) {
			u[p].Capsule, u[p].Rows[0].Share = f, key.NewSecret()
		}
	})
	second := w.stored(t, s)
	g := w.gather(t, s.Name, 1)
	for p := range 5 {
		from := first
		if p == 1 || p == 3 {
			from = second
		}
		if err := g.Add(w.shape.X[p], piece(t, from[p], 1)); err != nil {
			t.Fatal(err)
		}
	}
	w.mustOpen(t, b, s, g.Result())
	w.mustName(t, g, spread.LockerParty, abaton.ReasonEquivocation)
}

// mustName requires exactly one fault, of that party and reason, that still
// holds after travelling, and that no altered copy of it holds.
func (w *world) mustName(t *testing.T, g *spread.Gather, party spread.Party, reason abaton.Reason) {
	t.Helper()
	faults := g.Faults()
	if len(faults) != 1 || faults[0].Party != party || faults[0].Reason != reason || faults[0].Key != w.writer.ID() {
		t.Fatalf("faults: got %d, want one for %s", len(faults), reason)
	}
	f, err := spread.ParseFault(faults[0].Bytes())
	if err != nil || f.Verify() != nil {
		t.Fatalf("fault for %s does not hold after travelling", reason)
	}
	for name, change := range map[string]func(*spread.Fault){
		"another batch": func(f *spread.Fault) { f.Batch[0] ^= 1 },
		"another key":   func(f *spread.Fault) { f.Key[0] ^= 1 },
		"nobody":        func(f *spread.Fault) { f.Party = 0 },
		"a keeper":      func(f *spread.Fault) { f.Party, f.Keeper = spread.KeeperParty, 1 },
		"no reason":     func(f *spread.Fault) { f.Reason = "" },
		"no shape":      func(f *spread.Fault) { f.Shape = spread.Shape{} },
		"no head":       func(f *spread.Fault) { f.Head = wire.Signed{} },
		"no evidence":   func(f *spread.Fault) { f.Fragments, f.Shares, f.Locks = nil, nil, nil },
	} {
		altered := *f
		change(&altered)
		if altered.Verify() == nil {
			t.Errorf("fault for %s with %s still verifies", reason, name)
		}
	}
}

// TestHonestBatchProvesNothing: no fault about an honest batch verifies.
func TestHonestBatchProvesNothing(t *testing.T) {
	w := newWorld()
	s := w.seal(t, 1)
	stored := w.stored(t, s)
	base := spread.Fault{
		Version: wire.Version, Keeper: 1, Key: w.writer.ID(), Batch: s.Name, Set: w.set, Shape: w.shape,
		Piece: piece(t, stored[0], 1), Head: s.Head, Locks: []wire.Signed{s.Lock}, Length: s.Uploads[0].Rows[0].Length,
	}
	var hashes []spread.Hash32
	for p, u := range s.Uploads {
		base.Fragments = append(base.Fragments, u.Rows[0].Fragment)
		hashes = append(hashes, spread.FragmentHash(w.shape.X[p], 0, u.Rows[0].Fragment))
		if p < 4 {
			base.Shares = append(base.Shares, spread.ShareProof{X: u.X, Share: u.Rows[0].Share})
		}
	}
	base.Hashes = hashes
	for party := range spread.Party(5) {
		for _, reason := range []abaton.Reason{
			abaton.ReasonBody, abaton.ReasonFragment, abaton.ReasonCapsule, abaton.ReasonShare, abaton.ReasonSignature,
			abaton.ReasonMalformed, abaton.ReasonKeeperSet, abaton.ReasonEquivocation, abaton.ReasonWriter, abaton.ReasonTooLarge,
		} {
			f := base
			f.Party, f.Reason = party, reason
			if f.Verify() == nil {
				t.Errorf("party %d, %s: an honest batch proves a fault", party, reason)
			}
			f.Locks = append(f.Locks, s.Lock)
			if reason == abaton.ReasonCapsule {
				f.Locks, f.Fragments = f.Locks[:1], [][]byte{s.Uploads[0].Capsule, s.Uploads[1].Capsule, s.Uploads[2].Capsule, nil, nil}
			}
			if f.Verify() == nil {
				t.Errorf("party %d, %s: an honest batch proves a fault", party, reason)
			}
			f.Set[0] ^= 1
			if reason == abaton.ReasonKeeperSet && f.Verify() == nil {
				t.Error("a keeper was proven faulty by somebody else's view of the set")
			}
		}
	}
}

// TestIndexOnlyWhereItMustBe: an index that is well formed, in the wrong place
// or missing in the right one, makes its record refused.
func TestIndexOnlyWhereItMustBe(t *testing.T) {
	put := func(s *sealing, j int, r Record) {
		word, err := sealBody(s.entropy.keys[j], r.raw(), bodyContext(s.batch.Patient, s.entropy.nonce, s.m, j))
		if err != nil {
			t.Fatal(err)
		}
		s.refit(j, word)
	}
	for name, c := range map[string]struct {
		count, bad int
		change     func(s *sealing, index Record)
	}{
		"an index alone":            {1, 0, func(s *sealing, index Record) { put(s, 0, index) }},
		"a second index":            {2, 1, func(s *sealing, index Record) { put(s, 1, index) }},
		"a resource for an index":   {2, 0, func(s *sealing, _ Record) { put(s, 0, s.batch.Records[0]) }},
		"an index of another count": {3, 0, func(s *sealing, index Record) { put(s, 0, index) }},
	} {
		w := newWorld()
		two := w.batch(2)
		index := two.index([]int{0, 1})
		s := dishonest(t, w.batch(c.count), func(s *sealing) { c.change(s, index) })
		opened, err := Open(w.segment, w.gatherFrom(t, s, 0, 1, 2).Result(), w.authors)
		if err != nil || !errors.Is(opened[c.bad].Err, ErrFaulty) {
			t.Errorf("%s: got %v, want ErrFaulty", name, opened)
		}
	}
}

// TestLengthOfNoBucket: a code word whose length is no bucket's would tell
// keepers more of the text than its bucket; they refuse it.
func TestLengthOfNoBucket(t *testing.T) {
	w := newWorld()
	s := dishonest(t, w.batch(1), func(s *sealing) { s.refit(0, append(s.word(0), make([]byte, 3)...)) })
	_, err := spread.Check(s.Uploads[0], w.shape, w.set, 1)
	if refused, ok := errors.AsType[*abaton.RefusedError](err); !ok || refused.Reason != abaton.ReasonMalformed {
		t.Errorf("got %v, want malformed", err)
	}
}

// TestNobodyIsBlamedByGuess: three keepers lie, so no leaf is reproduced; and
// a reader with an old view of the set meets honest keepers. In neither case
// is anybody named.
func TestNobodyIsBlamedByGuess(t *testing.T) {
	w := newWorld()
	s := w.seal(t, 1)
	stored := w.stored(t, s)
	for p := range 3 {
		stored[p].Rows[0].Fragment = flip(stored[p].Rows[0].Fragment, 1)
	}
	g := w.gather(t, s.Name, 1)
	for p := range 5 {
		if err := g.Add(w.shape.X[p], piece(t, stored[p], 1)); err != nil {
			t.Fatal(err)
		}
	}
	if found := g.Result(); len(found.Found) != 0 || len(g.Faults()) != 0 {
		t.Errorf("three liars: found %d, faults %d, want none", len(found.Found), len(g.Faults()))
	}
	other := *w
	other.set[0] ^= 1
	g = other.gather(t, s.Name, 1)
	if g.Add(4, piece(t, stored[3], 1)) == nil || len(g.Faults()) != 0 {
		t.Errorf("another set: got an answer or %d faults, want an error only", len(g.Faults()))
	}
}

package ledger_test

import (
	"errors"
	"testing"

	"github.com/abaton-health/abaton/ledger"
	"golang.org/x/mod/sumdb/note"
)

func TestClaims(t *testing.T) {
	l := filled(t, keeperOne(t), 20)
	_, now := l.Checkpoint()
	fork := filled(t, keeperOne(t), 20)
	_, forked := fork.Checkpoint()
	early := filled(t, keeperOne(t), 9)
	_, earlyFork := early.Checkpoint()
	l.add(t, at(30), release("r", "doctor", "a"))
	ahead := filled(t, keeperOne(t), 40)
	_, longer := ahead.Checkpoint()
	liar := config(t, origin, "keeper3.example", 3)
	huge := ledger.Checkpoint{Origin: origin, Size: ledger.SizeMax, Root: id("x")}
	sign := func(s note.Signer, c ledger.Checkpoint) []byte {
		b, err := note.Sign(&note.Note{Text: string(c.Text())}, s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	_, recovered := newLedger(t, config(t, "keeper1.example/ledger2", "keeper1.example", 1)).Checkpoint()
	for _, c := range []struct {
		name  string
		claim []byte
		stops bool
	}{
		{"my own past", now, false},
		{"a peer's invention of 2^56", sign(liar.Signer, huge), false},
		{"nothing at all", nil, false},
		{"my signature spoiled", spoilSignature(longer), false},
		{"another origin of mine", recovered, false},
		{"longer, signed by me", longer, true},
		{"2^56, signed by me", sign(l.cfg.Signer, huge), true},
		{"same size, other root", forked, true},
		{"smaller, other root", earlyFork, true},
	} {
		err := l.CheckClaim(c.claim)
		if got := errors.Is(err, ledger.ErrShorter); got != c.stops || (err != nil) != c.stops {
			t.Errorf("%s: got %v, stops want %v", c.name, err, c.stops)
		}
		if e, ok := errors.AsType[*ledger.ShorterError](err); ok && (e.Held.Origin != origin || e.Claimed.Origin != origin || e.Held == e.Claimed) {
			t.Errorf("%s: names %v and %v", c.name, e.Held, e.Claimed)
		}
	}
}

func TestKeepCosignedWantsAPeer(t *testing.T) {
	l := filled(t, keeperOne(t), 4)
	_, signed := l.Checkpoint()
	peer := newIdentity(t, "u", "keeper2.example").own.Verifier()
	if err := l.KeepCosigned(batch{}, signed, peer); ledger.CheckID(err) != "checkpoint.unsigned" {
		t.Errorf("got %v, want checkpoint.unsigned", err)
	}
	other, w := filled(t, keeperOne(t), 5), newIdentity(t, "u", "keeper2.example").own
	c, longer := other.Checkpoint()
	sig, err := w.SignAt(c.Text(), at(1))
	if err != nil {
		t.Fatal(err)
	}
	longer = append(longer, ledger.SignatureLine(w.Name(), w.KeyHash(), sig)...)
	b := batch{}
	if err := l.KeepCosigned(b, longer, peer); !errors.Is(err, ledger.ErrShorter) || len(b) != 0 {
		t.Errorf("a longer one: got %v, want ErrShorter", err)
	}
	addCosigned(t, l)
	kept, err := l.Cosigned()
	if _, names, err2 := ledger.Cosigners(kept, peer); err != nil || err2 != nil || len(names) != 1 {
		t.Errorf("got %v, %v, %v", names, err, err2)
	}
}

// twoTrees are two ledgers under one key that differ from their first entry on.
func twoTrees(t *testing.T) (a, b *ledgerOf) {
	return filled(t, keeperOne(t), 9), filled(t, keeperOne(t), 14)
}

func inconsistent(t *testing.T) (ledger.Equivocation, note.Verifier) {
	t.Helper()
	a, b := twoTrees(t)
	pa, err := a.Proof(3)
	if err != nil {
		t.Fatal(err)
	}
	pb, err := b.Proof(3)
	if err != nil {
		t.Fatal(err)
	}
	return ledger.Equivocation{
		A: pa.Checkpoint, B: pb.Checkpoint, Index: 3,
		LeafA: leafAt(t, a, 3), PathA: pa.Path, LeafB: leafAt(t, b, 3), PathB: pb.Path,
	}, a.cfg.Verifier
}

func leafAt(t *testing.T, l *ledgerOf, i int) ledger.Leaf {
	b, err := l.Tile("tile/entries/000.p/" + string(rune('0'+i+1)))
	if err != nil {
		t.Fatal(err)
	}
	return ledger.Leaf(b[34*i+2:])
}

func TestEquivocation(t *testing.T) {
	e, v := inconsistent(t)
	again, err := ledger.ParseEquivocation(e.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Verify(origin, v); err != nil {
		t.Errorf("different sizes: %v", err)
	}
	a, b := filled(t, keeperOne(t), 9), filled(t, keeperOne(t), 9)
	_, na := a.Checkpoint()
	_, nb := b.Checkpoint()
	if err := (ledger.Equivocation{A: na, B: nb}).Verify(origin, v); err != nil {
		t.Errorf("same size: %v", err)
	}
	_, other := filled(t, config(t, origin, "liar", 1), 9).Checkpoint()
	for check, spoil := range map[string]func(*ledger.Equivocation){
		"equivocation.order":     func(e *ledger.Equivocation) { e.A, e.B = e.B, e.A },
		"equivocation.same-leaf": func(e *ledger.Equivocation) { *e = honest(t) },
		"inclusion.path":         func(e *ledger.Equivocation) { e.LeafB[0] ^= 1 },
		"inclusion.index":        func(e *ledger.Equivocation) { e.Index = 9 },
		"checkpoint.unsigned":    func(e *ledger.Equivocation) { e.B = other },
		"equivocation.same-tree": func(e *ledger.Equivocation) { *e = ledger.Equivocation{A: na, B: na} },
		"equivocation.form":      func(e *ledger.Equivocation) { *e = ledger.Equivocation{A: na, B: nb, Index: 1} },
	} {
		bad := again
		spoil(&bad)
		if err := bad.Verify(origin, v); ledger.CheckID(err) != check {
			t.Errorf("got %v, want %s", err, check)
		}
	}
	if _, err := ledger.ParseEquivocation(append(e.Marshal(), 0)); ledger.CheckID(err) != "equivocation.form" {
		t.Errorf("got %v, want equivocation.form", err)
	}
}

// honest is an accusation of a ledger that only grew.
func honest(t *testing.T) ledger.Equivocation {
	l := filled(t, keeperOne(t), 9)
	p1, err := l.Proof(3)
	if err != nil {
		t.Fatal(err)
	}
	l.add(t, at(60), release("r", "doctor", "a"))
	p2, err := l.Proof(3)
	if err != nil {
		t.Fatal(err)
	}
	leaf := leafAt(t, l, 3)
	return ledger.Equivocation{A: p1.Checkpoint, B: p2.Checkpoint, Index: 3, LeafA: leaf, PathA: p1.Path, LeafB: leaf, PathB: p2.Path}
}

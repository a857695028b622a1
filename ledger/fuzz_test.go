package ledger_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/abaton-health/abaton/ledger"
	"golang.org/x/mod/sumdb/note"
)

func FuzzCheckpoint(f *testing.F) {
	c, _ := filled(f, keeperOne(f), 3).Checkpoint()
	f.Add(c.Text())
	f.Add([]byte("o\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ledger.ParseCheckpoint(b)
		if err == nil && !bytes.Equal(c.Text(), b) {
			t.Errorf("got %q, want %q", c.Text(), b)
		}
	})
}

// FuzzSignedCheckpoint: whatever verifies has the text that was signed. The
// note is the same in every process, unlike one over salted entries.
func FuzzSignedCheckpoint(f *testing.F) {
	me := newIdentity(f, origin, "keeper1.example")
	want := ledger.Checkpoint{Origin: origin, Size: 3, Root: id("root")}
	signed := signedNote(f, me, want, at(3))
	f.Add(signed)
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := ledger.VerifyCheckpoint(b, origin, me.signer.Verifier()); err == nil && c != want {
			t.Errorf("got %v, want %v", c, want)
		}
		if c, when, err := ledger.CosignedAt(b, me.own.Verifier()); err == nil && (c != want || !when.Equal(at(3))) {
			t.Errorf("got %v at %v, want %v", c, when, want)
		}
	})
}

// signedNote signs a checkpoint as its ledger does, with both lines.
func signedNote(tb testing.TB, me identity, c ledger.Checkpoint, when time.Time) []byte {
	tb.Helper()
	b, err := note.Sign(&note.Note{Text: string(c.Text())}, me.signer)
	if err != nil {
		tb.Fatal(err)
	}
	sig, err := me.own.SignAt(c.Text(), when)
	if err != nil {
		tb.Fatal(err)
	}
	return append(b, ledger.SignatureLine(me.own.Name(), me.own.KeyHash(), sig)...)
}

func FuzzCosignature(f *testing.F) {
	l := filled(f, keeperOne(f), 3)
	_, signed := l.Checkpoint()
	w := newIdentity(f, "u", "keeper2.example").own
	sig, err := w.SignAt([]byte("x"), at(1))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(ledger.SignatureLine(w.Name(), w.KeyHash(), sig))
	f.Fuzz(func(t *testing.T, lines []byte) {
		out, err := ledger.Countersign(signed, lines, w.Verifier(), l.cfg.Verifier)
		if err == nil && len(out) < len(signed) {
			t.Errorf("got a shorter note: %q", out)
		}
	})
}

func FuzzAddCheckpoint(f *testing.F) {
	l := filled(f, keeperOne(f), 9)
	for _, old := range []uint64{0, 4, 9} {
		a, err := l.AddCheckpoint(old)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(a.Marshal())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ledger.ParseAddCheckpoint(b)
		if err == nil && !bytes.Equal(a.Marshal(), b) {
			t.Errorf("got %q, want %q", a.Marshal(), b)
		}
	})
}

func FuzzProof(f *testing.F) {
	l := filled(f, keeperOne(f), 9)
	for i := range uint64(9) {
		p, err := l.Proof(i)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(p.Marshal())
		p.Extra = []byte("extra")
		f.Add(p.Marshal())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ledger.ParseProof(b)
		if err != nil {
			return
		}
		if !bytes.Equal(p.Marshal(), b) {
			t.Errorf("got %q, want %q", p.Marshal(), b)
		}
		_, _ = p.Verify(ledger.Leaf{}, origin, l.cfg.Verifier) // must not panic or hang
	})
}

func FuzzEquivocation(f *testing.F) {
	f.Add(ledger.Equivocation{A: []byte("a"), B: []byte("b"), Index: 1, PathA: []hash{{1}}}.Marshal())
	v := keeperOne(f).Verifier
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ledger.ParseEquivocation(b)
		if err != nil {
			return
		}
		if !bytes.Equal(e.Marshal(), b) {
			t.Errorf("got %x, want %x", e.Marshal(), b)
		}
		if e.Verify(origin, v) == nil {
			t.Error("an invented proof convicts")
		}
	})
}

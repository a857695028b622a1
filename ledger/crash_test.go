package ledger_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/ledger"
)

// damage changes one stored value; it reports whether anything changed.
type damage struct {
	name string
	do   func(r *rand.Rand, m memory, key string)
}

func damages() []damage {
	return []damage{
		{"flip one bit", func(r *rand.Rand, m memory, k string) {
			v := bytes.Clone(m[k])
			v[r.IntN(len(v))] ^= 1 << r.IntN(8)
			m[k] = v
		}},
		{"cut the end", func(r *rand.Rand, m memory, k string) { m[k] = m[k][:r.IntN(len(m[k]))] }},
		{"lose the value", func(_ *rand.Rand, m memory, k string) { delete(m, k) }},
		{"lengthen", func(_ *rand.Rand, m memory, k string) { m[k] = append(bytes.Clone(m[k]), 0) }},
	}
}

// TestDamageStopsTheLedger changes every single stored value in every way. The
// ledger refuses to open; it is never shorter and never different.
func TestDamageStopsTheLedger(t *testing.T) {
	l := filled(t, keeperOne(t), 37)
	addCosigned(t, l)
	want, _ := l.Checkpoint()
	r := rand.New(rand.NewPCG(1, 2))
	for _, d := range damages() {
		for _, k := range l.store.keys() {
			m := l.store.clone()
			d.do(r, m, k)
			again, err := ledger.Open(l.cfg, m)
			if err == nil {
				checkHarmless(t, d.name, k, again, want)
				continue
			}
			if !errors.Is(err, ledger.ErrCorrupt) && !errors.Is(err, ledger.ErrAbsent) {
				t.Errorf("%s of %q: got %v, want ErrCorrupt", d.name, k[:1], err)
			}
		}
	}
}

// checkHarmless allows the two damages that leave the ledger whole: the
// keeper's own dated line in the checkpoint is not what binds it, and a lost
// mark of peers is a mark that peers still hold.
func checkHarmless(t *testing.T, name, key string, l *ledger.Log, want ledger.Checkpoint) {
	t.Helper()
	got, _ := l.Checkpoint()
	if got != want {
		t.Errorf("%s of %q: opened with %v, want %v", name, key[:1], got, want)
	}
	if key[0] != 'c' && key[0] != 'k' {
		t.Errorf("%s of %q: opened, want refused", name, key[:1])
	}
}

func addCosigned(t *testing.T, l *ledgerOf) {
	t.Helper()
	w := newIdentity(t, "unused", "keeper2.example")
	c, signed := l.Checkpoint()
	sig, err := w.own.SignAt(c.Text(), at(99))
	if err != nil {
		t.Fatal(err)
	}
	signed, err = ledger.Countersign(signed, ledger.SignatureLine(w.own.Name(), w.own.KeyHash(), sig), w.own.Verifier())
	if err != nil {
		t.Fatal(err)
	}
	b := batch{}
	if err := l.KeepCosigned(b, signed, w.own.Verifier()); err != nil {
		t.Fatal(err)
	}
	b.commit(l.store)
}

// TestOldStorageIsShorter restores yesterday's storage: it opens, being whole,
// but not below a mark it keeps itself nor against a peer's memory.
func TestOldStorageIsShorter(t *testing.T) {
	l := filled(t, keeperOne(t), 10)
	yesterday := l.store.clone()
	for range 5 {
		l.add(t, at(50), release("x", "doctor", "ana"))
	}
	_, signed := l.Checkpoint()
	old, err := ledger.Open(l.cfg, yesterday)
	if err != nil {
		t.Fatal(err)
	}
	if err := old.CheckClaim(signed); !errors.Is(err, ledger.ErrShorter) {
		t.Errorf("claim of a peer: got %v, want ErrShorter", err)
	}
	addCosigned(t, l)
	mixed := yesterday.clone()
	mixed["k"] = l.store["k"]
	if _, err := ledger.Open(l.cfg, mixed); !errors.Is(err, ledger.ErrShorter) {
		t.Errorf("own mark: got %v, want ErrShorter", err)
	}
	for _, torn := range []string{"c", string(append([]byte{'l'}, make([]byte, 7)...)) + "\x0b"} {
		mixed := l.store.clone()
		if old, was := yesterday[torn]; was {
			mixed[torn] = old
		} else {
			delete(mixed, torn)
		}
		if _, err := ledger.Open(l.cfg, mixed); !errors.Is(err, ledger.ErrCorrupt) {
			t.Errorf("torn at %q: got %v, want ErrCorrupt", torn[:1], err)
		}
	}
}

// TestQuickOpenAuditsLater: Quick misses old damage, Audit finds it.
func TestQuickOpenAuditsLater(t *testing.T) {
	l := newLedger(t, keeperOne(t))
	for i := range 3 {
		es := make([]ledger.Entry, 500)
		for j := range es {
			es[j] = release(string(rune(1+i*500+j)), "doctor", "ana")
		}
		l.add(t, at(int64(i)), es...)
	}
	key := "e" + string(make([]byte, 8))
	l.store[key] = append(bytes.Clone(l.store[key]), 0)
	cfg := l.cfg
	cfg.Quick = true
	log, err := ledger.Open(cfg, l.store)
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Audit(); !errors.Is(err, ledger.ErrCorrupt) {
		t.Errorf("audit: got %v, want ErrCorrupt", err)
	}
	if _, err := log.Entry(0); !errors.Is(err, ledger.ErrCorrupt) {
		t.Errorf("read: got %v, want ErrCorrupt", err)
	}
	newest := "e" + string([]byte{0, 0, 0, 0, 0, 0, 5, 219})
	delete(l.store, newest)
	if _, err := ledger.Open(cfg, l.store); !errors.Is(err, ledger.ErrCorrupt) {
		t.Errorf("newest entry lost: got %v, want ErrCorrupt", err)
	}
}

// TestPatientIndexDamageStopsAppend: a chain is never begun again.
func TestPatientIndexDamageStopsAppend(t *testing.T) {
	l := filled(t, keeperOne(t), 6)
	ana := id("patient", "a")
	k := "p" + string(ana[:])
	v := bytes.Clone(l.store[k])
	v[3] ^= 1
	l.store[k] = v
	if _, err := l.Append(batch{}, []ledger.Entry{release("x", "doctor", "a")}, at(9)); !errors.Is(err, ledger.ErrCorrupt) {
		t.Errorf("got %v, want ErrCorrupt", err)
	}
	if _, err := l.Extract(ana, 0, abaton.DisclosuresMax); !errors.Is(err, ledger.ErrCorrupt) {
		t.Errorf("got %v, want ErrCorrupt", err)
	}
}

// TestRewrittenLedgerIsRefused: a whole and consistent ledger under a
// checkpoint that is not its own, and one that another key signed.
func TestRewrittenLedgerIsRefused(t *testing.T) {
	mine, other := filled(t, keeperOne(t), 21), filled(t, keeperOne(t), 21)
	mixed := other.store.clone()
	mixed["c"] = mine.store["c"]
	if _, err := ledger.Open(mine.cfg, mixed); !errors.Is(err, ledger.ErrCorrupt) {
		t.Errorf("another tree under my checkpoint: got %v, want ErrCorrupt", err)
	}
	forged := filled(t, config(t, origin, "impostor", 1), 21)
	if _, err := ledger.Open(mine.cfg, forged.store); !errors.Is(err, ledger.ErrCorrupt) {
		t.Errorf("a checkpoint signed by another key: got %v, want ErrCorrupt", err)
	}
	elsewhere := filled(t, config(t, origin, "keeper1.example", 2), 21)
	if _, err := ledger.Open(mine.cfg, elsewhere.store); !errors.Is(err, ledger.ErrCorrupt) {
		t.Errorf("entries of another keeper: got %v, want ErrCorrupt", err)
	}
}

// TestPatientIndexIsChecked puts an index entry of another ledger, whole in
// itself, in the place of ours.
func TestPatientIndexIsChecked(t *testing.T) {
	mine, other := newLedger(t, keeperOne(t)), newLedger(t, keeperOne(t))
	mine.add(t, at(1), release("1", "doctor", "ana"), release("2", "doctor", "bob"), release("3", "doctor", "ana"))
	other.add(t, at(1), release("1", "doctor", "bob"), release("2", "doctor", "ana"), release("3", "doctor", "ana"))
	ana := id("patient", "ana")
	first := "q" + string(ana[:]) + string(make([]byte, 8))
	mine.store[first] = other.store[first]
	if _, err := ledger.Open(mine.cfg, mine.store); !errors.Is(err, ledger.ErrCorrupt) {
		t.Errorf("index of entry 0: got %v, want ErrCorrupt", err)
	}
	b := batch{}
	if err := mine.Redact(b, 0); err != nil {
		t.Fatal(err)
	}
	b.commit(mine.store)
	if _, err := ledger.Open(mine.cfg, mine.store); !errors.Is(err, ledger.ErrCorrupt) {
		t.Errorf("entry 2 ties another leaf: got %v, want ErrCorrupt", err)
	}
}

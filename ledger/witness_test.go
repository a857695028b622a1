package ledger_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/abaton-health/abaton/ledger"
	"golang.org/x/mod/sumdb/note"
)

func witnessConfig(t *testing.T) (ledger.WitnessConfig, identity) {
	me := newIdentity(t, "keeper2.example/ledger", "keeper2.example")
	peer := newIdentity(t, origin, "keeper1.example")
	return ledger.WitnessConfig{
		Cosigner: me.own, Own: me.own.Verifier(),
		Origins: map[string]note.Verifier{origin: peer.signer.Verifier()},
	}, me
}

// submit plays a whole request: add, make durable, answer.
func submit(w *ledger.Witness, m memory, body []byte, seconds int64) ([]byte, error) {
	b := batch{}
	c, err := w.Add(b, body, at(seconds))
	if err != nil {
		return nil, err
	}
	b.commit(m)
	c.Commit()
	return c.Line(), nil
}

func request(t *testing.T, l *ledgerOf, old uint64) []byte {
	t.Helper()
	a, err := l.AddCheckpoint(old)
	if err != nil {
		t.Fatal(err)
	}
	return a.Marshal()
}

func status(err error) int {
	if e, ok := errors.AsType[*ledger.WitnessError](err); ok {
		return e.Status
	}
	return 200
}

func TestWitnessFollowsALedger(t *testing.T) {
	cfg, me := witnessConfig(t)
	m := memory{}
	w, err := ledger.OpenWitness(cfg, m)
	if err != nil {
		t.Fatal(err)
	}
	l := newLedger(t, keeperOne(t))
	last := uint64(0)
	var first ledger.Checkpoint
	for i := range 6 {
		line, err := submit(w, m, request(t, l, last), int64(100+i))
		if err != nil {
			t.Fatalf("size %d: %v", l.Size(), err)
		}
		c, signed := l.Checkpoint()
		both, err := ledger.Countersign(signed, line, me.own.Verifier())
		if err != nil {
			t.Fatal(err)
		}
		if _, when, err := ledger.CosignedAt(both, me.own.Verifier()); err != nil || !when.Equal(at(int64(100+i))) {
			t.Errorf("got time %v, %v", when, err)
		}
		if i == 2 {
			first = c
		}
		last = c.Size
		l.add(t, at(int64(i)), make64()[:1+i*7]...)
	}
	// After a restart it still knows what it cosigned.
	w, err = ledger.OpenWitness(cfg, m)
	if err != nil {
		t.Fatal(err)
	}
	c, _, found := w.Latest(origin)
	if !found || c.Size != last {
		t.Fatalf("got %d, %v; want %d", c.Size, found, last)
	}
	if _, err := submit(w, m, request(t, l, 0), 200); status(err) != 409 {
		t.Errorf("got %v, want 409", err)
	}
	p, err := l.Consistency(first.Size, last)
	if err != nil {
		t.Fatal(err)
	}
	if !w.Vouches(c, nil) || !w.Vouches(first, p) || w.Vouches(first, nil) {
		t.Error("vouches for the wrong checkpoints")
	}
	first.Root[5] ^= 1
	if w.Vouches(first, p) || w.Vouches(ledger.Checkpoint{Origin: "x"}, nil) {
		t.Error("vouches for a checkpoint never seen")
	}
}

func TestWitnessStatuses(t *testing.T) {
	cfg, _ := witnessConfig(t)
	l := filled(t, keeperOne(t), 20)
	small := request(t, l, 0)
	l.add(t, at(30), release("21", "doctor", "a"))
	fork := filled(t, keeperOne(t), 21)
	short := filled(t, keeperOne(t), 5)
	stranger := filled(t, config(t, "stranger.example/ledger", "stranger", 3), 3)
	impostor := filled(t, config(t, origin, "impostor", 1), 25)

	badSig := request(t, l, 20)
	badSig = spoilSignature(badSig)
	noProof, _ := l.AddCheckpoint(20)
	noProof.Proof = nil
	needless, _ := l.AddCheckpoint(0)
	needless.Proof = append(needless.Proof, id("x"))
	for _, c := range []struct {
		name  string
		body  []byte
		fresh bool // witness that has cosigned nothing
		want  int
		check string
	}{
		{"not a request", []byte("old 0\n"), false, 400, "add-checkpoint.lines"},
		{"size with leading zero", bytes.Replace(request(t, l, 20), []byte("old 20"), []byte("old 020"), 1), false, 400, "add-checkpoint.old"},
		{"old above size", oldSize(request(t, short, 0), "20"), false, 400, "witness.old-size"},
		{"unknown origin", request(t, stranger, 0), false, 404, "witness.origin"},
		{"no known signature", request(t, impostor, 20), false, 403, "checkpoint.unsigned"},
		{"bad signature of known key", badSig, false, 403, "checkpoint.signature"},
		{"old below last", request(t, l, 19), false, 409, "witness.conflict"},
		{"old where nothing was", request(t, l, 20), true, 409, "witness.conflict"},
		{"proof missing", noProof.Marshal(), false, 422, "consistency.proof"},
		{"proof for old 0", needless.Marshal(), true, 422, "consistency.proof"},
		{"fork, longer", request(t, fork, 20), false, 422, "consistency.proof"},
		{"good", request(t, l, 20), false, 200, "ok"},
		{"same again", small, true, 200, "ok"},
	} {
		m := memory{}
		w, err := ledger.OpenWitness(cfg, m)
		if err != nil {
			t.Fatal(err)
		}
		if !c.fresh {
			if _, err := submit(w, m, small, 1); err != nil {
				t.Fatal(err)
			}
		}
		before := m.clone()
		_, err = submit(w, m, c.body, 2)
		if got := status(err); got != c.want || ledger.CheckID(err) != c.check {
			t.Errorf("%s: got %d %s, want %d %s", c.name, got, ledger.CheckID(err), c.want, c.check)
		}
		if err != nil && !equalStores(before, m) {
			t.Errorf("%s: a refused request changed the state", c.name)
		}
		if e, ok := errors.AsType[*ledger.WitnessError](err); ok && c.want == 409 {
			n, err := ledger.ParseSize(ledger.FormatSize(e.Size))
			if err != nil || c.fresh != (n == 0) {
				t.Errorf("%s: got size %d, %v", c.name, n, err)
			}
		}
	}
}

func oldSize(body []byte, n string) []byte {
	_, rest, _ := bytes.Cut(body, []byte{'\n'})
	return append([]byte("old "+n+"\n"), rest...)
}

func equalStores(a, b memory) bool {
	if len(a) != len(b) {
		return false
	}
	for k := range a {
		if !bytes.Equal(a[k], b[k]) {
			return false
		}
	}
	return true
}

// spoilSignature changes the first signature of a signed note.
func spoilSignature(b []byte) []byte {
	b = bytes.Clone(b)
	i := bytes.Index(b, []byte("\n\n— "))
	if j := bytes.LastIndex(b, []byte("\n\n— ")); j > i {
		i = j
	}
	end := i + 4 + bytes.IndexByte(b[i+4:], '\n')
	for b[end-1] == '=' || b[end-1] == 'A' {
		end--
	}
	if b[end-3] == 'A' {
		b[end-3] = 'B'
	} else {
		b[end-3] = 'A'
	}
	return b
}

func TestWitnessProvesASplitTree(t *testing.T) {
	cfg, _ := witnessConfig(t)
	m := memory{}
	w, err := ledger.OpenWitness(cfg, m)
	if err != nil {
		t.Fatal(err)
	}
	a, b := filled(t, keeperOne(t), 9), filled(t, keeperOne(t), 9)
	if _, err := submit(w, m, request(t, a, 0), 1); err != nil {
		t.Fatal(err)
	}
	_, err = submit(w, m, oldSize(request(t, b, 9), "9"), 2)
	e, ok := errors.AsType[*ledger.WitnessError](err)
	if !ok || e.Status != 422 || e.Proof == nil {
		t.Fatalf("got %v, want 422 with a proof", err)
	}
	if err := e.Proof.Verify(origin, a.cfg.Verifier); err != nil {
		t.Error(err)
	}
}

func TestWitnessAnswersOnlyWhenDurable(t *testing.T) {
	cfg, _ := witnessConfig(t)
	w, err := ledger.OpenWitness(cfg, memory{})
	if err != nil {
		t.Fatal(err)
	}
	l := filled(t, keeperOne(t), 9)
	c, err := w.Add(batch{}, request(t, l, 0), at(1))
	if err != nil {
		t.Fatal(err)
	}
	if c.Line() != nil {
		t.Error("line before commit: got one, want none")
	}
	if _, err := w.Add(batch{}, request(t, l, 0), at(1)); status(err) != 503 {
		t.Errorf("second request meanwhile: got %v, want 503", err)
	}
	c.Abort()
	if c.Line() != nil {
		t.Error("line after abort: got one, want none")
	}
	if _, err := w.Add(batch{}, request(t, l, 0), at(1)); status(err) != 503 {
		t.Errorf("after abort: got %v, want 503 until reopened", err)
	}
	if _, _, found := w.Latest(origin); found {
		t.Error("an aborted checkpoint is shown")
	}
}

func TestWitnessRefusesDamagedState(t *testing.T) {
	cfg, _ := witnessConfig(t)
	m := memory{}
	w, err := ledger.OpenWitness(cfg, m)
	if err != nil {
		t.Fatal(err)
	}
	l := filled(t, keeperOne(t), 9)
	if _, err := submit(w, m, request(t, l, 0), 1); err != nil {
		t.Fatal(err)
	}
	for _, k := range m.keys() {
		// The state is a note with two signatures; without either it is no
		// state. A truncated or changed one must not become "nothing yet".
		for i := range len(m[k]) {
			bad := m.clone()
			bad[k] = m[k][:i]
			if _, err := ledger.OpenWitness(cfg, bad); !errors.Is(err, ledger.ErrCorrupt) {
				t.Fatalf("cut at %d: got %v, want ErrCorrupt", i, err)
			}
		}
	}
	cfg.Origins = map[string]note.Verifier{"": nil}
	if _, err := ledger.OpenWitness(cfg, memory{}); ledger.CheckID(err) != "config.origin" {
		t.Errorf("got %v, want config.origin", err)
	}
}

func TestCountersign(t *testing.T) {
	l := filled(t, keeperOne(t), 5)
	c, signed := l.Checkpoint()
	w := newIdentity(t, "u", "keeper2.example").own
	line := func(text []byte, s int64) []byte {
		sig, err := w.SignAt(text, at(s))
		if err != nil {
			t.Fatal(err)
		}
		return ledger.SignatureLine(w.Name(), w.KeyHash(), sig)
	}
	once, err := ledger.Countersign(signed, line(c.Text(), 1), w.Verifier())
	if err != nil {
		t.Fatal(err)
	}
	twice, err := ledger.Countersign(once, line(c.Text(), 2), w.Verifier())
	if err != nil {
		t.Fatal(err)
	}
	if _, when, err := ledger.CosignedAt(twice, w.Verifier()); err != nil || !when.Equal(at(2)) || len(once) != len(twice) {
		t.Errorf("a newer cosignature does not replace the older: %v, %v", when, err)
	}
	if _, names, err := ledger.Cosigners(twice, w.Verifier(), l.cfg.Verifier); err != nil || strings.Join(names, " ") != origin+" keeper2.example" {
		t.Errorf("got %v, %v", names, err)
	}
	other := c
	other.Size++
	for name, bad := range map[string]struct {
		lines []byte
		check string
	}{
		"other checkpoint": {line(other.Text(), 1), "checkpoint.signature"},
		"unknown key":      {ledger.SignatureLine("x", 1, make([]byte, 72)), "checkpoint.unsigned"},
		"nothing":          {nil, "cosignature.length"},
		"second text":      {append([]byte("more\n\n"), line(c.Text(), 1)...), "checkpoint.signature"},
	} {
		if _, err := ledger.Countersign(signed, bad.lines, w.Verifier()); ledger.CheckID(err) != bad.check {
			t.Errorf("%s: got %v, want %s", name, err, bad.check)
		}
	}
	if _, err := w.SignAt(c.Text(), at(-2_000_000_000)); ledger.CheckID(err) != "cosignature.time" {
		t.Errorf("got %v, want cosignature.time", err)
	}
}

package ledger_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/wire"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func entryVectors(t *testing.T) []vector {
	const src = "PROTOCOL.md#ledger-entry"
	good := sampleEntry()
	b, err := good.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	vs := []vector{{"every field in use", src, input{Entry: hex.EncodeToString(b)}, "ok"}}
	permit := sampleEntry()
	permit.Op, permit.FoldsInto = ledger.OpPermit, ledger.Fold(0)
	vs = append(vs, vector{"a renewal of the entry at index 0", src, input{Entry: hex.EncodeToString(wire.Marshal(permit))}, "ok"})
	for name, bad := range map[string][]byte{"trailing byte": append(bytes.Clone(b), 0), "field 1 in a longer form": append([]byte{b[0], 0x18, 0x01}, b[2:]...), "field 18 missing": append([]byte{b[0] - 1}, b[1:len(b)-2]...)} {
		vs = append(vs, vector{name, src, input{Entry: hex.EncodeToString(bad)}, "entry.form"})
	}
	for check, cases := range spoiled() {
		for i, spoil := range cases {
			e := sampleEntry()
			spoil(&e)
			vs = append(vs, vector{fmt.Sprintf("%s, case %d", check, i+1), src, input{Entry: hex.EncodeToString(wire.Marshal(e))}, check})
		}
	}
	vs = append(vs, emergencyVectors()...)
	vs = append(vs, watchVectors()...)
	sortVectors(vs[2:])
	return vs
}

func leafVectors(t *testing.T) []vector {
	const src = "PROTOCOL.md#ledger-leaf"
	b, err := wellFormed(sampleEntry()).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	salt := id("salt")
	leaf := ledger.NewLeaf(salt, b)
	tie := leaf.Tie()
	in := input{Salt: hex.EncodeToString(salt[:]), Entry: hex.EncodeToString(b), Leaf: hex.EncodeToString(leaf[:]), Tie: hex.EncodeToString(tie[:])}
	vs := []vector{{"leaf and tie of the sample entry", src, in, "ok"}}
	bad := in
	bad.Salt = hex.EncodeToString(make([]byte, 32))
	vs = append(vs, vector{"another salt", src, bad, "disclosure.leaf"})
	bad = in
	bad.Tie = bad.Leaf
	return append(vs, vector{"the leaf in place of the tie", "PROTOCOL.md#ledger-chain", bad, "chain.tie at 1"})
}

func decideLeaf(in input) error {
	leaf := ledger.NewLeaf([32]byte(unhex(in.Salt)), unhex(in.Entry))
	if hex.EncodeToString(leaf[:]) != in.Leaf {
		return &ledger.CheckError{Object: "disclosure", Check: "leaf"}
	}
	if tie := leaf.Tie(); hex.EncodeToString(tie[:]) != in.Tie {
		return &ledger.GapError{Seq: 1, Check: "tie"}
	}
	return nil
}

func checkpointVectors(t *testing.T) []vector {
	const src = "PROTOCOL.md#ledger-checkpoint"
	me, tree := one(t), fixedTree("a", 13)
	good := string(signedNote(t, me, tree.checkpoint(13), at(13)))
	in := func(note string) input { return input{Note: note, Origin: origin, VKey: me.signer.VerifierKey()} }
	vs := []vector{
		{"thirteen entries", src, in(good), "ok"},
		{"no entries", src, in(string(signedNote(t, me, ledger.Checkpoint{Origin: origin, Root: fixedEmpty()}, at(0)))), "ok"},
	}
	signText := func(text string) string {
		b, err := note.Sign(&note.Note{Text: text}, me.signer)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	const root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	for _, c := range []struct{ comment, text, check string }{
		{"size with a leading zero", origin + "\n013\n" + root + "\n", "checkpoint.size"},
		{"size with a sign", origin + "\n+13\n" + root + "\n", "checkpoint.size"},
		{"size over the limit", origin + "\n72057594037927937\n" + root + "\n", "checkpoint.size"},
		{"size 2^64", origin + "\n18446744073709551616\n" + root + "\n", "checkpoint.size"},
		{"root of 31 bytes", origin + "\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuA==\n", "checkpoint.root"},
		{"root with spare bits set", origin + "\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=\n", "checkpoint.root"},
		{"size 0 with a root", origin + "\n0\n" + "A" + root[1:] + "\n", "checkpoint.empty-root"},
		{"extension line", origin + "\n1\n" + root + "\nmore\n", "checkpoint.lines"},
		{"two lines", origin + "\n1\n", "checkpoint.lines"},
		{"origin that begins a cosigned message", "cosignature/v1\n1\n" + root + "\n", "checkpoint.origin"},
		{"origin with a space", "a b\n1\n" + root + "\n", "checkpoint.origin"},
		{"origin of another ledger", "keeper2.example/ledger\n1\n" + root + "\n", "checkpoint.other-origin"},
	} {
		vs = append(vs, vector{c.comment, src, in(signText(c.text)), c.check})
	}
	stranger := newIdentity(t, origin, "stranger")
	return append(vs,
		vector{"signed by another key of the same name", src, in(string(signedNote(t, stranger, tree.checkpoint(13), at(13)))), "checkpoint.unsigned"},
		vector{"signature spoiled", src, in(string(spoilSignature([]byte(good)))), "checkpoint.signature"},
		vector{"no signatures", src, in(string(tree.checkpoint(13).Text())), "checkpoint.note"},
	)
}

func fixedEmpty() tlog.Hash {
	h, err := tlog.TreeHash(0, nil)
	if err != nil {
		panic("the empty tree has a hash")
	}
	return h
}

func decideCheckpoint(in input) error {
	v, err := ledger.ParseVerifierKey(in.VKey)
	if err != nil {
		return err
	}
	return second(ledger.VerifyCheckpoint([]byte(in.Note), in.Origin, v))
}

func cosignatureVectors(t *testing.T) []vector {
	const src = "PROTOCOL.md#ledger-cosignature"
	me, c := one(t), fixedTree("a", 13).checkpoint(13)
	good := string(signedNote(t, me, c, at(13)))
	key := me.own.VerifierKey()
	in := func(note string) input { return input{Note: note, VKey: key, Unix: at(13).Unix()} }
	line := func(sig []byte) string {
		return string(c.Text()) + "\n" + string(ledger.SignatureLine(me.own.Name(), me.own.KeyHash(), sig))
	}
	sig, err := me.own.SignAt(c.Text(), at(13))
	if err != nil {
		t.Fatal(err)
	}
	later := bytes.Clone(sig)
	later[7]++
	plain, err := me.signer.Sign(c.Text())
	if err != nil {
		t.Fatal(err)
	}
	dated := func(unix uint64) string {
		return line(append(wire.U64(unix), testKey("keeper1.example").SignRaw(ledger.CosignedMessage(c.Text(), unix))...))
	}
	wrongTime := in(good)
	wrongTime.Unix++
	return []vector{
		{"the keeper's own, dated", src, in(good), "ok"},
		{"timestamp moved by a second", src, in(line(later)), "checkpoint.signature"},
		{"timestamp zero, well signed", src, in(dated(0)), "checkpoint.signature"},
		{"timestamp 2^63, well signed", src, in(dated(1 << 63)), "checkpoint.signature"},
		{"a plain signature under the cosigner's key id", src, in(line(append(wire.U64(uint64(at(13).Unix())), plain...))), "checkpoint.signature"},
		{"without a timestamp", src, in(line(sig[8:])), "checkpoint.signature"},
		{"one byte more", src, in(line(append(bytes.Clone(sig), 0))), "checkpoint.signature"},
		{"of nobody known", src, input{Note: good, VKey: newIdentity(t, origin, "stranger").own.VerifierKey(), Unix: at(13).Unix()}, "checkpoint.unsigned"},
		{"read as another time", src, wrongTime, "cosignature.time"},
	}
}

func decideCosignature(in input) error {
	v, err := ledger.ParseVerifierKey(in.VKey)
	if err != nil {
		return err
	}
	_, when, err := ledger.CosignedAt([]byte(in.Note), v)
	if err == nil && when.Unix() != in.Unix {
		return &ledger.CheckError{Object: "cosignature", Check: "time"}
	}
	return err
}

func proofVectors(t *testing.T) []vector {
	const src = "PROTOCOL.md#ledger-receipt"
	me, tree := one(t), fixedTree("a", 13)
	p := tree.proof(t, me, 5, 13)
	text := func(change func(*ledger.Proof)) string {
		q := p
		q.Path = append([]tlog.Hash(nil), p.Path...)
		change(&q)
		return string(q.Marshal())
	}
	in := func(s string) input {
		return input{Proof: s, Leaf: hex.EncodeToString(tree.leaves[5][:]), Origin: origin, VKey: me.signer.VerifierKey()}
	}
	good := text(func(*ledger.Proof) {})
	other := in(good)
	other.Leaf = hex.EncodeToString(tree.leaves[6][:])
	return []vector{
		{"entry 5 of 13", src, in(good), "ok"},
		{"with extra bytes, which prove nothing", src, in(text(func(p *ledger.Proof) { p.Extra = []byte("extra") })), "ok"},
		{"another leaf", src, other, "inclusion.path"},
		{"another index", src, in(text(func(p *ledger.Proof) { p.Index = 4 })), "inclusion.path"},
		{"index past the end", src, in(text(func(p *ledger.Proof) { p.Index = 13 })), "inclusion.index"},
		{"a hash changed", src, in(text(func(p *ledger.Proof) { p.Path[1][0] ^= 1 })), "inclusion.path"},
		{"a hash too few", src, in(text(func(p *ledger.Proof) { p.Path = p.Path[:3] })), "inclusion.path"},
		{"a hash too many", src, in(text(func(p *ledger.Proof) { p.Path = append(p.Path, p.Path[0]) })), "inclusion.path"},
		{"64 hashes", src, in(text(func(p *ledger.Proof) { p.Path = make([]tlog.Hash, 64) })), "proof.path"},
		{"other header", src, in("c2sp.org/tlog-proof@v2" + good[len("c2sp.org/tlog-proof@v1"):]), "proof.header"},
		{"index with a leading zero", src, in(replace(good, "index 5", "index 05")), "proof.index"},
		{"empty extra line", src, in(replace(good, "index 5", "extra \nindex 5")), "proof.extra"},
		{"no empty line", src, in(replace(good, "\n\n", "\n")), "proof.path"},
		{"signature spoiled", src, in(text(func(p *ledger.Proof) { p.Checkpoint = spoilSignature(p.Checkpoint) })), "checkpoint.signature"},
	}
}

func replace(s, old, new string) string {
	return string(bytes.Replace([]byte(s), []byte(old), []byte(new), 1))
}

func decideProof(in input) error {
	v, err := ledger.ParseVerifierKey(in.VKey)
	if err != nil {
		return err
	}
	p, err := ledger.ParseProof([]byte(in.Proof))
	if err != nil {
		return err
	}
	return second(p.Verify(ledger.Leaf(unhex(in.Leaf)), in.Origin, v))
}

func addVectors(t *testing.T) []vector {
	const src = "PROTOCOL.md#ledger-witness"
	me, tree, fork := one(t), fixedTree("a", 21), fixedTree("b", 21)
	body := func(a ledger.AddCheckpoint) string { return string(a.Marshal()) }
	first := body(tree.request(t, me, 0, 13))
	in := func(b string) input {
		return input{Before: []string{first}, Body: b, Origin: origin, VKey: me.signer.VerifierKey()}
	}
	fresh := func(b string) input { i := in(b); i.Before = nil; return i }
	grow := tree.request(t, me, 13, 21)
	bare, long := grow, grow
	bare.Proof = nil
	long.Proof = make([]tlog.Hash, 64)
	split := fork.request(t, me, 13, 13)
	elsewhere := newIdentity(t, "keeper4.example/ledger", "keeper4.example")
	foreign := tree.checkpoint(13)
	foreign.Origin = "keeper4.example/ledger"
	above := tree.request(t, me, 0, 5)
	above.Old = 13
	unknownKey := tree.request(t, newIdentity(t, origin, "stranger"), 13, 21)
	return []vector{
		{"first checkpoint", src, fresh(first), "ok"},
		{"empty tree", src, fresh(body(tree.request(t, me, 0, 0))), "ok"},
		{"from 13 to 21", src, in(body(grow)), "ok"},
		{"the same again", src, in(body(tree.request(t, me, 13, 13))), "ok"},
		{"old is not the size cosigned last", src, in(body(tree.request(t, me, 5, 21))), "409 witness.conflict"},
		{"old where nothing was cosigned", src, fresh(body(grow)), "409 witness.conflict"},
		{"old above the new size", src, in(body(above)), "400 witness.old-size"},
		{"without proof", src, in(body(bare)), "422 consistency.proof"},
		{"another tree of the same size", src, in(body(split)), "422 consistency.proof"},
		{"another tree, longer", src, in(body(fork.request(t, me, 13, 21))), "422 consistency.proof"},
		{"proof though old is 0", src, fresh(replace(first, "\n\n", "\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n")), "422 consistency.proof"},
		{"64 proof lines", src, in(body(long)), "400 add-checkpoint.proof"},
		{"old with a leading zero", src, in(replace(body(grow), "old 13", "old 013")), "400 add-checkpoint.old"},
		{"no old line", src, in(replace(body(grow), "old 13\n", "")), "400 add-checkpoint.old"},
		{"unknown origin", src, in(body(ledger.AddCheckpoint{Checkpoint: signedNote(t, elsewhere, foreign, at(13))})), "404 witness.origin"},
		{"unknown key", src, in(body(unknownKey)), "403 checkpoint.unsigned"},
		{"signature spoiled", src, in(string(spoilSignature([]byte(body(grow))))), "403 checkpoint.signature"},
	}
}

func decideAdd(in input) error {
	v, err := ledger.ParseVerifierKey(in.VKey)
	if err != nil {
		return err
	}
	s, err := ledger.NewSigner("keeper2.example", testKey("keeper2.example"))
	if err != nil {
		return err
	}
	me := s.Cosigner()
	m := memory{}
	w, err := ledger.OpenWitness(ledger.WitnessConfig{Cosigner: me, Own: me.Verifier(), Origins: map[string]note.Verifier{in.Origin: v}}, m)
	if err != nil {
		return err
	}
	for _, b := range in.Before {
		if _, err := submit(w, m, []byte(b), 1); err != nil {
			return err
		}
	}
	return second(submit(w, m, []byte(in.Body), 2))
}

func tilePathVectors(*testing.T) []vector {
	const src = "PROTOCOL.md#ledger-tiles"
	var vs []vector
	for _, p := range []string{"tile/0/000", "tile/entries/000.p/255", "tile/3/x001/x234/067.p/8"} {
		vs = append(vs, vector{p, src, input{Path: p}, "ok"})
	}
	for p, check := range badTilePaths() {
		if p != "" {
			vs = append(vs, vector{p, src, input{Path: p}, check})
		}
	}
	sortVectors(vs[3:])
	return vs
}

func equivocationVectors(t *testing.T) []vector {
	const src = "PROTOCOL.md#ledger-equivocation"
	me, a, b := one(t), fixedTree("a", 21), fixedTree("b", 21)
	pa, pb, pc := a.proof(t, me, 5, 13), b.proof(t, me, 5, 21), a.proof(t, me, 5, 21)
	same := ledger.Equivocation{A: pa.Checkpoint, B: b.proof(t, me, 5, 13).Checkpoint}
	differ := ledger.Equivocation{A: pa.Checkpoint, B: pb.Checkpoint, Index: 5, LeafA: a.leaves[5], PathA: pa.Path, LeafB: b.leaves[5], PathB: pb.Path}
	in := func(e ledger.Equivocation) input {
		return input{CBOR: hex.EncodeToString(e.Marshal()), Origin: origin, VKey: me.signer.VerifierKey()}
	}
	change := func(f func(*ledger.Equivocation)) input { e := differ; f(&e); return in(e) }
	grown := ledger.Equivocation{A: pa.Checkpoint, B: pc.Checkpoint, Index: 5, LeafA: a.leaves[5], PathA: pa.Path, LeafB: a.leaves[5], PathB: pc.Path}
	trailing := in(same)
	trailing.CBOR += "00"
	return []vector{
		{"two trees of 13 entries", src, in(same), "ok"},
		{"two leaves at index 5", src, in(differ), "ok"},
		{"one tree that grew", src, in(grown), "equivocation.same-leaf"},
		{"one tree twice", src, in(ledger.Equivocation{A: same.A, B: same.A}), "equivocation.same-tree"},
		{"larger tree first", src, change(func(e *ledger.Equivocation) { e.A, e.B = e.B, e.A }), "equivocation.order"},
		{"leaf not in its tree", src, change(func(e *ledger.Equivocation) { e.LeafB = e.LeafA }), "inclusion.path"},
		{"index past the smaller tree", src, change(func(e *ledger.Equivocation) { e.Index = 13 }), "inclusion.index"},
		{"one tree of a stranger", src, change(func(e *ledger.Equivocation) {
			e.B = signedNote(t, newIdentity(t, origin, "stranger"), b.checkpoint(21), at(21))
		}), "checkpoint.unsigned"},
		{"leaves though sizes are equal", src, in(ledger.Equivocation{A: same.A, B: same.B, LeafA: a.leaves[5]}), "equivocation.form"},
		{"trailing byte", src, trailing, "equivocation.form"},
	}
}

func decideEquivocation(in input) error {
	v, err := ledger.ParseVerifierKey(in.VKey)
	if err != nil {
		return err
	}
	e, err := ledger.ParseEquivocation(unhex(in.CBOR))
	if err != nil {
		return err
	}
	return e.Verify(in.Origin, v)
}

// fixedChain is n entries of one keeper about one patient, with fixed salts.
func fixedChain(t *testing.T, keeper abaton.KeeperIndex, n int) (out []disclosed) {
	var tie [32]byte
	for i := range n {
		e := release(fmt.Sprint("r", i), "doctor", "ana")
		e.Version, e.Keeper, e.Time, e.PatientSeq, e.Prev = 1, keeper, at(int64(i)).Unix(), uint64(i), tie
		b, err := e.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		salt := id("salt", fmt.Sprint(keeper, i))
		leaf := ledger.NewLeaf(salt, b)
		tie = leaf.Tie()
		out = append(out, disclosed{uint64(3 * i), uint64(i), hex.EncodeToString(leaf[:]), hex.EncodeToString(salt[:]), hex.EncodeToString(b)})
	}
	return out
}

func chainVectors(t *testing.T) []vector {
	const src = "PROTOCOL.md#ledger-chain"
	ana := id("patient", "ana")
	in := func(change func(d []disclosed) []disclosed) input {
		return input{Keeper: 1, Patient: hex.EncodeToString(ana[:]), Disclosures: change(fixedChain(t, 1, 5))}
	}
	blank := func(d *disclosed) { d.Salt, d.Entry = "", "" }
	wrong := in(func(d []disclosed) []disclosed { return d })
	wrong.Keeper = 2
	bob := in(func(d []disclosed) []disclosed { return d })
	bobID := id("patient", "bob")
	bob.Patient = hex.EncodeToString(bobID[:])
	return []vector{
		{"five entries", src, in(func(d []disclosed) []disclosed { return d }), "ok"},
		{"none", src, in(func([]disclosed) []disclosed { return nil }), "ok"},
		{"the two oldest redacted", src, in(func(d []disclosed) []disclosed { blank(&d[0]); blank(&d[1]); return d }), "ok"},
		{"the first missing", src, in(func(d []disclosed) []disclosed { return d[1:] }), "chain.missing at 0"},
		{"one missing", src, in(func(d []disclosed) []disclosed { return append(d[:2:2], d[3:]...) }), "chain.missing at 2"},
		{"one missing, the rest renumbered", src, in(func(d []disclosed) []disclosed {
			d = append(d[:2:2], d[3:]...)
			d[2].Seq, d[3].Seq = 2, 3
			return d
		}), "chain.seq at 2"},
		{"one redacted between others", src, in(func(d []disclosed) []disclosed { blank(&d[2]); return d }), "chain.redacted at 2"},
		{"another leaf before", src, in(func(d []disclosed) []disclosed { blank(&d[0]); d[0].Leaf = d[1].Leaf; return d }), "chain.tie at 1"},
		{"another salt", src, in(func(d []disclosed) []disclosed { d[3].Salt = d[2].Salt; return d }), "chain.leaf at 3"},
		{"indexes not ascending", src, in(func(d []disclosed) []disclosed { d[3].Index = 6; return d }), "chain.order at 3"},
		{"another keeper's", src, wrong, "chain.keeper at 0"},
		{"another patient's", src, bob, "chain.patient at 0"},
	}
}

func disclosures(ds []disclosed) (out []ledger.Disclosure) {
	for _, d := range ds {
		x := ledger.Disclosure{Index: d.Index, Seq: d.Seq, Leaf: ledger.Leaf(unhex(d.Leaf)), Entry: unhex(d.Entry)}
		copy(x.Salt[:], unhex(d.Salt))
		out = append(out, x)
	}
	return out
}

func decideChain(in input) error {
	return second(ledger.CheckChain(abaton.KeeperIndex(in.Keeper), abaton.ActorID(unhex(in.Patient)), disclosures(in.Disclosures)))
}

func historyVectors(t *testing.T) []vector {
	const src = "PROTOCOL.md#ledger-history"
	ana := id("patient", "ana")
	answer := func(x uint8) answerText { return answerText{x, fixedChain(t, abaton.KeeperIndex(x), 2)} }
	in := func(verdict string, lines int, as ...answerText) input {
		return input{Patient: hex.EncodeToString(ana[:]), Answers: as, Verdict: verdict, Lines: lines}
	}
	torn := answer(4)
	torn.Disclosures = torn.Disclosures[1:]
	return []vector{
		{"four answers", src, in("complete", 2, answer(1), answer(2), answer(4), answer(5)), "ok"},
		{"three answers", src, in("complete unless one of these 3 lies", 2, answer(1), answer(2), answer(4)), "ok"},
		{"two answers", src, in("incomplete", 2, answer(1), answer(2)), "ok"},
		{"one keeper twice is one answer", src, in("complete unless one of these 3 lies", 2, answer(1), answer(2), answer(5), answer(5)), "ok"},
		{"a broken chain does not count, its lines do", src, in("complete unless one of these 3 lies", 2, answer(1), answer(2), answer(5), torn), "ok"},
		{"three answers are not complete", src, in("complete", 2, answer(1), answer(2), answer(4)), "history.verdict"},
		{"a keeper that is not in the set", src, in("complete", 2, answer(1), answer(2), answer(5), answer(6)), "history.verdict"},
		{"same requests are one line each", src, in("complete", 8, answer(1), answer(2), answer(4), answer(5)), "history.lines"},
	}
}

func decideHistory(in input) error {
	var as []ledger.Answer
	for _, a := range in.Answers {
		as = append(as, ledger.Answer{Keeper: abaton.KeeperIndex(a.Keeper), Disclosures: disclosures(a.Disclosures)})
	}
	h := ledger.Merge(abaton.ActorID(unhex(in.Patient)), as, shape())
	if h.String() != in.Verdict {
		return &ledger.CheckError{Object: "history", Check: "verdict"}
	}
	if len(h.Lines) != in.Lines {
		return &ledger.CheckError{Object: "history", Check: "lines"}
	}
	return nil
}

package key_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

var update = flag.Bool("update", false, "write the vectors anew")

// rootVector is the derivation of one line and one segment. Expect "ok" means
// that the output is the right one, "differs" that it is not: one thing about
// the derivation was changed.
type rootVector struct {
	Comment   string `json:"comment"`
	Source    string `json:"source"`
	Secret    string `json:"secret"`
	Category  string `json:"category"`
	Epoch     uint32 `json:"epoch"`
	Line      string `json:"line"`
	Seed      string `json:"segment_seed"`
	SegmentID string `json:"segment_id"`
	BoxSeed   string `json:"box_seed"`
	Manage    string `json:"manage_seed"`
	Expect    string `json:"expect"`
}

func (v rootVector) check() error {
	var secret key.Secret
	copy(secret[:], fromHex(v.Secret))
	var category abaton.Category
	copy(category[:], fromHex(v.Category))
	root := key.NewRoot(secret)
	line, seed := root.Line(category), root.SegmentSeed(category, v.Epoch)
	id, box, manage := key.SegmentIDOf(root.Segment(category, v.Epoch).Public()), root.BoxSeed(), root.ManageSeed()
	same := hex.EncodeToString(line[:]) == v.Line && hex.EncodeToString(seed[:]) == v.Seed && hex.EncodeToString(id[:]) == v.SegmentID && hex.EncodeToString(box[:]) == v.BoxSeed && hex.EncodeToString(manage[:]) == v.Manage
	if same != (v.Expect == "ok") {
		return fmt.Errorf("same output: got %v, want %v", same, v.Expect == "ok")
	}
	return nil
}

// rootVectors computes with HMAC alone, so that the room is checked against
// the specification and not against itself; only ML-KEM is the library's.
func rootVectors() (all []rootVector) {
	const secret = "0101010101010101010101010101010101010101010101010101010101010101"
	one, two := "00000000000000000000000000000001", "00000000000000000000000000000002"
	make := func(comment, secret, category string, epoch uint32) rootVector {
		v := rootVector{Comment: comment, Source: "PROTOCOL.md#root", Secret: secret, Category: category, Epoch: epoch, Expect: "ok"}
		var s key.Secret
		copy(s[:], fromHex(secret))
		v.Line = hex.EncodeToString(byHandSeed(s, "abaton/v1/line", fromHex(category))[:16])
		seed := byHandSeed(s, "abaton/v1/segment-seed", append(fromHex(category), wire.U32(epoch)...))
		v.Seed = hex.EncodeToString(seed)
		id := wire.Hash("abaton/v1/segment-id", key.BoxFromSeed(key.Secret(seed)).Public().Bytes())
		v.SegmentID = hex.EncodeToString(id[:])
		v.BoxSeed = hex.EncodeToString(byHandSeed(s, "abaton/v1/box-seed", nil))
		v.Manage = hex.EncodeToString(byHandSeed(s, "abaton/v1/manage-seed", nil))
		return v
	}
	first := make("abaton-test-only root, first epoch", secret, one, 1)
	all = append(all, first, make("second epoch: same line, other segment", secret, one, 2), make("other category", secret, two, 1))
	wrong := func(comment string, change func(*rootVector)) {
		v := first
		v.Comment, v.Expect = comment, "differs"
		change(&v)
		all = append(all, v)
	}
	wrong("epoch of another segment", func(v *rootVector) { v.Epoch = 256 })
	wrong("category in other byte order", func(v *rootVector) { v.Category = "01000000000000000000000000000000" })
	wrong("root not extracted first", func(v *rootVector) {
		s := key.Expand(fromHex(secret), wire.SegmentSeed, append(fromHex(one), wire.U32(1)...))
		v.Seed = hex.EncodeToString(s[:])
	})
	wrong("epoch little-endian", func(v *rootVector) {
		v.Seed = hex.EncodeToString(byHandSeed(key.Secret(fromHex(secret)), "abaton/v1/segment-seed", append(fromHex(one), 1, 0, 0, 0)))
	})
	wrong("label of the line", func(v *rootVector) {
		v.Seed = hex.EncodeToString(byHandSeed(key.Secret(fromHex(secret)), "abaton/v1/line", append(fromHex(one), wire.U32(1)...)))
	})
	wrong("managing key from the box's seed", func(v *rootVector) { v.Manage = v.BoxSeed })
	wrong("box seed with the separator of a context", func(v *rootVector) {
		v.BoxSeed = hex.EncodeToString(byHandSeed(key.Secret(fromHex(secret)), "abaton/v1/box-seed", []byte{}))
	})
	wrong("segment id without label", func(v *rootVector) { v.SegmentID = v.Seed })
	return all
}

// assertionVector is one passkey assertion; challenge, public key and so on in
// hex. Expect is "ok" or the check that refuses.
type assertionVector struct {
	Comment    string   `json:"comment"`
	Source     string   `json:"source"`
	Challenge  string   `json:"challenge"`
	RPID       string   `json:"rp_id"`
	Origins    []string `json:"origins"`
	Public     string   `json:"public"`
	Credential string   `json:"credential"` // the name; right in every vector
	AuthData   string   `json:"auth_data"`
	ClientData string   `json:"client_data"`
	Sig        string   `json:"sig"`
	Expect     string   `json:"expect"`
}

func (v assertionVector) verify() error {
	a := key.Assertion{Public: fromHex(v.Public), AuthData: fromHex(v.AuthData), ClientData: fromHex(v.ClientData), Sig: fromHex(v.Sig)}
	if name := a.Credential(); hex.EncodeToString(name[:]) != v.Credential {
		return errors.New("credential is not the hash of the public key")
	}
	return a.Verify([32]byte(fromHex(v.Challenge)), key.RelyingParty{ID: v.RPID, Origins: v.Origins})
}

func TestRootVectors(t *testing.T) { compare(t, "root.json", rootVectors()) }

// TestAssertionVectors reads the committed file: ECDSA signatures are drawn,
// so -update keeps what is there unless the cases changed.
func TestAssertionVectors(t *testing.T) {
	file := filepath.Join("..", "vectors", "key", "assertion.json")
	var committed []assertionVector
	if b, err := os.ReadFile(file); err == nil {
		if err := json.Unmarshal(b, &committed); err != nil {
			t.Fatal(err)
		}
	}
	cases := append(assertionCases(t), algorithmCases()...)
	if *update && !sameCases(committed, cases) {
		committed = nil
		for _, c := range cases {
			committed = append(committed, c.vector())
		}
	}
	if !sameCases(committed, cases) {
		t.Errorf("%s does not hold the cases of the table; run make vectors", file)
	}
	good := 0
	for _, v := range committed {
		err := v.verify()
		if (err == nil) != (v.Expect == "ok") || (err != nil && !errors.Is(err, key.ErrAssertion)) {
			t.Errorf("%s: got %v, want %s", v.Comment, err, v.Expect)
		}
		if err != nil && err.Error() != v.Expect+": "+key.ErrAssertion.Error() {
			t.Errorf("%s: refused by %q, want it refused by the check of the %s", v.Comment, err, v.Expect)
		}
		if err == nil {
			good++
		}
	}
	if 2*good >= len(committed) {
		t.Errorf("%d of %d vectors are good ones, want fewer than half", good, len(committed))
	}
	compare(t, "assertion.json", committed)
}

func sameCases(committed []assertionVector, cases []assertionCase) bool {
	if len(committed) != len(cases) {
		return false
	}
	for i, c := range cases {
		if committed[i].Comment != c.name || committed[i].Expect != c.want {
			return false
		}
	}
	return true
}

func compare(t *testing.T, name string, all any) {
	t.Helper()
	file := filepath.Join("..", "vectors", "key", name)
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetIndent("", "  ")
	if err := enc.Encode(all); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, out.Bytes()) {
		t.Errorf("%s: got other bytes than the generator makes; run make vectors and look at the difference", file)
	}
}

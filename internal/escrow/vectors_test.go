package escrow_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/escrow"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

var update = flag.Bool("update", false, "write vectors/escrow/*.json anew")

const folder = "../../vectors/escrow"

// vector is one case that another implementation must decide alike. Byte
// strings are hexadecimal. Expect is "ok" or what refuses it: "words" (not a
// kit's), "sealed" (does not open).
type vector struct {
	Comment string            `json:"comment"`
	Source  string            `json:"source"`
	Input   map[string]string `json:"input"`
	Expect  string            `json:"expect"`
	Output  map[string]string `json:"output,omitempty"`
}

// committed compares with the committed file, or writes it.
func committed(t *testing.T, name string, made []vector) {
	t.Helper()
	path := filepath.Join(folder, name+".json")
	if *update {
		data, err := json.MarshalIndent(made, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(data, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(read(t, path), made) {
		t.Errorf("%s: the committed vectors are not what the code makes; run with -update and read the difference", path)
	}
}

func read(t *testing.T, path string) (have []vector) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, &have)
	}
	if err != nil {
		t.Fatal(err)
	}
	return have
}

func kitVector(comment string, log abaton.ActorID, words []string) vector {
	v := vector{Comment: comment, Source: "PROTOCOL.md#kit", Expect: "words",
		Input: map[string]string{"log": hex.EncodeToString(log[:]), "words": strings.Join(words, " ")}}
	code, err := escrow.ParseWords(words)
	if err != nil {
		return v
	}
	half, prover := code.Half(log), code.Prover(log).ID()
	v.Expect, v.Output = "ok", map[string]string{"code": hex.EncodeToString(code[:]), "half": hex.EncodeToString(half[:]),
		"prover": hex.EncodeToString(prover[:])}
	return v
}

func TestKitVectors(t *testing.T) {
	words := escrow.Code{7, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255}.Words(escrow.English)
	but := func(i int, w string) []string {
		other := append([]string(nil), words...)
		other[i] = w
		return other
	}
	capitals := but(2, " "+strings.ToUpper(words[2]))
	made := []vector{
		kitVector("a kit", patient, words),
		kitVector("the same code, another record", abaton.ActorID{2}, words),
		kitVector("all zero", patient, escrow.Code{}.Words(escrow.English)),
		kitVector("capitals", patient, capitals),
		kitVector("a word that is in no list", patient, but(0, "abaton")),
		kitVector("one word changed", patient, but(11, "zoo")),
		kitVector("eleven words", patient, words[:11]),
		kitVector("thirteen words", patient, append(but(0, words[0]), words[0])),
		kitVector("two words changed places", patient, but(0, words[1])),
		kitVector("no words", patient, nil),
	}
	committed(t, "kit", made)
}

// TestWordVectors: what two people compare, and what stands for one event only.
func TestWordVectors(t *testing.T) {
	var made []vector
	for _, c := range []struct {
		comment string
		hash    actor.Hash
	}{{"all zero", actor.Hash{}}, {"an event", actor.Hash{1, 2, 3}}, {"its last bit", actor.Hash{31: 1}}, {"all ones", actor.Hash(unhex(t, strings.Repeat("ff", 32)))}} {
		made = append(made, vector{Comment: c.comment, Source: "PROTOCOL.md#recovery-words", Expect: "ok",
			Input: map[string]string{"event": hex.EncodeToString(c.hash[:])},
			Output: map[string]string{"en": strings.Join(escrow.Words(c.hash, escrow.English), " "),
				"nl": strings.Join(escrow.Words(c.hash, escrow.Dutch), " ")}})
	}
	committed(t, "words", made)
}

// opening is one attempt to open a kit's event with its code and shares.
func opening(comment string, log abaton.ActorID, body []byte, code escrow.Code, shares []spread.Share) vector {
	in := map[string]string{"log": hex.EncodeToString(log[:]), "escrow": hex.EncodeToString(body), "code": hex.EncodeToString(code[:])}
	for _, s := range shares {
		in["share_"+string('0'+rune(s.X))] = hex.EncodeToString(s.Y[:])
	}
	v := vector{Comment: comment, Source: "PROTOCOL.md#escrow", Input: in, Expect: "sealed"}
	var e actor.Escrow
	b, err := spread.Combine(shares)
	if err != nil || wire.Unmarshal(body, &e) != nil {
		return v
	}
	if p, err := escrow.Open(log, &e, code.Half(log), b); err == nil {
		v.Expect, v.Output = "ok", map[string]string{"root": hex.EncodeToString(p.Root[:]), "box": hex.EncodeToString(p.Box[:])}
	}
	return v
}

// TestOpenVectors opens a committed kit. Sealing is random, so the kit is made
// anew only where there is none.
func TestOpenVectors(t *testing.T) {
	code := escrow.Code{1, 2, 3}
	body, shares := committedKit(t, code)
	altered := append([]byte(nil), body...)
	altered[len(altered)-1] ^= 1 // the nonce, and with it the context
	other := append([]spread.Share(nil), shares[:3]...)
	other[0].Y[0] ^= 1
	committed(t, "open", []vector{
		opening("three shares", patient, body, code, shares[:3]),
		opening("three others", patient, body, code, shares[2:]),
		opening("all five", patient, body, code, shares),
		opening("two shares", patient, body, code, shares[:2]),
		opening("a share changed", patient, body, code, other),
		opening("another code", patient, body, escrow.Code{1, 2, 4}, shares[:3]),
		opening("copied into another log", abaton.ActorID{2}, body, code, shares[:3]),
		opening("another nonce", patient, altered, code, shares[:3]),
		opening("no shares", patient, body, code, nil),
	})
}

func committedKit(t *testing.T, code escrow.Code) (body []byte, shares []spread.Share) {
	t.Helper()
	if data, err := os.ReadFile(filepath.Join(folder, "open.json")); err == nil {
		var have []vector
		if json.Unmarshal(data, &have) != nil || len(have) < 3 {
			t.Fatal("open.json is damaged")
		}
		for x := 1; x <= 5; x++ {
			s := spread.Share{X: abaton.KeeperIndex(x)}
			copy(s.Y[:], unhex(t, have[2].Input["share_"+string('0'+rune(x))]))
			shares = append(shares, s)
		}
		return unhex(t, have[2].Input["escrow"]), shares
	} else if !errors.Is(err, os.ErrNotExist) || !*update {
		t.Fatal(err)
	}
	set, boxes := keepers(t)
	e, err := escrow.Make(set, patient, escrow.Kit(patient, code, 24*time.Hour), code.Half(patient), escrow.Payload{Root: secret(0xa1), Box: secret(0xb2)})
	if err != nil {
		t.Fatal(err)
	}
	return wire.Marshal(e), allShares(t, e, boxes)
}

func allShares(t *testing.T, e *actor.Escrow, boxes []*key.Box) []spread.Share {
	t.Helper()
	return shares(t, e, boxes, 1, 2, 3, 4, 5)
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestBrowserKit opens a kit that the pages' TypeScript made
// (web/test/makekit.ts): its words, its prover, and with three keepers' shares
// its root.
func TestBrowserKit(t *testing.T) {
	var made struct {
		Log, Root, Box, Body string
		Words                []string
	}
	data, err := os.ReadFile("testdata/browser.json")
	if err == nil {
		err = json.Unmarshal(data, &made)
	}
	if err != nil {
		t.Fatal(err)
	}
	log := abaton.ActorID(unhex(t, made.Log))
	code, err := escrow.ParseWords(made.Words)
	if err != nil {
		t.Fatal(err)
	}
	var e actor.Escrow
	if err := wire.Unmarshal(unhex(t, made.Body), &e); err != nil {
		t.Fatal(err)
	}
	if e.Kind != actor.EscrowKit || e.Need != 1 || e.Delay != 24*3600 || e.Provers[0].Key != code.Prover(log).ID() {
		t.Error("terms: got another kind, need, wait or prover, want a kit's")
	}
	var open []spread.Share
	for x := 2; x <= 4; x++ {
		box := key.BoxFromSeed(secret(byte(x)))
		y, err := e.OpenShare(log, abaton.KeeperIndex(x), box)
		if err != nil {
			t.Fatalf("keeper %d: %v", x, err)
		}
		open = append(open, spread.Share{X: abaton.KeeperIndex(x), Y: y})
	}
	p, err := escrow.Open(log, &e, code.Half(log), half(t, open))
	if err != nil {
		t.Fatal(err)
	}
	if hex.EncodeToString(p.Root[:]) != made.Root || hex.EncodeToString(p.Box[:]) != made.Box {
		t.Error("payload: got another root or box seed than the browser sealed")
	}
}

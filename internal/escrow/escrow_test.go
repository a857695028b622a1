package escrow_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/escrow"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

var patient = abaton.ActorID{1}

// keepers is a set of five and their boxes.
func keepers(t *testing.T) (*actor.Set, []*key.Box) {
	t.Helper()
	d := &actor.Document{V: 1, N: 5, K: 3, T: 3, W: 4, F: 1, RelyingParty: key.RelyingParty{ID: "a.example", Origins: []string{"https://a.example"}}}
	var boxes []*key.Box
	var signers []*key.Signing
	for x := 1; x <= 5; x++ {
		k, b := key.NewSigning(), key.NewBox()
		boxes, signers = append(boxes, b), append(signers, k)
		d.Keepers = append(d.Keepers, actor.Keeper{X: abaton.KeeperIndex(x), Key: k.ID(), Box: b.Public().Bytes(),
			URL: fmt.Sprintf("https://k%d.example", x), Operator: fmt.Sprint(x), Incarnation: [16]byte{byte(x)},
			SPKI: [32]byte{byte(x)}, Origin: fmt.Sprintf("k%d", x)})
	}
	event := actor.NewInception(1, &actor.Inception{Kind: actor.KeeperSet, Document: d.Marshal(), Nonce: [16]byte{1}})
	var proofs []actor.Proof
	for _, k := range signers {
		proofs = append(proofs, actor.ByKey(k, event))
	}
	set, err := actor.ParseSet(actor.MarshalSet([]actor.SignedEvent{actor.Signed(event, proofs...)}))
	if err != nil {
		t.Fatal(err)
	}
	return set, boxes
}

func secret(b byte) (s key.Secret) {
	copy(s[:], bytes.Repeat([]byte{b}, len(s)))
	return s
}

func payload() escrow.Payload {
	return escrow.Payload{Root: secret(0xa1), Box: secret(0xb2), Seeds: []grant.Seed{{
		Line: abaton.Line{1}, Category: abaton.Category{2}, Level: 1, Epoch: 1, Seed: secret(0xc3)}}}
}

// shares opens the shares of these keepers.
func shares(t *testing.T, e *actor.Escrow, boxes []*key.Box, xs ...int) (out []spread.Share) {
	t.Helper()
	for _, x := range xs {
		y, err := e.OpenShare(patient, abaton.KeeperIndex(x), boxes[x-1])
		if err != nil {
			t.Fatalf("keeper %d: %v", x, err)
		}
		out = append(out, spread.Share{X: abaton.KeeperIndex(x), Y: y})
	}
	return out
}

func half(t *testing.T, s []spread.Share) key.Secret {
	t.Helper()
	b, err := spread.Combine(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestKitOpensWithBothHalvesOnly(t *testing.T) {
	set, boxes := keepers(t)
	code := escrow.NewCode()
	e, err := escrow.Make(set, patient, escrow.Kit(patient, code, 24*time.Hour), code.Half(patient), payload())
	if err != nil {
		t.Fatal(err)
	}
	b := half(t, shares(t, e, boxes, 1, 3, 5))
	got, err := escrow.Open(patient, e, code.Half(patient), b)
	if err != nil {
		t.Fatal(err)
	}
	if want := payload(); !got.Root.Equal(want.Root) || !got.Box.Equal(want.Box) || len(got.Seeds) != 1 || got.Seeds[0] != want.Seeds[0] {
		t.Error("opened: got another payload, want the one sealed")
	}
	other := half(t, shares(t, e, boxes, 2, 4, 5))
	if _, err := escrow.Open(patient, e, code.Half(patient), other); err != nil {
		t.Errorf("three other keepers: got %v, want opened", err)
	}
	for name, try := range map[string]func() (escrow.Payload, error){
		"event only":      func() (escrow.Payload, error) { return escrow.Open(patient, e, key.Secret{}, key.Secret{}) },
		"half A only":     func() (escrow.Payload, error) { return escrow.Open(patient, e, code.Half(patient), key.Secret{}) },
		"half B only":     func() (escrow.Payload, error) { return escrow.Open(patient, e, key.Secret{}, b) },
		"another kit":     func() (escrow.Payload, error) { return escrow.Open(patient, e, escrow.NewCode().Half(patient), b) },
		"the other's log": func() (escrow.Payload, error) { return escrow.Open(abaton.ActorID{2}, e, code.Half(patient), b) },
		"A and two keepers": func() (escrow.Payload, error) {
			return escrow.Open(patient, e, code.Half(patient), half(t, shares(t, e, boxes, 1, 2)))
		},
		"halves exchanged": func() (escrow.Payload, error) { return escrow.Open(patient, e, b, code.Half(patient)) },
	} {
		if _, err := try(); !errors.Is(err, escrow.ErrSealed) {
			t.Errorf("%s: got %v, want ErrSealed", name, err)
		}
	}
}

// TestEventHoldsNoSecret: nothing of the payload, of half A or of half B stands
// in the event as it is.
func TestEventHoldsNoSecret(t *testing.T) {
	set, boxes := keepers(t)
	helpers := []escrow.Holder{{ID: abaton.ActorID{7}, Box: key.NewBox().Public()}, {ID: abaton.ActorID{8}, Box: key.NewBox().Public()}, {ID: abaton.ActorID{9}, Box: key.NewBox().Public()}}
	a := key.NewSecret()
	e, err := escrow.Make(set, patient, escrow.Trustees(helpers, 2, 24*time.Hour), a, payload())
	if err != nil {
		t.Fatal(err)
	}
	event := wire.Marshal(e)
	p, b := payload(), half(t, shares(t, e, boxes, 1, 2, 3))
	planted := map[string]key.Secret{"root": p.Root, "box": p.Box, "seed": p.Seeds[0].Seed, "half A": a, "half B": b}
	for x, s := range shares(t, e, boxes, 1, 2, 3, 4, 5) {
		planted[fmt.Sprintf("share %d", x+1)] = s.Y
	}
	for name, s := range planted {
		if bytes.Contains(event, s[:]) || bytes.Contains(event, s[:8]) {
			t.Errorf("the event holds the %s", name)
		}
	}
}

// TestTermsAreBound: a share or a wrap copied under other terms, or into
// another log, opens nothing: who steals the event cannot make it his own.
func TestTermsAreBound(t *testing.T) {
	set, boxes := keepers(t)
	helper := key.NewBox()
	helpers := []escrow.Holder{{ID: abaton.ActorID{7}, Box: helper.Public()}, {ID: abaton.ActorID{8}, Box: key.NewBox().Public()}}
	whole, err := escrow.Make(set, patient, escrow.Trustees(helpers, 2, 24*time.Hour), key.NewSecret(), payload())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := whole.OpenShare(patient, 1, boxes[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := whole.OpenWrap(patient, whole.Wraps[0], helper); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(e *actor.Escrow){
		"kind":    func(e *actor.Escrow) { e.Kind = actor.EscrowCustody },
		"provers": func(e *actor.Escrow) { e.Provers = []actor.Prover{{Key: key.NewSigning().ID()}} },
		"need":    func(e *actor.Escrow) { e.Need = 1 },
		"delay":   func(e *actor.Escrow) { e.Delay = 1 },
		"nonce":   func(e *actor.Escrow) { e.Nonce[0] ^= 1 },
		"lines":   func(e *actor.Escrow) { e.Lines = []abaton.Line{{1}} },
		"holders": func(e *actor.Escrow) { e.Wraps = e.Wraps[:1:1] },
	} {
		other := *whole
		change(&other)
		if _, err := other.OpenShare(patient, 1, boxes[0]); err == nil {
			t.Errorf("other %s: a keeper's share opened, want refused", name)
		}
		if _, err := other.OpenWrap(patient, whole.Wraps[0], helper); err == nil {
			t.Errorf("other %s: a helper's wrap opened, want refused", name)
		}
	}
	if _, err := whole.OpenShare(abaton.ActorID{2}, 1, boxes[0]); err == nil {
		t.Error("another log: a keeper's share opened, want refused")
	}
	if _, err := whole.OpenShare(patient, 1, boxes[1]); err == nil {
		t.Error("another keeper's box: a share opened, want refused")
	}
	if _, err := whole.OpenShare(patient, 2, boxes[0]); err == nil {
		t.Error("another coordinate: a share opened, want refused")
	}
}

func TestHelpersGiveHalfTogether(t *testing.T) {
	set, _ := keepers(t)
	boxes := []*key.Box{key.NewBox(), key.NewBox(), key.NewBox()}
	var helpers []escrow.Holder
	for i, b := range boxes {
		helpers = append(helpers, escrow.Holder{ID: abaton.ActorID{byte(7 + i)}, Box: b.Public()})
	}
	a, device := key.NewSecret(), key.NewBox()
	e, err := escrow.Make(set, patient, escrow.Trustees(helpers, 2, 24*time.Hour), a, payload())
	if err != nil {
		t.Fatal(err)
	}
	event, to := actor.Hash{5}, &actor.Recover{Box: device.Public().Bytes()}
	var parts []escrow.Part
	for i, b := range boxes {
		p, err := escrow.Help(patient, e, helpers[i].ID, b, event, to)
		if err != nil {
			t.Fatal(err)
		}
		if p, err = escrow.ParsePart(p.Marshal()); err != nil {
			t.Fatal(err)
		}
		parts = append(parts, p)
	}
	for _, pair := range [][]escrow.Part{{parts[0], parts[1]}, {parts[2], parts[0]}, parts} {
		got, liars, err := escrow.HalfOf(patient, e, event, device, pair)
		if err != nil || !got.Equal(a) || len(liars) != 0 {
			t.Errorf("%d helpers: got %v and %d liars, want half A", len(pair), err, len(liars))
		}
	}
	for name, few := range map[string][]escrow.Part{"one": {parts[0]}, "the same twice": {parts[0], parts[0]}, "none": nil} {
		if _, _, err := escrow.HalfOf(patient, e, event, device, few); !errors.Is(err, escrow.ErrSealed) {
			t.Errorf("%s: got %v, want ErrSealed", name, err)
		}
	}
	if _, liars, err := escrow.HalfOf(patient, e, actor.Hash{6}, device, parts); !errors.Is(err, escrow.ErrSealed) || len(liars) != 3 {
		t.Errorf("another recovery: got %v, want ErrSealed", err)
	}
	if _, err := escrow.Help(patient, e, abaton.ActorID{9}, boxes[0], event, to); err == nil {
		t.Error("another helper's box: got a part, want refused")
	}
	if _, err := escrow.Help(patient, e, abaton.ActorID{99}, boxes[0], event, to); !errors.Is(err, abaton.ErrNotFound) {
		t.Errorf("no helper: got %v, want ErrNotFound", err)
	}
	lie(t, set, e, parts, event, device, helpers)
}

// lie: a helper that gives another part is named, and the others suffice.
func lie(t *testing.T, set *actor.Set, e *actor.Escrow, parts []escrow.Part, event actor.Hash, device *key.Box, helpers []escrow.Holder) {
	t.Helper()
	sealed, err := device.Public().SealTo(wire.TrusteePart, append(event[:], 2), bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	false_ := escrow.Part{V: 1, X: 2, Sealed: sealed}
	_, liars, err := escrow.HalfOf(patient, e, event, device, []escrow.Part{parts[0], false_, parts[2]})
	if err != nil || len(liars) != 1 || liars[0] != helpers[1].ID {
		t.Errorf("a lying helper: got %v and %d named, want half A and its name", err, len(liars))
	}
	if _, liars, err = escrow.HalfOf(patient, e, event, device, []escrow.Part{parts[0], false_}); !errors.Is(err, escrow.ErrSealed) || len(liars) != 1 {
		t.Errorf("one helper and a liar: got %v, want ErrSealed", err)
	}
}

func TestMakeRefuses(t *testing.T) {
	set, _ := keepers(t)
	one := []escrow.Holder{{ID: abaton.ActorID{7}, Box: key.NewBox().Public()}}
	if _, err := escrow.Make(set, patient, escrow.Kit(patient, escrow.NewCode(), time.Hour), key.Secret{}, payload()); err == nil {
		t.Error("no half A: got an escrow, want refused")
	}
	if _, err := escrow.Make(set, patient, escrow.Trustees(one, 2, time.Hour), key.NewSecret(), payload()); err == nil {
		t.Error("fewer helpers than needed: got an escrow, want refused")
	}
	if _, err := escrow.Make(set, patient, escrow.Trustees(one, 1, time.Hour), key.NewSecret(), payload()); err == nil {
		t.Error("one helper alone: got an escrow, want refused")
	}
	if _, err := escrow.Make(set, patient, escrow.Custody(escrow.Holder{ID: abaton.ActorID{7}}), key.NewSecret(), payload()); err == nil {
		t.Error("no box key: got an escrow, want refused")
	}
}

func TestWordsOfACode(t *testing.T) {
	// BIP 39's own vectors (trezor/python-mnemonic, vectors.json), entropy to
	// words.
	for entropy, want := range map[byte]string{
		0x00: "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about",
		0x7f: "legal winner thank year wave sausage worth useful legal winner thank yellow",
		0x80: "letter advice cage absurd amount doctor acoustic avoid letter advice cage above",
		0xff: "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo wrong",
	} {
		c := escrow.Code(bytes.Repeat([]byte{entropy}, escrow.CodeBytes))
		if got := strings.Join(c.Words(escrow.English), " "); got != want {
			t.Errorf("entropy %02x: got other words than BIP 39's", entropy)
		}
	}
	for _, l := range escrow.Languages() {
		c := escrow.NewCode()
		words := c.Words(l)
		got, err := escrow.ParseWords(words)
		if err != nil || got != c {
			t.Errorf("%s: got %v, want the code back", l, err)
		}
		words[2] = " " + strings.ToUpper(words[2])
		if got, err = escrow.ParseWords(words); err != nil || got != c {
			t.Errorf("%s, other case: got %v, want the code back", l, err)
		}
	}
}

func TestWordsRefuse(t *testing.T) {
	c := escrow.Code{}
	words := c.Words(escrow.English)
	change := func(at int, w string) []string {
		out := append([]string(nil), words...)
		out[at] = w
		return out
	}
	for name, try := range map[string][]string{
		"none": nil, "eleven": words[:11], "thirteen": append(append([]string(nil), words...), "zoo"),
		"no word of the list": change(3, "abaton"), "another word": change(3, "ability"), "two languages": change(3, c.Words(escrow.Dutch)[3]),
		"wrong checksum": change(11, "abandon"), "empty word": change(0, ""),
	} {
		if _, err := escrow.ParseWords(try); !errors.Is(err, escrow.ErrWords) {
			t.Errorf("%s: got %v, want ErrWords", name, err)
		}
	}
}

func TestCodeDoesNotPrint(t *testing.T) {
	c := escrow.Code(bytes.Repeat([]byte{0xab}, escrow.CodeBytes))
	for _, format := range []string{"%v", "%+v", "%s", "%#v"} {
		if got := fmt.Sprintf(format, c); got != "redacted" {
			t.Errorf("%s: got %q, want redacted", format, got)
		}
	}
}

func TestListsAreListsOfWords(t *testing.T) {
	seen := make(map[string]escrow.Language)
	for _, l := range escrow.Languages() {
		starts := make(map[string]bool)
		for i := range 1 << 11 {
			code := escrow.Code{0: byte(i >> 3), 1: byte(i << 5)}
			w := code.Words(l)[0]
			start := (w + "   ")[:4]
			if starts[start] || strings.Trim(w, "abcdefghijklmnopqrstuvwxyz") != "" || len(w) < 3 || len(w) > 8 {
				t.Errorf("%s: word %d is not one of the list's kind", l, i)
			}
			if other, twice := seen[w]; twice {
				t.Errorf("word %d of %s stands in %s as well", i, l, other)
			}
			starts[start], seen[w] = true, l
		}
	}
}

func TestWordsStandForTheEvent(t *testing.T) {
	a, b := escrow.Words(actor.Hash{1}, escrow.English), escrow.Words(actor.Hash{2}, escrow.English)
	if len(a) != 3 || strings.Join(a, " ") == strings.Join(b, " ") {
		t.Error("two events: got the same words, want others")
	}
	if again := escrow.Words(actor.Hash{1}, escrow.English); strings.Join(a, " ") != strings.Join(again, " ") {
		t.Error("one event: got other words, want the same on both screens")
	}
}

func FuzzParsePart(f *testing.F) {
	f.Add(escrow.Part{V: 1, X: 1, Sealed: []byte{1}}.Marshal())
	f.Fuzz(func(t *testing.T, data []byte) {
		if p, err := escrow.ParsePart(data); err == nil && !bytes.Equal(p.Marshal(), data) {
			t.Error("a part was read and is written otherwise")
		}
	})
}

func FuzzParseWords(f *testing.F) {
	f.Add("abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := escrow.ParseWords(strings.Fields(text))
		if err != nil {
			return
		}
		if again, err := escrow.ParseWords(c.Words(escrow.English)); err != nil || again != c {
			t.Error("a code was read and is written otherwise")
		}
	})
}

package key_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/abaton-health/abaton/key"
)

// wrapVector is a root under a passkey's PRF. Expect is "ok" or "wrap".
type wrapVector struct {
	Comment      string `json:"comment"`
	Source       string `json:"source"`
	PRF          string `json:"prf"`
	CredentialID string `json:"credential_id"`
	Wrap         string `json:"wrap"`
	Secret       string `json:"secret"`
	Expect       string `json:"expect"`
}

// wrapByHand follows the specification with HMAC and AES alone.
func wrapByHand(prf, nonce, ad, secret []byte) []byte {
	mac := func(k, m []byte) []byte {
		h := hmac.New(sha256.New, k)
		h.Write(m)
		return h.Sum(nil)
	}
	k := mac(mac(make([]byte, 32), prf), append([]byte("abaton/v1/root-wrap"), 1))
	gcm := must(cipher.NewGCM(must(aes.NewCipher(k))))
	return gcm.Seal(bytes.Clone(nonce), nonce, secret, ad)
}

func wrapVectors() (all []wrapVector) {
	prf, secret, nonce, id := bytes.Repeat([]byte{2}, 32), bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{3}, 12), []byte("abaton-test-only")
	ad := append([]byte("abaton/v1/root-wrap\x00"), id...)
	good := wrapByHand(prf, nonce, ad, secret)
	add := func(comment, expect string, prf, id, wrap []byte) {
		all = append(all, wrapVector{Comment: comment, Source: "PROTOCOL.md#root-wrap", PRF: hex.EncodeToString(prf),
			CredentialID: hex.EncodeToString(id), Wrap: hex.EncodeToString(wrap), Secret: hex.EncodeToString(secret), Expect: expect})
	}
	flipped := func(i int) []byte {
		b := bytes.Clone(good)
		b[i] ^= 1
		return b
	}
	add("the passkey that wrapped", "ok", prf, id, good)
	add("another passkey's PRF", "wrap", bytes.Repeat([]byte{4}, 32), id, good)
	add("PRF of zeros", "wrap", make([]byte, 32), id, good)
	add("another credential id", "wrap", prf, id[1:], good)
	add("no credential id", "wrap", prf, nil, good)
	add("nonce altered", "wrap", prf, id, flipped(0))
	add("root altered", "wrap", prf, id, flipped(12))
	add("tag altered", "wrap", prf, id, flipped(59))
	add("cut short", "wrap", prf, id, good[:59])
	add("a byte more", "wrap", prf, id, append(bytes.Clone(good), 0))
	add("nothing", "wrap", prf, id, nil)
	add("a secret of 31 bytes", "wrap", prf, id, wrapByHand(prf, nonce, ad, secret[1:]))
	add("wrapped without its label", "wrap", prf, id, wrapByHand(prf, nonce, id, secret))
	return all
}

func TestWrapVectors(t *testing.T) {
	all := wrapVectors()
	for _, v := range all {
		got, err := key.UnwrapRoot(key.Secret(fromHex(v.PRF)), fromHex(v.CredentialID), fromHex(v.Wrap))
		if v.Expect == "ok" && (err != nil || got != key.Secret(fromHex(v.Secret))) {
			t.Errorf("%s: got %v, want the root", v.Comment, err)
		}
		if v.Expect != "ok" && (!errors.Is(err, key.ErrWrap) || !got.IsZero()) {
			t.Errorf("%s: got %v, want ErrWrap and nothing", v.Comment, err)
		}
	}
	compare(t, "wrap.json", all)
}

func TestWrapRoot(t *testing.T) {
	prf, secret, id := key.NewSecret(), key.NewSecret(), []byte{1, 2, 3}
	one, err := key.WrapRoot(prf, secret, id)
	if err != nil || len(one) != key.RootWrapBytes {
		t.Fatalf("wrap: got %d bytes, %v, want %d", len(one), err, key.RootWrapBytes)
	}
	two, err := key.WrapRoot(prf, secret, id)
	if err != nil || bytes.Equal(one, two) {
		t.Errorf("wrapping again: got the same bytes or %v, want another nonce", err)
	}
	if got, err := key.UnwrapRoot(prf, id, one); err != nil || got != secret {
		t.Errorf("unwrap: got %v, want the root", err)
	}
	if _, err := key.WrapRoot(key.Secret{}, secret, id); !errors.Is(err, key.ErrKey) {
		t.Errorf("zero PRF: got %v, want ErrKey", err)
	}
	if _, err := key.WrapRoot(prf, key.Secret{}, id); !errors.Is(err, key.ErrKey) {
		t.Errorf("zero root: got %v, want ErrKey", err)
	}
}

// FuzzUnwrapRoot: nothing but what was wrapped opens.
func FuzzUnwrapRoot(f *testing.F) {
	for _, v := range wrapVectors() {
		f.Add(fromHex(v.Wrap))
	}
	good := wrapVectors()[0]
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := key.UnwrapRoot(key.Secret(fromHex(good.PRF)), fromHex(good.CredentialID), data)
		if (err == nil) != bytes.Equal(data, fromHex(good.Wrap)) && len(data) != key.RootWrapBytes {
			t.Error("what nobody wrapped opened")
		}
	})
}

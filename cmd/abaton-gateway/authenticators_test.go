package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"path/filepath"
	"testing"

	"github.com/abaton-health/abaton/internal/attest"
)

func TestAuthenticatorsFile(t *testing.T) {
	const models = `models = ["2fc0579f-8113-47ea-b116-bb5a8db9202a"]` + "\n"
	for name, text := range map[string]string{
		"nothing": "", "no roots": models, "roots that are none": models + `roots = "x"`, "unknown": models + `root = "x"`,
		"not a list": "models = 5",
	} {
		if p, err := parseAuthenticators([]byte(text)); !errors.Is(err, errAuthenticators) || p.Roots != nil || len(p.Models) > 0 {
			t.Errorf("%s: got %v, want it refused and no policy", name, err)
		}
	}
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	roots := "roots = '''\n" + string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) + "'''\n"
	p, err := parseAuthenticators([]byte(models + roots))
	if err != nil || len(p.Models) != 1 || p.Models[0] != (attest.Model{0x2f, 0xc0, 0x57, 0x9f, 0x81, 0x13, 0x47, 0xea, 0xb1, 0x16, 0xbb, 0x5a, 0x8d, 0xb9, 0x20, 0x2a}) {
		t.Errorf("one model: got %v, %v", p.Models, err)
	}
	for _, bad := range []string{`models = ["2fc0579f"]`, `models = []`, `models = ["zz"]`} {
		if _, err := parseAuthenticators([]byte(bad + "\n" + roots)); !errors.Is(err, errAuthenticators) {
			t.Errorf("%s: got %v, want it refused", bad, err)
		}
	}
	if _, err := readAuthenticators(filepath.Join(t.TempDir(), "missing")); !errors.Is(err, errAuthenticators) {
		t.Errorf("missing file: got %v, want it refused", err)
	}
	if p, err := readAuthenticators(""); err != nil || p.Roots != nil || len(p.Models) > 0 {
		t.Errorf("no file: got %v, want the policy that takes none", err)
	}
}

func FuzzAuthenticators(f *testing.F) {
	f.Add([]byte(`models = ["2fc0579f-8113-47ea-b116-bb5a8db9202a"]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := parseAuthenticators(text)
		if err == nil && (p.Roots == nil || len(p.Models) == 0) {
			t.Error("a policy that is taken has roots and models")
		}
	})
}

package thief

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/abaton-health/abaton"
)

// TestNumberFacts: a number kept as it is, encoded or as a hash that can be
// guessed is found in a stolen folder; one under a key that is not there is not.
func TestNumberFacts(t *testing.T) {
	const system, number = "http://fhir.nl/fhir/NamingSystem/bsn", "184627359"
	two, five, one, md := sha256.Sum256([]byte(number)), sha512.Sum512([]byte(system+"|"+number)), sha1.Sum([]byte(system+number)), md5.Sum([]byte("953726481"))
	for name, c := range map[string]struct {
		file  []byte
		found bool
	}{
		"plain":                   {[]byte("x" + number + "x"), true},
		"backwards":               {[]byte("953726481"), true},
		"hex":                     {[]byte(hex.EncodeToString([]byte(number))), true},
		"base64":                  {[]byte(base64.StdEncoding.EncodeToString([]byte("a " + number + " b"))), true},
		"SHA-256, hex":            {[]byte(hex.EncodeToString(two[:])), true},
		"SHA-512 with system":     {five[:], true},
		"SHA-1 with system":       {[]byte(base64.StdEncoding.EncodeToString(one[:])), true},
		"MD5 backwards, cut":      {md[:10], true},
		"another number's hash":   {bytes.Repeat([]byte{7}, 64), false},
		"another number, as text": {[]byte("184627358"), false},
	} {
		t.Run(name, func(t *testing.T) {
			from := t.TempDir()
			if err := os.WriteFile(filepath.Join(from, "file"), append([]byte("some bytes before "), c.file...), 0o600); err != nil {
				t.Fatal(err)
			}
			loot, err := StealFiles(t.Context(), filepath.Join(t.TempDir(), "loot"), from)
			if err != nil {
				t.Fatal(err)
			}
			report, err := Open(t.Context(), NumberFacts(system, number), loot)
			if err != nil || report.Found > 0 != c.found {
				t.Errorf("got %d findings, %v; want any: %v", report.Found, err, c.found)
			}
		})
	}
}

// TestPieces: what a thief had of a record is told, and makes facts.
func TestPieces(t *testing.T) {
	name := abaton.RecordName{Batch: abaton.BatchName{1}, Index: 3}
	at := place{batch: name.Batch, j: 3}
	l := &Loot{fragments: map[place]fragment{at: {bytes: bytes.Repeat([]byte{9}, 40)}}, shares: map[place][32]byte{at: {8}}}
	if fragment, share := l.Holds(name); !fragment || !share || len(l.Pieces(name)) != 2 {
		t.Errorf("got %v, %v and %d pieces, want both", fragment, share, len(l.Pieces(name)))
	}
	name.Index = 4
	if fragment, share := l.Holds(name); fragment || share || len(l.Pieces(name)) != 0 {
		t.Errorf("of another record: got %v, %v", fragment, share)
	}
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/people"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/ledger"
)

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, exitOK},
		{errors.New("x"), exitFailed},
		{errFailed, exitFailed},
		{usage("x"), exitUsage},
		{fmt.Errorf("read: %w", abaton.Refuse(abaton.ReasonGrant)), exitRefused},
		{&people.GatewayError{Status: 403}, exitRefused},
		{&people.GatewayError{Status: 503}, exitFailed},
		{&people.GatewayError{Status: 401}, exitSignIn},
		{people.ErrSignIn, exitSignIn},
		{context.Canceled, exitFailed},
	} {
		if got := exitCode(c.err); got != c.want {
			t.Errorf("exit code of %v: got %d, want %d", c.err, got, c.want)
		}
	}
}

func TestJournalSurvivesATornLine(t *testing.T) {
	dir := t.TempDir()
	j, err := openJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := j.note([32]byte{byte(i)}, 10+i); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "journal")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text[:len(text)-20], 0o600); err != nil { // in the middle of the last entry
		t.Fatal(err)
	}
	if j, err = openJournal(dir); err != nil {
		t.Fatal(err)
	}
	if err := j.note([32]byte{9}, 1); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if j, err = openJournal(dir); err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	for i, want := range map[byte]bool{0: true, 1: true, 2: false, 9: true} {
		if _, got := j.has([32]byte{i}); got != want {
			t.Errorf("entry %d: got %v, want %v", i, got, want)
		}
	}
	if e, _ := j.has([32]byte{1}); e.Resources != 11 {
		t.Errorf("resources: got %d, want 11", e.Resources)
	}
}

func TestHandlesAndSources(t *testing.T) {
	for name, want := range map[string]string{
		"urn:uuid:8a4c9c04-1524-9f1c": "patient-8a4c9c04", "Patient/p1": "patient-p1", "https://x.test/Patient/A.b-3": "patient-ab3",
	} {
		if got := handleOf(name); got != want {
			t.Errorf("handle of %q: got %q, want %q", name, got, want)
		}
	}
	if got := handleOf("Patient/..."); !strings.HasPrefix(got, "patient-") || len(got) != len("patient-")+8 {
		t.Errorf("handle of an id without letters: got %q, want one made of its hash", got)
	}
	if bytes.Equal(sourceOf("a"), sourceOf("b")) || !bytes.Equal(sourceOf("a"), sourceOf("a")) {
		t.Error("sources are not told apart by their names alone")
	}
}

func TestShellQuote(t *testing.T) {
	for word, want := range map[string]string{
		"run/demo": "run/demo", "": "''", "my net": "'my net'", "it's": `'it'\''s'`, "$HOME": "'$HOME'", "a;b": "'a;b'",
	} {
		if got := shellQuote(word); got != want {
			t.Errorf("quote %q: got %s, want %s", word, got, want)
		}
	}
}

func TestDisclosureCountsSayNoLess(t *testing.T) {
	l := &ledger.Line{Rows: []ledger.LineRow{
		{Released: 0b0111, Confirmed: 0b0001, Refused: 0b1110}, // one keeper's answer is missing
		{Released: 0, Refused: 0b11},
	}}
	if released, refused := disclosureCounts(l); released != 3 || refused != 3 {
		t.Errorf("counts: got %d released, %d refused, want 3 and 3", released, refused)
	}
}

func TestInspect(t *testing.T) {
	k := key.NewSigning()
	event := actor.NewInception(1, &actor.Inception{Kind: actor.Organisation, Keys: []actor.Key{{ID: k.ID(), Rights: actor.Manage}}})
	signed := actor.Signed(event, actor.ByKey(k, event)).Marshal()
	checkpoint := []byte("test/ledger\n3\n" + strings.Repeat("A", 43) + "=\n\n— test sig\n")
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"event":      {signed, "key-log event: inception\nactor " + actor.IDOf(event).String()},
		"checkpoint": {checkpoint, "checkpoint of the ledger test/ledger\n3 entries"},
	} {
		got, ok := inspect(c.content)
		if !ok || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: got %q, %v, want %q first", name, got, ok, c.want)
		}
	}
	for name, bad := range map[string][]byte{"nothing": nil, "text": []byte("hello"), "cut": signed[:len(signed)-1], "longer": append(signed, 0)} {
		if got, ok := inspect(bad); ok {
			t.Errorf("%s: taken for %q", name, got)
		}
	}
}

// FuzzInspect: whatever lies in a file, it is named or not, and nothing else
// happens.
func FuzzInspect(f *testing.F) {
	f.Add([]byte("x"))
	f.Add([]byte("test/ledger\n3\n" + strings.Repeat("A", 43) + "=\n\n— test sig\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		if text, ok := inspect(content); ok == (text == "") {
			t.Errorf("named %v with %d characters", ok, len(text))
		}
	})
}

package people_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/internal/escrow"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/people"
)

// lost is a patient whose device is gone; old is what a thief of it has.
type lost struct {
	*town
	net  *client.Network // the portal's
	old  *people.Person
	code escrow.Code
}

func newLost(t *testing.T) *lost {
	t.Helper()
	w := newTown(t)
	ana, err := w.NewPatient("ana", "Ana", nil, w.org)
	if err != nil {
		t.Fatal(err)
	}
	l := &lost{town: w, net: w.net(t, w.org), old: ana}
	if err := people.Introduce(t.Context(), l.net, ana); err != nil {
		t.Fatal(err)
	}
	words, err := os.ReadFile(w.KitFile("ana"))
	if err != nil {
		t.Fatal(err)
	}
	if l.code, err = escrow.ParseWords(strings.Fields(string(words))); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(w.Dir("ana"), "keys")); err != nil {
		t.Fatal(err)
	}
	return l
}

// pass lets the wait pass at these keepers.
func (l *lost) pass(xs ...abaton.KeeperIndex) {
	for _, x := range xs {
		l.keepers.Keepers[x].Ahead(custodytest.Wait)
	}
}

func (l *lost) mustBegin(t *testing.T) *people.Return {
	t.Helper()
	r, _, err := l.BeginWithKit(t.Context(), l.net, "ana", l.code)
	if err != nil {
		t.Fatalf("begin: %v", err)
	}
	return r
}

func TestReturnFromPaper(t *testing.T) {
	l := newLost(t)
	begun := l.mustBegin(t)
	r, err := l.Returning("ana") // another run of the program
	if err != nil || r.Hash() != begun.Hash() || r.Passkey.Credential() != begun.Passkey.Credential() {
		t.Fatalf("the new device does not come back as it was saved: %v", err)
	}
	if _, err := l.Finish(t.Context(), l.net, r); !refusedFor(err, abaton.ReasonWait) {
		t.Fatalf("too early: got %v, want %s", err, abaton.ReasonWait)
	}
	l.pass(1, 2, 3, 4, 5)
	back, err := l.Finish(t.Context(), l.net, r)
	if err != nil {
		t.Fatalf("finish: %v", err)
	}
	line := abaton.Category{1}
	if back.Root.Line(line) != l.old.Root.Line(line) || string(back.Box.Public().Bytes()) != string(l.old.Public.Bytes()) {
		t.Error("back in: got another root or box, want her own")
	}
	if back.Kit == (escrow.Code{}) || back.Kit == l.code {
		t.Error("back in: got no new kit, want one in the place of the used")
	}
	if _, err := l.Returning("ana"); !errors.Is(err, people.ErrNobody) {
		t.Errorf("back in: got %v, want nobody on the way any more", err)
	}
	if _, err := os.Stat(l.KitFile("ana")); !errors.Is(err, os.ErrNotExist) {
		t.Error("the words of the used kit still lie there")
	}
}

// TestBeginAgainIsTheSame: telling the keepers again starts no second recovery
// and no new wait.
func TestBeginAgainIsTheSame(t *testing.T) {
	l := newLost(t)
	l.keepers.Keepers[5].Down(true)
	first := l.mustBegin(t)
	l.keepers.Keepers[5].Down(false)
	again := l.mustBegin(t)
	if first.Hash() != again.Hash() {
		t.Error("begun again: got another recovery, want the same")
	}
	st, err := l.net.Log(t.Context(), l.old.ID)
	if err != nil || len(st.Recoveries()) != 1 {
		t.Errorf("the log: got %v, want one recovery", err)
	}
}

// TestVetoAfterSomeVoted: a veto that comes between the votes stops the return,
// and the log goes on: what three keepers voted for is closed by a merge.
func TestVetoAfterSomeVoted(t *testing.T) {
	l := newLost(t)
	r := l.mustBegin(t)
	l.pass(1, 2, 3)
	if _, err := l.Finish(t.Context(), l.net, r); err == nil {
		t.Fatal("three keepers let her in, want four needed")
	}
	mine := l.net // any asker will do
	if n, err := l.old.Veto(t.Context(), mine); err != nil || n != 1 {
		t.Fatalf("veto: got %d, %v, want one", n, err)
	}
	l.pass(4, 5)
	if _, err := l.Finish(t.Context(), l.net, r); err == nil {
		t.Fatal("vetoed: got in")
	}
	doctor, err := l.NewClinician("doctor", "Doctor", l.org)
	if err != nil {
		t.Fatal(err)
	}
	if err := people.Introduce(t.Context(), l.net, doctor); err != nil {
		t.Fatal(err)
	}
	if _, _, err := l.old.Give(t.Context(), mine, people.Terms{To: doctor, Actions: grant.Read, Categories: []fhir.Category{fhir.General}, Purpose: abaton.Treatment, Life: time.Hour, Quota: 10}); err != nil {
		t.Errorf("the log after the veto: got %v, want it to go on", err)
	}
	l.net.Refresh(l.old.ID)
	st, err := l.net.Log(t.Context(), l.old.ID)
	if err != nil || st.CredentialClass(r.Passkey.Credential()) != 0 {
		t.Errorf("after the merge: got %v, want the passkey not in", err)
	}
}

func TestWrongPaper(t *testing.T) {
	l := newLost(t)
	if _, _, err := l.BeginWithKit(t.Context(), l.net, "ana", escrow.NewCode()); !errors.Is(err, people.ErrKit) {
		t.Errorf("another kit: got %v, want ErrKit", err)
	}
	if _, err := l.Ask(t.Context(), l.net, "ana"); !errors.Is(err, people.ErrNoTrustees) {
		t.Errorf("no helpers: got %v, want ErrNoTrustees", err)
	}
	if _, _, err := l.BeginWithKit(t.Context(), l.net, "nobody", l.code); !errors.Is(err, people.ErrNobody) {
		t.Errorf("nobody: got %v, want ErrNobody", err)
	}
	if _, _, err := l.BeginWithKit(t.Context(), l.net, "clinic", l.code); err == nil {
		t.Error("somebody else's name: got in")
	}
	if _, _, err := l.NewKit(t.Context(), l.net, l.org, nil); !errors.Is(err, people.ErrPatient) {
		t.Errorf("a clinic's kit: got %v, want ErrPatient", err)
	}
}

func refusedFor(err error, reason abaton.Reason) bool {
	e, ok := errors.AsType[*abaton.RefusedError](err)
	return ok && e.Reason == reason
}

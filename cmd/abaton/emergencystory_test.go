package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/people"
)

// nightPatient has seven allergies and two medicines.
const nightPatient = "patient-6c8f3e83"

// newNight is five real keepers, a gateway and two authorities; a patient with
// a record, two emergency doctors, a physician and a security officer.
func newNight(t *testing.T) *town {
	t.Helper()
	n, err := local.Make(t.Context(), filepath.Join(t.TempDir(), "net"), local.Options{Binaries: built, RecoveryWait: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	w := &town{t: t}
	if w.run, err = n.Start(t.Context(), built); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.run.Stop(); err != nil {
			t.Error(err)
		}
	})
	for _, one := range [][]string{{"dr-eda", "emergency"}, {"dr-ole", "emergency"}, {"dr-kim", "physician"}, {"officer", "security-officer"}} {
		w.must("", "staff", "add", one[0], "--roles", one[1])
	}
	w.must("", "import", sampleFile("0-hospitals"), sampleFile("0-practitioners"), sampleFile("6c8f3e83-c351-ed33-c38d-6be101c275d2"))
	return w
}

func sampleFile(name string) string {
	return filepath.Join("..", "..", "testdata", "patients", name+".json.gz")
}

// opens opens the patient's set, and tries for as long as some keeper finds the
// role too new.
func (w *town) opens(as string, more ...string) (s emergencyScreen) {
	w.t.Helper()
	deadline := time.Now().Add(readyMax)
	args := append([]string{"emergency", "open", "--as", as, "--patient", nightPatient, "--reason", "unconscious", "--json"}, more...)
	for {
		out, errs, code := w.abaton("", args...)
		if code == exitOK {
			if err := json.Unmarshal([]byte(out), &s); err != nil {
				w.t.Fatal(err)
			}
			return s
		}
		if !strings.Contains(errs, string(abaton.ReasonNewRole)) || time.Now().After(deadline) {
			w.t.Fatalf("emergency open as %s: exit %d: %s", as, code, errs)
		}
	}
}

// list is what somebody sees of emergencies.
func (w *town) list(args ...string) []listedOpening {
	w.t.Helper()
	var l struct{ Openings []listedOpening }
	w.into(&l, append([]string{"emergency", "list", "--json"}, args...)...)
	return l.Openings
}

// find is one opening in a list.
func find(list []listedOpening, opening string) listedOpening {
	for _, l := range list {
		if l.Opening == opening {
			return l
		}
	}
	return listedOpening{}
}

func (s *emergencyScreen) part(name string) []string {
	for _, p := range s.Parts {
		if p.Name == name {
			return p.Items
		}
	}
	return nil
}

// TestUnconsciousAtNight (H1): two keepers and an authority are dead, the
// patient cannot speak and has given the doctor nothing. The set is there in a
// moment; the patient, a helper and the security officer know; at the next
// sign-in it is burned.
func TestUnconsciousAtNight(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a whole network; run without -short")
	}
	w := newNight(t)
	org, err := w.run.Organisation()
	if err != nil {
		t.Fatal(err)
	}
	var helpers []*people.Person
	for _, handle := range []string{"bo", "cas", "dee"} {
		p, err := w.run.People().NewPatient(handle, handle, nil, org)
		if err != nil {
			t.Fatal(err)
		}
		helpers = append(helpers, p)
	}
	c, closeAll, err := w.run.Client(org.Manage)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll()
	if err := people.Introduce(t.Context(), c, helpers...); err != nil {
		t.Fatal(err)
	}
	w.must("", "recover", "helpers", nightPatient, "bo", "cas", "dee")

	// Somebody who works elsewhere in the house cannot, and a reason is needed.
	w.fails("refused: standing", "", "emergency", "open", "--as", "dr-kim", "--patient", nightPatient, "--reason", "unconscious")
	w.fails("10 words", "", "emergency", "open", "--as", "dr-eda", "--patient", nightPatient, "--reason", "because")
	w.opens("dr-ole") // all five keepers know the role for long enough

	for _, err := range []error{w.run.KillKeeper(2), w.run.KillKeeper(5), w.run.KillAuthority(1)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s := w.opens("dr-eda")
	t.Logf("two keepers and an authority dead: on screen after %s s", s.Seconds)
	if got := len(s.part("Allergies")); got != 7 || s.Missing != 0 {
		t.Errorf("the set: got %d allergies and %d missing, want 7 and none", got, s.Missing)
	}
	if got := len(s.part("Medicines")); got != 2 {
		t.Errorf("the set: got %d medicines, want 2", got)
	}
	if left := time.Until(time.Unix(s.Until, 0)); left < 3*time.Hour || left > abaton.EmergencyRight {
		t.Errorf("the right lasts %v, want four hours", left)
	}

	// Everybody who is to know knows; nobody else does.
	for _, args := range [][]string{{"--as", nightPatient}, {"--as", "bo", "--of", nightPatient}, {"--as", "officer"}, {"--as", "clinic"}, {"--as", "dr-eda"}} {
		l := find(w.list(args...), s.Opening)
		if !l.Released || l.Opener != "dr-eda" || l.Patient != nightPatient || l.Verdict != "owed" || l.Reason != "unconscious or cannot speak" {
			t.Errorf("emergency list %v: got %+v, want the opening, owed", args, l)
		}
	}
	w.fails("refused: credential", "", "emergency", "list", "--as", "dr-kim", "--of", nightPatient)
	w.fails("refused: credential", "", "emergency", "list", "--as", "dr-kim", "--of", "dr-eda")
	if out := w.must("", "access", "list", "--as", nightPatient); !regexp.MustCompile(`dr-eda +emergency `).MatchString(out) {
		t.Errorf("the ledgers do not tell of it: %s", out)
	}

	// Morning: a colleague confirms, and the keepers are back.
	w.must("", "emergency", "confirm", s.Opening, "--as", "dr-kim", "--opener", "dr-eda")
	for _, x := range []abaton.KeeperIndex{2, 5} {
		if err := w.run.StartKeeper(t.Context(), x, local.Build{}); err != nil {
			t.Fatal(err)
		}
	}
	if l := find(w.list("--as", "officer"), s.Opening); l.Verdict != "right" || l.Second != "dr-kim" || l.Owed != 0 {
		t.Errorf("after the colleague's word: got %+v, want right, by dr-kim", l)
	}

	// The patient wakes and signs in: the set is burned, and a new one is there.
	w.burns()
	again := w.opens("dr-eda")
	if again.Escrow == s.Escrow || len(again.part("Allergies")) != 7 {
		t.Errorf("after the sign-in: got set %s with %d allergies, want a new one with 7", again.Escrow, len(again.part("Allergies")))
	}
	w.burnsInTwoGoes()
}

// burnsInTwoGoes is the patient's device switched off in the middle of a burn:
// the next sign-in goes on with it.
func (w *town) burnsInTwoGoes() {
	w.t.Helper()
	d, err := newDevice(w.run.Network, w.patient())
	if err != nil {
		w.t.Fatal(err)
	}
	defer d.hangUp()
	ctx, off := context.WithCancel(w.t.Context())
	defer off()
	if _, err := w.run.People().BurnOpened(ctx, d.net, d.Person, func(client.Relocked) { off() }); !errors.Is(err, context.Canceled) {
		w.t.Fatalf("switched off: got %v, want %v", err, context.Canceled)
	}
	mark := filepath.Join(w.run.People().Dir(nightPatient), "burning")
	if _, err := os.Stat(mark); err != nil {
		w.t.Errorf("nothing says that a burn was broken off: %v", err)
	}
	w.must("", "login", "--as", nightPatient)
	if _, err := os.Stat(mark); !errors.Is(err, os.ErrNotExist) {
		w.t.Errorf("after the next sign-in: got %v, want the burn done", err)
	}
}

func (w *town) patient() *people.Person {
	w.t.Helper()
	p, err := w.run.People().Load(nightPatient)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// burns is the patient signing in.
func (w *town) burns() {
	w.t.Helper()
	before := w.must("", "record", "export", "--as", nightPatient)
	_, says, code := w.abaton("", "login", "--as", nightPatient)
	if code != exitOK || !strings.Contains(says, "Your emergency set was opened. It has a new key now") {
		w.t.Fatalf("login: exit %d, %s; want the opened set burned", code, says)
	}
	if _, says, _ := w.abaton("", "login", "--as", nightPatient); strings.Contains(says, "was opened") {
		w.t.Errorf("the second login: got %s, want nothing left to burn", says)
	}
	if after := w.must("", "record", "export", "--as", nightPatient); after != before {
		w.t.Error("the record is not what it was before the burn")
	}
}

// TestMisuse (H27, H35): a doctor opens the record of somebody she knows; a
// colleague who is asked says that it was wrong, and she opens nothing more. A
// doctor whom the patient bars does not open, unless nobody else is there, and
// then everybody sees that the bar did not hold.
func TestMisuse(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a whole network; run without -short")
	}
	w := newNight(t)
	s := w.opens("dr-eda")
	w.fails("refused: second-clinician", "", "emergency", "confirm", s.Opening, "--as", "dr-eda", "--opener", "dr-eda")
	w.must("", "emergency", "confirm", s.Opening, "--as", "dr-kim", "--opener", "dr-eda", "--wrong")
	if l := find(w.list("--as", nightPatient), s.Opening); l.Verdict != "wrong" || l.Second != "dr-kim" {
		t.Errorf("the patient's list: got %+v, want wrong, by dr-kim", l)
	}
	again := []string{"emergency", "open", "--as", "dr-eda", "--patient", nightPatient, "--reason", "life"}
	w.fails("refused: emergency-unconfirmed", "", again...)
	w.must("", "emergency", "confirm", s.Opening, "--as", "dr-ole", "--opener", "dr-eda") // looked into: it was right
	w.must("", again...)

	w.must("", "grant", "bar", "dr-ole", "--as", nightPatient)
	barred := []string{"emergency", "open", "--as", "dr-ole", "--patient", nightPatient, "--reason", "life"}
	w.fails("refused: barred", "", barred...)
	w.must("", append(barred, "--sole")...)
	loud := false
	for _, l := range w.list("--as", "officer") {
		loud = loud || l.Opener == "dr-ole" && l.Loud && l.Released
	}
	if !loud {
		t.Error("the officer does not see that a bar did not hold")
	}

	// Anything wider takes two, and only if the patient said so beforehand.
	wider := []string{"emergency", "widen", "--as", "dr-eda", "--patient", nightPatient, "--reason", "life", "--json", "--second"}
	w.fails("no such emergency set", "", append(wider, "dr-kim")...)
	w.must("", "emergency", "prepare", "--as", nightPatient, "--wide", "general")
	w.fails("refused: second-clinician", "", append(wider, "dr-eda")...)
	var wide emergencyScreen
	w.into(&wide, append(wider, "dr-kim")...)
	if len(wide.part("Further records")) < 3 {
		t.Errorf("the wider set: got %d further kinds of records, want more", len(wide.part("Further records")))
	}
	if len(wide.part("Allergies")) != 7 || !wide.Confirmed {
		t.Errorf("the wider set: got %d allergies, confirmed %v; want 7, confirmed by the second", len(wide.part("Allergies")), wide.Confirmed)
	}
}
